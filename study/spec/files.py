"""Study files that build on others: `include` names files, or shipped studies, whose content lies below the file's own."""

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from acl.system.text import close_to
from study.errors import StudyError, one_line
from study.spec.yaml_lines import Place, PlacedContent, read_mapping

INCLUDE = "include"
MOST_BYTES = 1 << 20  # of a file
MERGED = ("base", "space", "resources", "budget", "scheduler")  # key by key; all else is replaced as a whole


def shipped_studies() -> dict[str, str]:
    """Name -> text of the studies that come with the package."""
    folder = files("study") / "studies"
    return {Path(entry.name).stem: entry.read_text(encoding="utf-8") for entry in sorted(folder.iterdir(), key=lambda e: e.name)}


def read_with_includes(name_or_file: str) -> PlacedContent:
    """A study file, or a shipped study by its name, with all that it includes.

    Of several includes the later one wins, the file's own content wins over all of them. A key of base, space, resources, budget
    or scheduler with nothing behind it (`loss.margin:`) takes away what an include has there.

    Raises:
        StudyError: a file is missing, no YAML mapping, or includes itself.
    """
    return _read(name_or_file, Path(), included=None, above=())


def _read(name: Any, folder: Path, included: Place | None, above: tuple[str, ...]) -> PlacedContent:
    """`included` is where the include is written, `above` are the files that lead here, as they are shown."""
    prefix = "" if included is None else f"{included}: include: "
    shown, text = _text(name, folder, prefix)
    if shown in above:
        raise StudyError(f"{prefix}{' includes '.join((*above[above.index(shown) :], shown))}; take one of them out")
    content = read_mapping(text, shown)
    listed = content.pop(INCLUDE, None)
    place = content.places.get((INCLUDE,))
    merged = PlacedContent({}, {})
    for entry in listed if isinstance(listed, list) else [] if listed is None else [listed]:
        merged = _merge(merged, _read(entry, Path(shown).parent, place, (*above, shown)))
    return _merge(merged, content)


def _text(name: Any, folder: Path, prefix: str) -> tuple[str, str]:
    """Name to show and text of a shipped study or of a file in `folder`."""
    shipped = shipped_studies()
    if isinstance(name, str) and name in shipped:
        return name, shipped[name]
    path = Path(os.path.normpath(folder / name)) if isinstance(name, str) else None
    if path is None or not os.path.isfile(path):  # no folder, device or pipe, and no text that can be no path
        remedy = close_to(name, shipped) or f"shipped: {', '.join(shipped)}"
        raise StudyError(f"{prefix}no study {one_line(repr(name))}: neither a file nor a shipped study; {remedy}")
    if path.stat().st_size > MOST_BYTES:
        raise StudyError(f"{prefix}{path} is larger than {MOST_BYTES >> 20} MiB; no study file is")
    try:
        return str(path), path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StudyError(f"{prefix}{path} is not a text file; a study file is YAML in UTF-8") from None


def _merge(below: PlacedContent, above: PlacedContent) -> PlacedContent:
    """`above` over `below`, with the places of what is left."""
    content = {**below, **above}
    by_key = [key for key in MERGED if _mergeable(key, below.get(key), above.get(key))]
    for key in by_key:
        content[key] = {name: value for name, value in (_mapping(below[key]) | above[key]).items() if value is not None}
    kept = {
        path: place
        for path, place in below.places.items()
        if path and (path[:2] not in above.places if path[0] in by_key else path[0] not in above)
    }
    return PlacedContent(content, {**kept, **above.places})


def _mergeable(key: str, below: Any, above: Any) -> bool:
    if not isinstance(above, dict) or not isinstance(_mapping(below), dict):
        return False
    # Fields of one scheduler mean nothing to another.
    return key != "scheduler" or above.get("name", _mapping(below).get("name")) == _mapping(below).get("name")


def _mapping(value: Any) -> Any:
    """A scheduler may be written by its name alone."""
    return {"name": value} if isinstance(value, str) else value
