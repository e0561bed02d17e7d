"""Searches: maps of validation accuracy, and the importance of each setting."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis import published
from analysis.formats import count, percent, percent_interval, plain
from analysis.published import SUPERVISED
from analysis.records.runs import parameter_names
from analysis.section import ACL, CELL_SCALE, MARK_SCALE, OUTLINE, Column, Section, styled
from analysis.settings import pick
from analysis.stats.importance import MOST_ROWS, drop_one_importances
from study import names

MIN_CELLS = 4  # settings with margin that make a map
MIN_COMBINATIONS, COMBINATIONS_PER_SETTING = 5, 3
_NOT_SEARCHED = ("mode", "seed", *names.PLACE_SETTINGS)
_PUBLISHED = {"margin": published.margin, "temperature": published.temperature}


class Search(NamedTuple):
    """The trials of a sweep and mode that can be compared for one objective, and the settings that vary among them."""

    study: str
    sweep: str
    mode: str
    objective: str
    settings: list[str]
    trials: pd.DataFrame  # finished, with the objective


def searches(trials: pd.DataFrame) -> Iterator[Search]:
    """The sweeps that vary at least two settings besides the seed, once for each objective.

    Trials that were stopped are left out: their objective is that of an earlier epoch. So are those that changed their settings,
    and those that repeat winners of another study.

    Args:
        trials: of `analysis.records.runs.load_trials`.
    """
    fixed = ~trials["changed_settings"].astype(bool) & (trials["confirms"] == "")
    finished = trials[fixed & (trials["outcome"] == names.FINISHED)]
    for (study, sweep, mode), own in finished.groupby(["study", "sweep", "mode"], sort=False):
        varied = [name for name in parameter_names(own) if name not in _NOT_SEARCHED and not name.startswith(names.COMPUTE_PREFIX)]
        varied = [name for name in varied if own[name].nunique() > 1]
        for objective in own["objective"].iloc[0].split(", "):
            if len(varied) > 1 and objective in own and own[objective].notna().any():
                yield Search(str(study), str(sweep), str(mode), objective, varied, own.dropna(subset=[objective]))


def map_table(settings: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy over alpha and temperature, and over alpha and margin; a row for each setting of a map.

    `axis` names the second axis, `y` is the value on it. `kind` is "grid" where at least half of all pairs of values are there at
    one value of the third setting (that with most pairs; ties: the published one), which are then the rows of the map; else it is
    "drawn", and all settings with alpha < 1 are rows, but those that share their place. A baseline has no margin: in a grid over
    the margin it is at every margin.
    `picked` is the setting with alpha < 1 of the map that validation selects.

    Args:
        settings: of `analysis.settings.comparable_settings`.
    """
    maps: list[pd.DataFrame] = []
    for _, own in settings.groupby(["mode", "subset"], sort=False) if len(settings) else ():
        for axis, third in (("temperature", "margin"), ("margin", "temperature")):
            rows = _grid(own, axis, third)
            rows = _drawn(own, axis) if rows is None else rows
            if rows is not None:
                maps.append(rows)
    columns = ["mode", "subset", "axis", "kind", "alpha", "margin", "temperature", "y", "seeds"]
    columns += ["val_accuracy", "val_low", "val_high", "picked"]
    return pd.concat(maps, ignore_index=True)[columns] if maps else pd.DataFrame(columns=columns)


def importance_table(trials: pd.DataFrame) -> pd.DataFrame:
    """How much each searched setting matters for the objective: a row for each search and setting, most important first.

    `importance`, the largest by `chance`, whether it `matters` and `fit` are those of
    `analysis.stats.importance.drop_one_importances`, over means of the seeds. They are empty where fewer than 5 different
    combinations have finished, or fewer than 3 for each setting (`enough` is False).

    Args:
        trials: of `analysis.records.runs.load_trials`.
    """
    rows: list[dict[str, Any]] = []
    for search in searches(trials):
        means = search.trials.groupby(search.settings, dropna=False)[search.objective].mean().reset_index()
        enough = len(means) >= max(MIN_COMBINATIONS, COMBINATIONS_PER_SETTING * len(search.settings))
        found = drop_one_importances(means[search.settings], means[search.objective].to_numpy(float)) if enough else None
        shared: dict[str, Any] = {"study": search.study, "sweep": search.sweep, "mode": search.mode, "objective": search.objective}
        shared |= {"combinations": len(means), "enough": enough, "fit": found.fit if found else np.nan}
        own: list[dict[str, Any]] = []
        for place, name in enumerate(search.settings):
            share, chance, matters = (*found.of[place], found.of[place].matters) if found else (np.nan, np.nan, False)
            own.append({**shared, "setting": name, "importance": share, "chance": chance, "matters": matters})
        rows += sorted(own, key=lambda row: -row["importance"]) if enough else own
    return pd.DataFrame(rows)


def _grid(own: pd.DataFrame, axis: str, third: str) -> pd.DataFrame | None:
    """The settings at the value of `third` that fills most cells; None where they are no grid."""
    slices: list[tuple[Any, pd.DataFrame]] = []
    numbers = own.loc[own["alpha"] < 1, third].value_counts()
    values = sorted(numbers.index[numbers >= MIN_CELLS]) if len(numbers) else [np.nan]
    for value in values:
        rows = own[own[third].eq(value) | own[third].isna()]
        acl = rows[rows["alpha"] < 1].dropna(subset=[axis])
        cells, possible = len(acl), acl["alpha"].nunique() * acl[axis].nunique()
        if min(acl["alpha"].nunique(), acl[axis].nunique()) > 1 and cells >= max(MIN_CELLS, possible / 2):
            slices.append(((cells, value == _PUBLISHED[third]()), rows))
    if not slices:
        return None
    rows = max(slices, key=lambda entry: entry[0])[1]
    if axis == "margin":
        baseline, acl = rows[rows["alpha"] == 1], rows[rows["alpha"] < 1]
        margins = np.sort(acl["margin"].unique())
        repeated = baseline.loc[baseline.index.repeat(len(margins))].assign(y=np.tile(margins, len(baseline)))
        return _marked(pd.concat([acl.assign(y=acl["margin"]), repeated]), pick(rows).acl, axis, "grid")
    return _marked(rows.assign(y=rows[axis]), pick(rows).acl, axis, "grid")


def _drawn(own: pd.DataFrame, axis: str) -> pd.DataFrame | None:
    acl = own[own["alpha"] < 1].dropna(subset=[axis])
    acl = acl.drop_duplicates(["alpha", axis], keep=False)  # those of a grid over the third setting would lie on each other
    if len(acl) < MIN_CELLS or min(acl["alpha"].nunique(), acl[axis].nunique()) < MIN_CELLS:
        return None
    return _marked(acl.assign(y=acl[axis]), pick(acl).acl, axis, "drawn")


def _marked(rows: pd.DataFrame, picked: pd.Series | None, axis: str, kind: str) -> pd.DataFrame:
    name = None if picked is None else picked.name
    return rows.assign(axis=axis, kind=kind, picked=rows.index == name)


LABELS = {"loss.alpha": "α", "loss.margin": "margin, rad", "loss.temperature": "τ", "data.subset": "subset"}
_AXES = {"temperature": "temperature τ", "margin": "margin (rad)"}
_PICKED = {"color": ACL, "width": 3}
_MOST_TEXTS = 12  # values of alpha with which the accuracies fit into the cells


def map_figure(table: pd.DataFrame) -> go.Figure:
    """Validation accuracy over alpha and temperature or margin, a panel each, from `map_table`."""
    panels = [panel for _, panel in table.groupby(["mode", "subset", "axis"], sort=False)]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    titles = [_map_title(panel) for panel in panels]
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.17, vertical_spacing=0.26 / rows)
    for index, panel in enumerate(panels):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        axis = f"coloraxis{index + 1 if index else ''}"
        is_grid = panel["kind"].iloc[0] == "grid"
        figure.add_trace(_cells(panel, axis) if is_grid else _points(panel, axis), **place)
        figure.update_xaxes(title="α", **place)
        figure.update_yaxes(title=_AXES[panel["axis"].iloc[0]], **place)
        if is_grid:
            figure.update_xaxes(type="category", showgrid=False, **place)
            figure.update_yaxes(type="category", showgrid=False, **place)
            _frame_picked(figure, panel, place)
        elif panel["axis"].iloc[0] == "temperature":
            figure.update_yaxes(type="log", tickvals=[0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], **place)
        across, up = (getattr(figure.get_subplot(**place), name).domain for name in ("xaxis", "yaxis"))
        bar = {"x": across[1] + 0.005, "y": sum(up) / 2, "len": up[1] - up[0], "tickformat": ".0%", "thickness": 12, "xpad": 2}
        figure.update_layout({axis: {"colorscale": CELL_SCALE if is_grid else MARK_SCALE, "colorbar": bar}})
    figure.update_layout(height=110 + 390 * rows)
    return styled(figure)


def importance_figure(table: pd.DataFrame) -> go.Figure:
    """Importance of each setting beside the largest by chance, a panel for each search, from `importance_table`."""
    shown = table[table["enough"] & (table["fit"] > 0)]
    panels = [panel for _, panel in shown.groupby(["study", "sweep", "mode", "objective"], sort=False)]
    titles = [search_title(panel.iloc[0]) for panel in panels]
    heights = [len(panel) + 0.6 for panel in panels]
    gap = 75 / (75 * len(titles) + 36 * sum(heights))
    figure = make_subplots(len(titles), 1, subplot_titles=titles, row_heights=heights, vertical_spacing=gap, shared_xaxes=True)
    for row, panel in enumerate(panels, start=1):
        labels = [LABELS.get(name, name) for name in panel["setting"]]
        is_first = row == 1
        chance = go.Scatter(
            x=panel["chance"],
            y=labels,
            mode="markers",
            marker={"symbol": "line-ns", "size": 18, "line": {"color": "#777", "width": 3}},
            name="largest by chance (95 %)",
            showlegend=is_first,
            hovertemplate="%{y}: up to %{x:.0%} by chance<extra></extra>",
        )
        importance = go.Scatter(
            x=panel["importance"],
            y=labels,
            mode="markers",
            marker={
                "symbol": ["circle" if matters else "circle-open" for matters in panel["matters"]],
                "size": 11,
                "color": "#0072B2",
                "line": {"width": 2, "color": "#0072B2"},
            },
            name="importance (filled: beyond chance)",
            showlegend=is_first,
            hovertemplate="%{y}: %{x:.0%} of the variance<extra></extra>",
        )
        figure.add_trace(chance, row=row, col=1)
        figure.add_trace(importance, row=row, col=1)
        figure.add_vline(x=0, line={"color": "#222", "width": 1, "dash": "dot"}, row=row, col=1)
        figure.update_yaxes(autorange="reversed", automargin=True, type="category", row=row, col=1)
    figure.update_xaxes(tickformat=".0%", showticklabels=True)
    figure.update_xaxes(title="share of the variance of the objective that is lost without the setting", row=len(titles), col=1)
    figure.update_layout(height=int(130 + 75 * len(titles) + 36 * sum(heights)))
    return styled(figure).update_layout(margin_b=60)


def _cells(panel: pd.DataFrame, axis: str) -> go.Heatmap:
    cells = panel.pivot(index="y", columns="alpha", values="val_accuracy").sort_index().sort_index(axis=1)
    seeds = panel.pivot(index="y", columns="alpha", values="seeds").reindex_like(cells)
    return go.Heatmap(
        x=[plain(float(value)) for value in cells.columns],
        y=[plain(float(value)) for value in cells.index],
        z=cells.to_numpy(),
        coloraxis=axis,
        text=[[percent(value).replace("–", "") for value in row] for row in cells.to_numpy()],
        texttemplate="%{text}" if len(cells.columns) <= _MOST_TEXTS else None,
        textfont={"size": 14, "color": "#222"},
        customdata=seeds.to_numpy(),
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="α %{x}, " + panel["axis"].iloc[0] + " %{y}: %{text} % on validation<br>seeds: %{customdata}<extra></extra>",
    )


def _frame_picked(figure: go.Figure, panel: pd.DataFrame, place: dict[str, int]) -> None:
    """A frame around the cell that validation selects; categories stand at 0, 1, …"""
    alphas, ys = (sorted(panel[name].unique()) for name in ("alpha", "y"))
    for alpha, y in zip(*(panel.loc[panel["picked"], name] for name in ("alpha", "y")), strict=True):
        column, row = alphas.index(alpha), ys.index(y)
        corners = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.48, "y1": row + 0.48}
        figure.add_shape(
            type="rect",
            **corners,
            line=_PICKED,
            name="selected on validation",
            legendgroup="picked",
            showlegend=not any(shape.showlegend for shape in figure.layout.shapes),
            **place,
        )


def _points(panel: pd.DataFrame, axis: str) -> go.Scatter:
    intervals = [percent_interval(row, "val_accuracy", "val_low", "val_high") for row in panel.to_dict("records")]
    return go.Scatter(
        x=panel["alpha"],
        y=panel["y"],
        mode="markers",
        showlegend=False,
        marker={
            "symbol": "diamond",
            "opacity": 1,
            "size": [18 if picked else 12 for picked in panel["picked"]],
            "color": panel["val_accuracy"],
            "coloraxis": axis,
            "line": {
                "color": [ACL if picked else OUTLINE["color"] for picked in panel["picked"]],
                "width": [3 if picked else OUTLINE["width"] for picked in panel["picked"]],
            },
        },
        customdata=panel[["margin", "temperature", "seeds"]].assign(accuracy=intervals),
        hovertemplate="α %{x:.3f}, margin %{customdata[0]:.3f}, τ %{customdata[1]:.3f}<br>%{customdata[3]} % on validation, "
        "seeds: %{customdata[2]}<extra></extra>",
    )


def _map_title(panel: pd.DataFrame) -> str:
    first = panel.iloc[0]
    title = f"{first['mode']}, {first['subset'].replace('_', ' ')}"
    if first["kind"] == "drawn":
        return title
    if first["axis"] == "temperature":
        return f"{title}, margin {plain(panel['margin'].dropna().iloc[0])}"
    return title if first["mode"] == SUPERVISED else f"{title}, τ {plain(first['temperature'])}"


def search_title(first: pd.Series) -> str:
    return f"{first['study']}, {first['sweep']} ({first['mode']}), {first['objective']}"


_WHERE = [
    Column("Study", lambda row: row["study"], "text"),
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Objective", lambda row: row["objective"], "text"),
]
_MAPS = [
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Subset", lambda row: row["subset"].replace("_", " "), "text"),
    Column("Map", lambda row: f"α × {row['axis']}", "text"),
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("τ", lambda row: plain(row["temperature"])),
    Column("Seeds", lambda row: count(row["seeds"])),
    Column("Validation, %", lambda row: percent_interval(row, "val_accuracy", "val_low", "val_high")),
    Column("Remark", lambda row: "selected on validation" if row["picked"] else "", "text"),
]
_IMPORTANCE = [
    *_WHERE,
    Column("Setting", lambda row: str(LABELS.get(row["setting"], row["setting"])), "text"),
    Column("Importance, % of the variance", lambda row: percent(row["importance"])),
    Column("By chance up to, %", lambda row: percent(row["chance"])),
    Column("Beyond chance", lambda row: "yes" if row["matters"] else "not shown", "text"),
    Column("All settings together, %", lambda row: percent(row["fit"])),
    Column("Different combinations", lambda row: count(row["combinations"])),
]


def search_sections(settings: pd.DataFrame, trials: pd.DataFrame) -> tuple[Section, Section]:
    """Maps of validation accuracy, and importance of each setting; empty where there are too few settings for either."""
    importance = importance_table(trials)
    has_numbers = not importance.empty and bool(importance["enough"].any())
    is_drawn = has_numbers and bool((importance["fit"] > 0).any())
    shown = importance[importance["enough"]] if has_numbers else pd.DataFrame()
    return (
        Section(
            "maps",
            "Validation accuracy over α and temperature, α and margin",
            "Mean validation accuracy of each setting over its seeds. The values of a grid have a cell each, values drawn from a "
            "range a mark each. A baseline has no margin, so it stands at every margin of a grid. The orange frame is the "
            "setting with margin that validation selects. Neighbouring settings that score alike are worth more than a single "
            "high one.",
            map_table(settings),
            _MAPS,
            "",
            map_figure,
        ),
        Section(
            "importance",
            "Which settings matter for the objective",
            _importance_text(importance),
            shown,
            _IMPORTANCE,
            "",
            importance_figure if is_drawn else None,
        ),
    )


def _importance_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "A regression predicts the objective from the searched settings and their pairs. Importance is how much of the variance it "
        "loses, on combinations that it has not seen, without one of them. A setting of no use has some importance by chance: its "
        "values are shuffled to see how much. In 5 % of searches at most, any such setting is beyond this mark. An importance "
        "below the mark does not show that a setting is unimportant, since the search may be too small. The result holds for the "
        "values that this search tried.\n"
        "The regression is ridge, on the mean over seeds, with linear and squared terms for numbers (logarithmic where they span a "
        f"decade and lie more evenly so), one term for each name, and products of two settings. Of more than {MOST_ROWS} "
        f"combinations, {MOST_ROWS} are drawn."
    ]
    for _, own in table.groupby(["study", "sweep", "mode", "objective"], sort=False) if len(table) else ():
        first = own.iloc[0]
        where = f"{first['study']}, {first['sweep']} ({first['mode']}), {first['objective']}"
        if not first["enough"]:
            needed = max(MIN_COMBINATIONS, COMBINATIONS_PER_SETTING * len(own))
            paragraphs.append(
                f"{where}: {first['combinations']} different combinations have finished, too few for {len(own)} settings, which "
                f"need {needed}."
            )
        elif not first["fit"] > 0:
            paragraphs.append(
                f"{where}: all settings together predict no better than the mean ({first['combinations']} combinations), so the "
                "importances say nothing here."
            )
        else:
            paragraphs.append(
                f"{where}: all settings together predict {percent(first['fit'])} % of the variance ({first['combinations']} "
                "combinations)."
            )
    return "\n".join(paragraphs)
