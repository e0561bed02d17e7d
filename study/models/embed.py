"""Embeddings of audio files as a table, with an exported model."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console

from acl.data.audio import read_mono
from acl.exported_files import check_there
from acl.store.problems import printable
from acl.system.text import no_formula
from study import names
from study.console import progress_bar
from study.errors import StudyError

SUFFIXES = (".npz", ".csv")


@dataclass
class Embedded:
    """Rows of a table: one per file that could be read.

    Attributes:
        files: names as given on the command line, or found in a folder given there.
        embeddings: `[D]` float32 each.
        probabilities: `[classes]` float64 each; empty if the model does not classify.
    """

    files: list[str] = field(default_factory=list)
    embeddings: list[np.ndarray] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)


def embed_files(folder: Path, paths: Sequence[Path], out: Path) -> int:
    """Embed audio files and write the table; returns how many files could not be used, each with a line on standard error.

    Args:
        folder: of the model, as `acl-study export` wrote it.
        paths: files, and folders whose audio files are taken, nested ones too.
        out: the table; `.npz` with the arrays names, embeddings, and if the model classifies classes, probabilities, predicted;
            or `.csv` with a row per file.

    Raises:
        StudyError: `out` has another suffix, there are no files, or none could be used.
        ExportedError: there is no usable model.
    """
    if out.suffix not in SUFFIXES:
        raise StudyError(f"--out is {out}; name a file that ends in {' or '.join(SUFFIXES)}")
    check_there(folder)
    files = audio_files(paths)
    from acl.exported import load_exported  # with torch, which takes seconds

    model = load_exported(folder)
    table, failures = Embedded(), 0
    console = Console(stderr=True, highlight=False)
    with progress_bar("embedding", "files", console) as progress:
        for done, path in enumerate(files, start=1):
            try:
                analysis = model.analyse(*read_mono(path))
            except ValueError as error:  # AudioError, or that of the front end
                failures += 1
                console.print(f"{printable(str(path))} {error}; left out", markup=False, soft_wrap=True)
            else:
                table.files.append(str(path))
                table.embeddings.append(analysis.embedding.numpy())
                if analysis.probabilities is not None:
                    table.probabilities.append(analysis.probabilities.numpy())
            progress(done, len(files))
    if not table.files:
        raise StudyError(f"none of {len(files)} files could be used; nothing is written")
    _write(table, model.classes, out)
    if failures:
        console.print(f"{failures} of {len(files)} files could not be used and have no row", markup=False, soft_wrap=True)
    return failures


def audio_files(paths: Sequence[Path]) -> list[Path]:
    """Files as they are; of folders, the files in any depth whose name ends as a format that soundfile reads, in their order.

    Raises:
        StudyError: a folder has none.
        OSError: a folder cannot be read.
    """
    suffixes = {f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".oga", ".opus"}
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(entry for entry in _files_below(path) if entry.suffix.lower() in suffixes)
        if not inside:
            raise StudyError(f"{path} has no audio files; soundfile reads {', '.join(sorted(suffixes))}")
        files += inside
    return files


def _files_below(folder: Path) -> Iterator[Path]:
    """All that is no folder; what cannot be used is for its reader to say."""

    def stop(error: OSError) -> None:
        raise error

    for parent, _, files in os.walk(folder, onerror=stop):
        yield from (Path(parent, name) for name in files)


def _write(table: Embedded, classes: tuple[str, ...], out: Path) -> None:
    """Write the whole table, or nothing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    embeddings = np.stack(table.embeddings)
    probabilities = np.stack(table.probabilities).astype(np.float32) if table.probabilities else None
    predicted = [] if probabilities is None else [classes[best] for best in probabilities.argmax(1)]
    try:
        if out.suffix == ".npz":
            arrays = {"names": np.array(table.files), "embeddings": embeddings}
            if probabilities is not None:
                arrays |= {"classes": np.array(classes), "probabilities": probabilities, "predicted": np.array(predicted)}
            with partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        else:
            header = ["name", *(f"e{number}" for number in range(embeddings.shape[1]))]
            columns: list[np.ndarray] = [embeddings]
            if probabilities is not None:
                header += [names.PREDICTION_PROBABILITY_PREFIX + name for name in classes] + [names.PREDICTION_PREDICTED]
                columns.append(probabilities)
            with partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as text:  # names as the disk has them
                writer = csv.writer(text, lineterminator="\n")
                writer.writerow(header)
                for row, (name, values) in enumerate(zip(table.files, np.concatenate(columns, axis=1), strict=True)):
                    numbers, label = (f"{value:.9g}" for value in values), map(no_formula, predicted[row : row + 1])
                    writer.writerow([no_formula(name), *numbers, *label])
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
