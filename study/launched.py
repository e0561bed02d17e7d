"""What is kept of a launched study beside its journals: the study as launched, and where its records are."""

import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from acl.durable import write_durably
from acl.json_text import parse_json
from acl.nearest import close_to
from study.home import Home
from study.resources import Resources
from study.spec import Study, StudyError, one_line

STUDY_FILE = "study.yaml"
_LOCK_TRIES, _LOCK_WAIT = 5, 0.1  # seconds between two tries: `launch_of` may be looking


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


def load_launched(home: Home, name: str) -> Study:
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
        reason = one_line(str(error).partition("\n")[0])
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
    launched, now = (_identity(_content(each)) for each in (load_launched(home, study.name), study))
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
def only_launch(home: Home, name: str) -> Iterator[None]:
    """Hold the study: two launches at once would both continue the same trials. The lock ends with this process.

    Raises:
        StudyError: another process runs the study.
    """
    path = _lock_file(home, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as lock:
        for tries_left in reversed(range(_LOCK_TRIES)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if not tries_left:
                    raise StudyError(f"study {name!r} is running already in {home.root}; wait for it, or stop it first") from None
            time.sleep(_LOCK_WAIT)
        lock.truncate(0)
        json.dump({"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}, lock)
        lock.flush()
        yield


def launch_of(home: Home, name: str) -> LaunchProcess | None:
    """Who runs the study; None if nobody does.

    It looks with a shared lock that it gives back at once; a launch that begins at that moment tries again.
    """
    try:
        with _lock_file(home, name).open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _read_launch(lock.read())
    except FileNotFoundError:
        pass
    return None


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
