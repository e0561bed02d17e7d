"""Parallel coordinates of a search: each finished trial as a line through its settings to the objective.

Drawn as lines, not as Plotly's trace of that name: that shows one search a figure only, needs WebGL, and prints as a bitmap.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from analysis.section import MARK_SCALE, Section, styled
from analysis.sections.search import LABELS, search_title, searches
from analysis.stats.importance import is_logarithmic


def parallel_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Every finished trial of a search: study, sweep, mode, trial_id, seed, objective, value, and the searched settings by name.

    A setting that its search does not vary is empty. Searches with fewer than `MIN_TRIALS` finished trials are left out.

    Args:
        trials: of `analysis.records.runs.load_trials`.
    """
    parts = []
    for search in searches(trials):
        if len(search.trials) < MIN_TRIALS:
            continue
        part = search.trials[["study", "sweep", "mode", "trial_id", "seed"]].assign(objective=search.objective)
        part = part.assign(value=search.trials[search.objective])
        parts.append(pd.concat([part, search.trials[search.settings]], axis=1))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


MIN_TRIALS = 6  # of a search that is drawn: fewer lines show nothing that a table does not
_SHADES = 16
_TICKS = 5
_ROUND = [digit * 10.0**power for power in range(-8, 9) for digit in (1, 2, 5)]


class _Axis(NamedTuple):
    places: np.ndarray  # of each trial, 0..1
    ticks: list[tuple[float, str]]


def parallel_figure(table: pd.DataFrame) -> go.Figure:
    """A line for each trial of a search through its settings, a panel for each search, from `parallel_table`."""
    panels = [panel for _, panel in table.groupby(["study", "sweep", "mode", "objective"], sort=False)]
    titles = [f"{search_title(panel.iloc[0])}: {len(panel)} trials" for panel in panels]
    figure = make_subplots(len(panels), 1, subplot_titles=titles, vertical_spacing=0.22 / len(panels))
    for row, panel in enumerate(panels, start=1):
        objective = panel["objective"].iloc[0]
        names = [name for name in list(panel.columns)[list(panel.columns).index("value") + 1 :] if panel[name].nunique() > 1]
        axes = [*(_axis(panel[name]) for name in names), _axis(panel["value"], share="accuracy" in objective)]
        for trace in _lines(panel, names, axes):
            figure.add_trace(trace, row=row, col=1)
        for place, axis in enumerate(axes):
            figure.add_vline(x=place, line={"color": "#222", "width": 1.2}, layer="above", row=row, col=1)
            for y, text in axis.ticks:
                figure.add_annotation(
                    x=place,
                    y=y,
                    text=text,
                    showarrow=False,
                    xanchor="right",
                    xshift=-4,
                    bgcolor="rgba(255,255,255,0.8)",
                    row=row,
                    col=1,
                )
        labels = [*(LABELS.get(name, name) for name in names), objective]
        figure.update_xaxes(
            tickvals=list(range(len(axes))), ticktext=labels, range=[-0.1 * len(axes), 1.1 * len(axes) - 1], row=row, col=1
        )
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(visible=False, range=[-0.06, 1.06])
    figure.update_layout(height=60 + 360 * len(panels))
    figure = styled(figure).update_layout(margin={"l": 30, "r": 20, "t": 40, "b": 30}, hovermode="closest")
    return figure.update_annotations(font_size=14)


def _lines(panel: pd.DataFrame, names: list[str], axes: list[_Axis]) -> list[go.Scatter]:
    """The trials of a shade as one trace, with a gap after each; the best and last shades on top of the others."""
    shades = np.minimum((axes[-1].places * _SHADES).astype(int), _SHADES - 1)
    places = np.stack([axis.places for axis in axes], axis=1).round(4)
    traces = []
    for shade in np.unique(shades):
        xs: list[Any] = []
        ys: list[Any] = []
        texts: list[Any] = []
        for row in np.flatnonzero(shades == shade):
            trial = panel.iloc[row]
            values = ", ".join(f"{LABELS.get(name, name)} {_text(trial[name])}" for name in names)
            text = f"{trial['trial_id']}, seed {trial['seed']:.0f}: {values}<br>{trial['objective']} {trial['value']:.4f}"
            xs += [*range(len(axes)), None]
            ys += [*places[row], None]
            texts += [text] * (len(axes) + 1)
        colour = sample_colorscale(MARK_SCALE, [(shade + 0.5) / _SHADES])[0]
        line = {"color": colour, "width": 1.8}
        traces.append(
            go.Scatter(x=xs, y=ys, text=texts, mode="lines", line=line, showlegend=False, hovertemplate="%{text}<extra></extra>")
        )
    return traces


def _axis(values: pd.Series, share: bool = False) -> _Axis:
    """Numbers, their logarithms, or names, from 0 to 1 with ticks."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        known = sorted(values.astype(str).unique())
        steps = np.linspace(0, 1, len(known))
        places = np.array([steps[known.index(str(value))] for value in values])
        return _Axis(places, [(float(step), name.replace("_", " ")) for step, name in zip(steps, known, strict=True)])
    numbers = values.to_numpy(float)
    scaled = is_logarithmic(values) and not share
    low, high = numbers.min(), numbers.max()
    if scaled:
        ticks = [tick for tick in _ROUND if low <= tick <= high]
    else:
        step = next(size for size in _ROUND if (high - low) / size <= _TICKS) if high > low else 1.0
        ticks = [float(tick) for tick in np.arange(np.ceil(low / step), np.floor(high / step + 1e-9) + 1) * step]

    def placed(numbers: Any) -> Any:
        first, last = (np.log(bound) if scaled else bound for bound in (low, high))
        return ((np.log(numbers) if scaled else np.asarray(numbers)) - first) / ((last - first) or 1.0)

    texts = [f"{tick * 100:.3g} %" if share else f"{tick:.3g}" for tick in ticks]
    return _Axis(placed(numbers), [(float(placed(tick)), text) for tick, text in zip(ticks, texts, strict=True)])


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def parallel_section(trials: pd.DataFrame) -> list[Section]:
    """The section, where there is a search."""
    section = Section(
        "parallel",
        "Parallel coordinates of the search",
        "One line per finished trial, through its settings to the objective on validation, which also gives the colour. Searches "
        f"with fewer than {MIN_TRIALS} finished trials are not drawn.",
        parallel_table(trials),
        [],
        "",
        parallel_figure,
    )
    return [] if section.frame.empty else [section]
