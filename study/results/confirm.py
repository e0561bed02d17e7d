"""Confirmation of winners: they and their baselines run again on fresh seeds, which alone say what holds."""

import sys
from collections.abc import Mapping
from typing import Any

from analysis.question import ALPHA, PAPER, Question
from analysis.records.runs import load_predictions, load_trials
from analysis.sections.confirmations import ConfirmedPair, confirmed_pairs
from study import names
from study.errors import StudyError
from study.results.selection import Candidate, Choice
from study.results.status import launched_studies, study_status
from study.results.study_results import StudyResults
from study.spec.space import Point
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.home import Home, invocation
from study.state.seeds import setting_text
from study.state.study_folder import load_study, study_digest

SUFFIX = "-confirm"
DEFAULT_SEEDS = 5


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
        for end, side in (
            (names.WINNER_SWEEP, _settings(study, choice.winners[0])),
            (names.BASELINE_SWEEP, _baseline(results, sweep, choice)),
        )
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
    pairs = confirmations(study, store_uri)
    seeds = ", ".join(map(str, study.sweeps[0].seeds))
    lines = [f"{study.confirms} on seeds that it did not use ({seeds}), its winners by validation against their baselines:"]
    for pair in pairs:
        sides = " against ".join(setting_text(side) for side in (pair.winner, pair.baseline))
        none = f"no seed has finished on both sides ({', '.join(pair.missing)})"
        lines.append(f"  {pair.label}, {sides}: {none if pair.found is None else pair.found.verdict}")
    if len(pairs) > 1:
        lines.append(f"  Each interval is of 95 %; that all {len(pairs)} hold at once is less certain.")
    return lines


def confirmations(study: Study, store_uri: str) -> list[ConfirmedPair]:
    """Each winner and its baseline over the seeds that have finished on both sides.

    Raises:
        AnalysisError: the study has no trials yet.
    """
    trials = load_trials(store_uri, [study.name])
    finished = trials.loc[trials["outcome"] == names.FINISHED, "run_id"]
    sweeps = [sweep.model_dump(mode="json") for sweep in study.sweeps]
    return confirmed_pairs(trials, load_predictions(store_uri, finished), sweeps, study.equivalence)


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
