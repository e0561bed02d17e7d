"""Manifests: they say which audio files make a corpus, and what each is.

A CSV manifest is a table with a row for each clip; `acl.data.clip_rows` has its columns, others are ignored:

    path,label,split
    dog/1.flac,dog,train

A YAML manifest names a corpus, and a table whose columns may be called otherwise, or the clips themselves:

    name: ESC-50
    table: meta/esc50.csv               # beside the manifest
    columns: {path: "audio/{filename}", label: category, fold: fold}      # ours: theirs, or a pattern of theirs in braces
    audio: .                            # folder of the audio files, beside the manifest
    foreign: [cat]                      # labels that are no classes: sounds for noise out of vocabulary
    clips: [{path: 1.flac, label: dog, split: train}]                     # in place of table and columns

Some manifests are shipped, for data sets as they are published.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from acl.data.clip_rows import FIELDS, REQUIRED, Row, clips_of
from acl.data.clips import Clip
from acl.data.tables import table_rows
from acl.system.errors import CorpusError
from acl.system.text import close_to

_KEYS = ("name", "audio", "table", "columns", "foreign", "clips")
_COLUMN_IN_PATTERN = re.compile(r"\{([^{}]+)\}")
MAX_YAML_BYTES = 50_000_000


class _TextLoader(yaml.SafeLoader):
    """Each value is text as it is written: a label 010, 1:30 or yes is no number and no boolean."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in PyYAML)
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        found: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in found:
                    raise yaml.composer.ComposerError(None, None, f"{key.value} is written twice", key.start_mark)
                found.add(key.value)
        return node


@dataclass(frozen=True)
class Manifest:
    """What a manifest says: the name of the corpus, the folder of its audio, and its clips."""

    name: str
    audio: Path
    clips: tuple[Clip, ...]


def shipped_manifests() -> dict[str, str]:
    """Name -> text of the manifests that come with the package."""
    folder = files("acl") / "data" / "manifests"
    return {Path(entry.name).stem: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}


def read_manifest(name_or_file: str, audio: Path | None = None) -> Manifest:
    """Read a manifest and check its clips.

    Args:
        name_or_file: .csv or .yaml file, or the name of a shipped manifest.
        audio: folder that paths of clips start from, in place of what the manifest says; of a shipped one, where the data set lies.

    Raises:
        CorpusError: the manifest is wrong; names its first problem, with the line.
    """
    shipped = shipped_manifests()
    if name_or_file in shipped:
        if audio is None:
            raise CorpusError(f"{name_or_file} is a shipped manifest; say with --audio FOLDER where the data set lies")
        return _of_yaml(shipped[name_or_file], f"{name_or_file}.yaml", audio, audio)
    path = Path(name_or_file)
    if path.suffix.lower() == ".csv":
        folder = _folder(audio or path.parent)
        return Manifest(path.stem, folder, clips_of(list(read_rows(path)), folder))
    if path.suffix.lower() not in (".yaml", ".yml"):
        known = close_to(name_or_file, shipped) or f"shipped: {', '.join(sorted(shipped))}"
        raise CorpusError(f"{name_or_file} is no manifest: that is a .yaml or .csv file, or the name of a shipped one; {known}")
    return _of_yaml(_text(path), path.name, path.parent, audio)


def read_rows(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Rows of a CSV file.

    Args:
        path: of the file.
        columns: field -> column, or pattern of columns; None where columns are called as the fields.

    Raises:
        CorpusError: the file or a column is missing, or a row has not as many fields as the header.
    """
    sources: dict[str, str] = {}
    for where, cells in table_rows(path, lambda header: sources.update(_sources(path, header, columns))):
        yield Row(where, {name: _value(name, source, cells) for name, source in sources.items()})


def _sources(path: Path, header: Sequence[str], columns: Mapping[str, str] | None) -> dict[str, str]:
    """Field -> column or pattern, of the fields that a table has."""
    sources = {name: name for name in FIELDS if name in header} if columns is None else dict(columns)
    needed = [name for name in REQUIRED if name not in sources]
    needed += ["split"] * ("split" not in sources and "fold" not in sources)
    for name, source in sources.items():
        needed += [column for column in _COLUMN_IN_PATTERN.findall(source) or [source] if column not in header]
        if name == "noisy_small" and "manually_verified" not in sources:
            needed.append("manually_verified")
    if needed:
        remedy = close_to(needed[0], header) or f"it has {', '.join(header) or 'nothing'}"
        raise CorpusError(f"{path} has no column {needed[0]}; {remedy}")
    return sources


def _value(name: str, source: str, cells: Mapping[str, str]) -> str:
    value = _COLUMN_IN_PATTERN.sub(lambda match: cells[match[1]], source) if "{" in source else cells[source]
    return value if name == "path" else value.strip()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_YAML_BYTES + 1)
        if len(content) > MAX_YAML_BYTES:
            raise CorpusError(f"{path} has more than {MAX_YAML_BYTES // 10**6} MB; list the clips in a CSV table")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}); name a manifest") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path} is not UTF-8 text; save it as such") from None


def _of_yaml(text: str, file: str, folder: Path, audio: Path | None) -> Manifest:
    """A YAML manifest that lies in `folder`."""
    content, lines = _mapping(text, file)
    for key in content:
        if key not in _KEYS:
            raise CorpusError(f"{file}: {key!r} is no part of a manifest; {_instead(key, _KEYS)}")
    name = _string(content, "name", file)
    if ("table" in content) == ("clips" in content):
        raise CorpusError(f"{file}: a manifest has either a table or clips; write one of them")
    rows = (
        read_rows(folder / _string(content, "table", file), _columns(content.get("columns"), file))
        if "table" in content
        else _inline(content["clips"], file, lines)
    )
    foreign = content.get("foreign") or []
    if not isinstance(foreign, list) or not all(isinstance(label, str) for label in foreign):
        raise CorpusError(f"{file}: foreign is a list of labels, e.g. [cat, dog]; correct it")
    audio = _folder(audio or folder / (_string(content, "audio", file) if "audio" in content else "."))
    return Manifest(name, audio, clips_of(list(rows), audio, foreign))


def _mapping(text: str, file: str) -> tuple[dict[Any, Any], list[int]]:
    """A YAML mapping, and the line of each of its `clips`."""
    try:
        loader = _TextLoader(text)
        node = loader.get_single_node()
        content = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file} line {mark.line + 1}" if mark else file
        raise CorpusError(f"{where}: {getattr(error, 'problem', None) or 'not YAML'}; correct the file") from None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{file}: not YAML ({type(error).__name__}); correct the file") from None
    if not isinstance(content, dict):
        raise CorpusError(f"{file}: a manifest is a mapping with name, and table or clips; got {type(content).__name__}")
    assert isinstance(node, yaml.MappingNode)
    clips = next((value for key, value in node.value if key.value == "clips"), None)
    return content, [entry.start_mark.line + 1 for entry in clips.value] if isinstance(clips, yaml.SequenceNode) else []


def _columns(columns: Any, file: str) -> dict[str, str] | None:
    if columns is None:
        return None
    if not isinstance(columns, dict) or not all(isinstance(part, str) for pair in columns.items() for part in pair):
        raise CorpusError(f"{file}: columns is a mapping of our names to the table's, e.g. {{path: filename, label: category}}")
    for name in columns:
        if name not in FIELDS:
            raise CorpusError(f"{file}: columns: {name!r} is no field of a clip; {_instead(name, FIELDS)}")
    return columns


def _inline(clips: Any, file: str, lines: Sequence[int]) -> Iterator[Row]:
    """Rows of clips that are written in the manifest."""
    if not isinstance(clips, list) or not clips:
        raise CorpusError(f"{file}: clips is a list, e.g. [{{path: 1.flac, label: dog, split: train}}]; correct it")
    for clip, line in zip(clips, lines, strict=True):
        where = f"{file} line {line}"
        if not isinstance(clip, dict):
            raise CorpusError(f"{where}: a clip is a mapping, e.g. {{path: 1.flac, label: dog, split: train}}; correct it")
        for name, value in clip.items():
            if name not in FIELDS:
                raise CorpusError(f"{where}: {name!r} is no field of a clip; {_instead(name, FIELDS)}")
            if not isinstance(value, str):
                raise CorpusError(f"{where}: {name} must be text, got {type(value).__name__}; put it in quotes")
        fields = dict.fromkeys(REQUIRED, "") | clip
        yield Row(where, {name: value if name == "path" else value.strip() for name, value in fields.items()})


def _string(content: Mapping[Any, Any], key: str, file: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise CorpusError(f"{file}: {key} must be text in one line, got {type(value).__name__}; write e.g. {key}: sounds")
    return value


def _folder(audio: Path) -> Path:
    """Where the audio lies, as an absolute path.

    Raises:
        CorpusError: it is no folder.
    """
    if not audio.is_dir():
        raise CorpusError(f"{audio} is not a folder; name that of the audio files with --audio")
    return audio.absolute()


def _instead(name: object, known: Sequence[str]) -> str:
    return close_to(name, known) or f"known: {', '.join(known)}"
