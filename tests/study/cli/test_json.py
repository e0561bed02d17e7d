"""The objects of `--json`: alone on standard output, with the fields that docs/json.md documents."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acl.training.cost import RunCost, StageCost
from study.cli import json_fields
from study.console import print_json
from study.doctor.findings import Finding
from study.doctor.installation import Installation, settings_of_modes
from study.machine import ClusterMachine, Machine, Span
from study.planning import check
from study.planning.estimate import Kind, StudyPlan, SweepPlan
from study.results.selection import Candidate, Choice
from study.results.status import STATES, StudyStatus, SweepStatus, UnreadableStudy
from study.spec.resolve import resolve_study
from study.state.home import Home
from study.state.study_folder import LaunchProcess, keep_study
from support.command_line import call
from support.documentation import documented_fields, field_paths

STUDY = resolve_study(
    {
        "name": "toy",
        "question": "Does it help?",
        "base": {"mode": "supervised", "data.root": "x"},
        "space": {"loss.alpha": {"grid": [1.0, 0.5]}},
    }
)


def the_plan() -> StudyPlan:
    seeds = STUDY.sweeps[0].model_copy(update={"seeds": [0, 1, 2]})  # with which something can be said about settings
    cost = RunCost((StageCost("supervised", 9, 10, 3.0),), 5.0, 0.0, 2**30, 0, 0, 10**8, 10**7, 2000, 20, 1772, 947)
    sweep = SweepPlan(seeds, (Kind("", 2, cost),), 1, Span(1.0, 1.0))
    machines = (ClusterMachine("box", "10.0.0.2", 16, 4, 0),)
    return StudyPlan(STUDY, Machine(2, 2**34, 0, 0), (sweep,), 10**12, is_cluster=True, machines=machines)


def the_status() -> list[StudyStatus | UnreadableStudy]:
    winner = Candidate({"loss.alpha": 0.5}, [{"loss.alpha": 0.5}], (0.8,), is_baseline=False)
    sweep = SweepStatus(
        STUDY.sweeps[0],
        dict.fromkeys(STATES, 0),
        [Choice(None, [winner], [winner], [])],
        2.0,
        9.0,
        3,
        False,
        {"gone": ["sweep-0000"]},
        needed=2,
        remarks=["no improvement"],
    )
    return [StudyStatus("toy", LaunchProcess("box", 7, 1.0), [sweep], None, 0, None, 1, 1, 1), UnreadableStudy("old", "too old")]


def the_profile() -> dict[str, Any]:
    code = {"version": "1", "git_commit": None, "git_dirty": None}
    gpu = {"name": "H200", "memory_gib": 139.0, "cuda": "12.8"}
    installed = Installation(code, {"torch": "2"}, {"cpu": "x", "cores": 1, "memory_gib": 1.0, "gpu": gpu})
    return json_fields.profile_fields("mini", installed, settings_of_modes("mini"))


OBJECTS: dict[str, Callable[[], dict[str, Any]]] = {
    "studies": lambda: json_fields.studies_fields([STUDY]),
    "status": lambda: json_fields.status_fields(Home(Path("home")), the_status()),
    "plan": lambda: json_fields.plan_fields(the_plan()),
    "doctor": lambda: json_fields.doctor_fields([Finding("ok", "disk", "9 GB are free")]),
    "doctor --profile": the_profile,
}


@pytest.mark.parametrize("command", OBJECTS)
def test_the_page_documents_exactly_the_fields(command: str) -> None:
    assert documented_fields(command) == set(field_paths(OBJECTS[command]()))


def test_numbers_are_whole_and_nan_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": 0.1 + 0.2, "b": [float("nan"), float("-inf")], "c": {"\udcff": True}})
    assert json.loads(capsys.readouterr().out) == {"schema": 2, "a": 0.1 + 0.2, "b": [None, None], "c": {"\udcff": True}}


def test_plan_prints_the_object_alone(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(*_: object, **__: object) -> StudyPlan:
        print("a library says something")
        return the_plan()

    monkeypatch.setattr(check, "plan_study", measured)
    options = ["null-alpha", "--profile", "mini", "--data", str(tiny_corpus), "--home", str(tmp_path / "home")]
    assert call(monkeypatch, "plan", *options, "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["sweeps"] == json_fields.plan_fields(the_plan())["sweeps"]
    assert "a library says something" in said.err


def test_status_lists_unreadable_studies_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_study(Home(tmp_path), STUDY)
    (tmp_path / "studies" / "broken").mkdir()
    (tmp_path / "studies" / "broken" / "study.yaml").write_text("name: broken\n")
    assert call(monkeypatch, "status", "--json", "--home", str(tmp_path)) == 0
    broken, toy = json.loads(capsys.readouterr().out)["studies"]
    assert (broken["name"], broken["state"]) == ("broken", "unreadable")
    assert (toy["state"], toy["sweeps"][0]["states"]["waiting"], toy["sweeps"][0]["seconds_left"]) == ("interrupted", 2, None)
    assert call(monkeypatch, "status", "tooy", "--json", "--home", str(tmp_path)) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert call(monkeypatch, "status", "--json", "--watch", "--home", str(tmp_path)) == 2
    assert "leave one of them out" in capsys.readouterr().err


def test_doctor_with_a_problem_ends_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--no-ray", "--home", str(tmp_path / "home"), "--data", str(tmp_path / "nowhere")]
    assert call(monkeypatch, "doctor", "--json", *options) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 1
    assert [each["topic"] for each in found["findings"] if each["state"] == "problem"] == ["corpus"]
