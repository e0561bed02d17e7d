"""What a sweep's fields are once profile, shared defaults, its own entry and `--set` are laid over each other."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

from acl.config import Mode, setting_names
from acl.nearest import close_to
from study.departures import recipe_settings
from study.profile_settings import profile_settings
from study.spaces import FieldError
from study.spec import StudyError

SETTABLE = ("search", "scheduler", "objective", "seeds", "budget", "resources")  # fields of a sweep that --set reaches
_WITH_PARTS = ("scheduler", "budget", "resources")


def merge_sweep(shared: Mapping[str, Any], entry: Mapping[str, Any], profile: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a sweep: `shared` below its own `entry`, the profile's settings below its base, `overrides` above all.

    Conditions on settings that are fixed are decided; what is left depends on searched settings.

    Raises:
        FieldError: no mode, or a condition names no setting.
        ConfigError: an unknown profile.
        StudyError: an override that fits no field.
    """
    entry = {key: value for key, value in entry.items() if value is not None}
    base: dict[str, Any] = {**shared.get("base", {}), **entry.get("base", {})}
    mode: Any = base.get("mode")
    if mode not in get_args(Mode):
        rule = f"mode must be one of {', '.join(get_args(Mode))}; write it into base, e.g. base: {{mode: supervised}}"
        raise FieldError(rule + (f", got {mode!r}{close_to(mode, get_args(Mode), '; ')}" if "mode" in base else ""), "base", "mode")
    applicable = {name: value for name, value in overrides.items() if name in setting_names(mode)}
    defaults = profile_settings(profile)
    merged = {**shared, **entry, **defaults.get("sweep", {})}
    space = {name: value for name, value in merged.get("space", {}).items() if name not in applicable}
    _drop_from_known_points(merged, applicable)
    settings = {name: value for name, value in defaults.get(mode, {}).items() if not _always_searched(space.get(name))}
    if "seed" in settings:  # the profile's seed, unless the study lists its own
        seed = settings.pop("seed")
        merged.setdefault("seeds", [seed])
    if "seed" in applicable:
        merged["seeds"] = [applicable.pop("seed")]
    base = {**settings, **base, **applicable}
    if "data.root" in base:
        base["data.root"] = str(Path(str(base["data.root"])).absolute())  # trials run in other folders
    sweep = _set_fields({**merged, "base": base, "space": space}, overrides)
    _settle_conditions(sweep)
    return sweep


def _settle_conditions(sweep: dict[str, Any]) -> None:
    """Decide the conditions on settings that are fixed: a dimension that can never be active goes out of space and known points."""
    space, base = sweep["space"], sweep["base"]
    fixed = {**recipe_settings(base["mode"]), **base}
    settled: dict[str, Any] = {}
    gone: list[str] = []
    for name, dimension in space.items():
        when = dimension.get("when") if isinstance(dimension, dict) else None
        if not isinstance(when, dict):
            settled[name] = dimension
            continue
        for other in when:
            _check_condition(name, str(other), space)
        undecided = {other: values for other, values in when.items() if other in space and other not in gone}
        decided = {other: values for other, values in when.items() if other not in undecided}
        if any(other in gone or other not in fixed or fixed[other] not in _listed(values) for other, values in decided.items()):
            gone.append(name)
            continue
        settled[name] = {**dimension, "when": undecided or None}
        if not undecided:  # searched in every trial: what base has for it is never used
            base.pop(name, None)
    sweep["space"] = settled
    _drop_from_known_points(sweep, gone)


def _check_condition(name: str, other: str, space: Mapping[str, Any]) -> None:
    known = dict.fromkeys(setting for mode in get_args(Mode) for setting in setting_names(mode))
    if other == "seed":
        raise FieldError("seed cannot be a condition; seeds repeat every point", "space", name, "when", other)
    if other not in known and other not in space:
        remedy = close_to(other, [*known]) or "`acl-study train --list --mode MODE` lists them"
        raise FieldError(f"{other} is not a setting; {remedy}", "space", name, "when", other)


def _always_searched(dimension: Any) -> bool:
    """Whether a setting is searched without a condition; one with a condition keeps the value below for where it is inactive."""
    return dimension is not None and not (isinstance(dimension, dict) and dimension.get("when"))


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _drop_from_known_points(sweep: dict[str, Any], names: Collection[str]) -> None:
    """Take settings that are not searched from the points of `enqueue`, which are then listed once each."""
    points = sweep.get("enqueue")
    if not names or not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        return
    left: list[dict[str, Any]] = []
    for point in ({name: value for name, value in point.items() if name not in names} for point in points):
        if point and point not in left:
            left.append(point)
    sweep["enqueue"] = left


def _set_fields(sweep: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The sweep with the fields that `overrides` name, e.g. `scheduler`, then `scheduler.grace`."""
    for name, value in sorted(overrides.items()):
        field, dot, part = name.partition(".")
        if field not in SETTABLE:
            continue
        below = sweep.get(field) or ({"name": "none"} if field == "scheduler" else {})
        below = {"name": below} if field == "scheduler" and isinstance(below, str) else below
        if dot and field not in _WITH_PARTS:
            raise StudyError(f"--set {name}: {field} has no fields; write --set {field}=VALUE")
        sweep[field] = {**below, part: value} if dot else value
    return sweep
