"""How long a report of many runs takes, and how much memory: reading MLflow cold and from the cache, and the whole page.

    python benchmarks/report_scale.py --runs 5000 --steps 100
    python benchmarks/report_scale.py --runs 500 --steps 100 --home /tmp/scale   # keeps the store there, and uses it again

Writes a SQLite store (MLflow's own schema, rows in bulk): half of the runs supervised, half self-supervised; 60 % finished, 35 %
stopped, 4 % failed, the rest still running; 20 parameters, 15 metrics each epoch, and predictions of 300 clips for each finished
run. A third of the runs are a grid with 5 seeds of each setting, the others a random search. Each figure is of a process of
its own: seconds on the clock and of the processor, without imports; peak resident memory with them. The system's
page cache is not emptied.
"""

import argparse
import contextlib
import importlib.metadata as metadata
import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from analysis.records import runs
from analysis.report import page as report
from analysis.sections.curves import CURVE_METRICS
from analysis.sections.early_stopping import metrics_by_epoch
from study import names

STUDY = "scale"
SUBSETS = ("all", "noisy", "noisy_small", "clean")
CLASSES = [f"Class_{number:02d}" for number in range(20)]
CLIPS, VAL_CLIPS = 300, 100
START = 1_750_000_000_000  # ms
SEEDS = 5
EVERY_EPOCH = [
    names.TRAIN_LOSS,
    names.TRAIN_ANGULAR_MARGIN,
    names.LEARNING_RATE,
    names.CLIPS_PER_SECOND,
    names.EPOCH_SECONDS,
]
OF_MODE = {
    "supervised": [names.VAL_EPOCH_ACCURACY, names.VAL_ACCURACY, names.VAL_LOSS, names.VAL_CROSS_ENTROPY],
    "self-supervised": [names.VAL_EPOCH_KNN_ACCURACY, names.VAL_KNN_ACCURACY, names.VAL_KNN_MACRO_ACCURACY, names.TRAIN_NT_XENT],
}
METRICS = 15
READINGS = {
    "cold": "reading, empty cache",
    "warm": "reading, from the cache",
    "all": "reading all 15 metrics, no cache",
    "report": "whole report, empty cache",
    "again": "whole report, from the cache",
}


def trials(number: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Settings, outcome and accuracy of each run."""
    for index in range(number):
        mode = ("supervised", "self-supervised")[index % 2]
        place, of_grid = index // 2, index % 6 < 2
        setting = place // 3 // SEEDS
        alpha = (setting // 4 % 11) / 10 if of_grid else rng.uniform(0.05, 0.95)
        margin = 0.5 if of_grid else rng.uniform(0.1, 1.0)
        accuracy = 0.6 + 0.1 * (1 - (alpha - 0.4) ** 2) + 0.02 * rng.standard_normal()
        yield {
            "mode": mode,
            "alpha": round(1.0 if place < 3 * SEEDS and of_grid else alpha, 6),
            "margin": round(margin, 6),
            "seed": place // 3 % SEEDS if of_grid else 0,
            "sweep": "grid" if of_grid else "search",
            "subset": (SUBSETS[setting % 4] if of_grid else "all") if mode == "supervised" else "noisy",
            "outcome": names.FINISHED if of_grid else str(rng.choice(_OUTCOMES, p=(0.4, 0.525, 0.06, 0.015))),
            "accuracy": float(accuracy),
        }


_OUTCOMES = (names.FINISHED, names.STOPPED, names.FAILED, "")


def parameters(trial: dict[str, Any]) -> dict[str, Any]:
    """20 parameters (self-supervised: 22)."""
    own = {"mode": trial["mode"], "seed": trial["seed"], "data.root": "/corpus", "data.subset": trial["subset"]}
    own |= {"loss.alpha": trial["alpha"], "loss.margin": trial["margin"], "optim.epochs": 100, "optim.milestones": "[0.65, 0.85]"}
    own |= {"compute.channels_last": False} | {f"model.size_{number}": number for number in range(11)}
    return own | ({"loss.temperature": 0.2, "probe.protocol": "cached"} if trial["mode"] == "self-supervised" else {})


def write_store(home: Path, number: int, steps: int) -> None:
    """The store, and the predictions beside it."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = int(client.create_experiment(names.EXPERIMENT, artifact_location=(home / "artifacts").as_uri()))
    study = client.create_run(str(experiment), tags={names.KIND: names.KIND_STUDY, names.STUDY: STUDY}).info.run_id
    rng = np.random.default_rng(0)
    database = sqlite3.connect(home / "mlflow.db")
    database.execute("PRAGMA synchronous = OFF")
    for index, trial in enumerate(trials(number, rng)):
        run_id = uuid.UUID(bytes=rng.bytes(16)).hex
        began = START + 100_000 * index
        artifacts = home / "artifacts" / run_id / "artifacts"
        over = trial["outcome"] != ""
        status, end = ("FINISHED", began + 1000 * steps) if over else ("RUNNING", None)
        columns = "run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id"
        row = (run_id, f"trial{index:05d}", "LOCAL", "me", status, began, end, "active", artifacts.as_uri(), experiment)
        insert(database, f"runs ({columns})", [row])
        tags = {names.KIND: names.KIND_TRIAL, names.STUDY: STUDY, names.STUDY_RUN: study, names.SWEEP: trial["sweep"]}
        tags |= {names.TRIAL_ID: f"trial{index:05d}", names.OBJECTIVE: names.VAL_ACCURACY} | {
            f"tag.{number}": "x" * 20 for number in range(8)
        }
        tags |= {names.OUTCOME: trial["outcome"]} if over else {}
        insert(database, "tags (key, value, run_uuid)", [(*tag, run_id) for tag in tags.items()])
        pairs = parameters(trial).items()
        insert(database, "params (key, value, run_uuid)", [(key, str(value), run_id) for key, value in pairs])
        write_metrics(database, run_id, trial, steps, began, rng)
        if trial["outcome"] == names.FINISHED:
            artifacts.mkdir(parents=True)
            (artifacts / names.PREDICTIONS_FILE).write_text(predictions(trial["accuracy"], rng), encoding="utf-8")
    database.commit()
    database.close()


def write_metrics(
    database: sqlite3.Connection, run_id: str, trial: dict[str, Any], steps: int, began: int, rng: np.random.Generator
) -> None:
    """Metrics of each epoch, and of a finished run its last ones."""
    epochs = steps if trial["outcome"] == names.FINISHED else max(1, steps // 2)
    keys = EVERY_EPOCH + OF_MODE[trial["mode"]]
    keys += [f"train.detail_{number}" for number in range(METRICS - len(keys))]
    curve = trial["accuracy"] * (1 - np.exp(-np.arange(1, epochs + 1) / 15)) + 0.01 * rng.standard_normal((len(keys), epochs))
    values = curve.tolist()
    metrics = [
        (key, values[row][epoch], began + 1000 * epoch, run_id, epoch + 1, False)
        for epoch in range(epochs)
        for row, key in enumerate(keys)
    ]
    last = metrics[-len(keys) :]
    if trial["outcome"] == names.FINISHED:
        shares = (names.TEST_ACCURACY, names.TEST_MACRO_ACCURACY, names.TEST_PATCH_WEIGHTED_ACCURACY, names.TEST_KNN_ACCURACY)
        shares += (names.BEST_EPOCH, names.TEST_UNIFORMITY, names.TEST_TOLERANCE)
        shares += () if trial["mode"] == "supervised" else (names.VAL_ACCURACY,)
        final = [(key, trial["accuracy"], began + 1000 * epochs, run_id, epochs, False) for key in shares]
        metrics, last = metrics + final, last + final
    insert(database, "metrics (key, value, timestamp, run_uuid, step, is_nan)", metrics)
    insert(database, "latest_metrics (key, value, timestamp, run_uuid, step, is_nan)", last)


def insert(database: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Rows into a table that is given with its columns."""
    database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * (table.count(',') + 1))})", rows)


def predictions(accuracy: float, rng: np.random.Generator) -> str:
    """A predictions file: the headline's and kNN's of each clip."""
    right = rng.random((2, CLIPS)) < accuracy
    head = ("evaluation", "split", "clip", "label", "predicted", "patches", *(f"p:{name}" for name in CLASSES))
    return "\n".join([",".join(head), *_lines(right)]) + "\n"


def _lines(right: np.ndarray) -> Iterable[str]:
    chances = ",".join(["0.0123456"] * len(CLASSES))
    for clip in range(CLIPS):
        label = clip % len(CLASSES)
        for row, evaluation in enumerate((names.EVALUATION_CLASSIFIER, names.EVALUATION_KNN)):
            predicted = CLASSES[label if right[row, clip] else (label + 1) % len(CLASSES)]
            split = "val" if clip < VAL_CLIPS else "test"
            yield f"{evaluation},{split},{clip}.wav,{CLASSES[label]},{predicted},{1 + clip % 3},{chances}"


def measure(reading: str, home: Path) -> None:
    """One reading in this process; prints JSON."""
    uri, begin, begin_processor = f"sqlite:///{home}/mlflow.db", time.perf_counter(), time.process_time()
    found: dict[str, float] = {}
    if reading in ("report", "again"):
        page = report.write_report(uri, [STUDY], home / "report")
        found["page"] = page.stat().st_size
    else:
        frame = runs.load_trials(uri, [STUDY])
        found["trials"] = time.perf_counter() - begin
        shown = {metric for metrics in CURVE_METRICS.values() for metric in metrics}
        read = sorted({*shown, *metrics_by_epoch(frame), names.EPOCH_SECONDS})  # as analysis.report.assemble
        history = runs.load_history(uri, frame["run_id"], None if reading == "all" else read)
        found["histories"] = time.perf_counter() - begin - found["trials"]
        found["points"] = len(history)
        if reading != "all":
            rows = runs.load_predictions(uri, frame.loc[frame["outcome"] == names.FINISHED, "run_id"])
            found["predictions"] = time.perf_counter() - begin - found["trials"] - found["histories"]
            found["rows"] = len(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = {"seconds": time.perf_counter() - begin, "processor": time.process_time() - begin_processor}
    print(json.dumps({**seconds, "peak": peak, **found}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--home", type=Path, help="keep the store here, and use the one that is here")
    parser.add_argument("--measure", choices=READINGS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.home)
        return
    libraries = ("mlflow", "pandas", "pyarrow", "sqlalchemy", "plotly")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in libraries)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}")
    print(versions)
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        if not (home / "mlflow.db").exists():
            write_store(home, options.runs, options.steps)
        size = (home / "mlflow.db").stat().st_size / 2**20
        with contextlib.closing(sqlite3.connect(home / "mlflow.db")) as database:
            (number,) = database.execute("SELECT count(*) FROM params WHERE key = 'mode'").fetchone()
        print(f"{number} runs: store of {size:.0f} MiB in {time.perf_counter() - begin:.0f} s")
        for reading, title in READINGS.items():
            with tempfile.TemporaryDirectory() as empty:
                cache = home / "cache" if reading in ("warm", "again") else Path(empty)
                if reading == "cold":
                    cache = home / "cache"
                    for file in cache.glob("*.rows"):
                        file.unlink()
                command = [sys.executable, __file__, "--measure", reading, "--home", str(home)]
                done = subprocess.run(
                    command, env=os.environ | {"ACL_STUDY_CACHE": str(cache)}, check=True, capture_output=True, text=True
                )
            figures = json.loads(done.stdout.splitlines()[-1])
            parts = ", ".join(f"{name} {figures[name]:.1f} s" for name in ("trials", "histories", "predictions") if name in figures)
            parts += "".join(f", {figures[name]} {name}" for name in ("points", "rows") if name in figures)
            parts += f"index.html {figures['page'] / 1e6:.1f} MB" if "page" in figures else ""
            seconds = f"{figures['seconds']:.1f} s ({figures['processor']:.1f} s of the processor)"
            print(f"{title}: {seconds}, peak {figures['peak']:.0f} MiB; {parts}", flush=True)


if __name__ == "__main__":
    main()
