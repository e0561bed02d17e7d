"""The journal of a sweep under crashes and full disks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from study import names
from study.errors import StudyError
from study.state import journal as events
from study.state.journal import JOURNAL_FILE, Journal
from support.file_systems import small_disk

_FILLS_UP = """
import resource, signal, sys
from pathlib import Path
from study.state.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.append("trial", trial="a", number=0, point={})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 20, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        journal.append("epoch", trial="a", epoch=1, is_last=False, rung=True, metrics={})
    except OSError as error:
        print(error.errno, len(journal.trials["a"].metrics), journal.trials["a"].epochs)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append("end", trial="a", outcome="finished", reason=None)
"""


def written(folder: Path) -> Journal:
    """A journal with a finished trial, a lost one and one that was taken up again."""
    journal = Journal(folder)
    journal.append(events.LAUNCH, resources={"cpus": 1})
    for number, name in enumerate(("a", "b", "c")):
        journal.append(events.TRIAL, trial=name, number=number, point={"loss.alpha": number / 2})
    for epoch in (1, 2):
        journal.append(
            events.EPOCH, trial="a", epoch=epoch, is_last=epoch == 2, rung=True, metrics={"x": float(epoch), f"only.{epoch}": 1.0}
        )
    journal.append(events.END, trial="a", outcome=names.FINISHED, reason=None)
    journal.append(events.LOST, trial="b", reason="killed")
    journal.append(events.END, trial="c", outcome=names.FAILED, reason="diverged")
    journal.append(events.TRIAL, trial="c", number=2, point={"loss.alpha": 1.0})
    journal.close()
    return journal


def test_a_reread_journal_tells_the_same_of_each_trial(tmp_path: Path) -> None:
    first = written(tmp_path)
    for journal in (first, Journal(tmp_path)):
        a, b, c = journal.trials.values()
        assert (a.epochs, a.is_trained, a.outcome) == (2, True, names.FINISHED)
        assert a.metrics == {"x": 2.0, "only.1": 1.0, "only.2": 1.0}
        assert (b.worker_crashes, b.outcome, b.reason) == (1, None, "killed")
        assert (c.outcome, c.reason, c.worker_crashes) == (None, None, 0)
        assert [state.trial for state in journal.unfinished()] == ["b", "c"]
        assert journal.outcomes() == [names.FINISHED]
    assert Journal(tmp_path).events == first.events


def test_a_cut_last_line_costs_no_other_line(tmp_path: Path) -> None:
    whole = written(tmp_path)
    content = whole.path.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(content)):
        whole.path.write_bytes(content[:cut])
        journal = Journal(tmp_path)
        assert journal.events == whole.events[:-1]
        journal.append(events.TRIAL, trial="d", number=3, point={})
        journal.close()
        assert [event["trial"] for event in Journal(tmp_path).events[-2:]] == ["c", "d"]


@pytest.mark.parametrize("line", ['{"time": 1, "event": "epo', "[1, 2]", '{"time": 1, "event": "epoch", "trial": "nobody"}', ""])
def test_a_damaged_earlier_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = written(tmp_path).path
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
    with pytest.raises(StudyError, match=f"{JOURNAL_FILE} is damaged in line 3; restore it.* and the study's mirrored.json"):
        Journal(tmp_path)


def test_a_file_that_cannot_grow_keeps_its_whole_lines(tmp_path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", _FILLS_UP, str(tmp_path)], capture_output=True, text=True, check=True)
    assert [line.split()[1:] for line in process.stdout.splitlines()] == [["0", "0"], ["0", "0"]]
    assert [json.loads(line)["event"] for line in (tmp_path / JOURNAL_FILE).read_text().splitlines()] == ["trial", "end"]


def test_a_full_disk_is_named_and_leaves_no_half_line(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        journal = Journal(disk)
        journal.append(events.TRIAL, trial="a", number=0, point={})
        (disk / "other").write_bytes(bytes(40_000))

        def go_on() -> None:
            for epoch in range(1, 3000):
                journal.append(events.EPOCH, trial="a", epoch=epoch, is_last=False, rung=True, metrics={"x": 0.1})

        with pytest.raises(OSError, match=os.strerror(28)):
            go_on()
        noted = journal.trials["a"].epochs
        assert Journal(disk).trials["a"].epochs == noted > 1
        (disk / "other").unlink()
        journal.append(events.END, trial="a", outcome=names.STOPPED, reason=None)
        journal.close()
        assert Journal(disk).trials["a"].outcome == names.STOPPED


def test_losing_its_machine_fails_no_trial_that_progresses(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(events.TRIAL, trial="a", number=0, point={})
    losses = []
    for epochs in (0, 0, 1, 0):  # between two times that the machine went down
        for _ in range(epochs):
            epoch = journal.trials["a"].epochs + 1
            journal.append(events.EPOCH, trial="a", epoch=epoch, is_last=False, rung=True, metrics={})
        journal.append(events.LOST, trial="a", reason="its node went down", with_node=True)
        losses.append(journal.trials["a"].worker_crashes)
    assert losses == [0, 1, 1, 2]
    journal.append(events.TRIAL, trial="a", number=0, point={})
    for _ in range(3):
        journal.append(events.LOST, trial="a", reason="node2 does not see it", with_node=True, unfit=True)
    journal.append(events.LOST, trial="a", reason="its node went down", with_node=True)
    assert journal.trials["a"].worker_crashes == 0
    journal.close()
