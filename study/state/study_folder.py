"""The folder of a launched study: the study as launched, its lock, where its records and the state of its trials are."""

import errno
import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from acl.system.files import write_durably
from acl.system.locks import LockHeldError, read_note, take_lock
from acl.system.text import close_to, first_line, parse_json
from study.errors import StudyError, one_line
from study.spec.study import Study
from study.spec.sweep import Resources
from study.state.home import Home
from study.state.storage import Storage

STUDY_FILE = "study.yaml"
_LOCK_PATIENCE = 0.4  # seconds: `running_process` may be looking


@dataclass(frozen=True)
class LaunchProcess:
    """The process that runs a study.

    Attributes:
        host: name of its machine.
        pid: its number there; None while it begins.
        since: when the launch began, Unix seconds.
    """

    host: str
    pid: int | None
    since: float


def study_text(study: Study) -> str:
    """The resolved study as YAML."""
    text: str = yaml.safe_dump(_content(study), sort_keys=False, allow_unicode=True)
    return text


def load_study(home: Home, name: str) -> Study:
    """The study that was launched as `name`.

    Raises:
        StudyError: there is none, or its file is of another version or damaged.
    """
    path = home.study(name) / STUDY_FILE
    if not path.exists():
        known = sorted(entry.parent.name for entry in home.root.glob(f"studies/*/{STUDY_FILE}"))
        remedy = close_to(name, known) or f"launched there: {', '.join(known) or 'none'}"
        raise StudyError(f"no study {name!r} in {home.root}; {remedy}")
    try:
        return Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        reason = one_line(first_line(error, ""))
        raise StudyError(
            f"{path} is damaged or no study of this version ({reason}); run it anew under another --name, or "
            "if it is damaged, delete it and `run` the same study again: its trials go on"
        ) from None


def with_resources(study: Study, resources: Mapping[str, float]) -> Study:
    """The study with other `cpus` and `gpus` of each trial."""
    taken = [
        sweep.model_copy(update={"resources": Resources(**{**sweep.resources.model_dump(), **resources})}) for sweep in study.sweeps
    ]
    return study.model_copy(update={"sweeps": taken})


def study_digest(study: Study) -> str:
    """SHA-256 of all that makes it this study, in hexadecimal; people are shown the first 12 digits.

    What a trial takes (`resources`) and how long a launch may last (`budget.hours`) say how it is run, and are left out.
    """
    return _digest(_identity(_content(study)))


def check_unchanged(home: Home, study: Study) -> None:
    """Results of two different studies never mix.

    Raises:
        StudyError: another study was launched under this name; the first line is the rule, the others are the differences. Or the
            launched study's file is damaged.
    """
    if not (home.study(study.name) / STUDY_FILE).exists():
        return
    launched, now = (_identity(_content(each)) for each in (load_study(home, study.name), study))
    if _digest(launched) == _digest(now):
        return
    before, after = dict(_leaves(launched)), dict(_leaves(now))
    lines = [
        f"study {study.name!r} was launched as {_digest(launched)[:12]}, now it is {_digest(now)[:12]}: results of two studies "
        f"never mix; give it another --name, undo what differs, or delete {home.study(study.name)} to begin anew:"
    ]
    for name in sorted({**before, **after}):
        if name not in before or name not in after or before[name] != after[name]:
            lines += [f"{sign} {name} {leaves[name]}" for sign, leaves in (("-", before), ("+", after)) if name in leaves]
    raise StudyError("\n".join(lines))


@contextmanager
def study_lock(home: Home, name: str) -> Iterator[None]:
    """Hold the study: two launches at once would both continue the same trials. The lock ends with this process.

    Where the file system has no locks, a line on stderr says so and the study runs without one.

    Raises:
        StudyError: another process runs the study, or this user may not write the lock file.
    """

    def say_no_locks(reason: str) -> None:
        print(
            f"{home.root} is on a file system without locks ({reason}): a second launch of {name!r} cannot be kept out; start none",
            file=sys.stderr,
            flush=True,
        )

    path = _lock_file(home, name)
    note = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = take_lock(path, _LOCK_PATIENCE, note, on_no_locks=say_no_locks)
    except LockHeldError:
        raise StudyError(f"study {name!r} is running already in {home.root}; wait for it, or stop it first") from None
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        remedy = "make it writable for you, or name another --home"
        raise StudyError(f"{path} cannot be locked for the study ({error.strerror}); {remedy}") from None
    with lock:
        yield


def running_process(home: Home, name: str) -> LaunchProcess | None:
    """Who runs the study; None if nobody does. A launch that begins while this function looks tries again.

    Without locks it is who says so in the lock file, unless that is a process of this machine that is gone.
    """
    note = read_note(_lock_file(home, name))
    if note is None:
        return None
    launch = _read_launch(note.text)
    is_gone = launch.host == socket.gethostname() and not Path(f"/proc/{launch.pid}").exists()
    return None if is_gone and not note.is_held else launch


def _read_launch(text: str) -> LaunchProcess:
    try:
        launch = LaunchProcess(**parse_json(text))
        if [type(launch.host), type(launch.pid), type(launch.since)] != [str, int, float]:
            raise TypeError(text)
        return launch
    except (ValueError, TypeError):  # it has the lock, and has not written yet
        return LaunchProcess(host=socket.gethostname(), pid=None, since=time.time())


def _lock_file(home: Home, name: str) -> Path:
    return home.root / "locks" / name


def keep_study(home: Home, study: Study) -> None:
    """Write the study's file into its folder."""
    home.study(study.name).mkdir(parents=True, exist_ok=True)
    write_durably(home.study(study.name) / STUDY_FILE, study_text(study))


def _content(study: Study) -> dict[str, Any]:
    return study.model_dump(mode="json", exclude_none=True)


def _identity(content: dict[str, Any]) -> dict[str, Any]:
    """The part of a study's content that decides its results."""
    sweeps = []
    for sweep in content["sweeps"]:
        kept = {key: value for key, value in sweep.items() if key != "resources"}
        kept["budget"] = {key: value for key, value in sweep.get("budget", {}).items() if key != "hours"}
        sweeps.append({**kept, "searched": list(sweep.get("space", {}))})  # in this order; in another one, points differ
    return {**content, "sweeps": sweeps}


def _digest(identity: dict[str, Any]) -> str:
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of everything in nested mappings and lists of mappings (by their name, else their number)."""
    if isinstance(content, list) and content and all(isinstance(entry, dict) for entry in content):
        content = {str(entry.get("name", number)): entry for number, entry in enumerate(content)}
    if not isinstance(content, dict):
        yield name, content
        return
    for key, value in content.items():
        yield from _leaves(value, f"{name}.{key}" if name else str(key))


RECORD_FILE = "record.json"
MIRRORED_FILE = "mirrored.json"  # how many events of each journal the MLflow store has


@dataclass(frozen=True)
class TrackingRef:
    """Where the records of a study are.

    Attributes:
        store_uri: MLflow tracking store.
        key: of the study's record there.
    """

    store_uri: str
    key: str


def load_tracking_ref(home: Home, name: str) -> TrackingRef | None:
    """Where the records of a launched study are; None if it was not launched in this home.

    Raises:
        StudyError: the file that says so is damaged.
    """
    kept = _record(home, name)
    return None if kept is None else TrackingRef(kept["store"] or home.store_uri, kept["key"])


def load_storage(home: Home, name: str) -> Storage | None:
    """Where trials of a launched study keep their state; None where that is the home folder; errors as `load_tracking_ref`."""
    kept = _record(home, name)
    return None if kept is None or kept.get("storage") is None else study_storage(kept["storage"], name, kept["key"])


def study_storage(uri: str, name: str, key: str) -> Storage:
    """Place of a study in a storage, which may have one of the same name that another home has launched."""
    return Storage(uri).below(f"{name}-{key[:8]}")


def _record(home: Home, name: str) -> dict[str, Any] | None:
    path = home.study(name) / RECORD_FILE
    if not path.exists():
        return None
    try:
        kept = parse_json(path.read_bytes())
        record = {"store": kept["store"], "key": kept["key"], "storage": kept.get("storage")}
        if not isinstance(kept["key"], str) or not all(isinstance(record[name], str | None) for name in ("store", "storage")):
            raise TypeError("key, store or storage")
        return record
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StudyError(
            f"{path} is damaged; restore it, or delete it and the study's run in MLflow: `resume {name}` then writes new records "
            "from the journals (of a study with --storage, trials under way begin anew)"
        ) from None


def keep_records(home: Home, name: str, store: str | None, key: str, storage: str | None = None) -> None:
    """Note where the records of a study are; `store` None is the home's own, `key` that of its `StudyRecord`, `storage` the address
    at which its trials keep their state, if not in the home.
    """
    write_durably(home.study(name) / RECORD_FILE, json.dumps({"store": store, "key": key, "storage": storage}))


def mirrored(notes: Path, run_id: str | None = None) -> dict[str, int]:
    """How many events of each sweep's journal an MLflow store has, as the file `notes` in the study's folder says.

    With a `run_id` none, if that is not the study's run into which they were written.
    """
    run, written = _mirrored(notes)
    return written if run_id in (None, run) else {}


def mirrored_run(notes: Path) -> str | None:
    """The study's run into which they were written; None where nothing was."""
    return _mirrored(notes)[0]


def _mirrored(notes: Path) -> tuple[str | None, dict[str, int]]:
    try:
        kept = parse_json(notes.read_bytes())
        return str(kept["run"]), {name: int(count) for name, count in kept["events"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):  # none, or damaged: all is compared anew
        return None, {}


def keep_mirrored(notes: Path, run_id: str, written: Mapping[str, int]) -> None:
    """Note how many events the store has."""
    write_durably(notes, json.dumps({"run": run_id, "events": written}))
