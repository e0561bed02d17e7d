"""A home folder of an earlier version, kept in tests/frozen: what this version must still be able to read and to go on with.

`python tests/support/frozen_home.py` makes it anew with the real command line, which is to be done only where a version may stop
reading earlier homes: the tests then say nothing about those before. What lies in tests/frozen:

    home.tar.xz     the home `acl-runs` of a study that was interrupted, and beside it its `corpus`, without what nobody reads again
    tables/*.csv    the report's tables of the study as it is there
    expected.json   what else the version that made it said: its versions, what `status` and `best` print, what became of
                    `frozen_sound`
"""

import csv
import io
import json
import lzma
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

FROZEN = Path(__file__).parents[1] / "frozen"
ARCHIVE, EXPECTED, TABLES = FROZEN / "home.tar.xz", FROZEN / "expected.json", FROZEN / "tables"
STUDY, EXPORTED, INTERRUPTED = "frozen", "grid-0001", "search-0001"  # the study, a trial that finished, one that did not
EPOCHS = {"grid": 2, "search": 8}  # of a trial of each sweep
KEPT_TABLES = ("counts", "curves", "fig3", "runs", "search", "table2")
_HOME, _CORPUS = "acl-runs", "corpus"
_PLACEHOLDER = "/FROZEN"  # stands for the folder in which home and corpus lie, in texts and in checkpoints
_TEXTS = (".csv", ".journal", ".json", ".jsonl", ".md", ".sql", ".yaml")
_NOT_READ_AGAIN = ("lock", "locks", "ray", "supervised", "mlflow.db.lock", ".lock", "*.partial")  # names of files and folders
_NOT_NEEDED = ("acl-runs/studies/frozen/grid/grid-0000/state/*.pt",)  # weights that nobody asks for, a sixth of the whole
# Numbers of four bytes, whose signs and exponents are alike
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 2, "lp": 2, "pb": 2}]
_CLASSES = ("Engine", "Rain", "Wind")
_CLIPS = {"noisy": 4, "clean": 2, "test": 2}  # of each class
_RATE, _HOP = 22_050, 220  # of the self-supervised front end: a sound of this period has equal frames, which take no room
_STUDY_FILE = """
name: frozen
question: Does a later version go on with what an earlier one has begun?
profile: mini
base:
  mode: self-supervised
  model.width: 4
  optim.batch_size: 6
  probe.epochs: 2
  knn.k: 3
  compute.threads: 1
sweeps:
  - name: grid
    base: {optim.epochs: 2}
    space: {loss.alpha: {grid: [1.0, 0.5]}}
  - name: search
    base: {optim.epochs: 8}
    space:
      loss.alpha: {uniform: [0.1, 0.9]}
      loss.temperature: {loguniform: [0.05, 1.0]}
    search: tpe
    budget: {trials: 4}
    objective: val.knn_accuracy
"""


def unpack_frozen_home(folder: Path) -> Path:
    """Put the home and its corpus into a folder, wherever it is; returns the home."""
    folder = folder.resolve()
    with lzma.open(ARCHIVE) as packed, tarfile.open(fileobj=packed) as archive:
        archive.extractall(folder, filter="data")
    for path in _files(folder):
        _replace(path, _PLACEHOLDER, str(folder))
        if path.suffix == ".sql":
            with sqlite3.connect(path.with_suffix(".db")) as database:
                database.executescript(path.read_text(encoding="utf-8"))
            database.close()
            path.unlink()
    return folder / _HOME


def frozen_table(name: str) -> list[dict[str, str]]:
    """Rows of a table of the report, as they were."""
    return list(csv.DictReader(io.StringIO((TABLES / f"{name}.csv").read_text(encoding="utf-8"))))


def expected() -> dict[str, Any]:
    """What else was printed, see the head of this file."""
    content: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return content


def frozen_sound() -> np.ndarray:
    """The waveform of the frozen embedding, at `_RATE` Hz: noise, of which log-mels hardly depend on a machine's rounding."""
    return np.random.default_rng(1).uniform(-0.5, 0.5, 2 * _RATE)


def write_frozen_corpus(root: Path) -> Path:
    """Clips of one second in the layout of FSDnoisy18k; a class is an envelope over the harmonics of 100 Hz."""
    rng = np.random.default_rng(0)
    tables: dict[str, list[tuple[object, ...]]] = {"train": [], "test": []}
    for number, label in enumerate(_CLASSES):
        for part, clips in _CLIPS.items():
            split = "test" if part == "test" else "train"
            folder = root / f"FSDnoisy18k.audio_{split}"
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(clips):
                name = f"{1000 + sum(map(len, tables.values()))}.wav"
                soundfile.write(folder / name, _periodic_noise(rng, 15 + 20 * number), _RATE, subtype="PCM_16")
                tables[split].append((name, label, int(part != "noisy"), int(part == "noisy")))
    (root / "FSDnoisy18k.meta").mkdir()
    for split, rows in tables.items():
        with (root / "FSDnoisy18k.meta" / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("fname", "label", "manually_verified", "noisy_small"), *rows])
    return root


def _periodic_noise(rng: np.random.Generator, peak: int) -> np.ndarray:
    harmonics = np.arange(1, _HOP // 2)
    envelope = np.exp(-(((harmonics - peak) / 30) ** 2)) * rng.lognormal(0, 1, len(harmonics))
    phases = rng.uniform(0, 2 * np.pi, len(harmonics))
    period = (envelope[:, None] * np.cos(2 * np.pi * np.outer(harmonics, np.arange(_HOP)) / _HOP + phases[:, None])).sum(0)
    return np.tile(0.8 * period / np.abs(period).max(), _RATE // _HOP + 1)[:_RATE]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _replace(path: Path, old: str, new: str) -> None:
    """Have a file name another folder; a checkpoint names it in its settings only."""
    if path.suffix in _TEXTS:
        text = path.read_text(encoding="utf-8")
        if old in text:
            path.write_text(text.replace(old, new), encoding="utf-8")
    elif path.suffix == ".pt":
        content = torch.load(path, map_location="cpu", weights_only=True)
        content["config"]["data.root"] = content["config"]["data.root"].replace(old, new)
        torch.save(content, path)


def _pack(folder: Path, names: tuple[str, ...]) -> None:
    """Write the archive of a copy of the named folders."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for name in names:
            shutil.copytree(folder / name, copy / name, ignore=shutil.ignore_patterns(*_NOT_READ_AGAIN))
        for pattern in _NOT_NEEDED:
            for path in copy.glob(pattern):
                path.unlink()
        for path in _files(copy):
            if path.suffix == ".db":
                with sqlite3.connect(path) as database:
                    path.with_suffix(".sql").write_text("\n".join(database.iterdump()) + "\n", encoding="utf-8")
                database.close()
                path.unlink()
        for path in _files(copy):
            _replace(path, str(folder), _PLACEHOLDER)
            if str(folder).encode() in path.read_bytes():
                raise AssertionError(f"{path} names {folder}")
        FROZEN.mkdir(exist_ok=True)
        with lzma.open(ARCHIVE, "w", filters=_FILTERS) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
            for path in _files(copy):
                archive.add(path, path.relative_to(copy), filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def _command(*arguments: object) -> list[str]:
    code = "import sys; sys.argv[0] = 'acl-study'; from study.cli import main; main()"
    return [sys.executable, "-P", "-c", code, *map(str, arguments)]


def _run(folder: Path, *arguments: object) -> str:
    """Run the command line in a folder, whose name MLflow notes; returns what it prints."""
    done = subprocess.run(_command(*arguments), cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _epochs(journal: Path, trial: str) -> int:
    """How many epochs of a trial a journal has."""
    lines = journal.read_text(encoding="utf-8").split("\n")[:-1] if journal.exists() else []
    events = [json.loads(line) for line in lines]
    return sum(event["event"] == "epoch" and event["trial"] == trial for event in events)


def _run_until(has_happened: Callable[[], bool], folder: Path, *arguments: object) -> None:
    """Run the command line and interrupt it."""
    process = subprocess.Popen(_command(*arguments), cwd=folder)
    while not has_happened():
        if process.poll() is not None:
            raise AssertionError(f"it has ended with status {process.returncode}")
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    if process.wait() != 130:
        raise AssertionError(f"status {process.returncode}")


def make_frozen_home(folder: Path) -> None:
    """Run the study in an empty folder, interrupt it, pack it, and note what this version says of it."""
    folder = folder.resolve()
    home, corpus = folder / _HOME, write_frozen_corpus(folder / _CORPUS)
    journal = home / "studies" / STUDY / "search" / "journal.jsonl"
    (folder / "study.yaml").write_text(_STUDY_FILE, encoding="utf-8")
    _run(folder, "data", "prepare", corpus)
    launch = ("run", folder / "study.yaml", "--data", corpus, "--home", home, "--cpus", 2)
    _run_until(lambda: _epochs(journal, INTERRUPTED) >= 3, folder, *launch)
    _pack(folder, (_HOME, _CORPUS))

    shutil.rmtree(TABLES, ignore_errors=True)
    TABLES.mkdir()
    unpacked = unpack_frozen_home(folder / "unpacked")
    status, best = _run(folder, "status", STUDY, "--home", unpacked), _run(folder, "best", STUDY, "--home", unpacked)
    _run(folder, "report", STUDY, "--home", unpacked, "--out", folder / "report")
    for name in KEPT_TABLES:
        shutil.copy(folder / "report" / f"{name}.csv", TABLES)
    _run(folder, "export", f"{STUDY}/{EXPORTED}", folder / "model", "--home", unpacked)
    from acl.exported import load_exported

    analysis = load_exported(folder / "model").analyse(frozen_sound(), _RATE)
    assert analysis.probabilities is not None
    launches = json.loads((home / "studies" / STUDY / "grid" / EXPORTED / "state" / "provenance.json").read_text(encoding="utf-8"))
    checkpoint = home / "studies" / STUDY / "search" / INTERRUPTED / "state" / "checkpoint.pt"
    trained = torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]
    content = {
        "code": launches[0]["code"],
        "versions": launches[0]["versions"],
        "epochs_of_interrupted": {"noted": _epochs(journal, INTERRUPTED), "trained": trained},
        "status": status[status.index("┏") :].splitlines(),  # above it, times and disks
        "best": best.replace(str(unpacked), _HOME).splitlines(),
        "sample_rate": _RATE,
        "embedding": analysis.embedding.tolist(),
        "probabilities": analysis.probabilities.tolist(),
    }
    EXPECTED.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["COLUMNS"] = "150"
    with tempfile.TemporaryDirectory(prefix="frozen-") as scratch:
        os.environ["ACL_STUDY_CACHE"] = str(Path(scratch, "cache"))
        make_frozen_home(Path(scratch))
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes")
