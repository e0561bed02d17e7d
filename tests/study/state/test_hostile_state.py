"""Damaged state of a launched study: it is read as far as possible, or refused in a line."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from acl.config import ConfigError
from study import names
from study.cli.app import printable
from study.errors import StudyError
from study.results.status import study_status
from study.search.optuna import STORAGE_FILE
from study.spec.resolve import resolve_study
from study.state import journal as events
from study.state.home import Home
from study.state.journal import JOURNAL_FILE, Journal
from study.state.study_folder import (
    MIRRORED_FILE,
    RECORD_FILE,
    STUDY_FILE,
    load_storage,
    load_study,
    load_tracking_ref,
    mirrored,
    running_process,
    study_text,
)
from support.hostile_inputs import changed, damaged, examples, readable, replaced
from support.search_without_training import Launch

STUDY = {
    "name": "toy",
    "question": "Does it?",
    "base": {"mode": "supervised", "data.root": "/corpus"},
    "search": "random",
    "budget": {"trials": 3},
    "space": {"loss.alpha": {"choice": [0.5, 1.0]}, "loss.margin": {"uniform": [0.1, 1.0]}},
}
EVENTS: list[dict[str, Any]] = [
    {"event": events.LAUNCH, "resources": {"cpus": 1.0, "gpus": 0.0}},
    {"event": events.WARM_START, "results": [{"study": "a", "trial": "b", "point": {"loss.alpha": 0.5}, "values": [0.5]}]},
    {"event": events.TRIAL, "trial": "sweep-0000", "number": 0, "point": {"loss.alpha": 0.5, "loss.margin": 0.3, "seed": 0}},
    {"event": events.EPOCH, "trial": "sweep-0000", "epoch": 1, "is_last": False, "rung": True, "metrics": {"val.accuracy": 0.5}},
    {"event": events.LOST, "trial": "sweep-0000", "reason": "killed", "with_node": False, "unfit": False},
    {"event": events.RESUME, "trial": "sweep-0000"},
    {"event": events.EPOCH, "trial": "sweep-0000", "epoch": 2, "is_last": True, "rung": False, "metrics": {"val.accuracy": 0.5}},
    {"event": events.END, "trial": "sweep-0000", "outcome": names.FINISHED, "reason": None},
    {"event": events.REPEAT, "number": 1, "point": {"loss.alpha": 0.5, "loss.margin": 0.3, "seed": 0}, "of": "sweep-0000"},
    {"event": events.SEARCH_END, "reason": "no improvement for 1 trial"},
]
LINES = [{"time": 1_700_000_000.5 + place, **event} for place, event in enumerate(EVENTS)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A launched study with a journal."""
    home = Home(tmp_path / "home")
    folder = home.study("toy")
    replaced(folder / STUDY_FILE, study_text(resolve_study(STUDY)).encode())
    replaced(folder / RECORD_FILE, json.dumps({"store": None, "key": "0123456789abcdef", "storage": "s3://bucket/x"}).encode())
    replaced(folder / MIRRORED_FILE, json.dumps({"run": "r", "events": {"sweep": 3}}).encode())
    replaced(folder / "sweep" / JOURNAL_FILE, as_journal(LINES))
    replaced(home.root / "locks" / "toy", json.dumps({"host": "box", "pid": 1, "since": 1.5}).encode())
    assert study_status(home, "toy").over == 1
    return home


def as_journal(lines: list[Any]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def looked_at(home: Home) -> None:
    """What status, resume and report read first."""
    try:
        study_status(home, "toy")
        load_tracking_ref(home, "toy")
        load_storage(home, "toy")
        running_process(home, "toy")
        mirrored(home.study("toy") / MIRRORED_FILE, "r")
        assert load_study(home, "toy").sweeps
    except (StudyError, ConfigError) as error:
        readable(printable(str(error)), most_lines=1)


def journal_of(home: Home) -> Journal | None:
    try:
        journal = Journal(home.study("toy") / "sweep")
    except StudyError as error:
        readable(printable(str(error)), most_lines=1)
        return None
    for state in journal.trials.values():
        assert "/" not in state.trial
        assert isinstance(state.epochs + state.number, int)
        assert all(isinstance(float(value), float) for value in state.metrics.values())
        assert isinstance(state.reason, str | None)
    return journal


@examples(40)
@given(lines=changed(LINES))
def test_a_journal_that_tells_something_else(home: Home, lines: list[Any]) -> None:
    replaced(home.study("toy") / "sweep" / JOURNAL_FILE, as_journal(lines))
    if journal_of(home) is not None:
        looked_at(home)


@examples(40)
@given(content=damaged(as_journal(LINES)))
def test_a_damaged_journal(home: Home, content: bytes) -> None:
    replaced(home.study("toy") / "sweep" / JOURNAL_FILE, content)
    if journal_of(home) is not None:
        looked_at(home)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"time": 1e400, "event": "epoch"}',
        b'{"time": 1.0, "event": "trial", "trial": "../../x", "number": 0, "point": {}}',
        b'{"time": 1.0, "event": "end", "trial": "sweep-0000", "outcome": "great", "reason": null}',
        b'{"time": 1.0, "event": "end", "trial": "unknown", "outcome": "finished", "reason": null}',
        b'{"time": 1.0, "event": "trial", "trial": "x", "number": ' + b"9" * 5000 + b', "point": {}}',
        b"\xff\xfe",
        b"",
    ],
)
def test_a_line_that_no_launch_wrote_is_named(home: Home, line: bytes) -> None:
    replaced(home.study("toy") / "sweep" / JOURNAL_FILE, as_journal(LINES[:2]) + line + b"\n" + as_journal(LINES[2:]))
    with pytest.raises(StudyError, match="damaged in line 3"):
        Journal(home.study("toy") / "sweep")


@examples(40)
@given(data=st.data(), file=st.sampled_from((STUDY_FILE, RECORD_FILE, MIRRORED_FILE, "../../locks/toy")))
def test_other_state_that_is_damaged(home: Home, data: st.DataObject, file: str) -> None:
    path = home.study("toy") / file
    whole = path.read_bytes()
    try:
        parsed = yaml.safe_load(whole)
        other = changed(parsed).map(
            lambda content: yaml.safe_dump(content).encode() if file == STUDY_FILE else json.dumps(content).encode()
        )
        replaced(path, data.draw(damaged(whole) | other))
        looked_at(home)
    finally:
        replaced(path, whole)


def test_yaml_that_is_nested_or_tagged_is_no_launched_study(home: Home, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for text in ("[" * 5000, "a: 2020-99-01", "a: !!bool x", f"a: !!python/object/apply:os.system ['touch {trap}']"):
        replaced(home.study("toy") / STUDY_FILE, text.encode())
        with pytest.raises(StudyError, match="damaged or no study of this version"):
            load_study(home, "toy")
    assert not trap.exists()


@pytest.fixture
def searched(tmp_path: Path) -> Path:
    """Folder of an Optuna search with two trials that are over and one under way."""
    launch = Launch(tmp_path / "search")
    for value in (0.5, 0.6):
        name, _ = launch.begin()
        launch.epoch(name, 1, val__accuracy=value)
        launch.end(name, names.STOPPED)
    launch.begin()
    return launch.folder


@examples(40)
@given(data=st.data())
def test_a_damaged_search(searched: Path, data: st.DataObject) -> None:
    path, journal = searched / STORAGE_FILE, searched / JOURNAL_FILE
    whole, told = path.read_bytes(), journal.read_bytes()
    lines = st.just(whole).map(lambda content: [json.loads(line) for line in content.splitlines()])
    other = lines.flatmap(changed).map(as_journal)
    replaced(path, data.draw(damaged(whole) | other))
    try:
        Launch(searched).begin()
    except StudyError as error:
        readable(printable(str(error)), most_lines=1)
    finally:
        replaced(path, whole)
        replaced(journal, told)
