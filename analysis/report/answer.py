"""The answer to a study's question in at most three sentences, and the lines below it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.formats import capitalised, counted, listed, percent, place, plain, points
from analysis.published import SUPERVISED
from analysis.records.runs import UNFINISHED
from analysis.stats.claims import EQUIVALENT, PREFERS_BASELINE
from analysis.stats.intervals import BETTER, NOT_DISTINGUISHABLE, WORSE
from study import names

_KILLED = "KILLED"  # MLflow's status of a study that was interrupted


class _Comparison(NamedTuple):
    """A selected setting and its baseline."""

    label: str
    setting: str  # that is selected, in words; empty where a table says it
    side: str  # what is compared with the baseline
    is_of_settings: bool  # else about trained models, of one seed each
    finding: str
    difference: float
    resolvable: float
    prefers_baseline: bool  # whether validation, asked for the best of all, selects the baseline


_WITH_MARGIN, _SELECTED = "with margin", "selected"


def answer(
    table1: pd.DataFrame,
    table2: pd.DataFrame,
    margin: pd.DataFrame,
    comparisons: pd.DataFrame,
    trials: pd.DataFrame,
    statuses: Sequence[str],
) -> str:
    """What helps, what cannot be told from the baseline, and which differences the study could detect.

    Args:
        table1: of `analysis.sections.paper_tables.table1`.
        table2: of `analysis.sections.paper_tables.table2`.
        margin: of `analysis.sections.margin.margin_table`; empty where no margin was varied.
        comparisons: of `analysis.sections.comparisons.comparison_table`, without what the tables above have.
        trials: of `analysis.records.runs.load_trials`.
        statuses: MLflow's, of the studies' runs.
    """
    found = [*_of_table2(table2), *_of_table1(table1, margin), *_of_margins(margin), *_of_comparisons(comparisons)]
    if not found:
        sentences = [_nothing_to_compare(trials, comparisons)]
    elif any(each.is_of_settings for each in found):
        sentences = [*_about_settings(found), _detected(found)]
    else:
        sentences = [*_about_models(found), _detected(found)]
    reservation = _provisional(trials, statuses)
    if reservation:
        sentences[0] = f"{reservation}: {_uncapitalised(sentences[0])}"
    return " ".join(sentences)


def _of_table2(table: pd.DataFrame) -> Iterator[_Comparison]:
    for row in table.to_dict("records"):
        if row["method"] == "SSL with ACL" and row["verdict"]:
            yield _comparison(f"self-supervised at τ {plain(row['temperature'])}", _WITH_MARGIN, row)


def _of_table1(table: pd.DataFrame, margin: pd.DataFrame) -> Iterator[_Comparison]:
    for row in table.to_dict("records"):
        if row["verdict"]:
            at = f" at margin {plain(row['margin'])} rad" if _varies_margin(margin, SUPERVISED, row["subset"]) else ""
            yield _comparison(f"supervised on {row['subset'].replace('_', ' ')}{at}", _WITH_MARGIN, row)


def _varies_margin(table: pd.DataFrame, mode: str, subset: str) -> bool:
    """Whether settings with other margins have a section of their own."""
    return bool(len(table) and (table["mode"].eq(mode) & table["subset"].eq(subset)).any())


def _of_margins(table: pd.DataFrame) -> Iterator[_Comparison]:
    for row in [] if table.empty else table[table["picked"] & table["verdict"].ne("")].to_dict("records"):
        label = f"{place(row).replace(', ', ' on ' if row['mode'] == SUPERVISED else ' at ')} by margin"
        yield _comparison(label, _WITH_MARGIN, row)


def _of_comparisons(table: pd.DataFrame) -> Iterator[_Comparison]:
    for row in table.to_dict("records"):
        if row["verdict"]:
            side = _WITH_MARGIN if row["with_margin"] else _SELECTED
            yield _comparison(row["label"].replace(", ", " on ", 1), side, row, row["acl_setting"])


def _comparison(label: str, side: str, row: dict[Any, Any], setting: str = "") -> _Comparison:
    is_of_settings = row["claim"] == "settings"
    finding = row["finding"] if is_of_settings else row["models_finding"]
    return _Comparison(
        label, setting, side, is_of_settings, finding, row["difference"], row["resolvable"], PREFERS_BASELINE in row["verdict"]
    )


def _about_settings(found: list[_Comparison]) -> list[str]:
    settings = [each for each in found if each.is_of_settings]
    told = _told(settings)
    the, a = (
        ("the setting with margin", "setting with margin")
        if _all_with_margin(found)
        else ("the selected setting", "selected setting")
    )
    first = f"Over several seeds, {the} is {told}." if told else f"Over several seeds, no {a} can be told from its baseline."
    rest = []
    equal, equivalent = (_labels(settings, finding) for finding in (NOT_DISTINGUISHABLE, EQUIVALENT))
    if equal and (told or equivalent):
        rest.append(f"not distinguishable from the baseline: {equal}")
    if equivalent:
        rest.append(f"equivalent to the baseline within the study's bounds: {equivalent}")
    models = [each for each in found if not each.is_of_settings]
    if models:
        words = [_told(models), f"not distinguishable for {_labels(models, NOT_DISTINGUISHABLE)}"]
        parts = [words[0]] * bool(words[0]) + [words[1]] * any(each.finding == NOT_DISTINGUISHABLE for each in models)
        rest.append(f"with one seed, so about the trained models only: {'; '.join(parts)}")
    return [first] + ([f"{rest[0][0].upper()}{'; '.join(rest)[1:]}."] if rest else [])


def _about_models(found: list[_Comparison]) -> list[str]:
    told, equal = _told(found), _labels(found, NOT_DISTINGUISHABLE)
    model = "model trained with margin" if _all_with_margin(found) else "model of a selected setting"
    if not told:
        return [f"No {model} can be told from its baseline, and with one seed on a side settings remain unknown."]
    first = f"The {model} is {told}; with one seed on a side, this says nothing yet about the settings."
    return [first] + ([f"Not distinguishable from the baseline: {equal}."] if equal else [])


def _all_with_margin(found: list[_Comparison]) -> bool:
    return all(each.side == _WITH_MARGIN for each in found)


def _told(found: list[_Comparison]) -> str:
    """Where there is a difference, as "better than the baseline for ..., worse for ..."."""
    parts: list[str] = []
    for word in (BETTER, WORSE):
        own = [_told_of(each) for each in found if each.finding == word]
        if own:
            than = "" if parts else " than the baseline"
            parts.append(f"{word}{than} for {listed(own)}")
    return ", and ".join(parts)


def _told_of(each: _Comparison) -> str:
    reservation = PREFERS_BASELINE.removeprefix("but ") if each.prefers_baseline else ""
    parts = (each.setting, f"{points(each.difference)} points", reservation)
    return f"{each.label} ({', '.join(part for part in parts if part)})"


def _labels(found: list[_Comparison], finding: str) -> str:
    own = [each for each in found if each.finding == finding]
    return listed([f"{each.label} ({each.setting})" if each.setting else each.label for each in own])


def _detected(found: list[_Comparison]) -> str:
    sizes = sorted({percent(each.resolvable) for each in found if pd.notna(each.resolvable)}, key=float)
    if not sizes:
        return "Which differences the study could detect is not known."
    size = sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"The study could detect differences of {size} points (power 80 %); smaller ones may have gone unnoticed."


def _nothing_to_compare(trials: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    finished = trials[trials["outcome"] == names.FINISHED]
    if finished.empty:
        return "No trial has finished, so there is nothing to compare and the question has no answer yet."
    if len(comparisons):
        missing = list(dict.fromkeys(_missing(row) for row in comparisons.to_dict("records")))
        return f"{'; '.join([missing[0], *map(_uncapitalised, missing[1:])])}, so there is nothing to compare."
    alphas = finished["loss.alpha"] if "loss.alpha" in finished else pd.Series(dtype=float)
    if len(alphas) and alphas.eq(1).all():
        return (
            "Only baselines (α = 1) have finished; they show how far runs of one setting differ by chance, not what a margin does."
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


def _provisional(trials: pd.DataFrame, statuses: Sequence[str]) -> str:
    """Why the answer may change; empty for studies that are over."""
    left = int((trials["outcome"] == UNFINISHED).sum())
    if left:
        return f"{left} of the {len(trials)} trials that have begun {'has' if left == 1 else 'have'} not ended, this is provisional"
    return "The study was interrupted, this is provisional" if _KILLED in statuses else ""


class SummaryLine(NamedTuple):
    """One comparison in words.

    Attributes:
        label: what was compared, e.g. "Supervised, all".
        finding: the verdict.
        reservation: how the setting was picked, and what the verdict leaves out.
        numbers: the setting, and both accuracies with their intervals.
    """

    label: str
    finding: str
    reservation: str
    numbers: str


def summary_lines(table1: pd.DataFrame, table2: pd.DataFrame, margin: pd.DataFrame) -> list[SummaryLine]:
    """A line for each complete comparison: self-supervised (Table 2), then supervised by subset (Table 1).

    Where settings with other margins are in a section of their own (`margin`, see `answer`), the labels name the margin.
    """
    lines = []
    if not table2.empty:
        own = table2.set_index("method")
        baseline, winner = own.loc["SSL baseline"].to_dict(), own.loc["SSL with ACL"].to_dict()
        if winner["verdict"]:
            setting = _setting(winner)
            varied = len(margin) and margin["mode"].ne(SUPERVISED).any()
            at = f", margin {plain(winner['margin'])} rad" if varied else ""
            label = f"Self-supervised, τ {plain(winner['temperature'])}{at}"
            lines.append(_line(label, winner["verdict"], setting, _accuracy(winner, ""), _accuracy(baseline, "")))
    for row in table1.to_dict("records"):
        if row["verdict"]:
            at = f", margin {plain(row['margin'])} rad" if _varies_margin(margin, SUPERVISED, row["subset"]) else ""
            label = f"Supervised, {row['subset'].replace('_', ' ')}{at}"
            lines.append(_line(label, row["verdict"], _setting(row), _accuracy(row, "acl_"), _accuracy(row, "baseline_")))
    return lines


def margin_lines(table: pd.DataFrame) -> list[SummaryLine]:
    """A line for each complete comparison of a sweep of the margin."""
    lines = []
    for _, group in table.groupby(["mode", "subset"], sort=False) if len(table) else ():
        for winner in group[group["picked"] & group["verdict"].ne("")].to_dict("records"):  # one, or none
            baseline = group[group["baseline"]].iloc[0].to_dict()
            label = capitalised(f"{place(winner)}, by margin")
            lines.append(_line(label, winner["verdict"], _setting(winner), _accuracy(winner, ""), _accuracy(baseline, "")))
    return lines


def comparison_lines(table: pd.DataFrame) -> list[SummaryLine]:
    """A line for each comparison of a question that is not the paper's, or not in its tables."""
    lines = []
    is_any_complete = bool(len(table) and table["verdict"].ne("").any())
    for row in table.to_dict("records"):
        if not row["verdict"] and is_any_complete:  # where none is complete, the answer says why
            has = f"{counted(row['baselines'], 'baseline')} and {counted(row['candidates'], 'other setting')} can be selected."
            lines.append(SummaryLine(capitalised(row["label"]), "No comparison", _uncapitalised(_missing(row)), capitalised(has)))
        elif row["verdict"]:
            finding, _, reservation = row["verdict"].partition("; ")
            unequal = f"; unequal tuning budget: {row['budget']}" if row["budget"] else ""
            numbers = (
                f"{row['acl_setting'] or 'Selected setting'}: test accuracy {_accuracy(row, 'acl_')}; baseline "
                f"{row['baseline_setting']}: {_accuracy(row, 'baseline_')}."
            )
            lines.append(SummaryLine(capitalised(row["label"]), capitalised(finding), f"{reservation}{unequal}", numbers))
    return lines


def control_lines(table: pd.DataFrame) -> list[SummaryLine]:
    """A line for each negative control."""
    lines = []
    for row in table[table["picked"]].to_dict("records") if len(table) else ():
        finding = (
            f"{points(row['gain_val_of_others'])} points from nothing but the seed when selected on validation, "
            f"{points(row['gain_test_of_others'])} when selected on test"
        )
        reservation = f"expected gain of the best of {row['runs'] - 1} runs over one more, all of the same setting"
        numbers = f"Selected run: test accuracy {_accuracy(row, '')}; mean of {row['runs']} seeds {percent(row['mean'])} %."
        lines.append(SummaryLine(f"Negative control, {place(row)}", finding, reservation, numbers))
    return lines


def _uncapitalised(text: str) -> str:
    return f"{text[0].lower()}{text[1:]}"


def _line(label: str, verdict: str, setting: str, winner: str, baseline: str) -> SummaryLine:
    finding, _, reservation = verdict.partition("; ")
    numbers = f"{setting}: test accuracy {winner}; baseline {baseline}."
    return SummaryLine(label, capitalised(finding), reservation, numbers)


def _setting(row: dict[Any, Any]) -> str:
    return f"α {plain(row['alpha'])}, margin {plain(row['margin'])} rad"


def _accuracy(row: dict[Any, Any], side: str) -> str:
    return f"{percent(row[f'{side}accuracy'])} % [{percent(row[f'{side}low'])}, {percent(row[f'{side}high'])}]"
