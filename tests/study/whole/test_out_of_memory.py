"""A trial that really runs out of memory, because its worker has a limit."""

import resource
import time
from pathlib import Path

import pytest
import yaml

from study import names
from study.state import journal as events
from study.state.journal import Journal
from support.command_line import acl_study
from support.kills import processes_of
from support.mlflow_records import epochs_logged, runs, with_empty_store
from support.study_integrity import assert_intact

STUDY = {
    "name": "memory",
    "question": "What becomes of a trial that takes too much memory?",
    "profile": "mini",
    "base": {"mode": "supervised", "data.subset": "clean", "optim.epochs": 24},
    "space": {"loss.alpha": {"grid": [1.0, 0.5]}},
}


@pytest.mark.slow
def test_a_trial_out_of_memory_runs_once_more_alone(tiny_corpus: Path, tmp_path: Path) -> None:
    study, home = tmp_path / "study.yaml", with_empty_store(tmp_path / "home")
    study.write_text(yaml.safe_dump(STUDY))
    # Large arrays go back to the system when they are freed, so that each step asks for memory again.
    mapped = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    process = acl_study("run", study, "--data", tiny_corpus, "--home", home, wait=False, env=mapped, fresh=True)
    _limit_memory_of_a_trial(process.pid, home)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    journal = Journal(home / "studies" / "memory" / "sweep")
    (lost,) = [event for event in journal.events if event["event"] == events.LOST]
    assert lost["reason"].startswith("out of memory: ")
    assert f"{lost['trial']}: out of memory" in err
    ends = [event["trial"] for event in journal.events if event["event"] == events.END]
    assert ends[-1] == lost["trial"]  # when the other was through
    assert_intact(home, "memory")
    for trial in runs(home, names.KIND_TRIAL):
        assert trial.data.tags[names.OUTCOME] == names.FINISHED
        assert epochs_logged(home, trial) == list(range(1, 25))


def _limit_memory_of_a_trial(session: int, home: Path) -> None:
    """Let the worker of a trial that has reported take no more memory than it has between two steps, and a little.

    A little is less than the 15 MB of one activation, and enough for what Python itself may ask for: where that has no memory,
    almost anything may be raised.
    """
    deadline = time.monotonic() + 90
    while not any(b'"epoch"' in path.read_bytes() for path in home.glob("studies/memory/sweep/journal.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = [pid for pid, command in processes_of(session).items() if command.startswith("ray::ImplicitFunc")]
    assert b"MALLOC_ARENA_MAX=1" in Path(f"/proc/{workers[0]}/environ").read_bytes().split(b"\0")
    pages = []
    for _ in range(40):
        pages.append(int(Path(f"/proc/{workers[0]}/statm").read_text().split()[0]))
        time.sleep(0.02)
    resource.prlimit(workers[0], resource.RLIMIT_AS, (min(pages) * resource.getpagesize() + 12 * 2**20, resource.RLIM_INFINITY))
