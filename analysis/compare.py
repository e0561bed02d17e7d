"""Two studies, or two trials, side by side, in words and as a page: settings that differ, paired differences, curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.errors import AnalysisError
from analysis.formats import count, counted, p_value, percent, points, points_interval
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.question import CLIP_SETTINGS, PAPER, PAPER_DIMENSIONS, Question, question_of, words
from analysis.records.provenance import load_launched
from analysis.records.runs import (
    find_trial,
    known_studies,
    load_history,
    load_predictions,
    load_studies,
    load_trials,
    parameter_names,
)
from analysis.report.files import write_whole
from analysis.report.page import render_page
from analysis.section import ACL, BASELINE, MODELS_ONLY, Chapter, Column, Section, difference, finding_text, number_column, styled
from analysis.sections.curves import CURVE_METRICS
from analysis.sections.forest import FOREST, forest_figure
from analysis.settings import PAPER_KEYS, comparable_settings, key_columns, name_of
from analysis.stats.claims import claim
from analysis.stats.clips import correct_clips
from analysis.stats.intervals import finding, holm
from study import names

_MOST_VALUES = 6  # of a setting that are listed


@dataclass(frozen=True)
class Compared:
    """Two sides.

    Attributes:
        labels: what the sides are called.
        trials: of both sides, with the column `side`, 0 or 1.
        differing: of `differing_settings`.
        pairs: of `paired_table`; empty where nothing can be paired.
        notes: what was left out.
    """

    labels: tuple[str, str]
    trials: pd.DataFrame
    differing: pd.DataFrame
    pairs: pd.DataFrame
    notes: list[str]


def compare(store_uri: str, first: str, second: str) -> Compared:
    """Compare two launched studies, or two trials.

    Args:
        store_uri: MLflow tracking store.
        first: name of a study, or a trial as `analysis.records.runs.find_trial` takes it.
        second: the same kind.

    Raises:
        AnalysisError: there is no such study or trial, the two are of different kinds, or they were tested on different clips.
    """
    known = known_studies(store_uri)
    are_studies = first in known, second in known
    if any(are_studies) and not all(are_studies):
        study, other = (first, second) if are_studies[0] else (second, first)
        raise AnalysisError(f"{study} is a study and {other} is none; name two studies ({', '.join(known)}) or two trials")
    sides = [_study(store_uri, name) if all(are_studies) else _trial(store_uri, name) for name in (first, second)]
    trials = pd.concat([side.assign(side=number) for number, side in enumerate(sides)], ignore_index=True)
    finished = [side[side["outcome"] == names.FINISHED] for side in sides]
    predictions = load_predictions(store_uri, pd.concat(finished)["run_id"].unique())
    question = _question(store_uri, (first, second)) if all(are_studies) else PAPER
    settings, notes = zip(*(comparable_settings(side, predictions, question) for side in sides), strict=True)
    one, other = settings
    keys = list(dict.fromkeys(key for side in sides for key in key_columns(side, question)))
    pairs = paired_table(*_matched(one, other, keys, by_setting=all(are_studies)), predictions, keys)
    said = [f"{name}: {note}" for name, side in zip((first, second), notes, strict=True) for note in side]
    return Compared((first, second), trials, differing_settings(*sides), pairs, said)


def differing_settings(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Settings of which the two sides have other values: setting, first, second; several values of a side as a list."""
    rows = []
    for name in dict.fromkeys([*parameter_names(first), *parameter_names(second)]):
        values = [sorted(set(side[name].dropna().tolist()), key=str) if name in side else [] for side in (first, second)]
        if values[0] != values[1] and name not in names.PLACE_SETTINGS:
            rows.append({"setting": name, "first": _listed(values[0]), "second": _listed(values[1])})
    return pd.DataFrame(rows, columns=["setting", "first", "second"])


def paired_table(
    first: pd.DataFrame, second: pd.DataFrame, predictions: pd.DataFrame, keys: Sequence[str] = PAPER_KEYS
) -> pd.DataFrame:
    """A row for each place of two equally long frames of settings: second minus first, paired over test clips.

    Columns: `keys`, which distinguish settings, setting (in words), first and second (accuracies), difference with low and high
    (95 %, of this pair alone), p_value, p_corrected (Holm over the rows), claim (settings where both have three seeds or more, else
    models), finding (of the corrected p-value), seeds (of the side that has fewer).

    Raises:
        AnalysisError: the two sides were tested on different clips.
    """
    rows: list[dict[str, Any]] = []
    for (_, one), (_, other) in zip(first.iterrows(), second.iterrows(), strict=True):
        sides = [correct_clips(predictions, setting["run_ids"]) for setting in (one, other)]
        if set(sides[0].index) != set(sides[1].index):
            raise AnalysisError("the two sides were tested on different clips; compare runs on one corpus")
        found = claim(sides[0], [sides[1]], 0)
        low, high = found.interval
        rows.append(
            {
                **{name: other.get(name) for name in keys},
                "setting": _setting(other, keys),
                "first": one["accuracy"],
                "second": other["accuracy"],
                "difference": found.difference,
                "low": low,
                "high": high,
                "p_value": found.p_value,
                "claim": "models" if found.settings is None else "settings",
                "seeds": min(one["seeds"], other["seeds"]),
            }
        )
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    table["p_corrected"] = holm(table["p_value"])
    table["finding"] = [finding(*pair) for pair in zip(table["difference"], table["p_corrected"], strict=True)]
    return table


def compared_lines(compared: Compared) -> list[str]:
    """The comparison in words."""
    first, second = compared.labels
    lines = ["settings that differ:" if len(compared.differing) else "no setting differs but where they run"]
    lines += [f"  {row['setting']}: {row['first']} → {row['second']}" for row in compared.differing.to_dict("records")]
    lines.append(f"test accuracy, {second} − {first}, paired over clips:")
    if compared.pairs.empty:
        lines.append("  nothing to pair: no setting has finished in both")
    for row in compared.pairs.to_dict("records"):
        number = f"{row['seeds']} seeds" if row["claim"] == "settings" else MODELS_ONLY
        lines.append(
            f"  {row['setting']}: {percent(row['first'])} → {percent(row['second'])} %, {points(row['difference'])} "
            f"[{points(row['low'])}, {points(row['high'])}] points, {finding_text(row['finding'])} "
            f"(p {p_value(row['p_corrected'])}; {number})"
        )
    if len(compared.pairs) > 1:
        lines.append(f"  p-values are corrected for {len(compared.pairs)} comparisons (Holm), intervals are those of each alone")
    return lines + [f"note: {note}" for note in compared.notes]


def _question(store_uri: str, studies: Sequence[str]) -> Question:
    """What distinguishes settings in any of the studies; which of them are baselines does not matter here."""
    launches = load_studies(store_uri, studies)
    files = [file for file in load_launched(store_uri, launches["run_id"])["file"] if file]
    asked = [question_of(file, mode) for file in files for mode in (SUPERVISED, SELF_SUPERVISED)]
    if all(set(each.dimensions) <= set(PAPER_DIMENSIONS) and set(each.within) <= set(CLIP_SETTINGS) for each in asked):
        return PAPER
    within = dict.fromkeys(name for each in asked for name in each.within)
    return Question({}, tuple(within), tuple(dict.fromkeys(name for each in asked for name in each.dimensions)))


def _study(store_uri: str, name: str) -> pd.DataFrame:
    return load_trials(store_uri, [name])


def _trial(store_uri: str, reference: str) -> pd.DataFrame:
    found = find_trial(store_uri, reference)
    trials = load_trials(store_uri, [found.study])
    return trials[trials["run_id"] == found.run_id]


def _matched(
    first: pd.DataFrame, second: pd.DataFrame, names_of_setting: Sequence[str], *, by_setting: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The settings that both sides have, in the same order; of two trials the one of each side."""
    if not by_setting or first.empty or second.empty:
        return (first, second) if len(first) == len(second) == 1 else (first.iloc[:0], second.iloc[:0])
    sides = [side.reindex(columns=list(names_of_setting)).astype(object) for side in (first, second)]
    keys = [side.where(side.notna(), None).apply(tuple, axis=1) for side in sides]
    shared = [key for key in keys[0] if key in set(keys[1])]
    return tuple(  # type: ignore[return-value]
        side.set_index(pd.Index(key, tupleize_cols=False)).loc[shared] for side, key in zip((first, second), keys, strict=True)
    )


def _listed(values: Sequence[object]) -> str:
    shown = ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values[:_MOST_VALUES])
    return f"{shown}, …" if len(values) > _MOST_VALUES else shown or "–"


def _setting(setting: pd.Series, keys: Sequence[str]) -> str:
    values = {name_of(column): setting[column] for column in keys if column not in ("mode", "subset") and column in setting}
    shown = words({name: value for name, value in values.items() if pd.notna(value)})
    return ", ".join(part for part in (str(setting["mode"]), str(setting["subset"]).replace("_", " "), shown) if part)


_SIDES = ((BASELINE, "solid"), (ACL, "dash"))  # colour and stroke
_TITLES = {
    names.TRAIN_LOSS: "training loss",
    names.VAL_EPOCH_ACCURACY: "validation accuracy of the epoch",
    names.VAL_EPOCH_KNN_ACCURACY: "validation kNN accuracy of the epoch",
}


def write_comparison(store_uri: str, compared: Compared, path: Path) -> Path:
    """Write the page: the differences as a forest plot, learning curves, and the settings that differ."""
    metrics = sorted({metric for metrics in CURVE_METRICS.values() for metric in metrics})
    history = load_history(store_uri, compared.trials["run_id"].unique(), metrics)
    first, second = compared.labels
    page = render_page(
        _chapters(compared, compared.trials.merge(history, on="run_id")),
        title=f"{first} and {second}",
        heading=f"How does {second} differ from {first}?",
        made=f"comparison of {datetime.now(UTC):%Y-%m-%d %H:%M UTC}",
        answer=" ".join(_pair_sentences(compared)) or "No setting has finished on both sides, so there is nothing to compare.",
        context=f"Corpus: {'; '.join(dict.fromkeys(compared.trials['corpus']))}",
        notes=compared.notes,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, page)


def _pair_sentences(compared: Compared) -> list[str]:
    """What differs, for each kind of claim and finding the settings."""
    sentences = []
    first, second = compared.labels
    for (about, found), own in compared.pairs.groupby(["claim", "finding"], sort=False) if len(compared.pairs) else ():
        shown = [
            f"{row['setting']} ({points_interval(row['difference'], row['low'], row['high'])})"
            for row in own.head(_MOST_VALUES).to_dict("records")
        ]
        more = f" and {len(own) - _MOST_VALUES} more" if len(own) > _MOST_VALUES else ""
        models = "" if about == "settings" else f" ({MODELS_ONLY})"
        sentences.append(
            f"Test accuracy of {second} against {first}, {finding_text(str(found))}{models}: {'; '.join(shown)}{more}."
        )
    return sentences


def _chapters(compared: Compared, history: pd.DataFrame) -> list[Chapter]:
    first, second = compared.labels
    pairs = compared.pairs
    differing = Section(
        "differing",
        "Settings that differ",
        "",
        compared.differing,
        [
            Column("Setting", lambda row: row["setting"], "text"),
            *(_side_column(*side) for side in zip(("first", "second"), compared.labels, strict=True)),
        ],
        "No setting differs but where the runs were computed.",
    )
    curves = Section(
        "curves",
        "Learning curves",
        f"One line per trial: {first} blue and solid, {second} orange and dashed.",
        history,
        [],
        "No trial has reported an epoch yet.",
        lambda points: curves_of_two(points, compared.labels),
    )
    return [
        Chapter("answer", "Answer", (_forest_section(pairs, compared.labels),) if len(pairs) else ()),
        Chapter("settings", "Settings", (differing,)),
        Chapter("training", "Training", (curves,)),
    ]


def _side_column(name: str, label: str) -> Column:
    return Column(label, lambda row: str(row[name]), "prose")


def _forest_section(pairs: pd.DataFrame, labels: tuple[str, str]) -> Section:
    nothing = float("nan")
    table = pairs.assign(
        label=pairs["setting"],
        difference_low=pairs["low"],
        difference_high=pairs["high"],
        about=pairs["claim"],
        detectable=nothing,
        published=nothing,
    )
    columns = [
        Column("Setting", lambda row: row["setting"], "prose"),
        number_column(f"{labels[0]}, %", "first", percent),
        number_column(f"{labels[1]}, %", "second", percent),
        Column("Difference, points", difference, "number", "difference"),
        number_column("p, corrected", "p_corrected", p_value),
        number_column("Seeds", "seeds", count),
        Column("Claim about", lambda row: row["claim"], "text"),
        Column("Finding", lambda row: finding_text(row["finding"]), "text"),
    ]
    text = (
        f"Test accuracy of {labels[1]} minus {labels[0]}, paired over test clips, with 95 % intervals of each pair alone. "
        f"{'P-values are corrected for ' + counted(len(pairs), 'comparison') + ' (Holm).' if len(pairs) > 1 else ''}"
    )
    axis = f"{labels[1]} minus {labels[0]}, percentage points"
    return Section(FOREST, "All comparisons", text, table, columns, "", lambda rows: forest_figure(rows, axis))


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
                name=labels[side],
                legendgroup=str(side),
                showlegend=side not in named,
                text=[run["trial_id"].iloc[0]] * len(run),
                hovertemplate="%{text}<br>epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
                row=1,
                col=column,
            )
            named.add(side)
        figure.update_yaxes({"type": "log"} if metric == names.TRAIN_LOSS else {"tickformat": ".0%"}, row=1, col=column)
    figure.update_xaxes(title="epoch")
    return styled(figure).update_layout(height=520)
