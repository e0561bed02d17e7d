"""Reads YAML so that every part of it knows the file and line where it was written."""

import re
from typing import Any, NamedTuple

import yaml

from study.spec import StudyError

Path = tuple[str | int, ...]  # names and positions that lead from the top to a part


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

    def __init__(self, content: dict[str, Any], places: dict[Path, Place]) -> None:
        super().__init__(content)
        self.places = places


class _Loader(yaml.SafeLoader):
    """Safe loading, and 1e-3 is a number: YAML 1.1, which PyYAML follows, reads it as text."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789"))


def read_value(text: str) -> Any:
    """A single value, e.g. that of a `--set`.

    >>> read_value("1e-3"), read_value("[0.5, 0.9]"), read_value("clean")
    (0.001, [0.5, 0.9], 'clean')

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    return yaml.load(text, Loader=_Loader)


def read_mapping(text: str, file: str) -> PlacedContent:
    """A file that is a mapping.

    Raises:
        StudyError: it is no YAML, no mapping, or names a key twice.
    """
    loader = _Loader(text)
    places: dict[Path, Place] = {(): Place(file, 1)}
    try:
        node = loader.get_single_node()
        if node is not None:
            _note_places(node, (), file, places, above=())
        content = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        raise StudyError(f"{where}: {getattr(error, 'problem', None) or 'not YAML'}; correct the file") from None
    finally:
        loader.dispose()
    if not isinstance(content, dict):
        raise StudyError(f"{file}: a study file is a mapping with name, question and space; got {type(content).__name__}")
    return PlacedContent(content, places)


def _note_places(node: yaml.Node, path: Path, file: str, places: dict[Path, Place], above: tuple[yaml.Node, ...]) -> None:
    """Fill `places` below `node`; `above` are the nodes that contain it."""
    if node in above:
        raise StudyError(f"{Place(file, node.start_mark.line + 1)}: a part contains itself; write it out")
    if isinstance(node, yaml.SequenceNode):
        for number, entry in enumerate(node.value):
            places[*path, number] = Place(file, entry.start_mark.line + 1)
            _note_places(entry, (*path, number), file, places, (*above, node))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = Place(file, key.start_mark.line + 1)
            if not isinstance(key, yaml.ScalarNode):
                raise StudyError(f"{place}: a key is a name, not a list or a mapping; correct the file")
            if (*path, key.value) in places and key.value != "<<":
                first = places[*path, key.value].line
                raise StudyError(f"{place}: {key.value} is written twice, first in line {first}; keep one of them")
            places[*path, key.value] = place
            _note_places(value, (*path, key.value), file, places, (*above, node))
