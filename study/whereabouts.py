"""Where the records of a launched study and the state of its trials are, and how much of its journals the records have."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acl.durable import write_durably
from acl.json_text import parse_json
from study.home import Home
from study.spec import StudyError
from study.storage import Storage

RECORD_FILE = "record.json"
MIRRORED_FILE = "mirrored.json"  # how many events of each journal the MLflow store has


def records_of(home: Home, name: str) -> tuple[str, str] | None:
    """MLflow store of a launched study, and the key of its record there; None if it was not launched in this home.

    Raises:
        StudyError: the file that says so is damaged.
    """
    kept = _record(home, name)
    return None if kept is None else (kept["store"] or home.store_uri, kept["key"])


def storage_of(home: Home, name: str) -> Storage | None:
    """Where trials of a launched study keep their state; None where that is the home folder; errors as `records_of`."""
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
    try:
        kept = parse_json(notes.read_bytes())
        return {name: int(count) for name, count in kept["events"].items()} if run_id in (None, kept["run"]) else {}
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
    ):  # none, or damaged: everything is compared anew
        return {}


def keep_mirrored(notes: Path, run_id: str, written: Mapping[str, int]) -> None:
    """Note how many events the store has."""
    write_durably(notes, json.dumps({"run": run_id, "events": written}))
