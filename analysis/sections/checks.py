"""Checks of each comparison that reviewers ask for: macro accuracy, the last epoch, equal budgets, all subsets together."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.formats import capitalised, counted, number_word, p_value, percent, plain, points
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.question import Question
from analysis.section import ONLY, Column, Heading, Section, number_column
from analysis.sections.comparisons import comparisons_of
from analysis.sections.paper_tables import NAN
from analysis.settings import Pair, look_at, pick_self_supervised, without_margin_sweeps
from analysis.stats.checks import data_sets_with_gain, expected_best, macro_difference, probability_of_better
from analysis.stats.clips import TEST
from analysis.stats.clusters import FOLD
from analysis.stats.intervals import holm, intervals_of_means
from study import names

_LAST_EPOCH = {SUPERVISED: names.VAL_EPOCH_ACCURACY, SELF_SUPERVISED: names.VAL_EPOCH_KNN_ACCURACY}


class Compared(NamedTuple):
    """A pair that validation has selected, and what it is called."""

    label: str
    mode: str
    pair: Pair


def compared_pairs(settings: pd.DataFrame, question: Question) -> list[Compared]:
    """The complete pairs of a question; of the paper's question those of its tables."""
    own = without_margin_sweeps(settings) if question.is_of_paper and len(settings) else settings
    found = [Compared(each.label, each.mode, each.pair) for each in comparisons_of(own, question)]
    if question.is_of_paper:
        ssl = Compared(SELF_SUPERVISED, SELF_SUPERVISED, pick_self_supervised(own))
        found = [*(each for each in found if each.mode == SUPERVISED), ssl]
    return [each for each in found if each.pair.is_complete]


def checks_table(pairs: Sequence[Compared], trials: pd.DataFrame, predictions: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """A row for each pair; differences are shares, selected setting minus baseline.

    Columns: label, mode, difference and p_value (of test accuracy), macro with macro_low, macro_high (95 %) and macro_p, p_both
    and macro_p_both (Holm over the two measures), better with better_low and better_high (probability that a run of the setting is
    better than one of the baseline), epoch (the last one that all runs of both sides have), last and selected (difference of the
    validation accuracy at that epoch, and at the selected epoch; self-supervised: of kNN) with last_low and last_high, tried
    (settings, as many as the baseline had), equal_budget (expected difference if only so many had been tried).

    Args:
        pairs: of `compared_pairs`.
        trials: of `analysis.records.runs.load_trials`; with pooled folds those of `analysis.settings.pooled_folds`.
        predictions: of `analysis.records.runs.load_predictions`.
        history: of `analysis.records.runs.load_history`, with the epochs' validation accuracies.
    """
    accuracies = trials.set_index("run_id")
    tested = predictions[predictions["split"] == TEST].drop_duplicates("clip").set_index("clip")["label"]
    # The epochs of a run that stands for all folds are those of several runs.
    pooled = set(predictions.loc[predictions[FOLD].notna(), "run_id"]) if FOLD in predictions else set()
    curves = history[~history["run_id"].isin(pooled)]
    rows = []
    for label, mode, pair in pairs:
        claim = pair.claim(predictions)
        if claim is None or pair.baseline is None or pair.acl is None:
            continue
        runs = [pair.baseline["run_ids"], pair.acl["run_ids"]]
        macro = _macro(pair, predictions, tested)
        both = holm([claim.p_value, macro["macro_p"]])
        better = probability_of_better(*(accuracies.loc[list(own), names.TEST_ACCURACY].tolist() for own in runs))
        rows.append(
            {
                "label": label,
                "mode": mode,
                "difference": claim.difference,
                "p_value": claim.p_value,
                **macro,
                **dict(zip(("p_both", "macro_p_both"), both, strict=True)),
                **dict(zip(("better", "better_low", "better_high"), better, strict=True)),
                **_at_last_epoch(runs, curves, accuracies, mode),
                **_equal_budget(pair),
            }
        )
    return pd.DataFrame(rows)


def _macro(pair: Pair, predictions: pd.DataFrame, tested: pd.Series) -> dict[str, float]:
    baseline, rivals, others = pair.correct(predictions)
    labels = pd.Series(tested.reindex(baseline.index.get_level_values("clip")).to_numpy(), index=baseline.index)
    found = macro_difference(baseline, others, pair.place, labels, rivals)
    return {"macro": found.value, "macro_low": found.low, "macro_high": found.high, "macro_p": found.p_value}


def _at_last_epoch(runs: Sequence[tuple[str, ...]], history: pd.DataFrame, accuracies: pd.DataFrame, mode: str) -> dict[str, float]:
    """Differences on validation: at one epoch for all, and at the epoch that validation selected in each run."""
    metric = _LAST_EPOCH[mode]
    rows = history[(history["metric"] == metric) & history["run_id"].isin([run for own in runs for run in own])]
    curves = rows.pivot_table(index="epoch", columns="run_id", values="value", aggfunc="last").dropna()
    empty = dict.fromkeys(("epoch", "last", "last_low", "last_high", "selected"), NAN)
    if curves.empty or any(run not in curves for own in runs for run in own):
        return empty
    last = curves.iloc[-1]
    selected = names.VAL_ACCURACY if mode == SUPERVISED else names.VAL_KNN_ACCURACY
    sides = [last[list(own)] for own in runs]
    spread = sum(side.var(ddof=1) / len(side) for side in sides)
    value, number = float(sides[1].mean() - sides[0].mean()), min(map(len, sides))
    low, high = intervals_of_means(*(pd.Series([each]) for each in (value, spread * number, number)))
    means = [accuracies.loc[list(own), selected].mean() for own in runs]
    return {
        "epoch": float(curves.index[-1]),
        "last": value,
        "last_low": float(low[0]),
        "last_high": float(high[0]),
        "selected": float(means[1] - means[0]),
    }


def _equal_budget(pair: Pair) -> dict[str, float]:
    """What the setting gains if no more settings are tried than baselines were."""
    if pair.baseline is None or len(pair.others) <= len(pair.baselines):
        return {"tried": NAN, "equal_budget": NAN}
    tried = len(pair.baselines)
    expected = expected_best(pair.others["val_accuracy"].tolist(), pair.others["accuracy"].tolist(), tried)
    return {"tried": float(tried), "equal_budget": expected - float(pair.baseline["accuracy"])}


def _interval(value: str) -> Column:
    def text(row: dict[Any, Any]) -> str:
        if pd.isna(row[value]):
            return "–"
        bounds = [row[f"{value}_{end}"] for end in ("low", "high")]
        return points(row[value]) + ("" if pd.isna(bounds[0]) else f" [{points(bounds[0])}, {points(bounds[1])}]")

    return Column(_TITLES[value], text, "number", value)


def _better(row: dict[Any, Any]) -> str:
    if pd.isna(row["better"]):
        return "–"
    if pd.isna(row["better_low"]):
        return percent(row["better"])
    return f"{percent(row['better'])} [{percent(row['better_low'])}, {percent(row['better_high'])}]"


_TITLES = {"macro": "Macro accuracy, points", "last": "Last epoch, validation, points"}
_COLUMNS = [
    Column("Comparison", lambda row: capitalised(row["label"]), "text"),
    number_column("Accuracy, points", "difference", points),
    number_column("p of accuracy", "p_both", p_value),
    _interval("macro"),
    number_column("p of macro accuracy", "macro_p_both", p_value),
    Column("Setting better, % of pairs of runs", _better, "number", "better"),
    _interval("last"),
    number_column("Selected epoch, validation, points", "selected", points),
    number_column("Equal budget, points", "equal_budget", points),
]


def checks_sections(
    part_settings: pd.DataFrame,
    question: Question,
    trials: pd.DataFrame,
    predictions: pd.DataFrame,
    history: pd.DataFrame,
    of: Heading = ONLY,
) -> list[Section]:
    """The section, where there is a comparison."""
    pairs = compared_pairs(part_settings, question)
    table = checks_table(pairs, trials, predictions, history)
    text = "\n".join(_text(table, pairs, predictions))
    section = Section(f"checks{of.anchor}", f"Checks that reviewers ask for{of.title}", text, table, _COLUMNS, "")
    return [] if table.empty else [section]


def _text(table: pd.DataFrame, pairs: Sequence[Compared], predictions: pd.DataFrame) -> Iterator[str]:
    if table.empty:
        return
    yield (
        "Each number is the selected setting minus the baseline. Macro accuracy is the mean of the class-wise accuracies; with "
        "three seeds a side its interval (95 %) is over seeds and test clips. Whoever reports both measures has two chances, so "
        "the p-values are corrected for both (Holm)."
    )
    yield (
        "Setting better: share of pairs of runs, one of each side, in which the setting has the higher test accuracy, with its "
        "95 % interval over seeds (from four seeds a side on). 50 % is no difference. The interval is that of this setting alone, "
        "not corrected for having selected it."
    )
    yield (
        "Last epoch: difference on the validation clips at the last epoch that all runs have, where no epoch was selected. A "
        "difference that is only there at the selected epoch may come from the selection of the epoch."
    )
    if table["equal_budget"].notna().any():
        yield (
            "Equal budget: expected difference on test if validation had selected among as many settings as there were baselines. "
            "It shows how much of the difference comes from having tried more settings."
        )
    yield from _together(pairs, predictions)


def _together(pairs: Sequence[Compared], predictions: pd.DataFrame) -> Iterator[str]:
    """A sentence on all training subsets together."""
    found = [(each.pair, each.pair.claim(predictions)) for each in pairs if each.mode == SUPERVISED]
    known = [(pair, claim) for pair, claim in found if claim is not None and claim.settings is not None]
    if len(known) < 2 or len({pair.baseline["subset"] for pair, _ in known if pair.baseline is not None}) < len(known):
        return
    looks = [look_at(pair.baselines, pair.others) for pair, _ in known]
    look = min(looks, key=lambda look: look.level)
    number = data_sets_with_gain([claim.difference for _, claim in known], [claim.p_value for _, claim in known], look)
    subsets = counted(len(known), "training subset")
    shown = "none" if not number else "all" if number == len(known) else f"at least {number_word(number)}"
    yield (
        f"All subsets together: a gain is shown for {shown} of {subsets} (Bonferroni's partial conjunction at "
        f"{plain(50 * look.level)} %, one-sided, Dror et al. 2017; subsets may share their test clips)."
    )
