"""Figures 2 and 3 of the paper: accuracy of each class; uniformity, tolerance and accuracy by temperature."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis import published
from analysis.formats import Row, count, missing, plain, points, precise
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.records.runs import SUBSETS
from analysis.section import (
    COLOURS,
    MARKERS,
    PUBLISHED,
    TEMPERATURE_COLUMN,
    Column,
    Section,
    interval,
    interval_column,
    number_column,
    published_column,
    side_column,
    styled,
    text_column,
)
from analysis.sections.paper_tables import side_values
from analysis.settings import NO_PAIR, Pair, pick, pick_self_supervised, temperatures_of_both
from analysis.stats.clips import TEST, correct_clips
from analysis.stats.clusters import CLIP, clusters_of, independent_clips
from analysis.stats.intervals import interval_over_seeds

_FIG3 = {
    **{f"{name}{bound}": f"{name}{bound}" for name in ("uniformity", "tolerance") for bound in ("", "_low", "_high")},
    "accuracy": "patch_weighted",
    "low": "patch_weighted_low",
    "high": "patch_weighted_high",
    "plain_accuracy": "accuracy",
    "plain_low": "low",
    "plain_high": "high",
    "seeds": "seeds",
}


def fig2_table(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Fig. 2: class-wise test accuracy of baseline and winner, lowest baseline first.

    Of the self-supervised pair of Table 2; of the supervised pair (subset all, else the next complete one) where no
    self-supervised pair is complete. Column `mode` says which.
    """
    return class_table(*class_pair(settings), predictions)


def class_table(pair: Pair, mode: str, predictions: pd.DataFrame) -> pd.DataFrame:
    """Class-wise test accuracy of both sides of a pair, lowest baseline first; empty where a side is missing."""
    if pair.baseline is None or pair.acl is None:
        return pd.DataFrame()
    own = predictions["run_id"].isin(pair.baseline["run_ids"]) & (predictions["split"] == TEST)
    label_of_clip = predictions[own].drop_duplicates("clip").set_index("clip")["label"]
    sides = {"baseline": pair.baseline, "acl": pair.acl}
    correct = {side: correct_clips(predictions, row["run_ids"]) for side, row in sides.items()}
    rows = []
    for label, clips in label_of_clip.groupby(label_of_clip).groups.items():
        row: dict[str, Any] = {"mode": mode, "class": label, "clips": len(clips)}
        for side, table in correct.items():
            own_clips = table[table.index.get_level_values(CLIP).isin(clips)]
            of_runs = own_clips.mean()
            clusters = clusters_of(own_clips.index, by_fold=True)
            low, high = interval_over_seeds(of_runs, independent_clips(own_clips.mean(axis=1).to_numpy(), clusters))
            row |= {f"{side}_accuracy": float(of_runs.mean()), f"{side}_low": low, f"{side}_high": high}
        rows.append({**row, "difference": row["acl_accuracy"] - row["baseline_accuracy"]})
    return pd.DataFrame(rows).sort_values(["baseline_accuracy", "class"], ignore_index=True)


def fig3_table(settings: pd.DataFrame) -> pd.DataFrame:
    """Fig. 3: -uniformity, tolerance and accuracy by temperature, contrastive loss against the ACL winner of that temperature.

    `low` and `high` of uniformity and tolerance are over seeds. `*_accuracy` is patch-weighted, as published;
    `*_plain_accuracy` counts clips. Temperatures that were only published have empty columns of ours; temperatures without a
    baseline are left out (they are in the search table).
    """
    own = settings[settings["mode"] == SELF_SUPERVISED]
    rows = []
    for temperature in temperatures_of_both(own):
        pair = pick(own[own["temperature"] == temperature])
        row = {
            "temperature": temperature,
            "settings_tried": len(pair.others),
            **side_values(pair.acl, {"alpha": "alpha", "margin": "margin"}),
        }
        for name, side in (("baseline", pair.baseline), ("acl", pair.acl)):
            row |= side_values(side, {f"{name}_{column}": source for column, source in _FIG3.items()})
            for bound, opposite in (("", ""), ("_low", "_high"), ("_high", "_low")):
                row[f"{name}_minus_uniformity{bound}"] = -row.pop(f"{name}_uniformity{opposite}")
        rows.append(row)
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(rows).merge(published.fig3(), on="temperature", how="outer").sort_values("temperature", ignore_index=True)


def class_pair(settings: pd.DataFrame) -> tuple[Pair, str]:
    """The pair whose classes are compared, and its mode: self-supervised, else that of the first complete subset, `all` first."""
    pair = pick_self_supervised(settings)
    if pair.is_complete:
        return pair, SELF_SUPERVISED
    supervised = settings[settings["mode"] == SUPERVISED]
    pairs = (pick(supervised[supervised["subset"] == subset]) for subset in SUBSETS)
    return next((own for own in pairs if own.is_complete), NO_PAIR), SUPERVISED


def _class_columns(other: str) -> list[Column]:
    return [
        text_column("Class", "class"),
        number_column("Test clips", "clips", count),
        side_column("Baseline, %", "baseline_"),
        side_column(f"{other}, %", "acl_"),
        number_column("Difference, points", "difference", points),
    ]


FIG2_COLUMNS, CLASS_COLUMNS = _class_columns("With margin"), _class_columns("Selected setting")


def _with_erratum(row: Row) -> str:
    printed = row["published_acl_tolerance_printed"]
    value = precise(row["published_acl_tolerance"])
    return value if missing(printed) else f"{value} (printed: {precise(printed)})"


FIG3_COLUMNS = [
    TEMPERATURE_COLUMN,
    number_column("α of ACL", "alpha", plain),
    number_column("−U contr.", "baseline_minus_uniformity", precise),
    number_column("−U ACL", "acl_minus_uniformity", precise),
    number_column("T contr.", "baseline_tolerance", precise),
    number_column("T ACL", "acl_tolerance", precise),
    side_column("Patch-weighted contr., %", "baseline_"),
    side_column("Patch-weighted ACL, %", "acl_"),
    interval_column("Plain contr., %", "baseline_plain_accuracy", "baseline_plain_low", "baseline_plain_high"),
    interval_column("Plain ACL, %", "acl_plain_accuracy", "acl_plain_low", "acl_plain_high"),
    published_column("Published: α", "published_alpha", plain),
    published_column("−U contr.", "published_baseline_minus_uniformity", precise),
    published_column("−U ACL", "published_acl_minus_uniformity", precise),
    published_column("T contr.", "published_baseline_tolerance", precise),
    Column("T ACL", _with_erratum, "published", "published_acl_tolerance"),
    published_column("contr., %", "published_baseline_accuracy"),
    published_column("ACL, %", "published_acl_accuracy"),
]
_MOST_TICKS = 6  # temperatures that have room below a panel in print
_BANDS = {"baseline": "rgba(0, 114, 178, 0.18)", "acl": "rgba(213, 94, 0, 0.18)"}
_DODGE = {"baseline": -0.012, "acl": 0.012}  # in temperature, lest the intervals of the two lines hide each other


def class_figure(table: pd.DataFrame, sides: tuple[str, str] = ("baseline (α = 1)", "with margin")) -> go.Figure:
    """Fig. 2: class-wise accuracy with 95 % intervals, from `fig2_table`; `sides` are the names of both."""
    figure = go.Figure()
    classes = [f"{label.replace('_', ' ')} ({clips})" for label, clips in zip(table["class"], table["clips"], strict=True)]
    for side, name in zip(("baseline", "acl"), sides, strict=True):
        figure.add_bar(
            y=classes,
            x=table[f"{side}_accuracy"],
            orientation="h",
            name=name,
            marker_color=COLOURS[side],
            error_x=interval(table, f"{side}_accuracy", f"{side}_low", f"{side}_high")
            | {"thickness": 1.2, "width": 2, "color": "#222"},
            hovertemplate="%{y}: %{x:.1%}<extra>" + name + "</extra>",
        )
    # Plotly draws the first category at the bottom; the table starts with the lowest baseline.
    figure.update_layout(barmode="group", bargap=0.25, height=120 + 32 * len(table))
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title="test accuracy", tickformat=".0%", range=[0, 1.005])
    return styled(figure).update_layout(legend={"y": 1, "yanchor": "top"}, margin={"b": 60})


def temperature_figure(table: pd.DataFrame) -> go.Figure:
    """Fig. 3: -uniformity, tolerance, patch-weighted accuracy by temperature, from `fig3_table`."""
    titles = ("−uniformity", "tolerance", "accuracy (patch-weighted)")
    figure = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.07)
    ours = table.dropna(subset=["baseline_accuracy", "acl_accuracy"])
    for column, panel in enumerate(("minus_uniformity", "tolerance", "accuracy"), start=1):
        for side, name in (("baseline", "contrastive (α = 1)"), ("acl", "ACL, α selected on validation")):
            line = _temperature_line(ours, side, panel, name)
            if _has_bands(ours):
                figure.add_trace(_band(ours, side, panel, name), row=1, col=column)
            figure.add_trace(line.update(showlegend=column == 1), row=1, col=column)
            if table[f"published_{side}_{panel}"].notna().any():
                published = _published_line(table, side, panel)
                figure.add_trace(published.update(showlegend=column == 1), row=1, col=column)
    printed = {"x": table["temperature"], "y": table["published_acl_tolerance_printed"], "name": "printed value (erratum)"}
    cross = {"symbol": "x-thin", "size": 10, "line": {"color": PUBLISHED, "width": 2.5}}
    if table["published_acl_tolerance_printed"].notna().any():
        figure.add_scatter(**printed, mode="markers", marker=cross, row=1, col=2)
    every = 1 + (len(table) > _MOST_TICKS)
    labels = [plain(value) if not place % every else "" for place, value in enumerate(table["temperature"])]
    figure.update_xaxes(title="temperature τ", tickvals=table["temperature"], ticktext=labels, tickangle=0)
    figure.update_yaxes(tickformat=".0%", col=3)
    figure.update_layout(height=430)
    return styled(figure)


def _has_bands(ours: pd.DataFrame) -> bool:
    """Whether all sides have several seeds, and there are several temperatures for a band to connect."""
    return len(ours) > 1 and bool((ours[["baseline_seeds", "acl_seeds"]] > 1).all(axis=None))


def _band(ours: pd.DataFrame, side: str, panel: str, name: str) -> go.Scatter:
    values = side if panel == "accuracy" else f"{side}_{panel}"
    return go.Scatter(
        x=[*ours["temperature"], *ours["temperature"].iloc[::-1]],
        y=[*ours[f"{values}_high"], *ours[f"{values}_low"].iloc[::-1]],
        fill="toself",
        fillcolor=_BANDS[side],
        mode="lines",
        line={"width": 0},
        name=f"{name.split()[0].strip(',')}: 95 %",
        legendgroup=f"{side} band",
        showlegend=panel == "accuracy",
        hoverinfo="skip",
    )


def _temperature_line(ours: pd.DataFrame, side: str, panel: str, name: str) -> go.Scatter:
    has_interval = panel == "accuracy" and not _has_bands(ours)
    return go.Scatter(
        x=ours["temperature"] + (_DODGE[side] if has_interval else 0),
        y=ours[f"{side}_{panel}"],
        mode="lines+markers",
        name=name,
        legendgroup=side,
        line={"color": COLOURS[side], "width": 2},
        marker={"symbol": MARKERS[side], "size": 9},
        error_y=interval(ours, f"{side}_accuracy", f"{side}_low", f"{side}_high") if has_interval else None,
        customdata=ours[["temperature", "alpha"]],
        hovertemplate="τ %{customdata[0]:.3g}: %{y:.4f}"
        + ("<br>α %{customdata[1]:.3g}" if side == "acl" else "")
        + f"<extra>{name}</extra>",
    )


def _published_line(table: pd.DataFrame, side: str, panel: str) -> go.Scatter:
    return go.Scatter(
        x=table["temperature"],
        y=table[f"published_{side}_{panel}"],
        mode="lines+markers",
        name=f"published {'contrastive' if side == 'baseline' else 'ACL'}",
        legendgroup=f"published {side}",
        opacity=0.7,
        line={"color": COLOURS[side], "width": 1.8, "dash": "dot"},
        marker={"symbol": f"{MARKERS[side]}-open", "size": 7},
    )


def paper_figure_sections(candidates: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """Fig. 2 and Fig. 3, of settings without the margins of a sweep of the margin."""
    fig2 = fig2_table(candidates, predictions)
    return [
        Section(
            "fig2",
            "Fig. 2: class-wise accuracy",
            _fig2_text(fig2),
            fig2,
            FIG2_COLUMNS,
            "There is no finished baseline and setting with margin to compare.",
            class_figure,
            about_paper=_about_fig2(),
        ),
        Section(
            "fig3",
            "Fig. 3: uniformity, tolerance and accuracy by temperature",
            "At each temperature, the ACL setting with the highest validation accuracy against contrastive loss alone. Uniformity "
            "(U) and tolerance (T) are of the projected test embeddings. Accuracies in the figure weigh each clip by its number of "
            "patches. Bars or bands are 95 % intervals: over clips, with several seeds over seeds and clips, and for U and T over "
            "seeds.",
            fig3_table(candidates),
            FIG3_COLUMNS,
            "No temperature has both a finished baseline and a finished ACL trial.",
            temperature_figure,
            about_paper=f"Published accuracies are patch-weighted, too. {published.fig3_erratum()}",
        ),
    ]


def _fig2_text(fig2: pd.DataFrame) -> str:
    if fig2.empty:
        return ""
    better = int((fig2["difference"] > 0).sum())
    return (
        f"Test accuracy of each class, {fig2['mode'].iloc[0]} baseline and setting selected on validation, with 95 % intervals "
        f"(number of test clips in brackets). {better} of {len(fig2)} classes improve. With so few clips in a class, a difference "
        "in one class is usually within chance."
    )


def _about_fig2() -> str:
    paper = published.fig2()
    return f"Published: {paper['classes_improved']} of {paper['classes']} classes improve."
