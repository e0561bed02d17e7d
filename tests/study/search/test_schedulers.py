"""Schedulers that replay a journal, and whole sweeps under each of them."""

import json
import random
import types
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ray.tune.schedulers import HyperBandScheduler, TrialScheduler

from acl.training.checkpoint_files import CHECKPOINT_FILE, copy_file
from study import names
from study.search.keys import POINT, RUNG_EPOCH
from study.search.schedulers import _Controller, _StandIn, build_scheduler, replay
from study.spec.schedulers import Hyperband
from study.spec.sweep import Sweep, brackets
from study.state import journal as events
from study.state.home import state_folder
from study.state.journal import Journal
from support.command_line import call
from support.mlflow_records import epochs_logged, runs, with_empty_store
from support.shared_ray import join_here

EPOCHS = 9


def sweep(scheduler: str | dict[str, Any]) -> Sweep:
    base = {"mode": "supervised", "optim.epochs": EPOCHS}
    space = {"loss.alpha": {"uniform": [0.1, 0.9]}}
    return Sweep.model_validate(
        {"base": base, "space": space, "search": "random", "budget": {"trials": 12}, "scheduler": scheduler}
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path)) as opened:
        yield opened


class Controller:
    def get_live_trials(self) -> list[Any]:
        return []


def no_change(trial: str, epoch: int, point: dict[str, Any], source: str) -> None:
    raise AssertionError("only population-based training changes settings")


def step(scheduler: TrialScheduler, trial: Any, epoch: int, value: float) -> str:
    return str(scheduler.on_trial_result(Controller(), trial, {RUNG_EPOCH: epoch, names.VAL_ACCURACY: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["asha", "median"])
@pytest.mark.parametrize("seed", range(5))
def test_a_scheduler_decides_the_same_after_a_replay(name: str, seed: int, tmp_path: Path, journal: Journal) -> None:
    drawn = random.Random(seed)
    seen = build_scheduler(sweep(name), tmp_path, no_change)
    trials = {f"sweep-{number:04d}": _StandIn(f"sweep-{number:04d}") for number in range(12)}
    epochs = dict.fromkeys(trials, 0)
    for number, (key, trial) in enumerate(trials.items()):
        journal.append(events.TRIAL, trial=key, number=number, point={})
        seen.on_trial_add(Controller(), trial)  # type: ignore[arg-type]
    running = list(trials)
    for _ in range(25):
        key = drawn.choice(running)
        epochs[key] += 1
        value = drawn.random()
        decision = step(seen, trials[key], epochs[key], value)
        metrics = {names.VAL_ACCURACY: value}
        journal.append(events.EPOCH, trial=key, epoch=epochs[key], is_last=False, rung=True, metrics=metrics)
        if decision == TrialScheduler.STOP or epochs[key] == EPOCHS - 1:
            journal.append(events.END, trial=key, outcome=names.STOPPED, reason=None)
            running.remove(key)
    assert len(running) < 12, "nothing was stopped, so the test shows nothing"
    shown = build_scheduler(sweep(name), tmp_path, no_change)
    live = {key: _StandIn(key) for key in running}
    assert replay(shown, Journal(tmp_path), live) == []  # type: ignore[arg-type]
    for key in running:
        for epoch in range(epochs[key] + 1, EPOCHS):
            value = drawn.random()
            decision = step(shown, live[key], epoch, value)
            assert decision == step(seen, trials[key], epoch, value)
            if decision == TrialScheduler.STOP:
                break


def test_a_stopped_trial_stays_stopped_after_a_killed_driver(tmp_path: Path, journal: Journal) -> None:
    for number, value in enumerate([0.9, 0.8, 0.7, 0.1]):  # the last one is below the first rung's cutoff
        journal.append(events.TRIAL, trial=f"sweep-{number:04d}", number=number, point={})
        metrics = {names.VAL_ACCURACY: value}
        journal.append(events.EPOCH, trial=f"sweep-{number:04d}", epoch=1, is_last=False, rung=True, metrics=metrics)
    live = {name: _StandIn(name) for name in journal.trials}
    assert "sweep-0003" in replay(build_scheduler(sweep("asha"), tmp_path, no_change), journal, live)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", [events.LOST, events.END])
def test_hyperband_goes_on_without_lost_and_retries_failed_ones(end: str, tmp_path: Path, journal: Journal) -> None:
    hyperband = build_scheduler(sweep({"name": "hyperband", "reduction_factor": 3}), tmp_path, no_change)
    for number in range(6):  # the first three fill the bracket of full length, the others share one that is halved after 3 epochs
        journal.append(events.TRIAL, trial=f"sweep-{number:04d}", number=number, point={})
    gone = "sweep-0005"
    journal.append(end, trial=gone, outcome=names.FAILED, reason="killed")
    live = {name: _StandIn(name) for name in journal.trials if end == events.END or name != gone}
    assert replay(hyperband, journal, live) == []  # type: ignore[arg-type]
    if gone in live:  # Ray adds it as a new one
        hyperband.on_trial_add(Controller(), live[gone])  # type: ignore[arg-type]
    assert hyperband.choose_trial_to_run(Controller()) in live.values()  # type: ignore[arg-type]
    others = [live[name] for name in ("sweep-0003", "sweep-0004", gone) if name in live]
    for epoch in (1, 2, 3):
        for value, trial in enumerate(others):
            trial.status = "RUNNING"
            if hyperband.on_trial_result(_Controller(hyperband), trial, {RUNG_EPOCH: epoch, names.VAL_ACCURACY: value}) == "PAUSE":  # type: ignore[arg-type]
                trial.status = "PAUSED"
    assert [trial.status for trial in others] == ["TERMINATED"] * (len(others) - 2) + ["PAUSED", "RUNNING"]
    assert hyperband.choose_trial_to_run(Controller()) in live.values()  # type: ignore[arg-type]


class Member(_StandIn):
    """A trial as population-based training looks at it."""

    def __init__(self, trial_id: str, point: dict[str, Any]) -> None:
        super().__init__(trial_id)
        self.config: dict[str, Any] = {POINT: point}
        self.experiment_tag = trial_id
        self.evaluated_params: dict[str, Any] = {}
        keep = types.SimpleNamespace(num_to_keep=None)
        self.run_metadata = types.SimpleNamespace(checkpoint_manager=types.SimpleNamespace(checkpoint_config=keep))

    def is_finished(self) -> bool:
        return self.status in ("TERMINATED", "ERROR")

    def set_config(self, config: dict[str, Any]) -> None:
        self.config = config


@pytest.mark.parametrize("fails", ["before the others wait", "while the others wait"])
def test_a_population_does_not_wait_for_a_trial_that_failed(fails: str, tmp_path: Path) -> None:
    members = [Member(f"sweep-{number:04d}", {"loss.alpha": 0.2 + 0.1 * number}) for number in range(4)]
    controller = types.SimpleNamespace(
        search_alg=None, get_trials=lambda: members, get_live_trials=lambda: members, pause_trial=lambda *_, **__: None
    )
    changes: list[str] = []
    population = build_scheduler(sweep({"name": "pbt", "interval": 0.25}), tmp_path, lambda trial, *_: changes.append(trial))
    for member in members:
        population.on_trial_add(controller, member)  # type: ignore[arg-type]
        folder = state_folder(tmp_path, member.trial_id)
        folder.mkdir(parents=True)
        (folder / copy_file(2)).touch()

    def report(number: int, epoch: int) -> None:
        members[number].status = "RUNNING"
        result = {RUNG_EPOCH: epoch, names.VAL_ACCURACY: 0.1 * number}
        decision = population.on_trial_result(controller, members[number], result)  # type: ignore[arg-type]
        members[number].status = "PAUSED" if decision in ("PAUSE", "NOOP") else "RUNNING"

    def fail() -> None:
        population.on_trial_error(controller, members[0])  # type: ignore[arg-type]
        members[0].status = "ERROR"

    report(0, 1)
    if fails == "before the others wait":
        fail()
    for number in (1, 2, 3):
        report(number, 1)
        report(number, 2)
    if fails == "while the others wait":
        assert population.choose_trial_to_run(controller) in (None, members[0])  # type: ignore[arg-type]
        fail()
    assert population.choose_trial_to_run(controller) in members[1:]  # type: ignore[arg-type]
    assert changes == ["sweep-0001"]  # the worst that is left takes over


@pytest.mark.parametrize(("epochs", "factor"), [(500, 3), (81, 3), (16, 2), (9, 4)])
def test_plans_know_the_brackets_that_ray_fills(epochs: int, factor: float) -> None:
    theirs = HyperBandScheduler(max_t=epochs, reduction_factor=factor, metric="m", mode="max")
    rungs = [(theirs._get_n0(s), theirs._get_r0(s)) for s in range(theirs._s_max_1) if theirs._get_r0(s) > 0]
    trials = sum(size for size, _ in rungs)
    ours = brackets(Hyperband(reduction_factor=factor), epochs)
    assert [(round(bracket.share * trials), bracket.first_rung) for bracket in ours] == rungs


STUDY = {
    "name": "schedulers",
    "question": "Do schedulers stop, pause and change trials?",
    "profile": "mini",
    "base": {"mode": "supervised", "data.subset": "clean", "optim.epochs": 4},
    "space": {"loss.alpha": {"uniform": [0.1, 0.9]}, "loss.margin": {"uniform": [0.1, 1.0]}},
    "search": "random",
    "objective": "val.accuracy",
    "sweeps": [
        # Two brackets: 2 trials that run through, and 3 of which 1 goes on after the first epoch.
        {"name": "hyperband", "scheduler": {"name": "hyperband", "reduction_factor": 4}, "budget": {"trials": 5}},
        {"name": "pbt", "scheduler": {"name": "pbt", "interval": 0.25}, "budget": {"trials": 4}},
    ],
}


@pytest.mark.slow
def test_sweeps_under_each_scheduler(tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_ray: str) -> None:
    join_here(shared_ray, monkeypatch)
    study, home = tmp_path / "study.yaml", with_empty_store(tmp_path / "home")
    study.write_text(yaml.safe_dump(STUDY))
    assert call(monkeypatch, "run", str(study), "--data", str(tiny_corpus), "--home", str(home)) == 0
    journals = {name: Journal(home / "studies" / "schedulers" / name) for name in ("hyperband", "pbt")}
    hyperband = [(state.epochs, state.outcome) for state in journals["hyperband"].trials.values()]
    assert sorted(hyperband[2:]) == [(1, names.STOPPED), (1, names.STOPPED), (4, names.FINISHED)]
    assert hyperband[:2] == [(4, names.FINISHED)] * 2
    values = [list(journals["hyperband"].trials.values())[number] for number in (2, 3, 4)]
    first = {
        event["trial"]: event["metrics"][names.VAL_ACCURACY]
        for event in journals["hyperband"].events
        if event["event"] == events.EPOCH and event["epoch"] == 1
    }
    (survivor,) = [state for state in values if state.outcome == names.FINISHED]
    assert first[survivor.trial] == max(first[state.trial] for state in values)
    for trial in runs(home, names.KIND_TRIAL):  # a trial that was paused logs no epoch twice
        assert (logged := epochs_logged(home, trial)) == list(range(1, len(logged) + 1))
    _check_population(home / "studies" / "schedulers" / "pbt", journals["pbt"])
    tagged = [json.loads(run.data.tags[names.CHANGED_SETTINGS]) for run in _changed(home)]
    assert tagged == [state.point for state in journals["pbt"].trials.values() if state.source]


def _changed(home: Path) -> list[Any]:
    found = [run for run in runs(home, names.KIND_TRIAL) if names.CHANGED_SETTINGS in run.data.tags]
    return sorted(found, key=lambda run: run.data.tags[names.TRIAL_ID])


def _check_population(folder: Path, journal: Journal) -> None:
    changes = [event for event in journal.events if event["event"] == events.SETTINGS]
    assert len(changes) == 3  # after epochs 1, 2 and 3, one of four trials
    for change in changes:
        assert 0.1 <= change["point"]["loss.alpha"] <= 0.9
        assert 0.1 <= change["point"]["loss.margin"] <= 1.0
        assert not Path(change["source"]).name.startswith(f"from-{change['trial']}")
    for state in journal.trials.values():
        assert state.epochs == 4
        content = torch.load(folder / state.trial / "state" / CHECKPOINT_FILE, weights_only=True)
        assert {name: content["config"][name] for name in state.point} == state.point
        assert content["taken_from"] == (state.source or "")
    assert not list(folder.glob("*/state/epoch-*.pt")) + list(folder.glob("*/state/from-*.pt"))
