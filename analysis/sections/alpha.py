"""Accuracy by alpha, for each mode and subset, at one margin and temperature."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis import published
from analysis.formats import plain
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.records.runs import SUBSETS
from analysis.section import (
    COLOURS,
    GROUP_COLUMNS,
    MARKERS,
    PUBLISHED,
    SEEDS_COLUMN,
    SETTING_COLUMNS,
    TEST_COLUMN,
    VALIDATION_COLUMN,
    Section,
    interval,
    published_column,
    styled,
    text_column,
)
from analysis.sections.paper_tables import NAN, WEIGHTED


def alpha_table(settings: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy by alpha for each mode and subset, at one margin and temperature: those with the most alphas.

    Self-supervised accuracies are patch-weighted, as published; column `measure` says which. Published values are given only at
    the published margin and temperature.
    """
    parts = []
    for mode in (SUPERVISED, SELF_SUPERVISED):
        for subset in SUBSETS:
            group = settings[(settings["mode"] == mode) & (settings["subset"] == subset)]
            if group.empty:
                continue
            line = line_over_alpha(group)
            if mode == SELF_SUPERVISED:
                line = line.drop(columns=["accuracy", "low", "high"])
                line = line.rename(columns=dict(zip(WEIGHTED, ("accuracy", "low", "high"), strict=True)))
            line["measure"] = "patch-weighted" if mode == SELF_SUPERVISED else "plain"
            parts.append(line)
    if not parts:
        return pd.DataFrame()
    ours = pd.concat(parts).merge(published.by_alpha(), on=["mode", "subset", "alpha"], how="left")
    elsewhere = ours["margin"] != published.margin()
    elsewhere |= (ours["mode"] == SELF_SUPERVISED) & (ours["temperature"] != published.temperature())
    ours.loc[elsewhere, "published_accuracy"] = NAN
    order = ["mode", "subset", "margin", "temperature", "alpha", "seeds", "test_clips", "measure", "accuracy", "low", "high"]
    return ours[[*order, "seed_sd", "val_accuracy", "val_low", "val_high", "published_accuracy"]]


def line_over_alpha(settings: pd.DataFrame) -> pd.DataFrame:
    """The settings at that margin and temperature which have most alphas (ties: the published ones, then the smallest).

    A baseline has no margin and belongs to every margin; its row gets the margin of the line it is shown with.
    """
    ranks = []
    for temperature in sorted(settings["temperature"].unique()):
        own = settings[_at(settings["temperature"], temperature)]
        baselines, alphas = int(own["margin"].isna().any()), own.groupby("margin")["alpha"].nunique()
        for margin, number in zip(alphas.index.astype(float), alphas, strict=True) if len(alphas) else [(published.margin(), 0)]:
            unlike = margin != published.margin(), temperature != published.temperature()
            ranks.append((-number - baselines, *unlike, temperature, margin))
    *_, temperature, margin = min(ranks)
    line = settings[_at(settings["temperature"], temperature) & _at(settings["margin"], margin)]
    return line.assign(margin=margin).sort_values("alpha")


def _at(column: pd.Series, value: float) -> pd.Series:
    """Where the column has the value or none."""
    return column.eq(value) | column.isna()


ALPHA_TABLE_COLUMNS = [
    *GROUP_COLUMNS,
    *SETTING_COLUMNS,
    SEEDS_COLUMN,
    VALIDATION_COLUMN,
    TEST_COLUMN,
    text_column("Measure", "measure"),
    published_column("Published, %", "published_accuracy"),
]


def alpha_figure(table: pd.DataFrame) -> go.Figure:
    """Accuracy by alpha, one panel for each mode and subset, from `alpha_table`."""
    groups = list(table.groupby(["mode", "subset"], sort=False))
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    titles = [_alpha_title(group.iloc[0]) for _, group in groups]
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.07, vertical_spacing=0.3 / rows)
    named: set[str] = set()
    for index, (_, group) in enumerate(groups):
        for line in _alpha_lines(group):
            line.update(showlegend=line.name not in named)  # once, whichever panel has it first
            named.add(line.name)
            figure.add_trace(line, row=index // columns + 1, col=index % columns + 1)
    figure.update_xaxes(title="α", range=[-0.05, 1.05], dtick=0.2)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(height=90 + 320 * rows)
    return styled(figure)


def _alpha_lines(group: pd.DataFrame) -> list[go.Scatter]:
    sides = (
        ("acl", "with margin (α < 1)", group[group["alpha"] < 1]),
        ("baseline", "baseline (α = 1)", group[group["alpha"] == 1]),
    )
    lines = [
        go.Scatter(
            x=own["alpha"],
            y=own["accuracy"],
            mode="lines+markers",
            name=name,
            legendgroup=side,
            line={"color": COLOURS[side], "width": 1.5},
            marker={"symbol": MARKERS[side], "size": 9},
            error_y=interval(own, "accuracy", "low", "high"),
            hovertemplate="α %{x:.3g}: %{y:.1%}<extra>" + name + "</extra>",
        )
        for side, name, own in sides
    ]
    published = go.Scatter(
        x=group["alpha"],
        y=group["published_accuracy"],
        mode="lines+markers",
        name="published",
        legendgroup="published",
        line={"color": PUBLISHED, "width": 1.2, "dash": "dot"},
        marker={"symbol": "square-open", "size": 7},
        hovertemplate="α %{x:.3g}: %{y:.1%}<extra>published</extra>",
    )
    return [*lines, *([] if group["published_accuracy"].isna().all() else [published])]


def _alpha_title(first: pd.Series) -> str:
    if first["mode"] == SUPERVISED:
        return f"supervised, {first['subset'].replace('_', ' ')}, margin {plain(first['margin'])}"
    return f"self-supervised, τ {plain(first['temperature'])}, margin {plain(first['margin'])}"


def alpha_section(settings: pd.DataFrame) -> Section:
    """Accuracy by alpha, of all settings."""
    return Section(
        "alpha",
        "Accuracy by α",
        "Test accuracy at one margin and temperature, 95 % intervals. Read it as a curve: selecting its highest point "
        "is a selection on test. Self-supervised accuracies are patch-weighted.",
        alpha_table(settings),
        ALPHA_TABLE_COLUMNS,
        "No trial has finished.",
        alpha_figure,
        about_paper="The published ones are, too.",
    )
