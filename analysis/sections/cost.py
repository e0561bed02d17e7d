"""Cost: what a run of each setting takes, and what a point of accuracy over the baseline costs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.formats import capitalised, count, counted, duration, percent_interval, points, points_interval
from analysis.question import PAPER, PAPER_DIMENSIONS, Question
from analysis.section import ACL, BASELINE, MARKERS, MODELS_ONLY, ONLY, Column, Heading, Section, interval, number_column, styled
from analysis.sections.comparisons import Comparison, comparisons_of
from analysis.sections.paper_tables import difference_columns
from analysis.settings import name_of, pick
from analysis.stats.intervals import BETTER, WORSE
from study import names

HOURS, GPU_HOURS = "hours", "GPU-hours"
_UNITS = ((1, "h"), (60, "min"), (3600, "s"))  # of the figure, and how many make an hour
_MOST_INTERVALS = 12  # with more settings only the picked one has its interval drawn; the pointer shows the others


def cost_table(
    settings: pd.DataFrame,
    trials: pd.DataFrame,
    history: pd.DataFrame,
    predictions: pd.DataFrame,
    question: Question = PAPER,
) -> pd.DataFrame:
    """What a run of each setting takes, and what a point over the baseline costs.

    `hours` is the mean over the setting's runs of Σ train.epoch_seconds / 3600. Where every trial had a share of a GPU, all hours
    are GPU-hours, those on the clock times the share; `unit` says which. `baseline` marks the baseline that validation selects
    in that comparison, `is_baseline` every one, `gain` is the accuracy over the picked one, `hours_per_point` are hours of a run
    for each of its percentage points where it is positive. `all_trials` and `all_hours` are all trials of that comparison, whatever
    their outcome. The row that validation selected (`picked`) has the columns of
    `analysis.sections.paper_tables.difference_columns`, too.

    Args:
        settings: of `analysis.settings.comparable_settings`.
        trials: of `analysis.records.runs.load_trials`, those that answer the question.
        history: of `analysis.records.runs.load_history`, with `train.epoch_seconds`.
        predictions: of `analysis.records.runs.load_predictions`.
        question: of the study.
    """
    seconds = history[history["metric"] == names.EPOCH_SECONDS].groupby("run_id")["value"].sum()
    hours = trials["run_id"].map(seconds) / 3600
    of_gpus = bool((trials.loc[hours.notna(), "gpu_share"] > 0).all())
    hours = hours * trials["gpu_share"] if of_gpus else hours
    by_run = dict(zip(trials["run_id"], hours, strict=True))
    rows: list[dict[str, Any]] = []
    for each, own_trials in _groups(settings, trials, question):
        pair, everything = each.pair, hours[own_trials].dropna()
        for name, setting in each.settings.iterrows():
            of_runs = [by_run[run_id] for run_id in setting["run_ids"]]
            gain = np.nan if pair.baseline is None else setting["accuracy"] - pair.baseline["accuracy"]
            picked = pair.acl is not None and name == pair.acl.name
            rows.append(
                {
                    **{column: setting[column] for column in ("mode", "subset", "alpha", "margin", "temperature", "seeds")},
                    "label": each.label,
                    "setting": each.setting_text(setting),
                    "is_baseline": bool(setting["baseline"]),
                    "unit": GPU_HOURS if of_gpus else HOURS,
                    "hours": float(np.mean(of_runs)),
                    **{column: setting[column] for column in ("val_accuracy", "accuracy", "low", "high")},
                    "gain": gain,
                    "hours_per_point": np.mean(of_runs) / (100 * gain) if gain > 0 else np.nan,
                    "baseline": pair.baseline is not None and name == pair.baseline.name,
                    "picked": picked,
                    "all_trials": len(everything),
                    "all_hours": float(everything.sum()),
                    **(difference_columns(pair, predictions) if picked else {}),
                }
            )
    table = pd.DataFrame(rows)
    return table.dropna(subset=["hours"]).reset_index(drop=True) if len(table) else table


def _groups(settings: pd.DataFrame, trials: pd.DataFrame, question: Question) -> Iterator[tuple[Comparison, pd.Series]]:
    """The comparisons, and which trials belong to each; in the paper's question a mode and subset each."""
    if not question.is_of_paper:
        for each in comparisons_of(settings, question):
            own = pd.Series(True, index=trials.index)
            for column, value in each.place.items():
                if (name := name_of(column)) in trials:
                    own &= trials[name].isna() if pd.isna(value) else trials[name].eq(value)
            yield each, own
        return
    for (mode, subset), group in settings.groupby(["mode", "subset"], sort=False):
        label = f"{mode}, {str(subset).replace('_', ' ')}"
        own = trials["mode"].eq(str(mode)) & trials["data.subset"].eq(str(subset))
        yield Comparison(str(mode), label, {}, [*PAPER_DIMENSIONS], group, pick(group)), own


def cost_figure(table: pd.DataFrame) -> go.Figure:
    """Test accuracy over hours of a run, a panel for each comparison, from `cost_table`."""
    panels = [panel for _, panel in table.groupby("label", sort=False)]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    titles = [str(panel["label"].iloc[0]) for panel in panels]
    names = {"baseline": "baseline", "acl": "other settings"}
    if (table["is_baseline"] == table["alpha"].eq(1)).all():
        names = {"baseline": "baseline (α = 1)", "acl": "with margin (α < 1)"}
    size, unit = next(each for each in _UNITS if table["hours"].max() * each[0] >= 1 or each is _UNITS[-1])
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.1, vertical_spacing=0.34 / rows)
    for index, panel in enumerate(panels):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        baseline = panel["is_baseline"]
        for side, own, colour in (("acl", panel[~baseline], ACL), ("baseline", panel[baseline], BASELINE)):
            intervals = [percent_interval(row, "accuracy", "low", "high") for row in own.to_dict("records")]
            points = go.Scatter(
                x=own["hours"] * size,
                y=own["accuracy"],
                mode="markers",
                name=names[side],
                legendgroup=side,
                showlegend=index == 0,
                marker={"symbol": MARKERS[side], "size": 10, "color": colour},
                error_y=interval(own, "accuracy", "low", "high") | {"visible": len(panel) <= _MOST_INTERVALS, "width": 3},
                customdata=own[["setting", "seeds"]].assign(accuracy=intervals),
                hovertemplate="%{customdata[0]}<br>%{x:.3g} "
                + unit
                + " a run, seeds: %{customdata[1]}<br>%{customdata[2]} % on test<extra></extra>",
            )
            figure.add_trace(points, **place)
        picked = panel[panel["picked"]]
        ring = go.Scatter(
            x=picked["hours"] * size,
            y=picked["accuracy"],
            error_y=interval(picked, "accuracy", "low", "high") | {"color": "#222"},
            mode="markers",
            name="selected on validation",
            legendgroup="picked",
            showlegend=index == 0,
            marker={"symbol": "circle-open", "size": 20, "color": "#222", "line_width": 2},
            hoverinfo="skip",
        )
        figure.add_trace(ring, **place)
    figure.update_xaxes(title=f"{'GPU time' if table['unit'].iloc[0] == GPU_HOURS else 'time'} of one run, {unit}")
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(title="test accuracy", tickformat=".0%", col=1)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.update_layout(height=120 + 300 * rows)
    return styled(figure)


def cost_section(table: pd.DataFrame, of: Heading = ONLY) -> Section:
    """Hours and accuracy, from `cost_table`; `of` tells the section from others of its kind."""
    columns = _cost_columns(table)
    return Section(f"cost{of.anchor}", f"Time and accuracy{of.title}", _cost_text(table), table, columns, "", cost_figure)


def _cost_columns(table: pd.DataFrame) -> list[Column]:
    time = capitalised(_time(table))
    return [
        Column("Comparison", lambda row: row["label"], "text"),
        Column("Setting", lambda row: row["setting"] or "the only one", "prose"),
        number_column("Seeds", "seeds", count),
        number_column(f"{time} of a run", "hours", duration),
        Column("Test, %", lambda row: percent_interval(row, "accuracy", "low", "high")),
        Column("Over the baseline, points", lambda row: "baseline" if row["baseline"] else points(row["gain"])),
        number_column(f"{time} of a run per point", "hours_per_point", duration),
    ]


def _time(table: pd.DataFrame) -> str:
    return "GPU time" if len(table) and table["unit"].iloc[0] == GPU_HOURS else "time"


def _cost_text(table: pd.DataFrame) -> str:
    time = _time(table)
    gpu = " of GPU time" if time == "GPU time" else ""
    shared = ", times the share of a GPU that the run had" if time == "GPU time" else ""
    paragraphs = [
        f"The {time} of a run is the sum over its epochs, with evaluation{shared}. Times from different or shared machines are "
        f"not comparable. The {time} per point is that of one run for each point of test accuracy above the selected baseline."
    ]
    for label, own in table.groupby("label", sort=False) if len(table) else ():
        first = own.iloc[0]
        spent = f"{capitalised(str(label))}: {counted(first['all_trials'], 'trial')} took {duration(first['all_hours'])}{gpu}"
        winner: dict[Any, Any] = next(iter(own[own["picked"]].to_dict("records")), {})
        if not winner or pd.isna(winner["difference"]):
            paragraphs.append(f"{spent}. There is no selected setting and baseline to compare.")
            continue
        gain = points_interval(winner["difference"], winner["difference_low"], winner["difference_high"])
        paragraphs.append(f"{spent}. The selected setting changes test accuracy by {gain}{_price(winner)}.")
    return "\n".join(paragraphs)


def _price(winner: dict[Any, Any]) -> str:
    """What a point of the difference costs, where the difference is significant."""
    of_settings = winner["claim"] == "settings"
    found = winner["finding"] if of_settings else winner["models_finding"]
    models = "" if of_settings else f" ({MODELS_ONLY})"
    if found == BETTER:
        return f"; {duration(winner['all_hours'] / (100 * winner['difference']))} of search per point{models}"
    if found == WORSE:
        return f", a significant loss{models}"
    return ": not significant, so a cost per point is not given"
