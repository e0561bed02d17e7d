"""The fit of a study to a corpus that has not all the subsets of FSDnoisy18k."""

from collections.abc import Collection
from typing import Any

from acl.config import SELF_SUPERVISED
from acl.store.feature_store import FeatureStore
from acl.system.errors import StoreError
from study.spec.recipe import recipe_settings
from study.spec.study import Study
from study.spec.sweep import Sweep

SUBSET, VALIDATION = "data.subset", "data.validation"


def fit_to_corpus(study: Study, fixed: Collection[str] = ()) -> tuple[Study, list[str]]:
    """The study with the subsets that its corpora have, and a line for each change.

    Where a subset is searched, those that are missing are left out; where it is fixed, all clips take its place, and a
    self-supervised run that would validate on clean clips holds a share of them out. A corpus that is not prepared changes
    nothing: the launch will say so.

    Args:
        study: to fit.
        fixed: settings that were asked for by name and stay, so that a launch refuses them if need be.
    """
    sweeps, lines = [], []
    for sweep in study.sweeps:
        changed, notes = _fitted(sweep, fixed)
        sweeps.append(changed)
        lines += [f"sweep {sweep.name}: {note}" for note in notes]
    return study.model_copy(update={"sweeps": sweeps}), lines


def _fitted(sweep: Sweep, fixed: Collection[str]) -> tuple[Sweep, list[str]]:
    mode = sweep.base["mode"]
    try:
        store = FeatureStore.open(str(sweep.base.get("data.root", "")), mode)
    except StoreError:
        return sweep, []
    available, corpus = store.subsets, store.metadata["corpus"]
    settings = {**recipe_settings(mode), **sweep.base}
    content, notes = sweep.model_dump(exclude_none=True), []
    searched = sweep.space.get(SUBSET)
    missing = [value for value in (searched.values or [] if searched else [settings[SUBSET]]) if value not in available]
    if missing and SUBSET not in fixed:
        lacks = f"{corpus} has no subset {' or '.join(map(str, missing))}"
        notes.append(f"{lacks}; {SUBSET} is {_put(content, searched, available)}")
    if mode == SELF_SUPERVISED and settings[VALIDATION] == "clean" and "clean" not in available and VALIDATION not in fixed:
        content["base"][VALIDATION] = "holdout"
        notes.append(f"{corpus} has no subset clean to validate on; {VALIDATION} is holdout")
    return (Sweep.model_validate(content), notes) if notes else (sweep, [])


def _put(content: dict[str, Any], searched: Any, available: tuple[str, ...]) -> str:
    """Put what a corpus has into a sweep's content; returns it in words."""
    if searched is None:
        content["base"][SUBSET] = "all"
        return "all"
    left = [value for value in searched.values or [] if value in available] or ["all"]
    kind = "grid" if searched.grid is not None else "choice"
    content["space"][SUBSET] = {**content["space"][SUBSET], kind: left}
    return ", ".join(map(str, left))
