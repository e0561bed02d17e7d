"""The learning curves of two studies, or two trials, as one offline page."""

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.comparing import Compared
from analysis.figures import ACL, BASELINE, styled
from analysis.runs import load_history
from analysis.table_files import write_whole
from analysis.trial_tables import CURVE_METRICS
from study import record_names as names

_SIDES = ((BASELINE, "solid"), (ACL, "dash"))  # colour and stroke
_TITLES = {
    names.TRAIN_LOSS: "training loss",
    names.VAL_EPOCH_ACCURACY: "validation accuracy of the epoch",
    names.VAL_EPOCH_KNN_ACCURACY: "validation kNN accuracy of the epoch",
}


def write_curves(store_uri: str, compared: Compared, path: Path) -> Path:
    """Write the page: a line for each trial, the first side blue and solid, the second vermilion and dashed."""
    metrics = sorted({metric for metrics in CURVE_METRICS.values() for metric in metrics})
    history = load_history(store_uri, compared.trials["run_id"].unique(), metrics)
    figure = curves_of_two(compared.trials.merge(history, on="run_id"), compared.labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, figure.to_html(include_plotlyjs=True, config={"displaylogo": False, "responsive": True}))


def curves_of_two(points: pd.DataFrame, labels: tuple[str, str]) -> go.Figure:
    """A panel for each metric; `points` has side, run_id, sweep, trial_id, metric, epoch and value."""
    shown = [metric for metric in _TITLES if (points["metric"] == metric).any()]
    figure = make_subplots(1, max(1, len(shown)), subplot_titles=[_TITLES[metric] for metric in shown])
    named: set[int] = set()
    for column, metric in enumerate(shown, start=1):
        own = points[points["metric"] == metric]
        for _, run in own.groupby(["side", "run_id"], sort=True):
            side = int(run["side"].iloc[0])
            colour, dash = _SIDES[side]
            figure.add_scatter(
                x=run["epoch"],
                y=run["value"],
                mode="lines+markers" if len(run) < 3 else "lines",
                line={"color": colour, "dash": dash, "width": 1.5},
                name=labels[side].replace("<", "&lt;"),
                legendgroup=str(side),
                showlegend=side not in named,
                text=[run["trial_id"].iloc[0].replace("<", "&lt;")] * len(run),
                hovertemplate="%{text}<br>epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
                row=1,
                col=column,
            )
            named.add(side)
        figure.update_yaxes({"type": "log"} if metric == names.TRAIN_LOSS else {"tickformat": ".0%"}, row=1, col=column)
    figure.update_xaxes(title="epoch")
    return styled(figure).update_layout(height=520)
