"""A home folder that an earlier version left in the middle of a study (`support.frozen_home`): this one reads it and goes on."""

import csv
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acl.exported import load_exported
from study.cli.app import main
from support.frozen_home import (
    EPOCHS,
    EXPORTED,
    INTERRUPTED,
    KEPT_TABLES,
    STUDY,
    expected,
    frozen_sound,
    frozen_table,
    unpack_frozen_home,
)
from support.shared_ray import join_here

pytestmark = pytest.mark.slow
CommandLine = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frozen home, for commands that change nothing in it."""
    return unpack_frozen_home(tmp_path_factory.mktemp("frozen"))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    """Runs the command line in this process; returns what it prints."""

    def run(*arguments: object) -> str:
        monkeypatch.setenv("COLUMNS", "500")
        monkeypatch.setattr(sys, "argv", ["acl-study", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capfd.readouterr()
        assert stop.value.code == 0, printed.err
        return printed.out

    return run


def test_status_counts_the_trials_of_an_earlier_version(home: Path, command: CommandLine) -> None:
    lines = command("status", STUDY, "--home", home).splitlines()
    assert lines[0].startswith("frozen: interrupted, ")
    assert lines[1].startswith("3 trials are left")
    assert lines[3:] == expected()["status"]


def test_best_picks_the_winners_that_it_picked_before(home: Path, command: CommandLine) -> None:
    printed = command("best", STUDY, "--home", home).replace(str(home), home.name)
    now, before = ([line for line in lines if "  verdict" not in line] for lines in (printed.splitlines(), expected()["best"]))
    assert now == before  # but for the words of the verdicts
    assert "trained model not distinguishable from the baseline's on 6 test clips; the only candidate; one seed" in printed


def test_the_report_has_the_numbers_of_an_earlier_version(command: CommandLine, tmp_path: Path) -> None:
    command("report", STUDY, "--home", unpack_frozen_home(tmp_path), "--out", tmp_path / "report")
    for name in KEPT_TABLES:
        ours = [before for before in frozen_table(name) if before.get("baseline_accuracy") != ""]  # others were only published
        for row, before in zip(table(tmp_path / "report", name), ours, strict=True):
            assert_as_before(row, before)
    finished = {row["trial_id"]: row for row in table(tmp_path / "report", "search") if row["outcome"] == "finished"}
    accuracies = {trial: float(row["objective_value"]) for trial, row in finished.items()}
    assert accuracies == pytest.approx({"grid-0000": 2 / 6, "grid-0001": 4 / 6, "search-0000": 2 / 6})


def table(report: Path, name: str) -> list[dict[str, str]]:
    """Rows of a table of a report."""
    with (report / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_as_before(row: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Every value that was there is there, numbers but for the last digits; not the paper's, nor the words of verdicts."""
    own = {column: value for column, value in before.items() if "published" not in column and column != "verdict"}
    for column, value in own.items():
        try:
            number = float(value)
        except ValueError:
            assert row[column] == value, column
        else:
            assert float(row[column]) == pytest.approx(number, rel=1e-9, nan_ok=True), column


def test_a_model_of_an_earlier_version_embeds_as_before(home: Path, command: CommandLine, tmp_path: Path) -> None:
    command("export", f"{STUDY}/{EXPORTED}", tmp_path / "model", "--home", home)
    frozen = expected()
    analysis = load_exported(tmp_path / "model").analyse(frozen_sound(), frozen["sample_rate"])
    embedding = np.array(frozen["embedding"])
    np.testing.assert_allclose(analysis.embedding.numpy(), embedding, rtol=1e-5, atol=1e-5 * np.abs(embedding).max())
    assert analysis.probabilities is not None
    np.testing.assert_allclose(analysis.probabilities.numpy(), frozen["probabilities"], atol=1e-5)


def test_resume_finishes_what_an_earlier_version_began(
    tmp_path: Path, command: CommandLine, monkeypatch: pytest.MonkeyPatch, shared_ray: str
) -> None:
    join_here(shared_ray, monkeypatch)
    home = unpack_frozen_home(tmp_path)
    before, weights = journals(home), finished_weights(home)
    printed = command("resume", STUDY, "--home", home)
    assert "winners with:" in printed
    after = journals(home)
    for sweep, events in before.items():
        assert after[sweep][: len(events)] == events
    assert finished_weights(home) == weights

    trials = {event["trial"]: event for events in after.values() for event in events if event["event"] == "end"}
    assert sorted(trials) == ["grid-0000", "grid-0001", *(f"search-{number:04d}" for number in range(4))]
    assert {event["outcome"] for event in trials.values()} == {"finished"}
    for sweep, events in after.items():
        for trial in (name for name in trials if name.startswith(sweep)):
            epochs = [event["epoch"] for event in events if event["event"] == "epoch" and event["trial"] == trial]
            assert epochs == list(range(1, EPOCHS[sweep] + 1))
    launches = {trial: [launch["from_epoch"] for launch in provenance(home, trial)] for trial in trials}
    assert launches.pop(INTERRUPTED) == [1, expected()["epochs_of_interrupted"]["trained"] + 1]
    assert set(map(tuple, launches.values())) == {(1,)}

    command("report", STUDY, "--home", home, "--out", tmp_path / "report")
    recorded = {row["trial_id"]: row for row in table(tmp_path / "report", "runs")}
    assert {trial: row["outcome"] for trial, row in recorded.items()} == dict.fromkeys(trials, "finished")
    for row in frozen_table("runs"):
        assert recorded[row["trial_id"]]["run_id"] == row["run_id"]


def journals(home: Path) -> dict[str, list[dict[str, Any]]]:
    """Events by sweep."""
    paths = home.glob(f"studies/{STUDY}/*/journal.jsonl")
    return {path.parent.name: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in paths}


def finished_weights(home: Path) -> dict[str, bytes]:
    """Files with weights of the trials that have ended in the frozen home."""
    paths = home.glob(f"studies/{STUDY}/*/*/state/*.pt")
    return {str(path.relative_to(home)): path.read_bytes() for path in paths if path.parts[-3] in ("grid-0001", "search-0000")}


def provenance(home: Path, trial: str) -> list[dict[str, Any]]:
    """What has trained a trial, launch by launch."""
    (path,) = home.glob(f"studies/{STUDY}/*/{trial}/state/provenance.json")
    launches: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return launches
