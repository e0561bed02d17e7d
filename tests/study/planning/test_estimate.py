"""Plans: kinds of trials, hours, memory and disk, and studies that take too long."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from acl.training.cost import RunCost, StageCost
from study.cli import app as cli
from study.machine import Machine
from study.planning import estimate as kinds
from study.planning.estimate import LAUNCH_STARTS, TRIAL_SECONDS, WORKER_STARTS, Kind, StudyPlan, SweepPlan, kinds_of
from study.planning.text import plan_lines, refusal
from study.spec.resolve import read_study, resolve_study
from study.spec.study import Study
from study.spec.sweep import Resources

GIB = 2**30


MACHINE = Machine(cores=16, memory_bytes=128 * GIB, gpus=2, gpu_memory_bytes=80 * GIB)


# 100 epochs of 36 s, and 400 s of final figures: 4000 s a trial, and as many MB on the disk as one wants to think.
COST = RunCost((StageCost("pretraining", 100, 10, 3.0, 6.0, 400.0),), 5.0, 0.0, GIB, 0, 0, 10**8, 10**7, 2000, 20, 1772, 947)


def study(**sweep: Any) -> Study:
    base = {"mode": "self-supervised", "data.root": "x"}
    space = {"loss.alpha": {"choice": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]}}
    return resolve_study({"name": "s", "question": "q", "base": base, "space": space, **sweep})


def planned(study: Study, at_once: int = 2, cost: RunCost = COST, machine: Machine = MACHINE, free: int = 10**12) -> StudyPlan:
    (sweep,) = study.sweeps
    kind = Kind("", sweep.runs, cost)
    return StudyPlan(study, machine, (SweepPlan(sweep, (kind,), at_once, machine.crowding(sweep.resources, at_once)),), free)


def test_a_shipped_grid_has_a_kind_for_each_subset() -> None:
    (sweep,) = resolve_study(read_study("table1-supervised"), overrides={"data.root": "x"}).sweeps
    assert [(settings["data.subset"], trials) for settings, trials in kinds_of(sweep)] == [
        ("all", 10),
        ("noisy", 10),
        ("noisy_small", 10),
        ("clean", 10),
    ]


def test_hours_are_those_of_successive_trials_on_each_place() -> None:
    of = planned(study(), at_once=3)
    seconds = 4 * (4000 + TRIAL_SECONDS) + 5 * (WORKER_STARTS + LAUNCH_STARTS)  # ten trials on three places: four on the first
    assert [hours * 3600 for hours in dataclasses.astuple(of.hours)] == pytest.approx([seconds] * 3)


def test_early_stopping_gives_a_range_of_hours() -> None:
    of = planned(
        study(search="random", budget={"trials": 9}, scheduler={"name": "asha", "grace": 0.1}, objective="val.knn_accuracy"), 1
    )
    # Rungs at 10, 30 and 90 epochs of 36 s; one in three goes on at each: of 9 trials 6, 2, 2/3 and 1/3 end at them and at the end.
    expected = 6 * 360 + 2 * 1080 + 2 / 3 * 3240 + 1 / 3 * 4000 + 9 * TRIAL_SECONDS
    overhead = 5 * (WORKER_STARTS + LAUNCH_STARTS)
    assert [hours * 3600 - overhead for hours in dataclasses.astuple(of.hours)] == pytest.approx(
        [9 * (360 + TRIAL_SECONDS), expected, 9 * (4000 + TRIAL_SECONDS)]
    )


def test_trials_that_share_a_gpu_may_gain_all_or_nothing() -> None:
    sharing = planned(study(resources={"cpus": 2, "gpus": 0.25}), at_once=8)
    hours = sharing.sweeps[0].hours
    assert hours.longest == pytest.approx(4 * hours.shortest)
    assert hours.expected == hours.longest


@pytest.mark.parametrize(
    ("cpus", "gpus", "at_once"),
    [(2, 0, 8), (2, 1, 2), (1, 0.25, 8), (4, 0.25, 4), (2, 2, 1), (32, 0, 0), (1, 3, 0), (1, 0.3333, 6)],
)
def test_as_many_trials_run_at_once_as_cores_and_gpus_allow(cpus: float, gpus: float, at_once: int) -> None:
    assert MACHINE.trials_at_once(Resources(cpus=cpus, gpus=gpus)) == at_once


@pytest.mark.parametrize(
    ("reserved", "cpus", "proposed"), [(10 * GIB, 1, 0.1666), (10 * GIB, 4, 0.5), (70 * GIB, 1, 1.0), (60 * GIB, 1, 1.0)]
)
def test_the_proposed_gpu_share_follows_from_memory_and_cores(reserved: int, cpus: float, proposed: float) -> None:
    assert MACHINE.proposed_gpus(reserved, cpus) == pytest.approx(proposed)
    line = next(
        line
        for line in plan_lines(
            planned(study(resources={"cpus": cpus, "gpus": 1}), cost=dataclasses.replace(COST, gpu_reserved_bytes=reserved))
        )
        if "GPU memory" in line
    )
    assert f"--gpus {proposed:g}" in line


def test_only_a_study_that_is_surely_too_long_is_refused() -> None:
    of = planned(study())  # ten trials of 4000 s, two at once: 5.6 h
    assert refusal(of, 6) is None
    message = refusal(of, 3)
    assert message is not None
    assert message.startswith(
        "s needs at least 5.6 h on this machine (2 trials at once), --max-hours is 3: about 5 of its 10 trials fit"
    )
    assert "\n" not in message


def test_a_search_that_can_end_early_has_an_upper_bound() -> None:
    of = planned(study(search="tpe", budget={"trials": 9, "patience": 3}, objective="val.knn_accuracy"))
    assert any("an upper bound" in line for line in plan_lines(of))
    assert refusal(of, 1) is None
    assert not any("an upper bound" in line for line in plan_lines(planned(study())))


def test_a_busy_machine_is_said_to_be_one() -> None:
    idle = planned(study())
    busy = dataclasses.replace(idle, load=20.0)
    kept = f"he load average was 20.0 on {busy.machine.cores} cores when measuring began"
    assert any(kept in line for line in plan_lines(busy))
    assert kept in str(refusal(busy, 3))
    assert not any("load average" in line for line in plan_lines(idle))


def test_a_study_that_does_not_fit_the_disk_says_so() -> None:
    assert "it does not fit" in plan_lines(planned(study(), free=10**6))[-1]
    assert "it does not fit" not in plan_lines(planned(study()))[-1]


def test_plan_prints_cost_and_power_and_refuses_long_launches(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kinds, "SECONDS_OF_A_KIND", (1.0, 1.0))
    options = ["null-alpha", "--profile", "mini", "--data", str(tiny_corpus), "--set", "data.subset=clean"]
    options += ["--home", str(tmp_path / "home")]
    monkeypatch.setattr(sys, "argv", ["acl-study", "plan", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    assert ended.value.code == 0
    assert "sweep sweep: 10 trials" in printed.out
    assert "15 epochs a trial, 150 in all" in printed.out
    assert "60 test clips, 10 seeds: two trained models that differ on" in printed.out
    note, measuring = printed.err.splitlines()
    assert note.startswith("note: profile mini has resources cpus 1, gpus 0 instead of cpus 2, gpus 1")
    assert measuring == "measuring 1 of 1: sweep"
    monkeypatch.setattr(sys, "argv", ["acl-study", "run", *options, "--max-hours", "0.001"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "error: null-alpha needs at least" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
