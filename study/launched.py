"""What is kept of a launched study beside Ray's state: the study as launched, and where its records are."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from study.home import Home
from study.spec import Study, StudyError

STUDY_FILE = "study.yaml"
RECORD_FILE = "record.json"


def study_text(study: Study) -> str:
    """The resolved study as YAML."""
    text: str = yaml.safe_dump(_content(study), sort_keys=False, allow_unicode=True)
    return text


def load_launched(home: Home, name: str) -> Study:
    """The study that was launched as `name`.

    Raises:
        StudyError: there is none.
    """
    path = home.study(name) / STUDY_FILE
    if not path.exists():
        known = sorted(entry.parent.name for entry in home.root.glob(f"studies/*/{STUDY_FILE}"))
        raise StudyError(f"no study {name!r} in {home.root}; launched there: {', '.join(known) or 'none'}")
    return Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def check_unchanged(home: Home, study: Study) -> None:
    """Results of two different studies never mix.

    Raises:
        StudyError: another study was launched under this name.
    """
    path = home.study(study.name) / STUDY_FILE
    if not path.exists():
        return
    launched, now = (dict(_leaves(content)) for content in (yaml.safe_load(path.read_text(encoding="utf-8")), _content(study)))
    for name in {**launched, **now}:
        if launched.get(name) != now.get(name):
            before, after = (f"{name} {values[name]}" if name in values else f"no {name}" for values in (launched, now))
            raise StudyError(f"study {study.name!r} was launched with {before}, now it has {after}; give it another --name")


@contextmanager
def only_launch(home: Home, name: str) -> Iterator[None]:
    """Hold the study: two launches at once would both continue the same trials. The lock ends with this process.

    Raises:
        StudyError: another process runs the study.
    """
    locks = home.root / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StudyError(f"study {name!r} is running already in {home.root}; wait for it, or stop it first") from None
        yield


def keep_study(home: Home, study: Study) -> None:
    """Write the study's file into its folder."""
    home.study(study.name).mkdir(parents=True, exist_ok=True)
    _write(home.study(study.name) / STUDY_FILE, study_text(study))


def records_of(home: Home, name: str) -> tuple[str, str] | None:
    """MLflow store and run of a launched study; None if it was not launched in this home."""
    path = home.study(name) / RECORD_FILE
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    return kept["store"] or home.store_uri, kept["run"]


def keep_records(home: Home, name: str, store: str | None, run_id: str) -> None:
    """Note where the records of a study are; `store` None is the home's own."""
    _write(home.study(name) / RECORD_FILE, json.dumps({"store": store, "run": run_id}))


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _content(study: Study) -> dict[str, Any]:
    return study.model_dump(mode="json", exclude_none=True)


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of everything in nested mappings and lists of mappings (by their name, else their number)."""
    if isinstance(content, list) and content and all(isinstance(entry, dict) for entry in content):
        content = {str(entry.get("name", number)): entry for number, entry in enumerate(content)}
    if not isinstance(content, dict):
        yield name, content
        return
    for key, value in content.items():
        yield from _leaves(value, f"{name}.{key}" if name else str(key))
