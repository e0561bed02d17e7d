"""What the paper did not do, as frames: one setting repeated under other seeds, and the margin varied. Pure functions.

Accuracies are shares of clips, `low` and `high` their 95 % interval (see `analysis.statistics`).
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis import published
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.settings import MIN_MARGINS, NO_PAIR, TEST, VAL, clips_of_runs, correct_clips, pick
from analysis.statistics import LEVEL, compare_paired, wilson_interval
from analysis.tables import SUBSETS, difference_columns
from study import record_names as names

MIN_SEEDS = 5  # finished seeds of one setting that make a negative control
_PLACE = ["mode", "subset", "temperature"]
_ACCURACIES = ["val_accuracy", "val_low", "val_high", "accuracy", "low", "high"]


def null_table(settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Negative control: the seeds of a setting with alpha 1 as if they were settings among which validation picks.

    A row for each seed, best on validation first, for each setting that has at least `MIN_SEEDS` of them. `picked` is the highest
    on validation, `best_on_test` the highest on test (ties: the smallest seed; `val_rank` is the same for tied runs). `mcnemar_p`
    compares the run with the picked one. The same in all rows of a setting: `runs`, `mean` and `sd` of the test accuracies,
    `significant` (how many others differ from the picked run at 5 %, unadjusted), and the columns of `best_of_gains`.

    Args:
        settings: of `analysis.settings.comparable_settings`.
        trials: of `analysis.runs.load_trials`; the settings' runs are looked up here.
        predictions: of `analysis.runs.load_predictions`.
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
        for column in reversed(_PLACE):
            runs.insert(0, column, setting[column])
        parts.append(runs.sort_values(["val_rank", "seed"]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def best_of_gains(val: list[float], test: list[float]) -> dict[str, float]:
    """Expected gain in test accuracy of a best of N over a baseline that is one of the same N runs, each as likely; exact.

    With a(j) the test accuracy of the j-th best (on validation or on test; ties: the earlier run) and m the mean of all N:

    - `gain_*`, the best of all N, the baseline among them: a(1) − m.
    - `gain_*_of_others`, the best of the N − 1 runs that are not the baseline, as Table 1 compares: it is a(1), but a(2) where the
      baseline is the best run itself, so a(1) (N−1)/N + a(2)/N − m. It can be negative where validation picks.

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
                        **{column: setting[column] for column in (*_PLACE, "alpha", "margin", "seeds", *_ACCURACIES, "seed_sd")},
                        "baseline": setting["alpha"] == 1,
                        "picked": is_winner,
                        "papers": setting["margin"] == published.margin(),
                        **difference_columns(pair if is_winner else NO_PAIR, predictions),
                    }
                )
    return pd.DataFrame(rows)


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


def _line_over_margin(settings: pd.DataFrame) -> pd.DataFrame:
    """The settings at that alpha and temperature which have most margins, by margin; empty where none has a margin."""
    lines = [line for _, line in settings[settings["alpha"] < 1].groupby(["alpha", "temperature"], dropna=False)]
    longest = max(lines, key=lambda line: (len(line), line["val_accuracy"].max()), default=settings.iloc[:0])
    return longest.sort_values("margin")


def _same(column: pd.Series, value: float) -> pd.Series:
    """Where the column equals the value, an empty one another empty one."""
    return column.isna() if pd.isna(value) else column.eq(value)


def _runs_of_setting(run_ids: tuple[str, ...], trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Seed, accuracies and rank on validation of each run, by seed."""
    columns = {"run_id": "run_id", "seed": "seed", names.VAL_ACCURACY: "val_accuracy", names.TEST_ACCURACY: "accuracy"}
    runs = trials.loc[trials["run_id"].isin(run_ids), list(columns)].rename(columns=columns).sort_values("seed", ignore_index=True)
    for split, share, bounds in ((VAL, "val_accuracy", ("val_low", "val_high")), (TEST, "accuracy", ("low", "high"))):
        clips = runs["run_id"].map(clips_of_runs(predictions, split))
        runs[list(bounds)] = [wilson_interval(value, number) for value, number in zip(runs[share], clips, strict=True)]
    runs["val_rank"] = runs["val_accuracy"].rank(ascending=False, method="min").astype(int)
    return runs[["seed", "run_id", *_ACCURACIES, "val_rank"]]
