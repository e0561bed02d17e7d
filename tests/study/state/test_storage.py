"""Storage for the state of trials when machines share no folder; `whole/test_cluster.py` uses it with an S3 server."""

import pickle
from pathlib import Path

import pytest

from study.errors import StudyError
from study.state import storage as module
from study.state.storage import Storage


@pytest.fixture(params=["file", "local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Of pyarrow, and two that only fsspec knows."""
    return Storage(
        {"file": f"file://{tmp_path}/there", "local": f"local://{tmp_path}/there", "memory": "memory://there"}[request.param]
    )


def test_files_are_replaced_whole_and_come_back_as_they_were(storage: Storage, tmp_path: Path) -> None:
    storage.check()
    trial = pickle.loads(pickle.dumps(storage.below("study", "sweep").below("sweep-0001")))
    own, back = tmp_path / "own", tmp_path / "back"
    own.mkdir()
    trial.fetch(back)
    assert not back.exists()  # nothing lies there yet
    for content in (b"first", b"second, longer"):
        (own / "checkpoint.pt").write_bytes(content)
        trial.put(own / "checkpoint.pt")
    (own / "predictions.csv").write_text("clip\n")
    trial.put(own / "predictions.csv")
    trial.fetch(back, ("predictions.csv", "provenance.json"))
    assert [path.name for path in back.iterdir()] == ["predictions.csv"]
    trial.fetch(back)
    assert {path.name: path.read_bytes() for path in back.iterdir()} == {
        "checkpoint.pt": b"second, longer",
        "predictions.csv": b"clip\n",
    }
    storage.below("study", "sweep").fetch(tmp_path / "other")  # folders below are other trials
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("/mnt/shared", "is no address such as s3://bucket/folder; a folder that all see goes to --home"),
        ("s3://key:word@bucket/folder", "holds a password"),
        ("s3://bucket/folder?access_key=key&secret_key=word", "holds a password"),
        ("nosuchscheme://bucket/folder", "cannot be used"),
    ],
)
def test_a_wrong_storage_is_refused_without_showing_a_password(uri: str, reason: str) -> None:
    with pytest.raises(StudyError, match=reason) as refused:
        Storage(uri).check()
    assert "word@" not in str(refused.value)
    assert "=word" not in str(refused.value)


def test_a_silent_storage_is_asked_again_and_named_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    (tmp_path / "there").write_text("a file stands in the way")
    (tmp_path / "checkpoint.pt").write_bytes(b"state")
    storage = Storage(f"file://{tmp_path}/there").below("trial")
    with pytest.raises(OSError, match=r"the storage file://.*/there does not take checkpoint.pt"):
        storage.put(tmp_path / "checkpoint.pt")
    assert len(waits) == 3
    monkeypatch.setattr(module.time, "sleep", lambda seconds: (tmp_path / "there").unlink(missing_ok=True))
    storage.put(tmp_path / "checkpoint.pt")
    assert (tmp_path / "there" / "trial" / "checkpoint.pt").read_bytes() == b"state"
