"""Accuracy by margin: the margin varied at one alpha, which the paper did not do."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import published
from analysis.formats import capitalised, percent, place, plain, points_interval
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.records.runs import SUBSETS
from analysis.section import (
    ACCURACY_VALUES,
    ACL,
    BASELINE,
    CLAIM_COLUMNS,
    DIFFERENCE_COLUMN,
    GROUP_COLUMNS,
    MODELS_ONLY,
    PANEL_KEYS,
    PUBLISHED,
    SEEDS_COLUMN,
    SELECTED_RING,
    SETTING_COLUMNS,
    TEST_COLUMN,
    VALIDATION_COLUMN,
    Column,
    Section,
    accuracy_panels,
    add_to_panel,
    finding_text,
    finished_panels,
    flag_texts,
    interval,
    ring,
)
from analysis.sections.paper_tables import difference_columns
from analysis.settings import MIN_MARGINS, NO_PAIR, pick


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
                        **{
                            column: setting[column]
                            for column in (*PANEL_KEYS, "alpha", "margin", "seeds", *ACCURACY_VALUES, "seed_sd")
                        },
                        "baseline": setting["alpha"] == 1,
                        "picked": is_winner,
                        "papers": setting["margin"] == published.margin(),
                        **difference_columns(pair if is_winner else NO_PAIR, predictions),
                    }
                )
    return pd.DataFrame(rows)


def _line_over_margin(settings: pd.DataFrame) -> pd.DataFrame:
    """The settings at that alpha and temperature which have most margins, by margin; empty where none has a margin."""
    lines = [line for _, line in settings[settings["alpha"] < 1].groupby(["alpha", "temperature"], dropna=False)]
    longest = max(lines, key=lambda line: (len(line), line["val_accuracy"].max()), default=settings.iloc[:0])
    return longest.sort_values("margin")


def _same(column: pd.Series, value: float) -> pd.Series:
    """Where the column equals the value, an empty one another empty one."""
    return column.isna() if pd.isna(value) else column.eq(value)


MARGIN_TABLE_COLUMNS = [
    *GROUP_COLUMNS,
    *SETTING_COLUMNS,
    SEEDS_COLUMN,
    VALIDATION_COLUMN,
    TEST_COLUMN,
    DIFFERENCE_COLUMN,
    *CLAIM_COLUMNS,
    Column(
        "Remark", flag_texts({"baseline": "baseline", "picked": "selected on validation", "papers": "the paper's margin"}), "text"
    ),
]
_BAND = "rgba(0, 114, 178, 0.15)"  # BASELINE


def margin_figure(table: pd.DataFrame) -> go.Figure:
    """Test accuracy by margin at one alpha, a panel for each mode and subset, from `margin_table`."""
    groups = [group for _, group in table.groupby(["mode", "subset"], sort=False)]
    figure = accuracy_panels([f"{place(group.iloc[0].to_dict())}, α {plain(group['alpha'].iloc[0])}" for group in groups])
    for index, group in enumerate(groups):
        line = group[~group["baseline"]]
        for _, baseline in group[group["baseline"]].iterrows():
            add_to_panel(figure, _baseline(baseline, line["margin"]), index)
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
        picked = ring(line["margin"], line, "picked", "selected on validation", SELECTED_RING)
        add_to_panel(figure, [with_margin, picked], index)
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
    return finished_panels(figure, len(groups))


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


def margin_section(settings: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """The section, where the margin was varied."""
    table = margin_table(settings, predictions)
    section = Section(
        "margin",
        "Accuracy by margin",
        _margin_text(table),
        table,
        MARGIN_TABLE_COLUMNS,
        "",
        margin_figure,
        about_paper=f"The paper tried a margin of {published.margin():g} rad only (dotted).",
    )
    return [] if table.empty else [section]


def _margin_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "Test accuracy by margin at one α, the one with most margins, with 95 % intervals. The level line is the baseline (α = 1), "
        "the band its interval. Read it as a curve: selecting its highest point is a selection on test."
    ]
    for _, group in table.groupby(["mode", "subset"], sort=False) if len(table) else ():
        shown: dict[Any, Any] = group.iloc[0].to_dict()  # the first margin
        label = f"{capitalised(place(shown))}, α {plain(shown['alpha'])}"
        winner: dict[Any, Any] = next(iter(group[group["picked"]].to_dict("records")), {})
        if not winner:
            paragraphs.append(
                f"{label}: each margin has finished with fewer seeds than other settings of its sweep, so none is selected."
            )
        elif winner["verdict"]:
            of_models = winner["claim"] == "models"
            found = finding_text(winner["models_finding"] if of_models else winner["finding"])
            gain = points_interval(winner["difference"], winner["difference_low"], winner["difference_high"])
            models = f" ({MODELS_ONLY})" if of_models else ""
            paragraphs.append(f"{label}: validation selects margin {plain(winner['margin'])} rad; {found}{models}, {gain}.")
        else:
            paragraphs.append(f"{label}: no baseline (α = 1) to compare with has finished.")
    return "\n".join(paragraphs)
