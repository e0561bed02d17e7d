"""Results of earlier studies with which a search begins: a study's `warm_start`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acl.config import ConfigError, build_config, flatten
from acl.store.feature_store import FeatureStore
from acl.system.text import first_line, parse_json
from study import names
from study.errors import StudyError
from study.spec.recipe import PLACE
from study.spec.space import Dimension, Scalar, conditional_point
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.home import Home, state_folder
from study.state.journal import EarlierResult, Journal, TrialState
from study.state.study_folder import load_study

_MAY_DIFFER = ("seed", *PLACE)


@dataclass(frozen=True)
class _Finished:
    """A finished trial of an earlier study, with the sweep that ran it and the folder of its state."""

    study: str
    sweep: Sweep
    state: TrialState
    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        """All its settings, by dotted name."""
        return flatten(build_config({**self.sweep.common, **self.state.point}))

    @property
    def features(self) -> set[str]:
        """Digests of the features that it was trained on, as its provenance has them; none where that is gone."""
        try:
            launches = parse_json((self.folder / names.PROVENANCE_FILE).read_bytes())
            return {str(launch["features_sha256"]) for launch in launches}
        except (OSError, ValueError, LookupError, TypeError):
            return set()


class _MisfitError(Exception):
    """Why an earlier trial cannot inform a search, in a few words."""


def earlier_results(study: Study, home: Home) -> tuple[dict[str, list[EarlierResult]], list[str]]:
    """Find what the searches of a study begin with: all finished trials of the earlier studies that fit.

    A trial fits a sweep of its mode with the same objectives and the same features, where it has a value inside each dimension, and
    all other settings are equal. Its seed and where it ran may differ.

    Returns:
        The results by sweep, of the sweeps whose journals do not have them yet; and a line for each study that gives some.

    Raises:
        StudyError: an earlier study is unknown, or at the first launch none of its trials fits; one line says why.
    """
    learning = [sweep for sweep in study.sweeps if sweep.learns_from_others and study.warm_start]
    journals = {sweep.name: Journal(home.study(study.name) / sweep.name) for sweep in learning}
    new = [sweep for sweep in learning if journals[sweep.name].warm_start is None and not journals[sweep.name].trials]
    found: dict[str, list[EarlierResult]] = {sweep.name: [] for sweep in new}
    lines: list[str] = []
    for name in (study.warm_start or []) if new else []:
        try:
            trials = list(_finished(load_study(home, name), home))
        except StudyError as error:
            raise StudyError(f"warm_start: {error}") from None
        misfits: Counter[str] = Counter()
        taken = 0
        for sweep in new:
            for trial in trials:
                try:
                    found[sweep.name].append(_fitted(sweep, trial))
                    taken += 1
                except _MisfitError as misfit:
                    misfits[f"sweep {sweep.name}: {misfit}"] += 1
        if not taken and len(new) == len(learning):
            raise StudyError(_why_nothing(name, len(trials), misfits))
        lines.append(f"searches begin with {taken} result{'s' * (taken != 1)} of {name}{_example(misfits)}")
    return found, lines


def _finished(study: Study, home: Home) -> Iterator[_Finished]:
    for sweep in study.sweeps:
        folder = home.study(study.name) / sweep.name
        for state in Journal(folder).trials.values():
            if state.outcome == names.FINISHED:
                yield _Finished(study.name, sweep, state, state_folder(folder, state.trial))


def _fitted(sweep: Sweep, trial: _Finished) -> EarlierResult:
    """The trial as a result of the sweep's space.

    Raises:
        _MisfitError: it does not fit.
    """
    there, here = trial.sweep.base["mode"], sweep.base["mode"]
    if there != here:
        raise _MisfitError(f"its mode is {there}, here it is {here}")
    if trial.sweep.objectives != sweep.objectives:
        searched, own = (", ".join(each.objectives) for each in (trial.sweep, sweep))
        raise _MisfitError(f"it searched for {searched}, here it is {own}")
    if trial.sweep.scheduler.name == "pbt":
        raise _MisfitError("population-based training changed its settings while it ran")
    if trial.features != {FeatureStore.digest_at(sweep.base["data.root"], here)}:
        raise _MisfitError("its features are not those of this corpus" if trial.features else "the provenance of its state is gone")
    try:
        point = _point(sweep, trial.settings)
    except ConfigError as error:
        raise _MisfitError(first_line(error, "")) from None
    values = [trial.state.metrics.get(objective) for objective in sweep.objectives]
    if not all(map(_is_finite, values)):
        raise _MisfitError("its objective is no finite number")
    return EarlierResult(trial.study, trial.state.trial, point, [float(value) for value in values if value is not None])


def _point(sweep: Sweep, there: dict[str, Any]) -> dict[str, Any]:
    """The settings `there` as a point of the sweep's space."""

    def ask(name: str, dimension: Dimension) -> Scalar:
        value = there.get(name)
        if value is None or not dimension.contains(value):
            raise _MisfitError(f"its {name} {value} lies outside the dimension")
        listed: Scalar = next((entry for entry in dimension.values or [] if entry == value), value)
        return listed if dimension.interval is None else float(value)

    point = conditional_point(sweep.space, ask)
    for name, value in flatten(build_config({**sweep.common, **point})).items():
        if name not in _MAY_DIFFER and there.get(name) != value:
            raise _MisfitError(f"its {name} is {there.get(name)}, here it is {value}")
    return point


def _is_finite(value: float | None) -> bool:
    return value is not None and abs(value) < float("inf")  # NaN is not


def _why_nothing(name: str, finished: int, misfits: Counter[str]) -> str:
    remedy = "name another study, or leave warm_start out"
    if not finished:
        return f"warm_start: {name} has no finished trial; {remedy}"
    return f"warm_start: none of the {finished} finished trials of {name} fits{_example(misfits, ', ')}; {remedy}"


def _example(misfits: Counter[str], begin: str = "; others do not fit, ") -> str:
    """The most frequent reason why trials do not fit; nothing where all do."""
    return f"{begin}e.g. {misfits.most_common(1)[0][0]}" if misfits else ""
