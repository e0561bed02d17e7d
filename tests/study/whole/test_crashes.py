"""Studies that are killed in every way and resumed: nothing is lost, doubled or different."""

import contextlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.search.optuna import STORAGE_FILE
from study.state.journal import JOURNAL_FILE
from study.state.study_folder import MIRRORED_FILE
from support.command_line import acl_study, call
from support.file_systems import fill, small_disk
from support.kills import STUDY, strike, wait_until_gone
from support.mlflow_records import with_empty_store
from support.shared_ray import join_here
from support.study_integrity import Results, assert_intact, results

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def command(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """Runs the study, or resumes it, one trial at a time; the home folder is to be added."""
    study = tmp_path_factory.mktemp("study") / "study.yaml"
    study.write_text(STUDY)
    return ("run", study, "--data", tiny_corpus, "--cpus", 2, "--set", "optim.epochs=12", "--set", "compute.threads=1", "--home")


@pytest.fixture(scope="module")
def undisturbed(command: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory, shared_ray: str) -> Results:
    """What comes out of the study if nobody disturbs it."""
    home = with_empty_store(tmp_path_factory.mktemp("undisturbed"))
    with pytest.MonkeyPatch.context() as patch:
        join_here(shared_ray, patch)
        assert call(patch, *map(str, (*command, home))) == 0
    found = results(home, "crash")
    assert_intact(home, "crash", found)
    return found


def epochs(home: Path) -> int:
    """Epochs that the journals have."""
    return sum(path.read_text().count('"event": "epoch"') for path in home.glob(f"studies/crash/*/{JOURNAL_FILE}"))


def wait_for_epochs(process: "subprocess.Popen[str]", home: Path, more: int = 2) -> None:
    """Wait until a launch has trained further epochs."""
    before, deadline = epochs(home), time.monotonic() + 120
    while epochs(home) < before + more:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def reboot(home: Path, pid: int) -> None:
    """Ray's files of a session and of the sweeps are gone."""
    for folder in (*Path("/tmp/ray").glob(f"session_*_{pid}"), *home.glob("studies/crash/*/ray")):
        shutil.rmtree(folder)


def empty_ray_folders(home: Path, pid: int) -> None:
    """What Ray has written of the sweeps has never reached the disk."""
    for path in home.glob("studies/crash/*/ray/**/*.*"):
        if path.is_file():
            path.write_bytes(b"")


def break_mirrored(home: Path, pid: int) -> None:
    (home / "studies" / "crash" / MIRRORED_FILE).write_text('{"grid": ')


def cut(home: Path, pid: int) -> None:
    """Journals end in half a line, and what Optuna has last written, which it does not need to be there, is half gone."""
    for path in home.glob(f"studies/crash/*/{JOURNAL_FILE}"):
        content = path.read_bytes()
        path.write_bytes(content + content.splitlines()[-1][:-9])
    for path in home.glob(f"studies/crash/*/{STORAGE_FILE}"):
        path.write_bytes(path.read_bytes()[:-9])


def lose_storage(home: Path, pid: int) -> None:
    (home / "studies" / "crash" / "tpe" / STORAGE_FILE).unlink(missing_ok=True)


def lose_predictions(home: Path, pid: int) -> None:
    """The last epoch of a trial was noted, its end was not, and its predictions are lost."""
    folder = home / "studies" / "crash" / "grid"
    path = folder / JOURNAL_FILE
    lines = path.read_text().splitlines(keepends=True)
    end = next(place for place, line in enumerate(lines) if json.loads(line)["event"] == "end")
    path.write_text("".join(lines[:end] + lines[end + 1 :]))
    (folder / json.loads(lines[end])["trial"] / "state" / "predictions.csv").unlink()
    (home / "studies" / "crash" / MIRRORED_FILE).unlink(missing_ok=True)  # it counts lines, of which one is gone


# How to end a launch, its exit status, what it says, and what may be damaged besides when it has ended
STRIKES: list[tuple[str, int, str, Callable[[Path, int], None] | None]] = [
    ("driver", -signal.SIGKILL, "the launch was killed", reboot),
    ("gcs, softly", 130, "continue with: ", empty_ray_folders),
    ("ctrl-c", 130, "Ctrl-C: incomplete, ", cut),
    ("raylet, softly", 130, "continue with: ", break_mirrored),
    ("ctrl-c twice", 130, "", lose_storage),
    ("group", -signal.SIGKILL, "", lose_predictions),
    ("sigterm", 130, "SIGTERM: incomplete, ", None),
    ("agent", 130, "continue with: ", None),
]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """On a disk of its own that is soon full, where one can be mounted."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(small_disk(tmp_path / "disk", "64m"))
        except pytest.skip.Exception:
            folder = tmp_path / "home"
        yield with_empty_store(folder)


def launch_on_full_disk(command: tuple[object, ...], home: Path) -> None:
    """A launch whose disk gets full, and another one while it is."""
    process = acl_study(*command, home, wait=False)
    wait_for_epochs(process, home)
    fill(home / "filler")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "o space left on device" in out
    assert "Traceback" not in err
    assert len((out + err).splitlines()) < 25, (out, err)  # a summary of 12, and few about trials
    assert not list(home.glob("studies/*/*/*/state/*.partial"))
    wait_until_gone(process.pid)
    again = acl_study(*command, home)
    assert again.returncode != 0
    assert "Traceback" not in again.err
    assert "unexpected" not in again.err
    (home / "filler").unlink()


@pytest.mark.timeout(900)
def test_a_study_survives_one_death_after_the_other(
    command: tuple[object, ...],
    undisturbed: Results,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for way, status, line, damage in STRIKES:
        process = acl_study(*command, home, wait=False)
        wait_for_epochs(process, home)
        if way == "driver":  # of a grid's trial: in a search, what is sampled next depends on which trial ends first
            assert strike(process, "worker")
            wait_for_epochs(process, home)
        struck = time.monotonic()
        assert strike(process, way)
        out, err = process.communicate(timeout=60)
        assert process.returncode == status, (way, out, err)
        assert time.monotonic() - struck < 20
        assert line in out + err
        assert "Traceback" not in err
        assert len(err.splitlines()) < 20, err
        assert "core_worker" not in err
        wait_until_gone(process.pid)
        if damage is not None:
            damage(home, process.pid)
    if home.is_mount():
        launch_on_full_disk(command, home)
    assert call(monkeypatch, *map(str, (*command, home)), "--set", "budget.hours=0.001") == 130
    out = capfd.readouterr().out
    assert "the budget of 0.001 hours is used up" in out
    assert "trials are left" in out
    launched = home / "studies" / "crash" / "study.yaml"
    launched.write_text(launched.read_text().replace("hours: 0.001", "hours: 1.0"))
    assert call(monkeypatch, "resume", "crash", "--home", str(home)) == 0, capfd.readouterr().err
    assert '"event": "lost"' in (home / "studies" / "crash" / "grid" / JOURNAL_FILE).read_text()
    assert_intact(home, "crash", undisturbed)
