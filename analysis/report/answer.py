"""The answer to a study's question: a few sentences for all comparisons, and one sentence for each of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.formats import capitalised, counted, percent, percent_interval, place, plain, points, points_interval
from analysis.records.runs import UNFINISHED
from analysis.section import finding_text
from analysis.sections.confirmations import NO, YES
from analysis.sections.forest import CONFIRMED, FRESH, MODELS, SETTINGS
from analysis.stats.claims import EQUIVALENT, PREFERS_BASELINE
from analysis.stats.intervals import BETTER, NOT_DISTINGUISHABLE, WORSE
from analysis.stats.power import MIN_SEEDS
from study import names


def answer(compared: pd.DataFrame, incomplete: pd.DataFrame, trials: pd.DataFrame) -> str:
    """What helps, what does not differ from the baseline, and which differences the study could detect.

    Args:
        compared: of `analysis.sections.forest.forest_table`.
        incomplete: comparisons of `analysis.sections.comparisons.comparison_table` that have no verdict yet.
        trials: of `analysis.records.runs.load_trials`.
    """
    found = compared[compared["about"].isin([SETTINGS, MODELS])]
    settings, models = found[found["about"] == SETTINGS], found[found["about"] == MODELS]
    if found.empty:
        sentences = [_nothing_to_compare(trials, incomplete)]
    elif len(settings):
        few = f"{_further(len(models))} too few seeds for that, and there the trained model {_told(models)}."
        further = [few] if len(models) else []
        sentences = [f"Over several seeds, the selected setting {_told(settings)}.", *further, _detected(settings)]
    else:
        sentences = [
            f"With {_fewest(models)}, nothing can be said about settings, only about the trained models.",
            f"The trained model {_told(models)}.",
            _detected(models),
        ]
    return " ".join([*_provisional(trials), *sentences])


def _fewest(models: pd.DataFrame) -> str:
    """The number of seeds that is too small for a claim about settings."""
    seeds = set(models[["seeds", "baseline_seeds"]].min(axis=1).astype(int))
    return (
        f"{counted(seeds.pop(), 'seed').replace('1 ', 'one ')} a side"
        if len(seeds) == 1
        else f"fewer than {MIN_SEEDS} seeds a side"
    )


def _further(number: int) -> str:
    return f"{counted(number, 'further comparison').capitalize()} {'has' if number == 1 else 'have'}"


def _told(found: pd.DataFrame) -> str:
    """Findings: what is better and worse by name, the others by name where they are few, else their number.

    The words are e.g. "is better than the baseline for “supervised, all” (+3.0 points); does not differ
    significantly from the baseline in 3 comparisons".
    """
    parts = []
    for finding in (BETTER, WORSE):
        own = found[found["finding"] == finding].to_dict("records")
        if own:
            parts.append(f"is {finding} than the baseline for {_named([_difference(row) for row in own])}")
    for bound in sorted(set(found["equivalence"].dropna())):
        own_labels = _quoted(found.loc[found["equivalence"] == bound, "label"])
        parts.append(f"is equivalent to the baseline within ±{plain(100 * bound)} points for {_named(own_labels)}")
    equal = _quoted(found[found["finding"] == NOT_DISTINGUISHABLE]["label"])
    if equal:
        where = f"for {_named(equal)}" if len(equal) <= 2 else f"in {len(equal)} comparisons"
        parts.append(f"does not differ significantly from the baseline {where}")
    return "; ".join(parts)


def _quoted(labels: Iterable[str]) -> list[str]:
    return [f"“{label}”" for label in labels]


def _named(quoted: Sequence[str]) -> str:
    """Quoted labels in a sentence; they may have commas.

    >>> _named(["“supervised, all”", "“supervised, clean”"])
    '“supervised, all” and “supervised, clean”'
    """
    return " and ".join(part for part in (", ".join(quoted[:-1]), *quoted[-1:]) if part)


def _difference(row: dict[Any, Any]) -> str:
    reservation = PREFERS_BASELINE.removeprefix("but ") if row["prefers_baseline"] else ""
    setting = "" if row["with_margin"] else row["setting"]
    parts = (setting, f"{points(row['difference'])} points", reservation)
    return f"“{row['label']}” ({', '.join(part for part in parts if part)})"


def _detected(found: pd.DataFrame) -> str:
    sizes = sorted({percent(value) for value in found["detectable"] if pd.notna(value)}, key=float)
    if not sizes:
        return "Which differences the study could detect is not known."
    if len(sizes) == 1:
        return f"With a power of 80 % the study could detect differences of {sizes[0]} points or more."
    return (
        f"With a power of 80 % the study could detect differences of at least {sizes[0]} to {sizes[-1]} points, depending on the "
        "comparison."
    )


def _nothing_to_compare(trials: pd.DataFrame, incomplete: pd.DataFrame) -> str:
    finished = trials[trials["outcome"] == names.FINISHED]
    if finished.empty:
        return "No trial has finished, so there is nothing to compare and the question has no answer yet."
    if len(incomplete):
        missing = list(dict.fromkeys(_missing(row) for row in incomplete.to_dict("records")))
        return f"{'; '.join([missing[0], *map(_uncapitalised, missing[1:])])}, so there is nothing to compare."
    alphas = finished["loss.alpha"] if "loss.alpha" in finished else pd.Series(dtype=float)
    if len(alphas) and alphas.eq(1).all():
        return (
            "Only baselines (α = 1) have finished. They show how far runs of one setting differ by chance, not what a margin does."
        )
    if not alphas.eq(1).any():
        return "No baseline (α = 1) has finished, so there is nothing to compare."
    return (
        "Baselines (α = 1) and settings with margin have finished, but none in the same comparison with all their seeds, so there "
        "is nothing to compare."
    )


def _missing(row: dict[Any, Any]) -> str:
    """Why a comparison has no verdict."""
    if not row["names_baseline"]:
        return "The study names no baseline"
    return f"No {'other setting' if row['baselines'] else 'baseline'} has finished with all its seeds"


def _provisional(trials: pd.DataFrame) -> list[str]:
    """A sentence on why the answer may change; none for studies that are over."""
    left = int((trials["outcome"] == UNFINISHED).sum())
    if left:
        return [f"Provisional: {left} of the {len(trials)} trials that have begun {'has' if left == 1 else 'have'} not ended."]
    return ["Provisional: the study was interrupted."] if trials.get("study_is_open", pd.Series(dtype=bool)).any() else []


class Outcome(NamedTuple):
    """One comparison in words.

    Attributes:
        kind: better, worse, equal or other; the colour of its mark.
        label: what was compared, e.g. "Supervised, all".
        finding: the sentence that answers.
        lines: what it rests on: the settings, both accuracies, how the setting was selected, what it would take to know more.
    """

    kind: str
    label: str
    finding: str
    lines: list[str]


_KIND = {BETTER: "better", WORSE: "worse", NOT_DISTINGUISHABLE: "equal", EQUIVALENT: "equal"}


def outcomes(compared: pd.DataFrame, incomplete: pd.DataFrame, controls: pd.DataFrame) -> list[Outcome]:
    """A sentence for each confirmation and comparison, then for comparisons that miss a side, then for each negative control.

    Args:
        compared: of `analysis.sections.forest.forest_table`.
        incomplete: comparisons of `analysis.sections.comparisons.comparison_table` that have no verdict.
        controls: of `analysis.sections.control.null_table`.
    """
    fresh = compared["about"].isin([CONFIRMED, FRESH])
    own = compared[~fresh].to_dict("records")
    confirmed = [_confirmation(row) for row in compared[fresh].to_dict("records")]
    return [*confirmed, *(_outcome(row) for row in own), *(_of_incomplete(incomplete) if own else ()), *_of_controls(controls)]


_CONFIRMED = {YES: "confirmed", NO: "not confirmed"}


def _confirmation(row: dict[Any, Any]) -> Outcome:
    gain = points_interval(row["difference"], row["difference_low"], row["difference_high"])
    kind = "better" if row["answer"] == YES else "equal"
    sides = ((row["setting"], row["accuracy"]), (f"baseline {row['baseline_setting']}".strip(), row["baseline_accuracy"]))
    numbers = "; ".join(f"{name or 'winner'}: {percent(value)} %" for name, value in sides)
    finding = f"{_CONFIRMED.get(row['answer'], row['answer'])}, {gain} ({counted(int(row['seeds']), 'fresh seed')} a side)"
    return Outcome(kind, capitalised(row["label"]), finding, [f"{capitalised(numbers)} on test."])


def _outcome(row: dict[Any, Any]) -> Outcome:
    gain = points_interval(row["difference"], row["difference_low"], row["difference_high"])
    if row["about"] == SETTINGS:
        ours, others = int(row["seeds"]), int(row["baseline_seeds"])
        about = f"{ours} seeds a side" if ours == others else f"{ours} seeds against {others}"
    else:
        about = f"{counted(int(min(row['seeds'], row['baseline_seeds'])), 'seed')}: trained models only"
    _, _, reservation = str(row["verdict"]).partition("; ")
    equivalent = f", equivalent within ±{plain(100 * row['equivalence'])} points" if pd.notna(row["equivalence"]) else ""
    baseline = f"baseline {row['baseline_setting']}".strip()
    setting = row["setting"] or "Selected setting"
    lines = [
        f"{setting}: {_accuracy(row, '')}; {baseline}: {_accuracy(row, 'baseline_')} ({row['tested_on']}).",
        f"{capitalised(reservation)}.",
        f"Unequal tuning budget: {row['budget']}." if row["budget"] else "",
    ]
    found = "" if row["finding"] == EQUIVALENT else finding_text(row["finding"])
    finding = f"{f'{found}{equivalent}'.removeprefix(', ')}, {gain} ({about})"
    return Outcome(_KIND.get(row["finding"], "other"), capitalised(row["label"]), finding, [line for line in lines if line])


def _of_incomplete(table: pd.DataFrame) -> Iterator[Outcome]:
    for row in table.to_dict("records"):
        has = f"{counted(row['baselines'], 'baseline')} and {counted(row['candidates'], 'other setting')} can be selected."
        yield Outcome("other", capitalised(row["label"]), f"no comparison; {_uncapitalised(_missing(row))}", [capitalised(has)])


def _of_controls(table: pd.DataFrame) -> Iterator[Outcome]:
    for row in table[table["picked"]].to_dict("records") if len(table) else ():
        finding = (
            f"selecting the best of {row['runs'] - 1} identical runs changes test accuracy by {points(row['gain_val_of_others'])} "
            f"points when selected on validation and by {points(row['gain_test_of_others'])} when selected on test, by chance alone"
        )
        lines = [
            "All runs have the same setting and differ in the seed. One run at random is the baseline; this is the mean over all.",
            f"Selected run: {_accuracy(row, '')}; mean of {row['runs']} seeds: {percent(row['mean'])} %.",
        ]
        yield Outcome("other", f"Negative control, {place(row)}", finding, lines)


def _accuracy(row: dict[Any, Any], side: str) -> str:
    return f"{percent_interval(row, f'{side}accuracy', f'{side}low', f'{side}high').replace(' [', ' % [', 1)} on test"


def _uncapitalised(text: str) -> str:
    return f"{text[0].lower()}{text[1:]}"
