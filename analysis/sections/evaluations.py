"""The evaluations of the self-supervised encoders side by side: linear, fine-tuned, nearest neighbours."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import published
from analysis.formats import count, plain
from analysis.published import SELF_SUPERVISED
from analysis.section import (
    MINUS_PUBLISHED_COLUMN,
    PATCH_WEIGHTED_COLUMN,
    SEEDS_COLUMN,
    SETTING_COLUMNS,
    TEST_COLUMN,
    VALIDATION_COLUMN,
    Column,
    Section,
    interval,
    number_column,
    published_column,
    styled,
)
from analysis.sections.alpha import line_over_alpha
from analysis.sections.paper_tables import NAN
from analysis.settings import comparable_settings
from analysis.stats.clips import TEST, VAL, clips_of_runs, independent_clips_of_runs
from analysis.stats.intervals import interval_over_seeds
from study import names

FINE_TUNINGS = (names.EVALUATION_FINETUNE_NOISY, names.EVALUATION_FINETUNE_CLEAN)
EVALUATIONS = (names.EVALUATION_CLASSIFIER, *FINE_TUNINGS, names.EVALUATION_KNN)
_ORDER = ["temperature", "alpha", "margin"]


def fine_tuned_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The finished self-supervised trials that have a result of fine-tuning."""
    tested = trials.reindex(columns=[_columns(evaluation)["accuracy"] for evaluation in FINE_TUNINGS]).notna().any(axis=1)
    return trials[tested & (trials["outcome"] == names.FINISHED) & (trials["mode"] == SELF_SUPERVISED)]


def fine_tuned_settings(
    settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame
) -> tuple[pd.DataFrame, list[str] | None]:
    """Self-supervised settings of a protocol with fine-tuning, empty without one, and None: it is that of the other tables.

    Whether a trial is fine-tuned, and how, is part of its protocol. If the protocol of the other tables has no fine-tuned trial,
    the settings are those of the fine-tuned trials by themselves, and in place of None stands what was left out of them.

    Args:
        settings: of `analysis.settings.comparable_settings`.
        trials: of `analysis.records.runs.load_trials`.
        predictions: of `analysis.records.runs.load_predictions`, the headline's.
    """
    fine_tuned = fine_tuned_trials(trials)
    own = settings[settings["mode"] == SELF_SUPERVISED]
    if fine_tuned.empty or own.empty or fine_tuned["run_id"].isin(own["run_ids"].explode()).any():
        return (own.iloc[:0] if fine_tuned.empty else own), None
    return comparable_settings(fine_tuned, predictions)


def evaluation_table(
    settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame, of_fine_tuning: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """A row for each setting and evaluation that one of its trials has; means over the seeds that have it.

    `val_clips` are those that the evaluation was validated on. `line_margin` is empty but for the rows of the figure: those at the
    margin and temperature where most alphas were fine-tuned; the baseline has no margin and gets that of the line. Published values
    are given only at the published margin and temperature, at which the baseline is whatever the margin.

    Args:
        settings: of `fine_tuned_settings`.
        trials: of `analysis.records.runs.load_trials`; the settings' runs are looked up here.
        predictions: of `analysis.records.runs.load_predictions`, the headline's.
        of_fine_tuning: the same of each of `FINE_TUNINGS`.
    """
    if settings.empty:
        return pd.DataFrame()
    of = {name: of_fine_tuning.get(name, predictions) for name in EVALUATIONS}  # kNN is validated on the headline's clips
    val_clips = {name: clips_of_runs(rows, VAL) for name, rows in of.items()}
    of_setting = pd.Series({run: place for place, runs in enumerate(settings["run_ids"]) for run in runs})
    places = dict(zip(settings["run_ids"], range(len(settings)), strict=True))
    val_independent = {name: independent_clips_of_runs(rows, VAL, of_setting) for name, rows in of.items()}
    independent = independent_clips_of_runs(predictions, TEST, of_setting)
    effective = independent_clips_of_runs(predictions, TEST, of_setting, by_patches=True)
    rows = []
    for setting in settings.sort_values(_ORDER).to_dict("records"):
        for evaluation in EVALUATIONS:
            columns = _columns(evaluation)
            runs = trials[trials["run_id"].isin(setting["run_ids"])].reindex(columns=["run_id", *columns.values()]).dropna()
            if runs.empty:
                continue
            first, place = runs["run_id"].iloc[0], places[setting["run_ids"]]
            means = {column: float(runs[metric].mean()) for column, metric in columns.items()}
            clips = {"val_clips": val_clips[evaluation].get(first, NAN), "test_clips": setting["test_clips"]}
            rows.append(
                {
                    **{column: setting[column] for column in ("subset", "alpha", "margin", "temperature")},
                    "evaluation": evaluation,
                    "seeds": len(runs),
                    **clips,
                    **means,
                    **_interval("val", runs[columns["val_accuracy"]], val_independent[evaluation].get(place, NAN)),
                    **_interval("", runs[columns["accuracy"]], independent[place]),
                    "seed_sd": runs[columns["accuracy"]].std(ddof=1),
                    **_interval("patch_weighted", runs[columns["patch_weighted"]], effective[place]),
                }
            )
    table = pd.DataFrame(rows)
    fine_tuned = table[table["evaluation"].isin(FINE_TUNINGS)]
    return pd.DataFrame() if fine_tuned.empty else _with_published(_with_line(table, line_over_alpha(fine_tuned).iloc[0]))


def _columns(evaluation: str) -> dict[str, str]:
    """Column -> metric of an evaluation."""
    return {
        "val_accuracy": names.of_split(VAL, evaluation, names.ACCURACY),
        "accuracy": names.of_split(TEST, evaluation, names.ACCURACY),
        "patch_weighted": names.of_split(TEST, evaluation, names.PATCH_WEIGHTED_ACCURACY),
    }


def _interval(name: str, shares: pd.Series, clips: float) -> dict[str, Any]:
    low, high = interval_over_seeds(shares, clips)
    prefix = f"{name}_" if name else ""
    return {f"{prefix}low": low, f"{prefix}high": high}


def _with_line(table: pd.DataFrame, line: pd.Series) -> pd.DataFrame:
    drawn = (table["temperature"] == line["temperature"]) & (table["margin"].isna() | (table["margin"] == line["margin"]))
    return table.assign(line_margin=drawn.map({True: line["margin"], False: NAN}))


def _with_published(table: pd.DataFrame) -> pd.DataFrame:
    table = table.merge(published.evaluations_by_alpha(), on=["subset", "evaluation", "alpha"], how="left")
    elsewhere = table["temperature"] != published.temperature()
    elsewhere |= table["margin"].notna() & (table["margin"] != published.margin())
    table.loc[elsewhere, "published_patch_weighted"] = NAN
    return table.assign(minus_published=table["patch_weighted"] - table["published_patch_weighted"])


EVALUATION_LABELS = {
    names.EVALUATION_CLASSIFIER: "linear",
    names.EVALUATION_FINETUNE_NOISY: "fine-tuned, noisy clips",
    names.EVALUATION_FINETUNE_CLEAN: "fine-tuned, clean clips",
    names.EVALUATION_KNN: "kNN",
}
EVALUATION_COLUMNS = [
    *SETTING_COLUMNS,
    Column("Evaluation", lambda row: EVALUATION_LABELS[row["evaluation"]], "text"),
    SEEDS_COLUMN,
    number_column("Validation clips", "val_clips", count),
    VALIDATION_COLUMN,
    TEST_COLUMN,
    PATCH_WEIGHTED_COLUMN,
    published_column("Published, patch-weighted", "published_patch_weighted"),
    MINUS_PUBLISHED_COLUMN,
]
_EVALUATIONS = {  # colour, mark, and where beside alpha the mark stands
    names.EVALUATION_CLASSIFIER: ("#222222", "square", -0.015),
    names.EVALUATION_FINETUNE_NOISY: ("#009E73", "triangle-up", -0.005),
    names.EVALUATION_FINETUNE_CLEAN: ("#CC79A7", "triangle-down", 0.005),
    names.EVALUATION_KNN: ("#E69F00", "pentagon", 0.015),
}


def evaluation_figure(table: pd.DataFrame) -> go.Figure:
    """Patch-weighted accuracy by alpha, a line for each evaluation, from `evaluation_table`."""
    figure = go.Figure()
    drawn = table.dropna(subset=["line_margin"])
    for evaluation, group in drawn.groupby("evaluation", sort=False):
        figure.add_traces(_evaluation_lines(str(evaluation), group))
    first = drawn.iloc[0]
    title = f"self-supervised, τ {plain(first['temperature'])}, margin {plain(first['line_margin'])}"
    figure.update_layout(title={"text": title, "font_size": 15, "x": 0.5}, height=480)
    figure.update_xaxes(title="α", range=[-0.05, 1.05], dtick=0.1)
    figure.update_yaxes(title="test accuracy (patch-weighted)", tickformat=".0%")
    return styled(figure)


def _evaluation_lines(evaluation: str, group: pd.DataFrame) -> list[go.Scatter]:
    colour, mark, beside = _EVALUATIONS[evaluation]
    name = EVALUATION_LABELS[evaluation]
    ours = go.Scatter(
        x=group["alpha"] + beside,
        y=group["patch_weighted"],
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 2},
        marker={"symbol": mark, "size": 9},
        error_y=interval(group, "patch_weighted", "patch_weighted_low", "patch_weighted_high"),
        customdata=group[["alpha", "seeds"]],
        hovertemplate="α %{customdata[0]:.3g}: %{y:.1%}, seeds: %{customdata[1]}<extra>" + name + "</extra>",
    )
    if group["published_patch_weighted"].isna().all():
        return [ours]
    published = go.Scatter(
        x=group["alpha"],
        y=group["published_patch_weighted"],
        mode="lines+markers",
        name=f"published: {name}",
        opacity=0.8,
        line={"color": colour, "width": 1.5, "dash": "dot"},
        marker={"symbol": f"{mark}-open", "size": 8},
        hovertemplate="α %{x}: %{y:.1%}<extra>published: " + name + "</extra>",
    )
    return [ours, published]


ANCHOR = "evaluations"


def evaluation_sections(
    settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame, of_fine_tuning: Mapping[str, pd.DataFrame]
) -> list[Section]:
    """The section in a list, empty where no finished self-supervised trial has been fine-tuned."""
    own, left_out = fine_tuned_settings(settings, trials, predictions)
    table = evaluation_table(own, trials, predictions, of_fine_tuning)
    if table.empty:
        return []
    section = Section(
        ANCHOR,
        "Other evaluations of the same encoders",
        _text(trials[trials["run_id"].isin(own["run_ids"].explode())], left_out),
        table,
        EVALUATION_COLUMNS,
        "",
        evaluation_figure,
        about_paper=f"Published values (dotted) are at margin {published.margin():g} rad and temperature "
        f"{published.temperature():g} only; the published fine-tuning on clean clips was validated on its own training clips.",
    )
    return [section]


def _text(trials: pd.DataFrame, left_out: list[str] | None) -> str:
    held_out = trials.get("data.validation_fraction", pd.Series(dtype=float)).dropna().unique()
    share = f"{held_out[0] * 100:.3g} % (rounded for each class)" if len(held_out) == 1 else "share"
    text = (
        "Test accuracy of the same encoders by linear evaluation, after fine-tuning all weights on noisy or on clean clips, and "
        "by kNN. The figure shows patch-weighted accuracy by α at one margin and temperature, with 95 % intervals.\n"
        "Fine-tuning on noisy clips is validated on all clean clips, and fine-tuning on clean clips on a held-out "
        f"{share} of them. So validation accuracies of different evaluations are on different clips (see the table) and not "
        "comparable. Selecting the best evaluation or α by its test accuracy is a selection on test."
    )
    if left_out is None:
        return text
    others = "The other self-supervised tables show trials of another protocol, none of which was fine-tuned."
    return f"{text}\n{' '.join([others, *left_out])}"
