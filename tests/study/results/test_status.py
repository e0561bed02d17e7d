"""The command `status` on the files of a study: while it runs, after a crash and at its end."""

import fcntl
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from study import names
from study.errors import StudyError
from study.results.status import LOST, RUNNING, WAITING, StudyStatus, study_status
from study.spec.study import Study
from study.state.home import Home
from study.state.journal import JOURNAL_FILE
from study.state.study_folder import MIRRORED_FILE, keep_mirrored, keep_records, keep_study, running_process, study_lock
from support.command_line import acl_study, call, fresh_acl_study
from support.mlflow_records import with_empty_store

NOW = 1_000_000.0
BASE = {"mode": "supervised", "data.root": "/corpus", "optim.epochs": 4}


def launched(home: Home, **fields: Any) -> Study:
    """A study of one sweep, as a launch leaves it."""
    sweep = {"name": "sweep", "base": BASE, "space": {"loss.alpha": {"grid": [1.0, 0.5, 0.3]}}, **fields}
    study = Study.model_validate({"name": "toy", "question": "Does it help?", "sweeps": [sweep]})
    keep_study(home, study)
    return study


def write(home: Home, *events: tuple[float, str, dict[str, Any]], half: str = "") -> None:
    """A journal with events at seconds before `NOW`."""
    path = home.study("toy") / "sweep" / JOURNAL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"time": NOW - ago, "event": event, **content}) for ago, event, content in events]
    path.write_text("".join(f"{line}\n" for line in lines) + half)


def launch(ago: float) -> tuple[float, str, dict[str, Any]]:
    return ago, "launch", {"resources": {"cpus": 1, "gpus": 0}}


def trial(ago: float, number: int, **point: Any) -> tuple[float, str, dict[str, Any]]:
    return ago, "trial", {"trial": f"sweep-{number:04d}", "number": number, "point": point}


def epoch(ago: float, number: int, done: int, accuracy: float) -> tuple[float, str, dict[str, Any]]:
    content = {"trial": f"sweep-{number:04d}", "epoch": done, "is_last": done == 4, "rung": done < 4}
    return ago, "epoch", {**content, "metrics": {names.VAL_ACCURACY: accuracy}}


def end(ago: float, number: int, outcome: str, reason: str | None = None) -> tuple[float, str, dict[str, Any]]:
    return ago, "end", {"trial": f"sweep-{number:04d}", "outcome": outcome, "reason": reason}


def lost(ago: float, number: int) -> tuple[float, str, dict[str, Any]]:
    return ago, "lost", {"trial": f"sweep-{number:04d}", "reason": "its worker process was killed or crashed"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(with_empty_store(tmp_path / "home"))


def status_at(home: Home, since: float | None) -> StudyStatus:
    """The status at `NOW`, of a launch that began so many seconds before; None is a study that nobody runs."""
    if since is None:
        return study_status(home, "toy", now=NOW)
    with study_lock(home, "toy"):
        lock = home.root / "locks" / "toy"
        lock.write_text(json.dumps({"host": "here", "pid": 1, "since": NOW - since}))
        return study_status(home, "toy", now=NOW)


def test_a_study_that_has_not_begun_waits(home: Home) -> None:
    launched(home)
    status = status_at(home, None)
    (sweep,) = status.sweeps
    assert status.state == "interrupted"
    assert (sweep.states[WAITING], sweep.epochs_left, sweep.epochs_per_hour, sweep.choices) == (3, 12, None, [])
    assert status.last_activity is None


def test_a_running_study_has_states_rate_and_time_left(home: Home) -> None:
    launched(home)
    epochs = [epoch(3000 - 500 * done, 0, done, 0.1 * done) for done in (1, 2, 3, 4)]  # 2500, 2000, 1500 and 1000 s ago
    others = [end(1000, 0, names.FINISHED), trial(999, 1, **{"loss.alpha": 0.5, "seed": 0}), epoch(500, 1, 1, 0.45)]
    write(home, launch(3000), trial(2999, 0, **{"loss.alpha": 1.0, "seed": 0}), *epochs, *others)
    keep_mirrored(home.study("toy") / MIRRORED_FILE, "its run", {"sweep": 7})
    status = status_at(home, since=3010)
    (sweep,) = status.sweeps
    assert status.state == "running"
    assert (sweep.states[names.FINISHED], sweep.states[RUNNING], sweep.states[WAITING]) == (1, 1, 1)
    assert sweep.window == 1800
    assert sweep.epochs_per_hour == pytest.approx(3 / 1800 * 3600)  # of five epochs, three in the last half hour
    assert sweep.epochs_left == 3 + 4
    assert sweep.hours_left == pytest.approx(7 / 6)
    assert not sweep.is_bound
    (choice,) = sweep.choices
    assert (choice.winners[0].setting, choice.winners[0].objectives) == ({"loss.alpha": 0.5}, (0.45,))  # it has not ended
    assert status.events_behind == 2
    assert status.last_activity == NOW - 500


@pytest.mark.parametrize("fault", ["deleted", "made anew"])
def test_records_that_are_gone_are_not_called_up_to_date(
    home: Home, fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    launched(home)
    write(home, launch(100), trial(99, 0, **{"loss.alpha": 1.0, "seed": 0}))
    keep_records(home, "toy", None, "key")
    with_empty_store(home.root)
    database = home.root / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO runs (run_uuid) VALUES ('its run')")
    keep_mirrored(home.study("toy") / MIRRORED_FILE, "its run", {"sweep": 2})
    assert (status_at(home, None).events_behind, status_at(home, None).records_gone) == (0, None)
    database.unlink()
    if fault == "made anew":  # by another study
        with_empty_store(home.root)
    assert (status_at(home, None).events_behind, status_at(home, None).records_gone) == (2, home.root.resolve() / "mlflow.db")
    assert call(monkeypatch, "status", "toy", "--home", str(home.root)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "the records are gone from " in out
    assert f"resume toy --home {home.root}" in out


def test_a_launch_that_was_killed_is_interrupted(home: Home) -> None:
    launched(home)
    write(home, launch(100), trial(99, 0, **{"loss.alpha": 1.0, "seed": 0}), epoch(40, 0, 1, 0.2))
    status = status_at(home, None)
    assert status.state == "interrupted"
    assert (status.sweeps[0].states[RUNNING], status.sweeps[0].states[WAITING]) == (0, 3)
    assert status.sweeps[0].epochs_per_hour == pytest.approx(60)  # until its last event, not until now


def test_trials_of_an_earlier_launch_wait_to_be_resumed(home: Home) -> None:
    launched(home)
    earlier = [launch(900), trial(899, 0, **{"loss.alpha": 1.0, "seed": 0}), trial(899, 1, **{"loss.alpha": 0.5, "seed": 0})]
    write(home, *earlier, epoch(800, 0, 1, 0.2), launch(60))
    assert status_at(home, since=70).sweeps[0].states[RUNNING] == 0
    write(home, *earlier, epoch(800, 0, 1, 0.2), launch(60), (50, "resume", {"trial": "sweep-0001"}))
    states = status_at(home, since=70).sweeps[0].states
    assert (states[RUNNING], states[WAITING]) == (1, 2)
    before_its_first_sweep = status_at(home, since=10).sweeps[0].states
    assert before_its_first_sweep[RUNNING] == 0


def test_a_trial_that_has_no_room_yet_waits(home: Home) -> None:
    launched(home)
    begun = [(100, "launch", {"resources": {"cpus": 1, "gpus": 0}, "at_once": 1})]
    begun += [trial(99, number, **{"loss.alpha": alpha, "seed": 0}) for number, alpha in enumerate((1.0, 0.5))]
    write(home, *begun)
    states = status_at(home, since=110).sweeps[0].states
    assert (states[RUNNING], states[WAITING]) == (1, 2)
    write(home, *begun, epoch(50, 0, 1, 0.2), end(40, 0, names.FINISHED))
    states = status_at(home, since=110).sweeps[0].states
    assert (states[RUNNING], states[WAITING]) == (1, 1)


def test_failures_are_grouped_and_lost_trials_stay_lost(home: Home) -> None:
    launched(home)
    begun = [trial(99, number, **{"loss.alpha": alpha, "seed": 0}) for number, alpha in enumerate((1.0, 0.5, 0.3))]
    failed = [end(50, number, names.FAILED, "DivergedError: train.loss is nan") for number in (0, 1)]
    write(home, launch(100), *begun, *failed, lost(40, 2))
    sweep = status_at(home, since=101).sweeps[0]
    assert (sweep.states[names.FAILED], sweep.states[LOST]) == (2, 1)
    assert sweep.failures == {
        "DivergedError: train.loss is nan": ["sweep-0000", "sweep-0001"],
        "its worker process was killed or crashed": ["sweep-0002"],
    }
    write(home, launch(100), *begun, *failed, lost(40, 2), epoch(10, 2, 1, 0.3))
    states = status_at(home, since=101).sweeps[0].states
    assert (states[LOST], states[RUNNING]) == (0, 1)


def test_with_seeds_the_best_is_the_best_mean_of_finished_seeds(home: Home) -> None:
    launched(home, seeds=[0, 1], space={"loss.alpha": {"grid": [1.0, 0.5]}})
    accuracies = {0: 0.9, 1: 0.1, 2: 0.6, 3: 0.55}  # of alpha 1 with seed 0 and 1, then of 0.5
    lines = [launch(100)]
    for number, accuracy in accuracies.items():
        point = {"loss.alpha": 1.0 if number < 2 else 0.5, "seed": number % 2}
        lines += [trial(90, number, **point), epoch(80, number, 4, accuracy), end(79, number, names.FINISHED)]
    write(home, *lines)
    status = status_at(home, None)
    assert status.state == "complete"
    (choice,) = status.sweeps[0].choices
    assert choice.winners[0].setting == {"loss.alpha": 0.5}
    assert choice.winners[0].objectives == pytest.approx((0.575,))
    write(home, *lines[:-1])  # one seed of 0.5 is not over: a mean of one does not compare with one of two
    (choice,) = status_at(home, None).sweeps[0].choices
    assert choice.winners[0].setting == {"loss.alpha": 1.0}


@pytest.mark.parametrize("scheduler", ["asha"])
def test_where_trials_are_stopped_the_time_left_is_a_bound(home: Home, scheduler: str) -> None:
    launched(home, scheduler=scheduler)
    write(home, launch(100))
    assert status_at(home, None).sweeps[0].is_bound


def test_half_a_line_at_the_end_is_left_for_later(home: Home) -> None:
    launched(home)
    write(home, launch(100), trial(99, 0, **{"loss.alpha": 1.0, "seed": 0}), half='{"time": 5, "event": "epo')
    assert status_at(home, since=101).sweeps[0].states[RUNNING] == 1
    assert (home.study("toy") / "sweep" / JOURNAL_FILE).read_text().endswith("epo")  # it was not touched


def test_sizes_are_those_of_the_files(home: Home) -> None:
    launched(home)
    state = home.study("toy") / "sweep" / "sweep-0000" / "state"
    state.mkdir(parents=True)
    (state / "checkpoint.pt").write_bytes(b"x" * 3000)
    (state / "predictions.csv").write_bytes(b"x" * 500)
    status = status_at(home, None)
    text = (home.study("toy") / "study.yaml").stat().st_size
    assert (status.checkpoints, status.size) == (3000, 3500 + text)


def test_looking_neither_blocks_nor_takes_the_lock(home: Home) -> None:
    assert running_process(home, "toy") is None
    with study_lock(home, "toy"):
        process = running_process(home, "toy")
        assert process is not None
        assert process.pid is not None
        with pytest.raises(StudyError, match="running already"), study_lock(home, "toy"):
            pass
        assert running_process(home, "toy") == process  # the refused launch has not wiped who runs it
    assert running_process(home, "toy") is None
    looking = (
        f"import fcntl, time; f = open({str(home.root / 'locks' / 'toy')!r}); fcntl.flock(f, {fcntl.LOCK_SH}); print(flush=True)"
    )
    other = subprocess.Popen([sys.executable, "-c", f"{looking}; time.sleep(0.15)"], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()  # it has the shared lock, far longer than `running_process` has it
    with study_lock(home, "toy"):
        pass
    other.communicate()


def test_the_command_answers_without_torch_ray_or_mlflow(home: Home) -> None:
    launched(home)
    write(home, launch(100), trial(99, 0, **{"loss.alpha": 1.0, "seed": 0}), end(50, 0, names.FAILED, "OSError: gone [0]"))
    code = (
        "import sys; from pathlib import Path; from study.state.home import Home; from study.cli.status import show_status; "
        f"show_status(Home(Path({str(home.root)!r})), 'toy', watch=False); "
        "sys.exit(bool({'torch', 'ray', 'mlflow', 'pandas', 'optuna'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "toy: interrupted" in shown.stdout
    assert "1 × OSError: gone [0] (sweep-0000)" in shown.stdout
    (home.study("toy").parent / "broken").mkdir()
    (home.study("toy").parent / "broken" / "study.yaml").write_text("name: broken\n")
    listed = acl_study("status", "--home", home.root)
    assert listed.returncode == 0, listed.err
    states = [line.split()[1:4:2] for line in listed.out.splitlines()]
    assert ["broken", "unreadable"] in states
    assert ["toy", "interrupted"] in states


def test_watching_ends_with_ctrl_c_and_status_0(home: Home) -> None:
    launched(home)
    write(home, launch(100))
    watching = fresh_acl_study("status", "toy", "--watch", "--home", home.root)
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("toy: interrupted")
    time.sleep(0.2)
    watching.send_signal(2)
    _, errors = watching.communicate(timeout=20)
    assert (watching.returncode, errors) == (0, "")


def test_an_unknown_study_is_one_line(home: Home) -> None:
    process = acl_study("status", "nosuch", "--home", home.root)
    assert process.returncode == 1
    assert process.err.startswith("error: no study 'nosuch'")
