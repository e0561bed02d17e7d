"""Study files as people write them: YAML in which every part knows its file and line, and files that build on others.

`include` names files, or shipped studies, whose content lies below the file's own.
"""

import contextlib
import os
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from acl.system.text import close_to
from study.errors import StudyError, one_line

FieldPath = tuple[str | int, ...]  # names and positions that lead from the top to a part
MOST_PARTS = 100_000  # entries of a file's lists and mappings, those behind aliases each time that they are named
MOST_NESTED = 50  # levels


class Place(NamedTuple):
    """Where something was written; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class PlacedContent(dict[str, Any]):
    """Content of a file, with the place of each of its parts.

    Attributes:
        places: path of each key and list entry -> where it was written.
    """

    def __init__(self, content: dict[str, Any], places: dict[FieldPath, Place]) -> None:
        super().__init__(content)
        self.places = places


class _Loader(yaml.SafeLoader):
    """Safe loading of plain data: mappings, lists, texts, numbers, true, false and null; no other tag.

    Values are those of YAML 1.2's core schema: 010 is 10, 1e-3 a number, and 1:30, yes, no, on, off, 1_000 and dates are texts. In
    YAML 1.1, which PyYAML follows, they are 8, a text, 90, four booleans, 1000 and dates.
    """

    yaml_constructors = {  # noqa: RUF012 (as in PyYAML)
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
    }
    yaml_implicit_resolvers = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise yaml.composer.ComposerError(None, None, f"more than {MOST_NESTED} levels", self.peek_event().start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError):  # of int() and the like, e.g. of a number with 5000 digits
            raise yaml.constructor.ConstructorError(None, None, "a value that cannot be read", node.start_mark) from None

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)


for _kind, _pattern, _first in (
    ("null", r"(~|null|Null|NULL)?$", ["~", "n", "N", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
    ("merge", r"<<$", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_pattern), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def read_value(text: str) -> Any:
    """A single value, e.g. that of a `--set`.

    >>> read_value("1e-3"), read_value("[0.5, 0.9]"), read_value("clean")
    (0.001, [0.5, 0.9], 'clean')

    Raises:
        StudyError: it is no YAML.
    """
    return _read_yaml(text, "value")[0]


def read_mapping(text: str, file: str) -> PlacedContent:
    """A file that is a mapping.

    Raises:
        StudyError: it is no YAML, no mapping, names a key twice, or is larger than any study.
    """
    content, places = _read_yaml(text, file)
    if not isinstance(content, dict):
        raise StudyError(f"{file}: a study file is a mapping with name, question and space; got {type(content).__name__}")
    return PlacedContent(content, places)


def _read_yaml(text: str, file: str) -> tuple[Any, dict[FieldPath, Place]]:
    """Content, and the place of each of its parts. An alias counts as all that it stands for."""
    places: dict[FieldPath, Place] = {(): Place(file, 1)}
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _note_places(node, (), file, places, above=())
            return None if node is None else loader.construct_document(node), places
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise StudyError(f"{file}:{line}: the character U+{error.character:04X} is none of YAML; take it out") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        raise StudyError(f"{where}: {getattr(error, 'problem', None) or 'not YAML'}; correct the file") from None


def _note_places(node: yaml.Node, path: FieldPath, file: str, places: dict[FieldPath, Place], above: tuple[yaml.Node, ...]) -> None:
    """Fill `places` below `node`; `above` are the nodes that contain it."""
    if node in above:
        raise StudyError(f"{Place(file, node.start_mark.line + 1)}: a part contains itself; write it out")
    if len(places) > MOST_PARTS or len(above) > MOST_NESTED:
        raise StudyError(f"{file}: more than {MOST_PARTS} entries or {MOST_NESTED} levels, aliases written out; a study is smaller")
    if isinstance(node, yaml.SequenceNode):
        for number, entry in enumerate(node.value):
            places[*path, number] = Place(file, entry.start_mark.line + 1)
            _note_places(entry, (*path, number), file, places, (*above, node))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = Place(file, key.start_mark.line + 1)
            if not isinstance(key, yaml.ScalarNode):
                raise StudyError(f"{place}: a key is a name, not a list or a mapping; correct the file")
            if (*path, key.value) in places:
                first = places[*path, key.value].line
                raise StudyError(f"{place}: {key.value} is written twice, first in line {first}; keep one of them")
            places[*path, key.value] = place
            _note_places(value, (*path, key.value), file, places, (*above, node))


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
    return _read_file(name_or_file, Path(), included=None, above=())


def _read_file(name: Any, folder: Path, included: Place | None, above: tuple[str, ...]) -> PlacedContent:
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
        merged = _merge(merged, _read_file(entry, Path(shown).parent, place, (*above, shown)))
    return _merge(merged, content)


def _text(name: Any, folder: Path, prefix: str) -> tuple[str, str]:
    """Name to show and text of a shipped study or of a file in `folder`."""
    shipped = shipped_studies()
    if isinstance(name, str) and name in shipped:
        return name, shipped[name]
    path = Path(os.path.normpath(folder / name)) if isinstance(name, str) else None
    if path is None or not os.path.isfile(path):  # no folder, device or pipe, and no text that can be no path
        remedy = ("" if path is None else _near(path, shipped)) or f"shipped: {', '.join(shipped)}"
        raise StudyError(f"{prefix}no study {one_line(repr(name))}: neither a file nor a shipped study; {remedy}")
    if path.stat().st_size > MOST_BYTES:
        raise StudyError(f"{prefix}{path} is larger than {MOST_BYTES >> 20} MiB; no study file is")
    try:
        return str(path), path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StudyError(f"{prefix}{path} is not a text file; a study file is YAML in UTF-8") from None


def _near(path: Path, shipped: Iterable[str]) -> str:
    """The remedy for a file that is not there: one beside it with another ending, or a name that is close."""
    files: list[str] = []
    with contextlib.suppress(OSError, ValueError):  # no such folder, or a text that can be no path
        files = sorted(each for each in os.listdir(path.parent) if Path(each).suffix in (".yaml", ".yml"))
    same = [each for each in files if Path(each).stem == path.stem]
    if same:
        return f"did you mean {path.with_name(same[0])}?"
    return close_to(path.name, shipped) or close_to(path.name, files)


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
