"""Corpus folders: FSDnoisy18k's own layout, or what `acl-study data import` has written.

An imported corpus has its audio elsewhere; its folder holds

    corpus.json    name, synthetic (false), and the folder of the audio
    clips.csv      a row for each clip, as `acl.data.clip_rows` reads them

Features go into the same folder, beside them.
"""

import csv
import io
import json
from pathlib import Path

from acl.data import fsdnoisy18k
from acl.data.clip_rows import FIELDS, classes_of, clips_of
from acl.data.clips import Clip, Corpus
from acl.data.fsdnoisy18k import DESCRIPTION_FILE
from acl.data.manifest import Manifest, read_rows
from acl.system.errors import CorpusError
from acl.system.files import write_durably

TABLE_FILE = "clips.csv"


def read_corpus(root: str | Path) -> Corpus:
    """All clips of a corpus folder of either layout, in the order of its tables.

    Raises:
        CorpusError: it is no corpus folder, or something in it is missing or wrong.
    """
    root = Path(root)
    return _read_imported(root) if (root / TABLE_FILE).exists() else fsdnoisy18k.read_corpus(root)


def import_corpus(manifest: Manifest, root: Path) -> Corpus:
    """Make `root` the corpus of a manifest; the audio stays where it is. A corpus of the same name is replaced.

    Raises:
        CorpusError: the folder holds another corpus, or cannot be written.
    """
    description = root / DESCRIPTION_FILE
    if description.exists() or (root / TABLE_FILE).exists():
        there = _described(root)[0]
        if there != manifest.name:
            raise CorpusError(f"{root} holds the corpus {there!r} already; name another folder for {manifest.name!r}")
    elif any(fsdnoisy18k.audio_folder(root, split).exists() for split in fsdnoisy18k.SPLITS):
        raise CorpusError(f"{root} holds a corpus in FSDnoisy18k layout; name another folder for {manifest.name!r}")
    text = json.dumps({"name": manifest.name, "synthetic": False, "audio": str(manifest.audio)}, ensure_ascii=False, indent=2)
    try:
        root.mkdir(parents=True, exist_ok=True)
        write_durably(description, text + "\n")
        write_durably(root / TABLE_FILE, _table(manifest.clips))
    except OSError as error:
        raise CorpusError(f"{root} cannot be written ({error.strerror}); name another folder") from None
    return read_corpus(root)


def _table(clips: tuple[Clip, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for clip in clips:
        split, fold = ("", clip.fold) if clip.fold else (clip.split, "")
        writer.writerow([clip.name, clip.label, split, fold, clip.group, int(clip.manually_verified), int(clip.noisy_small)])
    return text.getvalue()


def _read_imported(root: Path) -> Corpus:
    name, audio = _described(root)
    clips = clips_of(list(read_rows(root / TABLE_FILE)), audio)
    has_parts = not all(clip.manually_verified for clip in clips)
    return Corpus(root, name, False, clips, classes_of(clips), has_parts)


def _described(root: Path) -> tuple[str, Path]:
    """Name of an imported corpus, and the folder of its audio."""
    path = root / DESCRIPTION_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return str(stored["name"]), Path(stored["audio"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorpusError(
            f"{path} does not describe an imported corpus ({error!r}); import it again, or name another folder"
        ) from None
