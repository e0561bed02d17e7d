"""The negative control: one setting repeated under other seeds, as if the seeds were settings to select among."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.formats import capitalised, count, number_word, p_value, percent, place, plain, points
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.records.runs import SUBSETS
from analysis.section import (
    ACCURACY_VALUES,
    BASELINE,
    GROUP_COLUMNS,
    PANEL_KEYS,
    SELECTED_RING,
    TEMPERATURE_COLUMN,
    TEST_COLUMN,
    VALIDATION_COLUMN,
    Column,
    Section,
    accuracy_panels,
    add_to_panel,
    finished_panels,
    flag_texts,
    interval,
    number_column,
    ring,
)
from analysis.stats.clips import TEST, VAL, correct_clips, independent_clips_of_runs
from analysis.stats.intervals import LEVEL, compare_paired, wilson_interval
from study import names

MIN_SEEDS = 5  # finished seeds of one setting that make a negative control


def null_table(settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Negative control: the seeds of a setting with alpha 1 as if they were settings among which validation selects.

    A row for each seed, best on validation first, for each setting that has at least `MIN_SEEDS` of them. `picked` is the highest
    on validation, `best_on_test` the highest on test (ties: the smallest seed; `val_rank` is the same for tied runs). `mcnemar_p`
    compares the run with the picked one. The same in all rows of a setting: `runs`, `mean` and `sd` of the test accuracies,
    `significant` (how many others differ from the selected run at 5 %, unadjusted), and the columns of `best_of_gains`.

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
        for column in reversed(PANEL_KEYS):
            runs.insert(0, column, setting[column])
        parts.append(runs.sort_values(["val_rank", "seed"]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def best_of_gains(val: list[float], test: list[float]) -> dict[str, float]:
    """Expected gain in test accuracy of a best of N over a baseline that is one of the same N runs, each as likely; exact.

    With a(j) the test accuracy of the j-th best (on validation or on test; ties: the earlier run) and m the mean of all N:

    - `gain_*`, the best of all N, the baseline among them: a(1) − m.
    - `gain_*_of_others`, the best of the N − 1 runs that are not the baseline, as Table 1 compares: it is a(1), but a(2) where the
      baseline is the best run itself, so a(1) (N−1)/N + a(2)/N − m. It can be negative where validation selects.

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


def _runs_of_setting(run_ids: tuple[str, ...], trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Seed, accuracies and rank on validation of each run, by seed."""
    columns = {"run_id": "run_id", "seed": "seed", names.VAL_ACCURACY: "val_accuracy", names.TEST_ACCURACY: "accuracy"}
    runs = trials.loc[trials["run_id"].isin(run_ids), list(columns)].rename(columns=columns).sort_values("seed", ignore_index=True)
    for split, share, bounds in ((VAL, "val_accuracy", ("val_low", "val_high")), (TEST, "accuracy", ("low", "high"))):
        clips = runs["run_id"].map(independent_clips_of_runs(predictions, split))
        runs[list(bounds)] = [wilson_interval(value, number) for value, number in zip(runs[share], clips, strict=True)]
    runs["val_rank"] = runs["val_accuracy"].rank(ascending=False, method="min").astype(int)
    return runs[["seed", "run_id", *ACCURACY_VALUES, "val_rank"]]


CONTROL_COLUMNS = [
    *GROUP_COLUMNS,
    TEMPERATURE_COLUMN,
    number_column("Seed", "seed", count),
    VALIDATION_COLUMN,
    number_column("Rank on validation", "val_rank", count),
    TEST_COLUMN,
    number_column("Test − mean, points", "minus_mean", points),
    number_column("McNemar p against the selected run", "mcnemar_p", p_value),
    Column("Remark", flag_texts({"picked": "selected on validation", "best_on_test": "best on test"}), "text"),
]
_BEST_ON_TEST = {"symbol": "square-open", "size": 26, "color": "#222", "line_width": 1.5}


def null_figure(table: pd.DataFrame) -> go.Figure:
    """Test accuracies of the runs of one setting with their mean, a panel each, from `null_table`."""
    groups = [group for _, group in table.groupby(["mode", "subset", "temperature"], sort=False, dropna=False)]
    figure = accuracy_panels([f"{place(group.iloc[0].to_dict())}, α 1, {group['runs'].iloc[0]} seeds" for group in groups])
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
            ring(runs, group, "picked", "selected on validation", SELECTED_RING),
            ring(runs, group, "best_on_test", "best on test", _BEST_ON_TEST),
        ]
        add_to_panel(figure, traces, index)
        figure.update_xaxes(type="category", row=index // 2 + 1, col=index % 2 + 1)
    figure.update_xaxes(title="seed, highest validation accuracy first")
    return finished_panels(figure, len(groups))


def _null_text(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    paragraphs = [_null_sentences(row) for row in table[table["picked"]].to_dict("records")]
    paragraphs.append(
        "The averages are exact: each run in turn is the baseline. Other seeds would give other numbers. Ties go to the smaller "
        "seed. Intervals are over the choice of clips."
    )
    return "\n".join(paragraphs)


def _null_sentences(picked: dict[Any, Any]) -> str:
    runs = picked["runs"]
    number, others = number_word(runs), number_word(runs - 1)
    differing = {0: "none differs", 1: "one differs"}.get(picked["significant"], f"{number_word(picked['significant'])} differ")
    return (
        f"{capitalised(place(picked))}, α 1: {number} runs of the same setting differ in the seed only. Here they are treated as "
        f"{number} settings. The run selected on validation scores {percent(picked['accuracy'])} % on test, "
        f"{points(picked['gain_val'])} points against the mean of all {number} ({percent(picked['mean'])} % ± "
        f"{percent(picked['sd'])} SD). Selecting on test would have shown {points(picked['gain_test'])} points. "
        f"With one run at random as the baseline, the best of the other {others} differs from it by "
        f"{points(picked['gain_val_of_others'])} points on average when selected on validation, and by "
        f"{points(picked['gain_test_of_others'])} when selected on test. So in a sweep of {number} settings with one seed each, "
        f"differences of these sizes are within chance. Of the {others} others, {differing} from the selected run at 5 % "
        "(McNemar, not corrected)."
    )


def control_section(settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """The section, where a setting was repeated under enough seeds."""
    table = null_table(settings, trials, predictions)
    section = Section(
        "null",
        "Negative control: the best of N when nothing differs",
        _null_text(table),
        table,
        CONTROL_COLUMNS,
        "",
        null_figure,
        about_paper="The paper's sweeps have ten α (supervised) or eleven (self-supervised), one seed each.",
    )
    return [] if table.empty else [section]
