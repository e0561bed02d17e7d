"""From a study file, or a shipped study's name, to a checked study."""

import difflib
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from acl.config import ConfigError, Mode, setting_names
from study.spaces import Scalar
from study.spec import Profile, Study, StudyError, Sweep


def shipped_studies() -> dict[str, str]:
    """Name -> text of the studies that come with the package."""
    folder = files("study") / "studies"
    return {Path(entry.name).stem: entry.read_text(encoding="utf-8") for entry in sorted(folder.iterdir(), key=lambda e: e.name)}


def read_study(name_or_file: str) -> dict[str, Any]:
    """Raw content of a study file, or of a shipped study by its name.

    Raises:
        StudyError: there is no such file or study, or it is not a YAML mapping.
    """
    shipped = shipped_studies()
    if name_or_file in shipped:
        text = shipped[name_or_file]
    elif Path(name_or_file).is_file():
        try:
            text = Path(name_or_file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise StudyError(f"{name_or_file} is not a text file; a study file is YAML in UTF-8") from None
    else:
        raise StudyError(f"no study {name_or_file!r}: neither a file nor a shipped study ({', '.join(shipped)})")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise StudyError(f"{name_or_file}: {where}{getattr(error, 'problem', None) or 'not YAML'}; correct the file") from None
    if not isinstance(content, dict):
        raise StudyError(f"{name_or_file}: a study file is a mapping with name, question and space; got {type(content).__name__}")
    return content


def resolve_study(
    content: Mapping[str, Any],
    profile: str | None = None,
    overrides: Mapping[str, Scalar] | None = None,
    resources: Mapping[str, float] | None = None,
) -> Study:
    """Checked study: profile below the sweeps' base settings, overrides above them.

    A file without `sweeps` is one sweep; with `sweeps`, the file's own `base`, `search`, … are defaults of each of them.

    Args:
        content: as read from a study file.
        profile: "recipe", "mini", "paper-ssl" or "paper-supervised"; None takes the file's.
        overrides: settings of all sweeps by dotted name; those of another mode than a sweep's are not applied to it.
        resources: `cpus` and `gpus` of each trial, where they replace the study's.

    Raises:
        StudyError: a field is wrong.
    """
    fields = {key: value for key, value in content.items() if value is not None}  # "base:" with nothing behind it
    profile = profile or fields.get("profile", "recipe")
    entries = fields.pop("sweeps", None) or [{}]
    shared = {key: fields.pop(key) for key in list(fields) if key in Sweep.model_fields and key != "name"}
    _check_shapes(content, entries, shared)
    try:
        sweeps = [_merge_sweep(shared, entry, profile, overrides or {}) for entry in entries]
        check_profile(profile, dict.fromkeys(str(sweep["base"].get("mode")) for sweep in sweeps))
        for name in overrides or {}:
            if name != "seed" and not any(name in sweep["base"] for sweep in sweeps):
                known = [setting for sweep in sweeps for setting in setting_names(sweep["base"]["mode"])]
                remedy = _close(name, known) or "`acl-study train --list --mode MODE` lists them"
                raise ConfigError(f"{name} is not a setting of any of its sweeps; {remedy}")
        for sweep in sweeps:
            sweep["resources"] = {**sweep.get("resources", {}), **(resources or {})}
        return Study.model_validate({**fields, "profile": profile, "sweeps": sweeps})
    except ConfigError as error:
        raise StudyError(f"{content.get('name', 'study')}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        message += f", got {first['input']!r}" if isinstance(first["input"], str | int | float | list) else ""
        raise StudyError(f"{content.get('name', 'study')}: {where + ': ' if where else ''}{message}") from None


def _close(name: str, known: list[str]) -> str:
    """The remedy for a misspelt name, empty where nothing is close to it."""
    return "".join(f"did you mean {match}?" for match in difflib.get_close_matches(name, known, n=1))


def _check_shapes(content: Mapping[str, Any], entries: Any, shared: Mapping[str, Any]) -> None:
    """Refuse what cannot be merged, before it is, and fields that do not exist."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise StudyError(f"{content.get('name', 'study')}: sweeps is a list of mappings, each with a name and a space")
    known = [*Study.model_fields, *Sweep.model_fields]
    for name in (name for part in (content, *entries) for name in part if name not in known):
        remedy = _close(str(name), known) or f"known: {', '.join(known)}"
        raise StudyError(f"{content.get('name', 'study')}: {name} is not a field of a study; {remedy}")
    for part in (shared, *entries):
        for key in ("base", "space", "resources"):
            if not isinstance(part.get(key) or {}, dict):
                raise StudyError(f"{content.get('name', 'study')}: {key} is a mapping of names to values, got {part[key]!r}")


def _merge_sweep(
    shared: Mapping[str, Any], entry: Mapping[str, Any], profile: str, overrides: Mapping[str, Scalar]
) -> dict[str, Any]:
    entry = {key: value for key, value in entry.items() if value is not None}
    base = {**shared.get("base", {}), **entry.get("base", {})}
    mode = str(base.get("mode"))
    applicable = {name: value for name, value in overrides.items() if name in setting_names(mode)}
    merged = {**shared, **entry}
    if "seed" in applicable:
        merged["seeds"] = [applicable.pop("seed")]
    space = {name: value for name, value in merged.get("space", {}).items() if name not in applicable}
    if "enqueue" in merged:
        merged["enqueue"] = _without(applicable, merged["enqueue"])
    defaults = profile_settings(profile)
    settings = {name: value for name, value in defaults.get(mode, {}).items() if name not in space}
    if "seed" in settings:  # the profile's seed, unless the study lists its own
        seed = settings.pop("seed")
        merged.setdefault("seeds", [seed])
    base = {**settings, **base, **applicable}
    if "data.root" in base:
        base["data.root"] = str(Path(str(base["data.root"])).absolute())  # trials run in other folders
    return {**merged, **defaults.get("sweep", {}), "base": base, "space": space}


def _without(names: Collection[str], points: Any) -> Any:
    """Known points without the settings `names`, each once."""
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        return points  # refused later, with its place
    left: list[dict[str, Any]] = []
    for point in ({name: value for name, value in point.items() if name not in names} for point in points):
        if point not in left or not names:
            left.append(point)
    return left


def modes_of_profile(profile: str) -> list[str]:
    """Modes whose runs a profile is about."""
    settings = profile_settings(profile)
    return [mode for mode in get_args(Mode) if mode in settings] or list(get_args(Mode))


def check_profile(profile: str, modes: Collection[str]) -> None:
    """Refuse a profile that would change nothing and yet be recorded.

    Raises:
        ConfigError: the profile is about none of `modes`, or does not exist.
    """
    about = modes_of_profile(profile)
    known = [mode for mode in modes if mode in get_args(Mode)]  # an unknown mode has its own message
    if known and not set(about) & set(known):
        raise ConfigError(f"profile {profile} is about {' and '.join(about)} runs, these are {' and '.join(known)}; choose another")


def profile_settings(profile: str) -> dict[str, dict[str, Any]]:
    """What a profile replaces: recipe settings by mode, and fields of every sweep.

    Raises:
        ConfigError: there is no such profile.
    """
    if profile not in get_args(Profile):
        raise ConfigError(f"profile must be one of {', '.join(get_args(Profile))}, got {profile!r}")
    if profile == "recipe":
        return {}
    text = (files("study") / "profiles" / f"{profile}.yaml").read_text(encoding="utf-8")
    content: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return content
