"""The cache of finished runs: never needed, never wrong, and never an obstacle."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.records.cache import cached, folder
from support.file_systems import fill, small_disk

SCHEMA = pa.schema([("run_id", pa.string()), ("value", pa.float64())])


class Source:
    """Rows of runs by state, and which of them were read."""

    def __init__(self, states: dict[str, str | None], rows: int = 3) -> None:
        self.now = states
        self.rows = rows
        self.read_runs: list[str] = []

    def states(self, run_ids: list[str]) -> dict[str, str | None]:
        return {run_id: self.now[run_id] for run_id in run_ids if run_id in self.now}

    def read(self, run_ids: list[str]) -> pa.Table:
        self.read_runs = run_ids
        rows = [(run_id, hash_of(run_id, self.now[run_id], row)) for run_id in run_ids for row in range(self.rows)]
        return pa.table([pa.array([row[column] for row in rows], kind.type) for column, kind in enumerate(SCHEMA)], schema=SCHEMA)

    def load(self, *run_ids: str) -> pd.DataFrame:
        """Through the cache; the same as without it."""
        self.read_runs = []
        frame = cached(("kind", "store"), run_ids, self.states, self.read).to_pandas().sort_values(["run_id", "value"])
        read_runs = self.read_runs
        expected = self.read([run_id for run_id in run_ids if run_id in self.now]).to_pandas()
        pd.testing.assert_frame_equal(frame.reset_index(drop=True), expected.sort_values(["run_id", "value"], ignore_index=True))
        self.read_runs = read_runs
        return frame


def hash_of(run_id: str, state: str | None, row: int) -> float:
    return float(sum(map(ord, f"{run_id}{state}")) + row)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ACL_STUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(place: Path) -> set[str]:
    (file,) = place.iterdir()
    return set(pq.read_table(pa.BufferReader(file.read_bytes()[32:]))["run_id"].to_pylist())


def test_only_what_has_changed_is_read(place):
    source = Source({"a": "1", "b": "1", "c": None, "d": "1"})
    for asked, read in (("ab", "ab"), ("ab", ""), ("abc", "c"), ("abc", "c"), ("d", "d"), ("abd", "")):
        source.load(*asked)
        assert "".join(source.read_runs) == read
    source.now |= {"a": "2"}
    source.load(*"abd")
    assert source.read_runs == ["a"]
    source.now |= {"b": None}  # resumed
    source.load(*"abd")
    assert source.read_runs == ["b"]


def test_deleted_or_changed_runs_leave_the_cache(place):
    source = Source({"a": "1", "b": "1", "c": "1"})
    source.load(*"ab")
    del source.now["a"]
    source.load(*"ac")
    assert kept(place) == {"b", "c"}


def test_runs_without_rows_are_remembered(place):
    source = Source({"a": "1"}, rows=0)
    for read in (["a"], []):
        assert source.load("a").empty
        assert source.read_runs == read


def test_kinds_and_stores_are_kept_apart(place):
    source = Source({"a": "1"})
    for key in (("kind", "store"), ("kind", "other"), ("other", "store"), ("kind", "store", "more")):
        cached(key, ["a"], source.states, source.read)
    assert len(list(place.iterdir())) == 4


@pytest.mark.parametrize("damage", ["empty", "garbage", "cut", "flipped", "foreign", "folder"])
def test_a_damaged_file_is_ignored_and_written_anew(place, damage):
    source = Source(dict.fromkeys("abcdefgh", "1"), rows=500)
    source.load(*"abcdefgh")
    (file,) = place.iterdir()
    whole = file.read_bytes()
    damaged = {
        "empty": [b""],
        "garbage": [os.urandom(5000)],
        "cut": [whole[:size] for size in range(1, len(whole), len(whole) // 40)],
    }
    damaged["flipped"] = [
        whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(0, len(whole), len(whole) // 100)
    ]
    for content in damaged.get(damage, [None]):
        if content is not None:
            file.write_bytes(content)
        elif damage == "foreign":
            pq.write_table(pa.table({"run_id": [1, 2]}), file)
        else:
            file.unlink()
            file.mkdir()
        source.load(*"abcdefgh")
    if damage in ("empty", "garbage", "foreign"):
        assert source.read_runs == list("abcdefgh")
    if damage != "folder":
        source.load(*"abcdefgh")
        assert source.read_runs == []
    assert len(list(place.iterdir())) == 1  # no remains


def test_a_folder_that_cannot_be_made_is_in_nobodys_way(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ACL_STUDY_CACHE", str(tmp_path / "file" / "cache"))
    source = Source({"a": "1"})
    for _ in range(2):
        source.load("a")
        assert source.read_runs == ["a"]


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    with small_disk(tmp_path / "disk", "1m") as disk:
        monkeypatch.setenv("ACL_STUDY_CACHE", str(disk))
        source = Source({"a": "1", "b": "1"})
        source.load("a")
        fill(disk / "filler")
        source.rows = 20_000
        source.load("b")
        assert sorted(path.suffix for path in disk.iterdir()) == ["", ".rows"]
        source.rows = 3
        source.load("a")
        assert source.read_runs == []


def test_files_that_nobody_has_used_for_long_are_deleted(place):
    source = Source({"a": "1"})
    place.mkdir()
    for name in ("store-that-is-gone.rows", "killed.partial", "mine.txt"):
        (place / name).write_text("")
        os.utime(place / name, (0, time.time() - 100 * 86400))
    source.load("a")
    assert sorted(path.suffix for path in place.iterdir()) == [".rows", ".txt"]
    assert (place / "mine.txt").exists()
    assert not (place / "store-that-is-gone.rows").exists()


def test_the_folder_follows_the_platform(monkeypatch, tmp_path):
    assert folder() == Path(os.environ["ACL_STUDY_CACHE"])
    monkeypatch.delenv("ACL_STUDY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "acl-study"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder() == tmp_path / ".cache" / "acl-study"


WORK = """
import sys
sys.path[:0] = sys.argv[2:]
from test_cache import Source
names = [f"{sys.argv[1]}{number}" for number in range(30)] + [f"shared{number}" for number in range(30)]
for turn in range(20):
    source = Source({name: str(turn // 2) for name in names}, rows=50)
    source.load(*names)  # asserts that the rows are the right ones
"""


@pytest.mark.slow
def test_processes_that_write_at_once_do_no_harm(place):
    here = Path(__file__)
    paths = [str(here.parents[number]) for number in (0, 2, 3)]  # this folder, that of `support`, the project
    workers = [subprocess.Popen([sys.executable, "-c", WORK, name, *paths]) for name in ("one", "two", "three")]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0, 0]
    assert "shared0" in kept(place)
