"""Which sections of the report no trial of the studies can fill, by the studies' design."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import pandas as pd

from analysis.published import SELF_SUPERVISED, SUPERVISED


class _Kind(NamedTuple):
    """What a trial is, as far as tables ask."""

    mode: str
    subset: str
    is_baseline: bool  # α = 1


def _has(kinds: Iterable[_Kind], mode: str) -> bool:
    return any(kind.mode == mode for kind in kinds)


def _compares(kinds: Iterable[_Kind], *modes: str) -> bool:
    """Whether a baseline and a setting with margin of one of the modes can be compared."""
    return any(kind.mode in modes and kind._replace(is_baseline=not kind.is_baseline) in kinds for kind in kinds)


_FILLED_BY: Mapping[str, Callable[[set[_Kind]], bool]] = {
    "table1": lambda kinds: _has(kinds, SUPERVISED),
    "table2": lambda kinds: _has(kinds, SELF_SUPERVISED) or any(kind.subset == "all" for kind in kinds),
    "fig2": lambda kinds: _compares(kinds, SUPERVISED, SELF_SUPERVISED),
    "fig3": lambda kinds: _compares(kinds, SELF_SUPERVISED),
    "on-test": lambda kinds: _compares(kinds, SUPERVISED, SELF_SUPERVISED),
}


def never_filled(launched: pd.DataFrame, trials: pd.DataFrame) -> set[str]:
    """Anchors of the sections that stay empty however the trials end, since the studies have none of the kind that they show.

    Args:
        launched: of `analysis.provenance.load_launched`; says which trials are to come.
        trials: of `analysis.runs.load_trials`; say what has begun, also where a study's file is gone.
    """
    begun = trials.reindex(columns=["mode", "data.subset", "loss.alpha"]).itertuples(index=False)
    kinds = {_Kind(str(mode), str(subset), alpha == 1) for mode, subset, alpha in begun}
    kinds |= {kind for sweeps in launched["sweeps"] for sweep in sweeps for kind in _kinds(sweep)}
    return {anchor for anchor, is_filled_by in _FILLED_BY.items() if not is_filled_by(kinds)}


def _kinds(sweep: Mapping[str, Any]) -> Iterator[_Kind]:
    """The trials that a sweep, as its file holds it, can have. What it leaves to the recipe can be any."""
    mode = str(sweep.get("base", {}).get("mode"))
    subsets = _values(sweep, "data.subset") or ["all"]
    alphas = _values(sweep, "loss.alpha") or [1, None]
    return (_Kind(mode, str(subset), alpha == 1) for subset, alpha in product(subsets, alphas))


def _values(sweep: Mapping[str, Any], name: str) -> list[Any]:
    """Values that a setting can have in a sweep, None for those drawn from a range; empty where the sweep does not name it."""
    base, dimension = sweep.get("base", {}), sweep.get("space", {}).get(name, {})
    known = [point[name] for point in sweep.get("enqueue", []) if name in point]
    for kind, given in dimension.items():
        if kind != "when":
            known += [None] if "uniform" in str(kind) else given
    return known if dimension or name not in base else [*known, base[name]]
