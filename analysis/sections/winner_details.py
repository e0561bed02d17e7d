"""Winner and baseline in detail: embeddings' uniformity and tolerance, classes, confusions."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis import published
from analysis.formats import capitalised, count, percent, plain
from analysis.published import SELF_SUPERVISED
from analysis.section import DIFFERENCE_SCALE, MARK_SCALE, MARKERS, OUTLINE, Column, Heading, Section, styled
from analysis.sections.comparisons import Comparison
from analysis.sections.paper_figures import CLASS_COLUMNS, class_figure, class_pair, class_table
from analysis.settings import Pair, without_margin_sweeps
from analysis.stats.clips import TEST

OURS, PUBLISHED = "ours", "published"


def plane_table(settings: pd.DataFrame) -> pd.DataFrame:
    """Uniformity and tolerance of the self-supervised settings and of the published Fig. 3.

    Columns: source (`OURS` or `PUBLISHED`), side ("baseline" or "acl"), temperature, alpha, margin, seeds, minus_uniformity,
    tolerance, accuracy (patch-weighted, as published). Empty without a setting of ours.

    Args:
        settings: of `analysis.settings.comparable_settings`.
    """
    own = settings[settings["mode"] == SELF_SUPERVISED]
    own = own.dropna(subset=["uniformity", "tolerance"]) if len(own) else own
    if own.empty:
        return pd.DataFrame()
    ours = own.assign(
        source=OURS,
        side=np.where(own["alpha"] == 1, "baseline", "acl"),
        minus_uniformity=-own["uniformity"],
        accuracy=own["patch_weighted"],
    )
    paper = published.fig3()
    measures = ["minus_uniformity", "tolerance", "accuracy"]
    parts = [ours]
    for side in ("baseline", "acl"):
        part = paper[[f"published_{side}_{name}" for name in measures]].set_axis(measures, axis=1)
        alpha = 1.0 if side == "baseline" else paper["published_alpha"]
        parts.append(part.assign(source=PUBLISHED, side=side, temperature=paper["temperature"], alpha=alpha))
    columns = ["source", "side", "temperature", "alpha", "margin", "seeds", *measures]
    return pd.concat([part.reindex(columns=columns).astype({"seeds": float}) for part in parts], ignore_index=True)


def confusion_table(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """How often test clips of a class are taken for another, by baseline and winner of Fig. 2: a row for each pair of classes.

    Columns: mode, true, predicted, clips (of the true class), baseline and acl (mean number over seeds), difference (acl −
    baseline; the differences of a class add up to 0).

    Args:
        settings: of `analysis.settings.comparable_settings`.
        predictions: of `analysis.records.runs.load_predictions`.
    """
    return confusions_of(*class_pair(settings), predictions)


def confusions_of(pair: Pair, mode: str, predictions: pd.DataFrame) -> pd.DataFrame:
    """The same of any pair; empty where a side is missing."""
    if pair.baseline is None or pair.acl is None:
        return pd.DataFrame()
    test = predictions[predictions["split"] == TEST]
    sides = {name: _confusions(test, side["run_ids"]) for name, side in (("baseline", pair.baseline), ("acl", pair.acl))}
    classes = sorted({label for matrix in sides.values() for axis in (matrix.index, matrix.columns) for label in axis})
    matrices = {name: matrix.reindex(index=classes, columns=classes, fill_value=0.0) for name, matrix in sides.items()}
    table = (
        pd.DataFrame({name: matrix.stack() for name, matrix in matrices.items()}).rename_axis(["true", "predicted"]).reset_index()
    )
    clips = table.groupby("true")["baseline"].transform("sum").round().astype(int)
    table.insert(2, "clips", clips)
    table.insert(0, "mode", mode)
    return table.assign(difference=table["acl"] - table["baseline"])


def _confusions(test: pd.DataFrame, run_ids: tuple[str, ...]) -> pd.DataFrame:
    own = test[test["run_id"].isin(run_ids)]
    return pd.crosstab(own["label"], own["predicted"]) / len(run_ids)


_NAMES = {"baseline": "contrastive (α = 1)", "acl": "ACL (α < 1)"}
_LABEL_SIZE = {"minus_uniformity": 0.07, "tolerance": 0.06}  # of the temperature beside a mark, share of the axis


def plane_figure(table: pd.DataFrame) -> go.Figure:
    """Tolerance over −uniformity, coloured by patch-weighted accuracy, from `plane_table`."""
    figure = go.Figure()
    labelled = _labelled(table)
    for source in (PUBLISHED, OURS):  # ours on top
        for side, mark in MARKERS.items():
            own = table[(table["source"] == source) & (table["side"] == side)].sort_values("temperature")
            hollow = source == PUBLISHED
            if hollow and own.empty:
                continue
            figure.add_scatter(
                x=own["minus_uniformity"],
                y=own["tolerance"],
                mode="lines+markers" if hollow else "markers+text",
                showlegend=False,
                name=_plane_name(side, hollow),
                text=[f"τ {plain(row['temperature'])}" if index in labelled else "" for index, row in own.iterrows()],
                textposition="top center",
                textfont={"size": 14},
                line={"color": "#b5b5b5", "width": 1, "dash": "dot"},
                marker={
                    "symbol": f"{mark}-open" if hollow else mark,
                    "size": 11 if hollow else 14,
                    "color": own["accuracy"],
                    "coloraxis": "coloraxis",
                    "line": {"width": 2.5} if hollow else OUTLINE,
                },
                customdata=own[["temperature", "alpha", "margin", "accuracy"]],
                hovertemplate="τ %{customdata[0]:.3g}, α %{customdata[1]:.3g}, margin %{customdata[2]:.3g}<br>"
                "−uniformity %{x:.3f}, tolerance %{y:.3f}<br>accuracy (patch-weighted) %{customdata[3]:.1%}"
                "<extra>%{fullData.name}</extra>",
            )
            key = {"symbol": f"{mark}-open" if hollow else mark, "size": 12, "color": "#777", "line": {"width": 2}}
            figure.add_scatter(x=[None], y=[None], mode="markers", name=_plane_name(side, hollow), marker=key)
    bar = {"title": "accuracy", "tickformat": ".0%", "thickness": 14}
    figure.update_layout(height=500, coloraxis={"colorscale": MARK_SCALE, "colorbar": bar})
    figure.update_xaxes(title="−uniformity (farther right: more uniform)")
    figure.update_yaxes(title="tolerance (higher: more tolerant)")
    return styled(figure)


def _labelled(table: pd.DataFrame) -> set[Any]:
    """Our settings whose temperature is written beside the mark: those that are not too close to one before them."""
    spans = {name: max(float(table[name].max() - table[name].min()), 1e-9) for name in _LABEL_SIZE}
    shown: dict[Any, pd.Series] = {}
    for index, row in table[table["source"] == OURS].iterrows():
        if not any(
            all(abs(row[name] - other[name]) < size * spans[name] for name, size in _LABEL_SIZE.items()) for other in shown.values()
        ):
            shown[index] = row
    return set(shown)


def _plane_name(side: str, is_published: bool) -> str:
    return f"published {_NAMES[side].split(' ')[0]}" if is_published else _NAMES[side]


def confusion_figure(table: pd.DataFrame) -> go.Figure:
    """Difference in counts, with margin − baseline, by true and predicted class, from `confusion_table`."""
    counts = {name: table.pivot(index="true", columns="predicted", values=name) for name in ("difference", "baseline", "acl")}
    changed = counts["difference"]
    classes = [str(label).replace("_", " ") for label in changed.index]
    most = max(1.0, float(changed.abs().to_numpy().max()))
    figure = go.Figure(
        go.Heatmap(
            x=classes,
            y=classes,
            z=changed,
            zmin=-most,
            zmax=most,
            colorscale=DIFFERENCE_SCALE,
            text=[[_whole(value) for value in row] for row in changed.to_numpy()],
            texttemplate="%{text}",
            textfont={"size": 14, "color": "#222"},
            customdata=pd.concat([counts["baseline"], counts["acl"]]).to_numpy().reshape(2, *changed.shape).transpose(1, 2, 0),
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "clips", "side": "right"}, "thickness": 14},
            hovertemplate="%{y} predicted as %{x}<br>"
            "baseline %{customdata[0]:.3g}, selected %{customdata[1]:.3g} clips<extra></extra>",
        )
    )
    for place in range(len(classes)):
        corners = {"x0": place - 0.5, "x1": place + 0.5, "y0": place - 0.5, "y1": place + 0.5}
        figure.add_shape(type="rect", **corners, line={"color": "#222", "width": 1.2})
    figure.update_xaxes(title="predicted", tickangle=-60, automargin=True, showgrid=False, dtick=1)
    figure.update_yaxes(title="true", autorange="reversed", automargin=True, showgrid=False, dtick=1)
    figure.update_layout(height=260 + 34 * max(6, len(classes)))
    return styled(figure).update_layout(margin={"t": 30, "b": 60})


def _whole(clips: float) -> str:
    """Signed whole number for a cell, which has no room for parts of a clip.

    >>> _whole(-1.5), _whole(0.5)
    ('−2', '')
    """
    rounded = int(abs(clips) + 0.5)
    return "" if abs(clips) < 1 else f"{'−' if clips < 0 else '+'}{rounded}"


_SETTING = [
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("τ", lambda row: plain(row["temperature"])),
    Column("Seeds", lambda row: count(row["seeds"])),
]
_PLANE = [
    Column("Source", lambda row: row["source"], "text"),
    *_SETTING,
    Column("−uniformity", lambda row: plain(row["minus_uniformity"], 4)),
    Column("Tolerance", lambda row: plain(row["tolerance"], 4)),
    Column("Patch-weighted, %", lambda row: percent(row["accuracy"])),
]


def winner_sections(settings: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """The sections that have a table; arguments as its tables take them."""
    confusion = confusion_table(without_margin_sweeps(settings), predictions)
    sections = [
        Section(
            "plane",
            "Uniformity and tolerance of the embeddings",
            "Each self-supervised setting by uniformity and tolerance of its projected test embeddings, coloured by patch-weighted "
            "test accuracy. Good features are both uniform and tolerant (top right); the temperature trades one for the other. "
            "These are test results: they explain, and select nothing.",
            plane_table(settings),
            _PLANE,
            "",
            plane_figure,
            about_paper="Hollow marks: the published Fig. 3, by temperature, with the erratum of one tolerance corrected.",
        ),
        Section(
            "confusion",
            "Confusions of the selected setting against the baseline",
            _confusion_text(confusion),
            confusion,
            [],
            "",
            confusion_figure,
        ),
    ]
    return [section for section in sections if not section.frame.empty]


def pair_sections(each: Comparison, predictions: pd.DataFrame, of: Heading) -> list[Section]:
    """Classes and confusions of the pair of a comparison."""
    classes = class_table(each.pair, each.mode, predictions)
    better = int((classes["difference"] > 0).sum())
    pair = f"{each.label}: baseline {each.setting_text(each.pair.baseline)}, selected setting {each.setting_text(each.pair.acl)}."
    sections = [
        Section(
            f"classes{of.anchor}",
            f"Accuracy of each class{of.title}",
            f"Test accuracy of each class with 95 % intervals (number of test clips in brackets). {capitalised(pair)} {better} of "
            f"{len(classes)} classes improve.",
            classes,
            CLASS_COLUMNS,
            "",
            lambda table: class_figure(table, ("baseline", "selected setting")),
        ),
        Section(
            f"confusion{of.anchor}",
            f"Confusions against the baseline{of.title}",
            "Test clips by true class (row) and predicted class (column): selected setting minus baseline, mean over seeds. "
            f"{capitalised(pair)} On the framed diagonal more (orange) is better, elsewhere fewer (blue).",
            confusions_of(each.pair, each.mode, predictions),
            [],
            "",
            confusion_figure,
        ),
    ]
    return [section for section in sections if not section.frame.empty]


def _confusion_text(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    mode = table["mode"].iloc[0]
    same = table["true"] == table["predicted"]
    right = float(table.loc[same, "difference"].sum())
    moved = table[~same].sort_values("difference", key=abs, ascending=False, kind="stable").iloc[0]
    text = (
        f"Test clips by true class (row) and predicted class (column): {mode} setting selected on validation minus baseline, mean "
        "over seeds, for the pair of Fig. 2. On the framed diagonal more (orange) is better, elsewhere fewer (blue). Numbers "
        f"are rounded; those below one clip are left out. {_balance(right)}"
    )
    if moved["difference"] != 0:
        true, predicted = (str(moved[name]).replace("_", " ") for name in ("true", "predicted"))
        text += f" Largest change off the diagonal: {true} predicted as {predicted}, {_signed(moved['difference'])} clips."
    return text


def _balance(right: float) -> str:
    """How many more clips are right.

    >>> _balance(0.0), _balance(-2.0)
    ('As many clips are right with margin as without.', '2 fewer clips are right with margin.')
    """
    if right == 0:
        return "As many clips are right with margin as without."
    be = "clip is" if abs(right) == 1 else "clips are"
    return f"{abs(right):.3g} {'more' if right > 0 else 'fewer'} {be} right with margin."


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")
