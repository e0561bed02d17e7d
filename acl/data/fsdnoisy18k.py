"""Reader of the FSDnoisy18k layout: two audio folders and a folder with two tables.

    FSDnoisy18k.audio_train/*.wav   FSDnoisy18k.meta/train.csv: fname,label,aso_id,manually_verified,noisy_small
    FSDnoisy18k.audio_test/*.wav    FSDnoisy18k.meta/test.csv: fname,label

Both tables may have a column `group`, which FSDnoisy18k lacks: the recording that a clip was cut from, or nothing where that is not
known. Other columns are ignored. A corpus that is not FSDnoisy18k itself is called what `corpus.json` says, or else after its
folder.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from acl.data.clips import CLASSES, Clip, Corpus
from acl.data.tables import table_rows
from acl.system.errors import CorpusError
from acl.system.text import parse_json

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
DESCRIPTION_FILE = "corpus.json"
FSDNOISY18K_CLIPS = {"train": 17_585, "test": 947}
COLUMNS = {"train": ("fname", "label", "manually_verified", "noisy_small"), "test": ("fname", "label")}


def audio_folder(root: Path, split: str) -> Path:
    """Folder of the wav files of a split."""
    return root / f"FSDnoisy18k.audio_{split}"


def table_path(root: Path, name: str) -> Path:
    """Table `name` of the metadata folder."""
    return root / "FSDnoisy18k.meta" / f"{name}.csv"


def read_corpus(root: str | Path) -> Corpus:
    """All clips listed in train.csv and test.csv, in the order of the tables.

    Raises:
        CorpusError: a folder, table, column or listed file is missing, a file is listed twice, a flag is neither 0 nor 1,
            or a test label has no training clip.
    """
    root = Path(root)
    clips = [clip for split in SPLITS for clip in _read_split(root, split)]
    _check_names(clips)
    classes = tuple(sorted({clip.label for clip in clips}))
    unknown = {clip.label for clip in clips} - {clip.label for clip in clips if clip.split == "train"}
    if unknown:
        raise CorpusError(f"test.csv: no training clip has the label {min(unknown)!r}; correct the label or add training clips")
    description, is_synthetic = _read_description(root) or (_describe(root, clips, classes), False)
    return Corpus(root, description, is_synthetic, tuple(clips), classes)


def _read_split(root: Path, split: Split) -> list[Clip]:
    folder = audio_folder(root, split)
    if not folder.is_dir():
        raise CorpusError(
            f"{folder} is missing; {root} must hold the FSDnoisy18k folders audio_train, audio_test and meta; other recordings "
            "come in by `acl-study data import`"
        )
    clips = [
        Clip(
            name=row["fname"],
            split=split,
            label=row["label"],
            path=folder / row["fname"],
            manually_verified=split == "test" or _flag(row, "manually_verified", where),
            noisy_small=split == "train" and _flag(row, "noisy_small", where),
            group=row.get("group", ""),
        )
        for where, row in _rows(table_path(root, split), COLUMNS[split])
    ]
    present = set(os.listdir(folder))
    missing = [clip.name for clip in clips if clip.name not in present]
    if missing:
        raise CorpusError(
            f"{len(missing)} of {len(clips)} files listed in {split}.csv are not in {folder}, first {missing[0]}; "
            "restore them or remove their rows"
        )
    return clips


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows with their place ("train.csv line 7"), checked for shape."""
    if not path.is_file():
        raise CorpusError(f"{path} is missing; unpack FSDnoisy18k.meta there")

    def check_header(header: Sequence[str]) -> None:
        for column in columns:
            if column not in header:
                got = ", ".join(header)
                raise CorpusError(f"{path} has no column {column}; it needs {', '.join(columns)}, got {got[:200] or 'nothing'}")

    for where, row in table_rows(path, check_header):
        for column in ("fname", "label"):
            if not row[column] or not row[column].isprintable():
                raise CorpusError(f"{where}: {column} must be text on one line, got {row[column]!r}; correct the table")
        if not row.get("group", "").isprintable():
            raise CorpusError(f"{where}: group must be text on one line or empty, got {row['group']!r}; correct the table")
        yield where, row


def _flag(row: dict[str, str], column: str, where: str) -> bool:
    if row[column] not in ("0", "1"):
        raise CorpusError(f"{where}: {column} must be 0 or 1, got {row[column]!r}; correct the table")
    return row[column] == "1"


def _check_names(clips: list[Clip]) -> None:
    seen: dict[str, Clip] = {}
    for clip in clips:
        if clip.name in seen:
            places = " and ".join(sorted({f"{seen[clip.name].split}.csv", f"{clip.split}.csv"}))
            raise CorpusError(f"{clip.name} is listed twice in {places}; keep one of the rows")
        seen[clip.name] = clip


def _read_description(root: Path) -> tuple[str, bool] | None:
    """What the corpus calls itself, and whether it is synthetic; None if it does not say."""
    path = root / DESCRIPTION_FILE
    if not path.exists():
        return None
    try:
        stored = parse_json(path.read_bytes())
        name, is_synthetic = stored["name"], stored["synthetic"]
        if not isinstance(name, str) or not name.isprintable() or not isinstance(is_synthetic, bool):
            raise TypeError("name is a text on one line, synthetic is true or false")
        return name, is_synthetic
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path} is not a corpus description ({error!r}); correct or remove it") from None


def _describe(root: Path, clips: list[Clip], classes: tuple[str, ...]) -> str:
    """FSDnoisy18k is recognised by its classes and numbers of clips."""
    if classes == CLASSES and Counter(clip.split for clip in clips) == FSDNOISY18K_CLIPS:
        return "FSDnoisy18k"
    return f"corpus in {root.resolve().name}, {len(clips)} clips"
