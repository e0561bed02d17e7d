"""Typical mistakes: they are refused before torch, Ray and MLflow are imported, which takes seconds."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from study.machine import has_gpu
from study.state.home import Home
from support.mlflow_records import with_empty_store
from support.studies_without_training import end_study, study_of

# Calls the commands of its argument one after the other; prints each one's status and output, and which of the three it imported.
CALLS = """
import contextlib, io, json, sys
from study.cli.app import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["acl-study", *words]
    errors, status = io.StringIO(), 0
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(errors):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([status, errors.getvalue(), sorted({"torch", "ray", "mlflow"} & set(sys.modules))]))
"""
RUNS = ("run", "plan", "launch slurm --hours 1 --out jobs")
STUDIES = [
    ("tabel1", "no study 'tabel1'"),
    ("mine.yaml", "no study 'mine.yaml'"),
    ("table1-supervised", "pass --data DIR"),
    ("table1-supervised --data nowhere", "nowhere does not exist"),
    ("table1-supervised --data bare", "bare has no supervised features; run `acl-study data prepare"),
    ("table1-supervised --data CORPUS --set loss.alpa=1", "did you mean loss.alpha?"),
    ("table1-supervised --data CORPUS --set loss.alpha=x", "--set loss.alpha: "),
    ("table1-supervised --data CORPUS --profile maxi", "profile must be one of"),
]
MISTAKES = [
    *((f"{command} {study}", message) for command in RUNS for study, message in STUDIES),
    ("run table1-supervised --data CORPUS --name done --gpus 0", "results of two studies never mix"),
    ("run table1-supervised --data CORPUS --store http://127.0.0.1:9", "no MLflow server answers"),
    ("run table1-supervised --data CORPUS --store records", "'records' is no address of a store"),
    ("run table1-supervised --data CORPUS --storage bucket", "--storage bucket is no address"),
    ("resume dome", "did you mean done?"),
    ("resume done --store http://127.0.0.1:9", "leave --store out"),
    ("launch kuberay tabel1 --image me/acl-study:1 --data /mnt/acl-study/corpus --out jobs", "no study 'tabel1'"),
    ("launch ray-up tabel1 --host box1 --data /corpus --home /runs --out jobs", "no study 'tabel1'"),
    ("status dome", "did you mean done?"),
    ("best dome", "did you mean done?"),
    ("best done --store http://127.0.0.1:9", "no MLflow server answers"),
    ("confirm dome", "did you mean done?"),
    ("sync dome --store http://127.0.0.1:9", "did you mean done?"),
    ("report dome", "no study 'dome' in this store; did you mean done?"),
    ("report done dome", "no study 'dome' in this store; did you mean done?"),
    ("report done --home elsewhere", "no records in elsewhere"),
    ("report done --store sqlite:///elsewhere.db", "no records at elsewhere.db"),
    ("report done --store http://127.0.0.1:9", "no MLflow server answers"),
    ("figures dome", "did you mean done?"),
    ("compare done dome", "did you mean done?"),
    ("compare dome/sweep-0000 done/sweep-0001", "did you mean done?"),
    ("export dome/sweep-0000 model", "did you mean done?"),
    ("embed nowhere sounds", "nowhere has no config.json"),
    ("train --data nowhere", "nowhere does not exist"),
    ("train --data CORPUS --set loss.alpa=1", "did you mean loss.alpha?"),
    ("ui --home elsewhere", "no records in elsewhere"),
]
NO_GPU = [
    ("run table2-ssl --data CORPUS", "a trial takes 2 CPUs and 1 GPU, but torch sees no GPU on this machine; pass --gpus 0"),
    ("plan table2-ssl --data CORPUS", "torch sees no GPU on this machine; pass --gpus 0"),
    ("run table2-ssl --data CORPUS --set compute.device=cuda", "pass --set compute.device=auto and --gpus 0"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Path) -> Path:
    """Where a study "done" has been run, and a corpus "bare" has no features."""
    folder = tmp_path_factory.mktemp("mistakes")
    home = Home(with_empty_store(folder / "acl-runs"))
    sweep = {"base": {"data.root": str(tiny_corpus)}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}}
    end_study(home, study_of("done", sweep), lambda settings: (20, 50))
    (folder / "bare").mkdir()
    return folder


def answers(mistakes: list[tuple[str, str]], folder: Path, corpus: Path) -> list[tuple[int, str, list[str]]]:
    """Status, errors and heavy imports of each, all in one fresh interpreter."""
    calls = json.dumps([shlex.split(words.replace("CORPUS", shlex.quote(str(corpus)))) for words, _ in mistakes])
    done = subprocess.run([sys.executable, "-c", CALLS, calls], cwd=folder, capture_output=True, text=True, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("mistakes", [MISTAKES, pytest.param(NO_GPU, marks=pytest.mark.skipif(has_gpu(), reason="has a GPU"))])
def test_mistakes_are_answered_without_heavy_imports(mistakes: list[tuple[str, str]], folder: Path, tiny_corpus: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    found = answers(mistakes, folder, tiny_corpus)
    assert len(found) == len(mistakes)
    for (words, message), (status, errors, heavy) in zip(mistakes, found, strict=True):
        assert (status, heavy) == (1, []), f"{words}: {errors}"
        assert errors.startswith("error: "), words
        assert message in errors, words
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
