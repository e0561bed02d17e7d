"""From a study file, or a shipped study's name, to a checked study."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from acl.config import ConfigError, Mode, setting_names
from acl.system.text import close_to
from study.errors import FieldError, StudyError
from study.spec.baseline import with_baseline_points
from study.spec.files import MERGED, PlacedContent, read_with_includes
from study.spec.messages import ErrorFormatter, together
from study.spec.profiles import check_profile, profile_settings
from study.spec.recipe import recipe_settings
from study.spec.study import Study
from study.spec.sweep import Sweep


def read_study(name_or_file: str) -> PlacedContent:
    """Content of a study file, or of a shipped study by its name, with what it includes.

    Raises:
        StudyError: there is no such file or study, or it is not a YAML mapping.
    """
    return read_with_includes(name_or_file)


def resolve_study(
    content: Mapping[str, Any],
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    resources: Mapping[str, float] | None = None,
) -> Study:
    """Checked study: profile below the sweeps' base settings, overrides above them.

    A file without `sweeps` is one sweep; with `sweeps`, the file's own `base`, `search`, … are defaults of each of them.

    Args:
        content: as read from a study file.
        profile: "recipe", "mini", "paper-ssl" or "paper-supervised"; None takes the file's.
        overrides: settings of all sweeps by dotted name, those of another mode than a sweep's are not applied to it; and fields of
            all sweeps, e.g. `search`, `scheduler.grace`, `budget.trials`.
        resources: `cpus` and `gpus` of each trial, where they replace the study's.

    Raises:
        StudyError: a field is wrong.
    """
    overrides = {**(overrides or {}), **{f"resources.{name}": value for name, value in (resources or {}).items()}}
    formatter = ErrorFormatter(content, overrides, profile)
    fields = {key: value for key, value in content.items() if value is not None}  # "base:" with nothing behind it
    profile = profile or fields.get("profile", "recipe")
    entries = fields.pop("sweeps", None) or [{}]
    shared = {key: fields.pop(key) for key in list(fields) if key in Sweep.model_fields and key != "name"}
    _check_shapes(content, entries, formatter)
    sweeps = []
    found: dict[str, StudyError] = {}  # what sweeps share is refused once
    try:
        for number, entry in enumerate(entries):
            try:
                sweeps.append(merge_sweep(shared, entry, profile, overrides))
            except FieldError as error:
                found.setdefault(str(error), formatter.at_field(("sweeps", number, *error.path), str(error)))
        if found:
            raise together(list(found.values()))
        check_profile(profile, dict.fromkeys(sweep["base"]["mode"] for sweep in sweeps))
    except ConfigError as error:
        raise formatter.at_field(("profile",), str(error)) from None
    resolved = {**fields, "profile": profile, "sweeps": sweeps}
    _check_overrides(overrides, sweeps)
    try:
        return with_baseline_points(Study.model_validate(resolved))
    except ValidationError as error:
        raise formatter.from_pydantic(error, resolved) from None
    except FieldError as error:
        raise formatter.at_field(error.path, str(error)) from None


def replaced_fields(content: Mapping[str, Any], profile: str, overrides: Mapping[str, Any]) -> list[str]:
    """A line for each field of the sweeps that the profile replaces, and for each search over a setting that `overrides` fix."""
    lines = []
    for name, value in profile_settings(profile).get("sweep", {}).items():
        own = {
            _shown(each[name]): None for each in (content, *(content.get("sweeps") or [])) if each.get(name) not in (None, value)
        }
        lines += [
            f"profile {profile} has {name} {_shown(value)} instead of {given}; --set {name}.PART=VALUE changes it" for given in own
        ]
    for entry in content.get("sweeps") or [{}]:
        space = entry.get("space") or content.get("space") or {}
        where = f" in sweep {entry['name']}" if "name" in entry else ""
        lines += [f"--set {name}={value} replaces the search over it{where}" for name, value in overrides.items() if name in space]
    return lines


def _shown(value: Any) -> str:
    """A field in words.

    >>> _shown({"cpus": 2, "gpus": 1}), _shown(3)
    ('cpus 2, gpus 1', '3')
    """
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)


def _check_shapes(content: Mapping[str, Any], entries: Any, formatter: ErrorFormatter) -> None:
    """Refuse what cannot be merged, before it is, and fields that do not exist."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise formatter.at_field(("sweeps",), "sweeps is a list of mappings, each with a name and a space")
    found = []
    parts: list[tuple[tuple[str | int, ...], Mapping[str, Any]]] = [((), content)]
    parts += [(("sweeps", number), entry) for number, entry in enumerate(entries)]
    for path, part in parts:
        known = [*Sweep.model_fields] if path else list(dict.fromkeys([*Study.model_fields, *Sweep.model_fields, "include"]))
        kind = "sweep" if path else "study"
        for name, value in part.items():
            if name not in known:
                remedy = _base_hint(name, value) or close_to(str(name), known) or f"known: {', '.join(known)}"
                found.append(formatter.at_field((*path, name), f"{name} is not a field of a {kind}; {remedy}"))
            elif name in MERGED and name != "scheduler" and not isinstance(value, dict | None):
                found.append(formatter.at_field((*path, name), f"{name} is a mapping of names to values, got {value!r}"))
    if found:
        raise together(found)


def _base_hint(name: Any, value: Any) -> str:
    """Where a setting belongs that stands among the fields; empty for what is none."""
    settings = {setting for mode in get_args(Mode) for setting in setting_names(mode)}
    return f"it is a setting, write it into base, e.g. base: {{{name}: {value}}}" if name in settings else ""


def _check_overrides(overrides: Mapping[str, Any], sweeps: list[dict[str, Any]]) -> None:
    if "budget.trials" in overrides and all(sweep.get("search", "grid") == "grid" for sweep in sweeps):
        raise StudyError(
            "--set budget.trials: a grid tries all its points; it is for random search and Optuna's methods: shorten the grid's "
            "lists, or add --set search=random"
        )
    found = []
    for name in overrides:
        if name != "seed" and name.partition(".")[0] not in SETTABLE and not any(name in sweep["base"] for sweep in sweeps):
            known = [setting for sweep in sweeps for setting in setting_names(sweep["base"]["mode"])]
            remedy = close_to(name, [*known, *SETTABLE, "budget.trials"]) or "`acl-study train --list --mode MODE` lists them"
            found.append(StudyError(f"--set {name}: {name} is not a setting of any of the study's sweeps; {remedy}"))
    if found:
        raise together(found)


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
