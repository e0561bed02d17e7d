"""The question of a study: which settings are baselines, and which settings are compared with each other.

A study file may name both (`baseline`, `within`). This is the one place that says what holds where it does not. Plain values in and
out, so that `study` asks here too, without pandas.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Scalar = bool | int | float | str
SUPERVISED, SELF_SUPERVISED = "supervised", "self-supervised"  # training modes
ALPHA, MARGIN, TEMPERATURE = "loss.alpha", "loss.margin", "loss.temperature"
PAPER_DIMENSIONS = (ALPHA, MARGIN, TEMPERATURE)
SUBSET, FOLD = "data.subset", "data.test_fold"
# Settings that decide which clips validate, or by which labels: validation figures compare only where these are equal.
CLIP_SETTINGS = (SUBSET, FOLD, "noise.rate", "noise.kind")
_SETS = {"views.augmentations": "views."}  # settings that give several others their values, and how the names of those begin
_NO_DIMENSION = ("seed", FOLD)  # seeds repeat a setting, folds are pooled


@dataclass(frozen=True)
class Question:
    """What a study compares in one training mode.

    Attributes:
        baseline: value of each setting, by dotted name, that makes a setting a baseline; empty where there is none.
        within: settings of which each value is a comparison of its own.
        dimensions: the other settings that distinguish what is compared, in the order of the study.
        listed: values of the dimensions that are lists, in their order.
        is_named: whether the study names its baseline.
        equivalence: difference in accuracy, share, below which two settings count as equivalent; None: not asked.
    """

    baseline: Mapping[str, Scalar]
    within: tuple[str, ...] = (SUBSET,)
    dimensions: tuple[str, ...] = ()
    listed: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    is_named: bool = False
    equivalence: float | None = None

    @property
    def is_of_paper(self) -> bool:
        """Whether it is one that the paper asks: settings with an angular margin against alpha 1, by training subset."""
        return (
            self.baseline == {ALPHA: 1}
            and set(self.dimensions) <= set(PAPER_DIMENSIONS)
            and set(self.within) <= {SUBSET, *CLIP_SETTINGS}
        )

    def is_baseline(self, values: Mapping[Any, Any]) -> bool:
        """Whether a trial with these settings is one of the baseline. Settings that it does not have are not looked at.

        >>> Question({"loss.alpha": 1}).is_baseline({"loss.alpha": 1.0}), Question({}).is_baseline({"loss.alpha": 1.0})
        (True, False)
        """
        has_margin = values.get(ALPHA) != 1  # at alpha 1 it has no effect
        known = {
            name: value
            for name, value in self.baseline.items()
            if not _is_missing(values.get(name)) and (name != MARGIN or has_margin)
        }
        return bool(known) and all(values[name] == value for name, value in known.items())

    def within_values(self, values: Mapping[Any, Any]) -> list[Any]:
        """What says to which comparison a trial with these settings belongs; without margin where alpha 1 gives it no effect.

        >>> Question({}, ("loss.margin", "model.width")).within_values({"loss.alpha": 1.0, "loss.margin": 0.5, "model.width": 8})
        [None, 8]
        """
        of_trial = {**values, MARGIN: None} if values.get(ALPHA) == 1 else values
        return [None if _is_missing(of_trial.get(name)) else of_trial[name] for name in self.within]

    def follows(self, name: str) -> str | None:
        """The compared setting that gives this one its value, as `views.augmentations` does `views.masks`; None where none does."""
        compared = (*self.within, *self.dimensions)
        found = (of for of, start in _SETS.items() if of in compared and name.startswith(start) and name not in compared)
        return next(found, None)


PAPER = Question({ALPHA: 1}, tuple(name for name in CLIP_SETTINGS if name != FOLD), PAPER_DIMENSIONS)


def question_of(study: Mapping[str, Any], mode: str, settings: Collection[str] | None = None) -> Question:
    """The question of a study in one mode.

    Without `baseline`, alpha 1 is the baseline where alpha varies, or nothing does; otherwise the first value of each list. Where
    only a margin or temperature is drawn from a range it is alpha 1, too; where another setting is, there is none.

    Every setting that is searched or that `baseline` names distinguishes settings; of a study that confirms another one, everything
    in which its sweeps differ.

    Args:
        study: content of a study's file as launched: `sweeps`, and where it has them `baseline`, `within`, `equivalence`.
        mode: training mode.
        settings: names of the settings that runs of the mode have; None: any.
    """
    sweeps = [sweep for sweep in study["sweeps"] if sweep.get("base", {}).get("mode") == mode]
    searched = dict.fromkeys(name for sweep in sweeps for name in sweep.get("space", {}))
    of_clips = [name for name in CLIP_SETTINGS if name in searched and name != FOLD]
    within = tuple(dict.fromkeys([*(study.get("within") or [SUBSET]), *of_clips]))
    named = {name: value for name, value in (study.get("baseline") or {}).items() if settings is None or name in settings}
    differing = _differing(sweeps) if study.get("confirms") else []
    names = dict.fromkeys([*searched, *named, *differing])
    dimensions = tuple(name for name in names if name not in (*within, *_NO_DIMENSION))
    listed = {name: values for name in names if (values := _listed(sweeps, name))}
    return Question(
        baseline=named or _default_baseline(sweeps, [name for name in searched if name in dimensions]),
        within=within,
        dimensions=dimensions,
        listed=listed,
        is_named=bool(named),
        equivalence=study.get("equivalence"),
    )


def asks_the_paper(study: Mapping[str, Any]) -> bool:
    """Whether a study leaves its question to the defaults and searches nothing but what the paper varies."""
    names_one = any(study.get(name) for name in ("baseline", "within", "confirms"))
    searched = {name for sweep in study["sweeps"] for name in sweep.get("space", {})}
    return not names_one and searched <= {*PAPER_DIMENSIONS, *CLIP_SETTINGS}


def words(values: Mapping[str, Any]) -> str:
    """Settings in words, those of the paper by their symbols.

    >>> words({"loss.alpha": 0.30001, "loss.margin": 0.5, "model.encoder": "small-cnn"})
    'α 0.3, margin 0.5 rad, model.encoder small-cnn'
    """
    return ", ".join(f"{symbol(name)} {_plain(value)}{_UNITS.get(name, '')}" for name, value in values.items())


def symbol(name: str) -> str:
    """How a setting is called in sentences and figures."""
    return _SYMBOLS.get(name, name)


_SYMBOLS = {ALPHA: "α", MARGIN: "margin", TEMPERATURE: "τ", SUBSET: "subset"}
_UNITS = {MARGIN: " rad"}


def _plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value).replace("_", " ")
    return f"{value:.3g}"


def _default_baseline(sweeps: Sequence[Mapping[str, Any]], searched: Sequence[str]) -> dict[str, Scalar]:
    alphas = {sweep.get("base", {}).get(ALPHA) for sweep in sweeps}
    if ALPHA in searched or not searched or len(alphas) > 1:
        return {ALPHA: 1}
    first: dict[str, Scalar] = {}
    for name in searched:
        values = _listed(sweeps, name)
        conditions = [sweep["space"][name].get("when") or {} for sweep in sweeps if name in sweep.get("space", {})]
        if values and any(all(first.get(other) in allowed for other, allowed in when.items()) for when in conditions):
            first[name] = values[0]
    return first or ({ALPHA: 1} if set(searched) <= set(PAPER_DIMENSIONS) else {})


def _listed(sweeps: Sequence[Mapping[str, Any]], name: str) -> tuple[Scalar, ...]:
    """Values of a setting in the order of the sweeps; empty where one of them draws it from a range."""
    found: dict[Scalar, None] = {}
    for dimension in (sweep["space"][name] for sweep in sweeps if name in sweep.get("space", {})):
        values = dimension.get("grid") or dimension.get("choice")
        if not values:
            return ()
        found.update(dict.fromkeys(values))
    return tuple(found)


def _differing(sweeps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Fixed settings of which the sweeps have different values."""
    bases = [sweep.get("base", {}) for sweep in sweeps]
    for name in dict.fromkeys(name for base in bases for name in base):
        if len({repr(base.get(name)) for base in bases}) > 1:
            yield name


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
