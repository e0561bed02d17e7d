"""From a study file, or a shipped study's name, to a checked study."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from acl.config import ConfigError, setting_names
from acl.nearest import close_to
from study.includes import MERGED, read_with_includes, shipped_studies
from study.profile_settings import check_profile
from study.refusals import Refusals, together
from study.spaces import FieldError
from study.spec import Study, StudyError, Sweep
from study.sweep_settings import SETTABLE, merge_sweep
from study.yaml_places import PlacedContent

__all__ = ["read_study", "replaced_searches", "resolve_study", "shipped_studies"]


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
    refusals = Refusals(content, overrides, profile)
    fields = {key: value for key, value in content.items() if value is not None}  # "base:" with nothing behind it
    profile = profile or fields.get("profile", "recipe")
    entries = fields.pop("sweeps", None) or [{}]
    shared = {key: fields.pop(key) for key in list(fields) if key in Sweep.model_fields and key != "name"}
    _check_shapes(content, entries, refusals)
    sweeps = []
    try:
        for number, entry in enumerate(entries):
            try:
                sweeps.append(merge_sweep(shared, entry, profile, overrides))
            except FieldError as error:
                raise refusals.at(("sweeps", number, *error.path), str(error)) from None
        check_profile(profile, dict.fromkeys(sweep["base"]["mode"] for sweep in sweeps))
    except ConfigError as error:
        raise refusals.at(("profile",), str(error)) from None
    resolved = {**fields, "profile": profile, "sweeps": sweeps}
    _check_overrides(overrides, sweeps)
    try:
        return Study.model_validate(resolved)
    except ValidationError as error:
        raise refusals.of(error, resolved) from None


def replaced_searches(content: Mapping[str, Any], overrides: Mapping[str, Any]) -> list[str]:
    """A line for each setting that the study searches and `overrides` fix."""
    lines = []
    for entry in content.get("sweeps") or [{}]:
        space = entry.get("space") or content.get("space") or {}
        where = f" in sweep {entry['name']}" if "name" in entry else ""
        lines += [f"--set {name}={value} replaces the search over it{where}" for name, value in overrides.items() if name in space]
    return lines


def _check_shapes(content: Mapping[str, Any], entries: Any, refusals: Refusals) -> None:
    """Refuse what cannot be merged, before it is, and fields that do not exist."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise refusals.at(("sweeps",), "sweeps is a list of mappings, each with a name and a space")
    found = []
    parts: list[tuple[tuple[str | int, ...], Mapping[str, Any]]] = [((), content)]
    parts += [(("sweeps", number), entry) for number, entry in enumerate(entries)]
    for path, part in parts:
        known = [*Sweep.model_fields] if path else list(dict.fromkeys([*Study.model_fields, *Sweep.model_fields, "include"]))
        kind = "sweep" if path else "study"
        for name, value in part.items():
            if name not in known:
                remedy = close_to(str(name), known) or f"known: {', '.join(known)}"
                found.append(refusals.at((*path, name), f"{name} is not a field of a {kind}; {remedy}"))
            elif name in MERGED and name != "scheduler" and not isinstance(value, dict | None):
                found.append(refusals.at((*path, name), f"{name} is a mapping of names to values, got {value!r}"))
    if found:
        raise together(found)


def _check_overrides(overrides: Mapping[str, Any], sweeps: list[dict[str, Any]]) -> None:
    if "budget.trials" in overrides and all(sweep.get("search", "grid") == "grid" for sweep in sweeps):
        raise StudyError(
            "--set budget.trials: a grid tries all its points; it is for random search and Optuna's methods: shorten the grid's "
            "lists, or add --set search=random"
        )
    for name in overrides:
        if name != "seed" and name.partition(".")[0] not in SETTABLE and not any(name in sweep["base"] for sweep in sweeps):
            known = [setting for sweep in sweeps for setting in setting_names(sweep["base"]["mode"])]
            remedy = close_to(name, [*known, *SETTABLE, "budget.trials"]) or "`acl-study train --list --mode MODE` lists them"
            raise StudyError(f"--set {name}: {name} is not a setting of any of the study's sweeps; {remedy}")
