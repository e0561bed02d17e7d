"""From rows of text about clips to checked clips: what manifests and imported corpora have in common.

A row has these fields, of which a corpus may lack those in brackets:

    path [manually_verified noisy_small]    audio file, as a path below the folder of the audio; 0 or 1
    label                                   the class
    split or fold                           train, test or foreign; or the number of the fold, from 1
    [group]                                 the recording that the clip was cut from; those of one are held out together

A clip counts as manually verified where nothing is said, and each test clip does.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from acl.data.clips import Clip, Split
from acl.system.errors import CorpusError
from acl.system.text import close_to

FIELDS = ("path", "label", "split", "fold", "group", "manually_verified", "noisy_small")
REQUIRED = ("path", "label")
SPLITS = ("train", "test", "foreign")
MAX_FOLD = 1000


class Row(NamedTuple):
    """Fields of a clip as text; `where` is its place, e.g. "clips.csv line 7"."""

    where: str
    fields: Mapping[str, str]


def clips_of(rows: Sequence[Row], audio: Path, foreign: Collection[str] = ()) -> tuple[Clip, ...]:
    """Clips in the order of the rows.

    Args:
        rows: one a clip.
        audio: folder that paths start from.
        foreign: labels whose clips are foreign, whatever their split or fold.

    Raises:
        CorpusError: a row is wrong, or the clips make no corpus; names the first problem and how many there are.
    """
    clips, problems = [], []
    for row in rows:
        try:
            clips.append(_clip(row, audio, foreign))
        except CorpusError as error:
            problems.append(str(error))
    problems = problems or [*_repeated(rows, clips), *_missing(rows, clips)] or [*_faults_of_whole(clips, foreign)]
    if problems:
        others = len(problems) - 1
        raise CorpusError(problems[0] + (f" ({others} more problem{'s' * (others > 1)} of this kind)" if others else ""))
    return tuple(clips)


def classes_of(clips: Iterable[Clip]) -> tuple[str, ...]:
    """Labels of all but foreign clips, in alphabetical order."""
    return tuple(sorted({clip.label for clip in clips if clip.split != "foreign"}))


def notes_on(clips: Sequence[Clip]) -> list[str]:
    """Lines about what may be meant but seldom is: recordings that both train and test, labels that differ in case only."""
    return [*_straddling_recordings(clips), *_labels_alike(clips)]


def _straddling_recordings(clips: Iterable[Clip]) -> Iterable[str]:
    places: dict[str, set[tuple[str, int]]] = {}
    for clip in clips:
        if clip.group and clip.split != "foreign":
            places.setdefault(clip.group, set()).add((clip.split, clip.fold))
    straddling = sorted(group for group, found in places.items() if len(found) > 1)
    if straddling:
        number = f"{len(straddling)} recordings have" if len(straddling) > 1 else "1 recording has"
        yield f"{number} clips on both sides of a split or fold, first {straddling[0]}: test results are too good"


def _labels_alike(clips: Iterable[Clip]) -> Iterable[str]:
    alike: dict[str, list[str]] = {}
    for label in sorted({clip.label for clip in clips}):
        alike.setdefault(label.casefold(), []).append(label)
    for labels in alike.values():
        if len(labels) > 1:
            names = ", ".join(labels)
            yield f"labels {names} differ in case only and count as different classes; write them alike to make them one"


def _clip(row: Row, audio: Path, foreign: Collection[str]) -> Clip:
    where, fields = row
    path, label = fields["path"], fields["label"]
    for name in ("path", "label"):
        if not fields[name] or not fields[name].isprintable():
            raise CorpusError(f"{where}: {name} must be text in one line, got {fields[name]!r}; correct it")
    split, fold = _split(row, is_foreign=label in foreign)
    return Clip(
        name=path,
        split=split,
        label=label,
        path=audio / path,
        manually_verified=split == "test" or _flag(row, "manually_verified", default="1"),
        noisy_small=split != "test" and _flag(row, "noisy_small", default="0"),
        fold=fold,
        group=fields.get("group", ""),
    )


def _split(row: Row, *, is_foreign: bool) -> tuple[Split, int]:
    """Split and fold of a clip; one of them is given."""
    if is_foreign:
        return "foreign", 0
    split, fold = (row.fields.get(name, "") for name in ("split", "fold"))
    if bool(split) == bool(fold):
        raise CorpusError(f"{row.where}: a clip has a split or a fold, got split {split!r} and fold {fold!r}; fill in one of them")
    if not fold:
        if split not in SPLITS:
            raise CorpusError(f"{row.where}: split must be one of {', '.join(SPLITS)}, got {split!r}; correct it")
        return cast(Split, split), 0
    if not (fold.isascii() and fold.isdecimal() and 1 <= int(fold[:9]) <= MAX_FOLD):
        raise CorpusError(f"{row.where}: fold must be a number from 1 to {MAX_FOLD}, got {fold!r}; correct it")
    return "fold", int(fold)


def _flag(row: Row, name: str, default: str) -> bool:
    value = row.fields.get(name, default)
    if value not in ("0", "1"):
        raise CorpusError(f"{row.where}: {name} must be 0 or 1, got {value!r}; correct it")
    return value == "1"


def _repeated(rows: Sequence[Row], clips: Sequence[Clip]) -> Iterable[str]:
    first: dict[str, str] = {}
    for row, clip in zip(rows, clips, strict=True):
        path = os.path.normpath(clip.path)
        if path in first:
            yield f"{row.where}: {clip.name} is listed twice, first in {first[path]}; keep one of the rows"
        first.setdefault(path, row.where)


def _missing(rows: Sequence[Row], clips: Sequence[Clip]) -> Iterable[str]:
    for row, clip in zip(rows, clips, strict=True):
        if not os.path.isfile(clip.path):
            yield f"{row.where}: there is no file {clip.path}; restore it, correct the path, or name the folder with --audio"


def _faults_of_whole(clips: Sequence[Clip], foreign: Collection[str]) -> Iterable[str]:
    own = [clip for clip in clips if clip.split != "foreign"]
    classes = classes_of(own)
    splits = {clip.split for clip in own}
    if len(classes) < 2:
        yield f"clips of {len(classes)} classes cannot be told apart; a corpus has at least 2"
    if "fold" in splits and len(splits) > 1:
        yield "some clips have a split and some a fold; use one of them for all"
    elif "fold" in splits:
        yield from _faults_of_folds(own)
    else:
        yield from (
            f"no clip has the split {split}; a corpus needs train and test" for split in ("train", "test") if split not in splits
        )
        trained = {clip.label for clip in own if clip.split == "train"}
        for label in classes if "train" in splits else ():
            if label not in trained:
                yield f"no training clip has the label {label!r}; correct the label or add training clips"
    for clip in clips:
        if clip.split == "foreign" and clip.label in classes:
            yield f"{clip.name} is foreign, but its label {clip.label!r} is a class; a sound of a class is not foreign"
    for label in foreign:
        if not any(clip.label == label for clip in clips):
            yield f"foreign: no clip has the label {label!r}; {close_to(label, classes) or 'leave it out'}"


def _faults_of_folds(clips: Sequence[Clip]) -> Iterable[str]:
    folds = {clip.fold for clip in clips}
    if len(folds) < 2:
        yield f"all clips are in fold {min(folds)}; there must be 2 folds at least, or a split"
        return
    counts = Counter(label for label, _ in {(clip.label, clip.fold) for clip in clips})
    for clip in clips:
        if counts[clip.label] == 1:
            yield (
                f"label {clip.label!r} is in fold {clip.fold} alone, so that nothing trains it when that fold tests; "
                "spread its clips over two folds"
            )
            counts[clip.label] = 0
