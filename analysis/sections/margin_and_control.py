"""What the paper did not do: the margin varied, and one setting repeated under other seeds (the negative control)."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis import published
from analysis.formats import capitalised, count, number_word, p_value, percent, place, plain, points
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.records.runs import SUBSETS
from analysis.section import (
    ACL,
    BASELINE,
    CLAIM_COLUMNS,
    DIFFERENCE_COLUMN,
    GROUP_COLUMNS,
    PUBLISHED,
    SEEDS_COLUMN,
    SETTING_COLUMNS,
    TEMPERATURE_COLUMN,
    TEST_COLUMN,
    VALIDATION_COLUMN,
    Column,
    Section,
    flag_texts,
    interval,
    number_column,
    styled,
)
from analysis.sections.paper_tables import difference_columns
from analysis.settings import MIN_MARGINS, NO_PAIR, TEST, VAL, clips_of_runs, correct_clips, pick
from analysis.stats.intervals import LEVEL, compare_paired, wilson_interval
from study import names

MIN_SEEDS = 5  # finished seeds of one setting that make a negative control
_PLACE = ["mode", "subset", "temperature"]
_ACCURACIES = ["val_accuracy", "val_low", "val_high", "accuracy", "low", "high"]


def null_table(settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Negative control: the seeds of a setting with alpha 1 as if they were settings among which validation picks.

    A row for each seed, best on validation first, for each setting that has at least `MIN_SEEDS` of them. `picked` is the highest
    on validation, `best_on_test` the highest on test (ties: the smallest seed; `val_rank` is the same for tied runs). `mcnemar_p`
    compares the run with the picked one. The same in all rows of a setting: `runs`, `mean` and `sd` of the test accuracies,
    `significant` (how many others differ from the picked run at 5 %, unadjusted), and the columns of `best_of_gains`.

    Args:
        settings: of `analysis.settings.comparable_settings`.
        trials: of `analysis.records.runs.load_trials`; the settings' runs are looked up here.
        predictions: of `analysis.records.runs.load_predictions`.
    """
    parts = []
    for setting in _repeated(settings):
        runs = _runs_of_setting(setting["run_ids"], trials, predictions)
        correct = correct_clips(predictions, setting["run_ids"])
        picked, best = runs["val_accuracy"].idxmax(), runs["accuracy"].idxmax()
        others = runs["run_id"].drop(picked)
        against = correct[[runs.at[picked, "run_id"]]]
        p_values = pd.Series({row: compare_paired(against, correct[[run_id]]).p_value for row, run_id in others.items()})
        runs = runs.assign(
            picked=runs.index == picked,
            best_on_test=runs.index == best,
            mcnemar_p=p_values.reindex(runs.index),
            runs=len(runs),
            mean=runs["accuracy"].mean(),
            minus_mean=runs["accuracy"] - runs["accuracy"].mean(),
            sd=runs["accuracy"].std(ddof=1),
            significant=int((p_values < 1 - LEVEL).sum()),
            **best_of_gains(runs["val_accuracy"].tolist(), runs["accuracy"].tolist()),
        )
        for column in reversed(_PLACE):
            runs.insert(0, column, setting[column])
        parts.append(runs.sort_values(["val_rank", "seed"]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def best_of_gains(val: list[float], test: list[float]) -> dict[str, float]:
    """Expected gain in test accuracy of a best of N over a baseline that is one of the same N runs, each as likely; exact.

    With a(j) the test accuracy of the j-th best (on validation or on test; ties: the earlier run) and m the mean of all N:

    - `gain_*`, the best of all N, the baseline among them: a(1) − m.
    - `gain_*_of_others`, the best of the N − 1 runs that are not the baseline, as Table 1 compares: it is a(1), but a(2) where the
      baseline is the best run itself, so a(1) (N−1)/N + a(2)/N − m. It can be negative where validation picks.

    Args:
        val: validation accuracy of each run.
        test: test accuracy of each run.

    >>> {name: round(gain, 3) for name, gain in best_of_gains([0.5, 0.7, 0.6], [0.60, 0.63, 0.66]).items()}
    {'gain_val': 0.0, 'gain_val_of_others': 0.01, 'gain_test': 0.03, 'gain_test_of_others': 0.02}
    """
    accuracies = np.asarray(test, float)
    gains = {}
    for name, criterion in (("gain_val", val), ("gain_test", test)):
        first, second = accuracies[np.argsort(-np.asarray(criterion, float), kind="stable")[:2]]
        mean, runs = accuracies.mean(), len(accuracies)
        gains[name] = float(first - mean)
        gains[f"{name}_of_others"] = float(first * (runs - 1) / runs + second / runs - mean)
    return gains


def margin_table(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy by margin for each mode and subset with at least `MIN_MARGINS` margins at one alpha (and temperature).

    Of several alphas and temperatures that with most margins (ties: the highest validation accuracy). The baseline (alpha 1, same
    temperature) is the row without margin. `picked` is the margin with the highest validation accuracy; its row has the paired
    difference to the baseline and the verdict. `papers` marks the one margin that the paper tried.
    """
    rows = []
    for mode in (SUPERVISED, SELF_SUPERVISED):
        for subset in SUBSETS:
            group = settings[(settings["mode"] == mode) & (settings["subset"] == subset)]
            line = _line_over_margin(group)
            if line["margin"].nunique() < MIN_MARGINS:
                continue
            baseline = group[(group["alpha"] == 1) & _same(group["temperature"], line["temperature"].iloc[0])]
            pair = pick(pd.concat([line, baseline]))
            for setting in [*line.to_dict("records"), *baseline.to_dict("records")]:
                is_winner = pair.acl is not None and setting["run_ids"] == pair.acl["run_ids"]
                rows.append(
                    {
                        **{column: setting[column] for column in (*_PLACE, "alpha", "margin", "seeds", *_ACCURACIES, "seed_sd")},
                        "baseline": setting["alpha"] == 1,
                        "picked": is_winner,
                        "papers": setting["margin"] == published.margin(),
                        **difference_columns(pair if is_winner else NO_PAIR, predictions),
                    }
                )
    return pd.DataFrame(rows)


def _repeated(settings: pd.DataFrame) -> list[dict[Any, Any]]:
    """Settings with alpha 1 and enough seeds, in the order of the report."""
    baselines = settings[settings["alpha"] == 1]
    return [
        setting
        for mode in (SUPERVISED, SELF_SUPERVISED)
        for subset in SUBSETS
        for setting in baselines[(baselines["mode"] == mode) & (baselines["subset"] == subset)].to_dict("records")
        if setting["seeds"] >= MIN_SEEDS
    ]


def _line_over_margin(settings: pd.DataFrame) -> pd.DataFrame:
    """The settings at that alpha and temperature which have most margins, by margin; empty where none has a margin."""
    lines = [line for _, line in settings[settings["alpha"] < 1].groupby(["alpha", "temperature"], dropna=False)]
    longest = max(lines, key=lambda line: (len(line), line["val_accuracy"].max()), default=settings.iloc[:0])
    return longest.sort_values("margin")


def _same(column: pd.Series, value: float) -> pd.Series:
    """Where the column equals the value, an empty one another empty one."""
    return column.isna() if pd.isna(value) else column.eq(value)


def _runs_of_setting(run_ids: tuple[str, ...], trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Seed, accuracies and rank on validation of each run, by seed."""
    columns = {"run_id": "run_id", "seed": "seed", names.VAL_ACCURACY: "val_accuracy", names.TEST_ACCURACY: "accuracy"}
    runs = trials.loc[trials["run_id"].isin(run_ids), list(columns)].rename(columns=columns).sort_values("seed", ignore_index=True)
    for split, share, bounds in ((VAL, "val_accuracy", ("val_low", "val_high")), (TEST, "accuracy", ("low", "high"))):
        clips = runs["run_id"].map(clips_of_runs(predictions, split))
        runs[list(bounds)] = [wilson_interval(value, number) for value, number in zip(runs[share], clips, strict=True)]
    runs["val_rank"] = runs["val_accuracy"].rank(ascending=False, method="min").astype(int)
    return runs[["seed", "run_id", *_ACCURACIES, "val_rank"]]


CONTROL_COLUMNS = [
    *GROUP_COLUMNS,
    TEMPERATURE_COLUMN,
    number_column("Seed", "seed", count),
    VALIDATION_COLUMN,
    number_column("Rank on validation", "val_rank", count),
    TEST_COLUMN,
    number_column("Test − mean, points", "minus_mean", points),
    number_column("McNemar p against the picked run", "mcnemar_p", p_value),
    Column("Remark", flag_texts({"picked": "picked on validation", "best_on_test": "best on test"}), "text"),
]
MARGIN_TABLE_COLUMNS = [
    *GROUP_COLUMNS,
    *SETTING_COLUMNS,
    SEEDS_COLUMN,
    VALIDATION_COLUMN,
    TEST_COLUMN,
    DIFFERENCE_COLUMN,
    *CLAIM_COLUMNS,
    Column(
        "Remark", flag_texts({"baseline": "baseline", "picked": "picked on validation", "papers": "the paper's margin"}), "text"
    ),
]
_BAND = "rgba(0, 114, 178, 0.15)"  # BASELINE
_PICKED = {"symbol": "circle-open", "size": 18, "color": "#222", "line_width": 2}
_BEST_ON_TEST = {"symbol": "square-open", "size": 26, "color": "#222", "line_width": 1.5}


def null_figure(table: pd.DataFrame) -> go.Figure:
    """Test accuracies of the runs of one setting with their mean, a panel each, from `beyond_tables.null_table`."""
    groups = [group for _, group in table.groupby(["mode", "subset", "temperature"], sort=False, dropna=False)]
    figure = _panels([f"{place(group.iloc[0].to_dict())}, α 1, {group['runs'].iloc[0]} seeds" for group in groups])
    for index, group in enumerate(groups):
        runs = [f"{plain(seed)}" for seed in group["seed"]]
        traces = [
            go.Scatter(
                x=runs,
                y=group["accuracy"],
                mode="markers",
                name="a run (α = 1)",
                legendgroup="run",
                marker={"symbol": "circle", "size": 9, "color": BASELINE},
                error_y=interval(group, "accuracy", "low", "high"),
                customdata=group[["val_accuracy", "val_rank"]],
                hovertemplate="seed %{x}: %{y:.1%} on test<br>"
                "%{customdata[0]:.1%} on validation, rank %{customdata[1]}<extra></extra>",
            ),
            go.Scatter(
                x=runs,
                y=group["mean"],
                mode="lines",
                name="mean of the runs",
                legendgroup="mean",
                line={"color": BASELINE, "width": 1.5, "dash": "dash"},
                hovertemplate="mean %{y:.1%}<extra></extra>",
            ),
            _ring(runs, group, "picked", "picked on validation", _PICKED),
            _ring(runs, group, "best_on_test", "best on test", _BEST_ON_TEST),
        ]
        _add(figure, traces, index)
        figure.update_xaxes(type="category", row=index // 2 + 1, col=index % 2 + 1)
    figure.update_xaxes(title="seed, highest validation accuracy first")
    return _finished(figure, len(groups))


def margin_figure(table: pd.DataFrame) -> go.Figure:
    """Test accuracy by margin at one alpha, a panel for each mode and subset, from `beyond_tables.margin_table`."""
    groups = [group for _, group in table.groupby(["mode", "subset"], sort=False)]
    figure = _panels([f"{place(group.iloc[0].to_dict())}, α {plain(group['alpha'].iloc[0])}" for group in groups])
    for index, group in enumerate(groups):
        line = group[~group["baseline"]]
        for _, baseline in group[group["baseline"]].iterrows():
            _add(figure, _baseline(baseline, line["margin"]), index)
        with_margin = go.Scatter(
            x=line["margin"],
            y=line["accuracy"],
            mode="lines+markers",
            name="with margin",
            legendgroup="acl",
            line={"color": ACL, "width": 1.5},
            marker={"symbol": "diamond", "size": 9},
            error_y=interval(line, "accuracy", "low", "high"),
            customdata=line[["val_accuracy", "seeds"]],
            hovertemplate="margin %{x} rad: %{y:.1%} on test<br>%{customdata[0]:.1%} on validation, "
            "seeds: %{customdata[1]}<extra></extra>",
        )
        picked = _ring(line["margin"], line, "picked", "picked on validation", _PICKED)
        _add(figure, [with_margin, picked], index)
        for margin in line.loc[line["papers"], "margin"]:
            figure.add_vline(
                x=margin,
                line={"color": PUBLISHED, "width": 1.5, "dash": "dot"},
                layer="above",
                name="the only margin that the paper tried",
                legendgroup="papers",
                showlegend=not any(shape.showlegend for shape in figure.layout.shapes),
                row=index // 2 + 1,
                col=index % 2 + 1,
            )
    figure.update_xaxes(title="margin (rad)", rangemode="tozero", dtick=0.25)
    return _finished(figure, len(groups))


def _baseline(baseline: pd.Series, margins: pd.Series) -> list[go.Scatter]:
    """The baseline, which has no margin, as a level line with its interval as a band."""
    ends = [margins.iloc[0], margins.iloc[-1]]
    band = go.Scatter(
        x=[*ends, *reversed(ends)],
        y=[baseline["low"]] * 2 + [baseline["high"]] * 2,
        fill="toself",
        fillcolor=_BAND,
        line={"width": 0},
        mode="lines",
        name="its 95 % interval",
        legendgroup="band",
        hoverinfo="skip",
    )
    line = go.Scatter(
        x=ends,
        y=[baseline["accuracy"]] * 2,
        mode="lines",
        name="baseline (α = 1)",
        legendgroup="baseline",
        line={"color": BASELINE, "width": 2},
        hovertemplate=f"baseline: {percent(baseline['accuracy'])} %<extra></extra>",
    )
    return [line, band]


def _ring(x: pd.Series | list[str], table: pd.DataFrame, flag: str, name: str, marker: dict[str, object]) -> go.Scatter:
    """A ring around the marks whose flag is set."""
    own = pd.Series(list(x), index=table.index)[table[flag]]
    return go.Scatter(
        x=own, y=table.loc[table[flag], "accuracy"], mode="markers", name=name, legendgroup=flag, marker=marker, hoverinfo="skip"
    )


def _panels(titles: list[str]) -> go.Figure:
    columns = min(2, len(titles))
    rows = -(-len(titles) // columns)
    return make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.08, vertical_spacing=0.3 / rows)


def _add(figure: go.Figure, traces: list[go.Scatter], index: int) -> None:
    """Add the traces to a panel; the legend has each group once."""
    shown = {trace.legendgroup for trace in figure.data}
    for trace in traces:
        figure.add_trace(trace.update(showlegend=trace.legendgroup not in shown), row=index // 2 + 1, col=index % 2 + 1)


def _finished(figure: go.Figure, panels: int) -> go.Figure:
    figure.update_yaxes(title="test accuracy", tickformat=".0%", col=1)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(height=110 + 320 * -(-panels // 2))
    return styled(figure)


ANCHORS = ("margin", "null")


def margin_and_control_sections(settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """Those of the sections, each an anchor of `ANCHORS`, that have a table."""
    margin = margin_table(settings, predictions)
    null = null_table(settings, trials, predictions)
    sections = [
        Section(
            "margin",
            "Accuracy by margin",
            _margin_text(margin),
            margin,
            MARGIN_TABLE_COLUMNS,
            "",
            margin_figure,
            folded=True,
        ),
        Section(
            "null",
            "Negative control: the best of N when nothing differs",
            _null_text(null),
            null,
            CONTROL_COLUMNS,
            "",
            null_figure,
        ),
    ]
    return [section for section in sections if not section.frame.empty]


def _margin_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "Test accuracy by margin at one α (that with most margins), 95 % intervals; share of clips in both modes. The paper tried "
        f"{published.margin():g} rad only (dotted). The level line is the baseline (α = 1), the band its interval. Read it as a "
        "curve: picking its highest point is picking on test."
    ]
    for _, group in table.groupby(["mode", "subset"], sort=False) if len(table) else ():
        shown: dict[Any, Any] = group.iloc[0].to_dict()  # the first margin
        label = f"{capitalised(place(shown))}, α {plain(shown['alpha'])}"
        winner: dict[Any, Any] = next(iter(group[group["picked"]].to_dict("records")), {})
        if not winner:
            paragraphs.append(
                f"{label}: each margin has finished with fewer seeds than other settings of its sweep; none is picked."
            )
        elif winner["verdict"]:
            finding, _, reservation = winner["verdict"].partition("; ")
            paragraphs.append(
                f"{label}: margin {plain(winner['margin'])} rad: {finding} ({reservation}); difference in test accuracy "
                f"{points(winner['difference'])} points [{points(winner['difference_low'])}, {points(winner['difference_high'])}]."
            )
        else:
            paragraphs.append(f"{label}: no baseline (α = 1) to compare with has finished.")
    return "\n".join(paragraphs)


def _null_text(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    paragraphs = [_null_sentences(row) for row in table[table["picked"]].to_dict("records")]
    paragraphs.append(
        "The averages are exact, over which of these runs is the baseline; other seeds give other numbers. The paper's sweeps have "
        "ten α (supervised) or eleven (self-supervised), one seed each. Ties go to the smaller seed. The intervals "
        "are about the choice of clips."
    )
    return "\n".join(paragraphs)


def _null_sentences(picked: dict[Any, Any]) -> str:
    runs = picked["runs"]
    number, others = number_word(runs), number_word(runs - 1)
    differing = {0: "none differs", 1: "one differs"}.get(picked["significant"], f"{number_word(picked['significant'])} differ")
    return (
        f"{capitalised(number)} runs of the same setting ({place(picked)}, α = 1), which differ in the seed only, as if they were "
        f"{number} settings: the one picked on validation scores {percent(picked['accuracy'])} % on test, "
        f"{points(picked['gain_val'])} points against the mean of all {number} ({percent(picked['mean'])} % ± "
        f"{percent(picked['sd'])} SD), and picking on test would have shown {points(picked['gain_test'])} points. "
        f"Where one of them at random is the baseline, the best of the other {others} differs from it by "
        f"{points(picked['gain_val_of_others'])} points on average when picked on validation and by "
        f"{points(picked['gain_test_of_others'])} when picked on test: in a sweep of {number} settings with one seed each, "
        f"differences of this size can be luck alone; of the {others} others compared with the picked run, {differing} "
        "“significantly” (McNemar, 5 %, unadjusted)."
    )
