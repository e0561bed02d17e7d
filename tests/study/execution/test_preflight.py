"""Checks before a launch: causes that would fail every trial are refused."""

import csv
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from study.cli import app as cli
from study.errors import StudyError
from study.execution.preflight import check_runnable
from study.spec.resolve import read_study, resolve_study


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"knn.k": 100_000},
            r"sweep a: knn.k is 100000, but a validation clip has (\d+) patches of other clips; lower it: --set knn.k=\1",
        ),
        ({"compute.device": "cuda", "knn.k": 5}, "sweep a: compute.device is cuda, but its trials take no GPU"),
    ],
)
def test_a_cause_that_fails_every_trial_is_refused(settings: dict[str, Any], message: str, tiny_corpus: Path) -> None:
    base = {"mode": "self-supervised", "data.root": str(tiny_corpus), **settings}
    with pytest.raises(StudyError, match=message):
        check_runnable(resolve_study({"name": "s", "question": "q", "sweeps": [{"name": "a", "base": base}]}).sweeps)


def test_a_corpus_without_clips_of_a_subset_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_corpus / "features", tmp_path / "features")
    for mode in ("supervised", "self-supervised"):
        table = tmp_path / "features" / mode / "clips.csv"
        rows = list(csv.DictReader(table.read_text().splitlines()))
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "manually_verified": "0"} for row in rows)
    for base in ({"mode": "supervised", "data.subset": "clean"}, {"mode": "self-supervised", "knn.k": 5}):
        content = {"name": "s", "question": "q", "base": {**base, "data.root": str(tmp_path)}}
        with pytest.raises(StudyError, match=r"sweep sweep: subset .* has no (training|validation) clips"):
            check_runnable(resolve_study(content).sweeps)


def test_a_runnable_study_passes(tiny_corpus: Path) -> None:
    check_runnable(resolve_study(read_study("quickstart"), overrides={"data.root": str(tiny_corpus)}).sweeps)


def test_a_missing_gpu_is_refused_unless_other_machines_run(tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.execution.preflight.has_gpu", lambda: False)
    sweeps = resolve_study(read_study("table1-supervised"), overrides={"data.root": str(tiny_corpus)}).sweeps
    with pytest.raises(StudyError, match="a trial takes 2 CPUs and 1 GPU, but torch sees no GPU on this machine; pass --gpus 0"):
        check_runnable(sweeps)
    check_runnable(sweeps, knows_machine=False)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_run_and_plan_refuse_a_k_that_is_too_large_in_one_line(
    command: str, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--profile", "mini", "--data", str(tiny_corpus), "--set", "knn.k=9999", "--home", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["acl-study", command, "table2-ssl", *options])
    with pytest.raises(SystemExit):
        cli.main()
    note, error = capsys.readouterr().err.splitlines()
    assert note.startswith("note: profile mini has resources ")
    assert re.fullmatch(r"error: sweep sweep: knn.k is 9999, but .*; lower it: --set knn.k=\d+", error)
    assert list(tmp_path.iterdir()) == []
