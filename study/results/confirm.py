"""Confirmation of winners: they and their baselines run again on fresh seeds, which alone say what holds."""

import sys
from collections.abc import Mapping
from typing import Any

from analysis.question import ALPHA, PAPER, Question
from analysis.stats.confirmation import Confirmation, confirm, seeds_text
from study import names
from study.errors import StudyError
from study.results.selection import Candidate, Choice
from study.results.status import launched_studies, study_status
from study.results.study_results import StudyResults
from study.spec.space import Point
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.home import Home, invocation
from study.state.seeds import SEED, setting_text
from study.state.study_folder import load_study, study_digest

SUFFIX = "-confirm"
DEFAULT_SEEDS = 5
WINNER, BASELINE = "-winner", "-baseline"  # ends of the names of the sweeps that make a pair


def confirmation_study(study: Study, home: Home, store_uri: str, seeds: int | None, resources: Mapping[str, float]) -> Study:
    """The study that runs the winners of `study` and their baselines on fresh seeds: two sweeps of one setting for each.

    The seeds are the first above all that the study has used. Where no trial was a baseline, it is the winner's setting with the
    baseline's values.

    Args:
        study: as launched; it has ended.
        home: folder of results.
        store_uri: where the study's records are.
        seeds: how many; None is as many as it was launched with before, else `DEFAULT_SEEDS`.
        resources: `cpus` and `gpus` of each trial, where they replace the study's.

    Raises:
        StudyError: the study has not ended, it confirms another itself, it has no winner but the baseline, or it is being confirmed
            with another number of seeds or other winners.
    """
    name = study.name
    if study.confirms is not None:
        raise StudyError(f"{name} confirms {study.confirms} itself; `best {name}` says what it found")
    status = study_status(home, name)
    if status.over < status.total:
        raise StudyError(f"{name} has {status.total - status.over} trials left, its winners may change; resume it first")
    results = StudyResults(study, store_uri)
    seeds = _number_of_seeds(home, name, seeds)
    first = max(seed for sweep in study.sweeps for seed in sweep.seeds) + 1
    sweeps = [
        _repeated(side, sweep, f"{_label(sweep, choice)}{end}", list(range(first, first + seeds)), resources)
        for sweep in study.sweeps
        for choice in results.choices[sweep.name]
        if why_not(sweep, choice, results.question(sweep)) is None
        for end, side in ((WINNER, _settings(study, choice.winners[0])), (BASELINE, _baseline(results, sweep, choice)))
    ]
    left_out = _left_out(results)
    if not sweeps:
        raise StudyError(f"{name} has no winner to confirm ({'; '.join(left_out)}); see {invocation(f'best {name}', home)}")
    for line in left_out:
        print(f"note: not confirmed: {line}", file=sys.stderr)
    question = f"Do the winners of {name} hold on {seeds} seeds that it did not use? Only these runs feed the answer."
    again = Study(
        name=f"{name}{SUFFIX}",
        question=question,
        profile=study.profile,
        baseline=study.baseline or _default_baseline(study),
        within=study.within,
        equivalence=study.equivalence,
        confirms=name,
        sweeps=sweeps,
    )
    launched = confirming(home, name)
    if launched is not None and study_digest(launched) != study_digest(again):
        raise StudyError(
            f"the winners or the baselines of {name} have changed since {again.name} was launched, for instance because failed "
            f"trials were tried again; {invocation(f'best {again.name}', home)} says what held of the earlier ones. To confirm "
            f"the new ones, move {home.study(again.name)} out of this folder, delete its runs in MLflow, and confirm again"
        )
    return again


def confirming(home: Home, name: str) -> Study | None:
    """The study that confirms study `name`; None where it was not launched."""
    other = f"{name}{SUFFIX}"
    study = load_study(home, other) if other in launched_studies(home) else None
    return study if study is not None and study.confirms == name else None


def confirmation_lines(study: Study, store_uri: str) -> list[str]:
    """What the runs of a confirming study say, a line for each winner.

    Raises:
        AnalysisError: it has no trials yet.
    """
    results = StudyResults(study, store_uri)
    found = _confirmations(results)
    seeds = ", ".join(map(str, study.sweeps[0].seeds))
    lines = [f"{study.confirms} on seeds that it did not use ({seeds}), its winners by validation against their baselines:"]
    for label, each in found.items():
        none = f"no seed has finished on both sides ({', '.join(_missing(results, label))})"
        lines.append(f"  {label}, {_difference(results, label)}: {none if each is None else each.verdict}")
    if len(found) > 1:
        lines.append(f"  Each interval is of 95 %; that all {len(found)} hold at once is less certain.")
    return lines


def confirmations(study: Study, store_uri: str) -> dict[str, Confirmation | None]:
    """Comparison of each winner with its baseline over the seeds that have finished on both sides; None where none has."""
    return _confirmations(StudyResults(study, store_uri))


def _confirmations(results: StudyResults) -> dict[str, Confirmation | None]:
    found: dict[str, Confirmation | None] = {}
    for sweep in results.study.sweeps:
        label = sweep.name.removesuffix(WINNER)
        if label == sweep.name:
            continue
        sides = [results.choices.get(f"{label}{end}") for end in (BASELINE, WINNER)]
        found[label] = None
        if all(sides):
            baseline, winner = (results.correct(side[0].winners[0]) for side in sides if side)
            shared = sorted(set(baseline.columns) & set(winner.columns))
            if shared:
                found[label] = confirm(baseline[shared], winner[shared], len(sweep.seeds), _missing(results, label))
    return found


def _missing(results: StudyResults, label: str) -> list[str]:
    """Which seeds of a pair have no result, a few words for each side and reason."""
    words = []
    for end in (WINNER, BASELINE):
        sweep = _side(results.study, label, end)
        choice = next(iter(results.choices[sweep.name]), None)
        finished = set() if choice is None else {int(row[SEED]) for row in choice.winners[0].rows}
        failed = results.seeds(sweep, names.FAILED) - finished
        left = set(sweep.seeds) - finished - failed
        reasons = {"failed": failed, "not finished": left}
        words += [f"{seeds_text(len(seeds))} {reason} on the {end[1:]}'s side" for reason, seeds in reasons.items() if seeds]
    return words


def _difference(results: StudyResults, label: str) -> str:
    """The settings in which winner and baseline differ."""
    winner, baseline = (_side(results.study, label, end).base for end in (WINNER, BASELINE))
    differing = [name for name in winner if winner[name] != baseline.get(name)]
    sides = [setting_text({name: side[name] for name in differing if name in side}) for side in (winner, baseline)]
    return " against ".join(sides)


def _side(study: Study, label: str, end: str) -> Sweep:
    return next(sweep for sweep in study.sweeps if sweep.name == f"{label}{end}")


def _number_of_seeds(home: Home, name: str, seeds: int | None) -> int:
    launched = confirming(home, name)
    if launched is None:
        return seeds or DEFAULT_SEEDS
    before = len(launched.sweeps[0].seeds)
    if seeds not in (None, before):
        raise StudyError(
            f"{name}{SUFFIX} has {before} seeds; another number after a look at its result would be a second chance, so it keeps "
            f"them: pass --seeds {before}, or leave it out"
        )
    return before


def _default_baseline(study: Study) -> dict[str, Any] | None:
    """The baseline of a study that names none, where it is not alpha 1; None also where its modes have different ones."""
    found = [study.question_in(mode) for mode in study.modes]
    same = all(each.baseline == found[0].baseline for each in found)
    return dict(found[0].baseline) if same and found[0].baseline not in ({}, PAPER.baseline) else None


def why_not(sweep: Sweep, choice: Choice, question: Question) -> str | None:
    """Why there is no winner to repeat; None where there is one."""
    if not question.baseline:
        return "the study names no baseline"
    if len(sweep.objectives) > 1:
        return "several objectives have a Pareto front and no one winner"
    if sweep.scheduler.name == "pbt":
        return "population-based training has no one setting to repeat"
    return "the baseline itself is best on validation" if choice.winners[0].is_baseline else None


def _left_out(results: StudyResults) -> list[str]:
    """Which sweeps, or subsets of them, have no winner to repeat, and why."""
    lines = []
    for sweep in results.study.sweeps:
        found = results.choices[sweep.name]
        question = results.question(sweep)
        reasons = {_label(sweep, choice): why_not(sweep, choice, question) for choice in found}
        reasons = reasons or {sweep.name: "no trial has finished"}
        lines += [f"{label}: {reason}" for label, reason in reasons.items() if reason is not None]
    return lines


def _label(sweep: Sweep, choice: Choice) -> str:
    return sweep.name if choice.subset is None else f"{sweep.name}-{choice.subset}"


def _baseline(results: StudyResults, sweep: Sweep, choice: Choice) -> dict[str, Any]:
    """Settings of the study's baseline; where no trial had it, the winner's with its values."""
    baselines = results.baselines(sweep, choice)
    if not baselines:
        winner = _settings(results.study, choice.winners[0])
        return {
            **winner,
            **{name: float(value) if name == ALPHA else value for name, value in results.question(sweep).baseline.items()},
        }
    return _settings(results.study, baselines[0])


def _settings(study: Study, candidate: Candidate) -> dict[str, Any]:
    """Base settings and point of a candidate's trials, in the sweep that ran them."""
    sweep = next(sweep for sweep in study.sweeps if sweep.name == candidate.rows[0]["sweep"])
    return {**sweep.base, **_point(sweep, candidate)}


def _point(sweep: Sweep, candidate: Candidate) -> Point:
    """Values as the study lists them: the records have them as text."""
    return {
        name: next((listed for listed in sweep.space[name].values or [] if listed == value), value)
        for name, value in candidate.setting.items()
    }


def _repeated(base: dict[str, Any], sweep: Sweep, name: str, seeds: list[int], resources: Mapping[str, float]) -> Sweep:
    taken = sweep.resources.model_copy(update=dict(resources))
    return Sweep(name=name, base=base, objective=sweep.objective, seeds=seeds, resources=taken)
