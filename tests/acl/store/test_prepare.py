"""Preparation of features under kills, full and read-only disks, wrong clocks and other processes: no partial store."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile

from acl.config import SUPERVISED, Mode
from acl.store.digest import content_digest
from acl.store.feature_store import FeatureStore
from acl.store.prepare import prepare
from acl.system.errors import StoreError
from support.corpora import train_file, write_small_corpus
from support.file_systems import fill, read_only, small_disk
from support.forked import forked, prepare_and_note

FRONT_END: list[Mode] = [SUPERVISED]
TIDY = [".lock", "supervised"]
CHANGES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_small_corpus(tmp_path / "corpus")


def digest(root: Path) -> str:
    return content_digest(root / "features" / "supervised")


def change(root: Path) -> None:
    """Make the store an outdated one."""
    path = train_file(root, "2.wav")
    wave, rate = soundfile.read(path)
    soundfile.write(path, wave[::-1], rate, subtype="PCM_16")


def changes_to(root: Path, event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an event of the interpreter is about to change something among the features."""
    if event not in CHANGES:
        return False
    inside = str(root / "features") in str(arguments[0]) or (event in ("os.remove", "os.rmdir") and not os.path.isabs(arguments[0]))
    return inside and (event != "open" or bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)))


def prepare_until(root: Path, count: int) -> None:
    """Prepare, and be killed right before the change of that number; 0: note how many there are."""
    seen = 0

    def kill(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if changes_to(root, event, arguments):
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    prepare(root, FRONT_END, workers=1)
    (root.parent / "changes").write_text(str(seen))


def test_a_kill_leaves_an_old_or_new_store_or_names_the_remedy(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, FRONT_END, workers=1)
    old = digest(corpus)
    change(corpus)
    undisturbed = Path(shutil.copytree(corpus, tmp_path / "0" / "corpus"))
    with forked(prepare_until, undisturbed, 0) as process:
        process.join()
    new, changes = digest(undisturbed), int((undisturbed.parent / "changes").read_text())
    assert new != old
    assert changes > 20
    found = []
    for count in range(1, changes + 1):
        root = Path(shutil.copytree(corpus, tmp_path / str(count) / "corpus"))
        with forked(prepare_until, root, count) as process:
            process.join()
            assert process.exitcode == -signal.SIGKILL
        try:
            FeatureStore.open(root, SUPERVISED)
            found.append(digest(root))
        except StoreError as error:
            found.append(str(error).replace(str(root), "ROOT"))
        prepare(root, FRONT_END, workers=1)
        assert digest(root) == new
        assert sorted(os.listdir(root / "features")) == TIDY
    between = "ROOT has no supervised features; run `acl-study data prepare ROOT`"
    assert list(dict.fromkeys(found)) == [old, between, new]
    assert found.count(between) == 1


def wait_for(notes: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while not notes.exists() or text not in notes.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_waiting_process_continues_a_killed_preparation(corpus: Path, tmp_path: Path) -> None:
    notes = {name: tmp_path / name for name in "abc"}
    options = {"front_ends": FRONT_END}
    with forked(prepare_and_note, corpus, notes["a"], options, False, tmp_path / "never") as first:
        wait_for(notes["a"], "progress 0/6")
        with (
            forked(prepare_and_note, corpus, notes["b"], options) as second,
            forked(prepare_and_note, corpus, notes["c"], options) as third,
        ):
            for name in "bc":
                wait_for(notes[name], f"waiting for process {first.pid} on ")
            assert not (corpus / "features" / "supervised").exists()
            first.kill()
            for process in (second, third):
                process.join(60)
    texts = [notes[name].read_text().splitlines() for name in "bc"]
    assert [lines[-1] for lines in texts] == ["prepared", "prepared"]
    assert sorted(lines[1] for lines in texts) == ["progress 0/6", "progress 6/6"]  # the last one has nothing left to do
    undisturbed = Path(shutil.copytree(corpus, tmp_path / "alone" / "corpus", ignore=shutil.ignore_patterns("features")))
    prepare(undisturbed, FRONT_END, workers=1)
    assert digest(corpus) == digest(undisturbed)
    assert sorted(os.listdir(corpus / "features")) == TIDY


@pytest.mark.parametrize("moment", ["first clip", "joining"])
def test_a_full_disk_keeps_the_old_store_and_finished_pieces(corpus: Path, tmp_path: Path, moment: str) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        (corpus / "features").symlink_to(disk)
        prepare(corpus, FRONT_END, workers=1)
        old = digest(corpus)
        change(corpus)

        def fill_up(done: int, total: int) -> None:
            if (done == total) == (moment == "joining"):
                fill(disk / "filler")

        with pytest.raises(StoreError) as error:
            prepare(corpus, FRONT_END, workers=1, progress=fill_up)
        remedy = "free some space and run it again; what is done is kept"
        assert str(error.value) == f"{corpus / 'features'} cannot be written (No space left on device); {remedy}"
        assert digest(corpus) == old
        assert not list(disk.glob("*/*.unfinished"))
        (disk / "filler").unlink()
        seen: list[int] = []
        prepare(corpus, FRONT_END, workers=1, progress=lambda done, total: seen.append(done))
        assert seen[0] == (6 if moment == "joining" else 0)
        assert digest(corpus) != old
        assert sorted(os.listdir(disk)) == TIDY


def test_a_corpus_on_a_read_only_disk_is_used_or_linked(corpus: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    with read_only(corpus):
        with pytest.raises(StoreError) as error:
            prepare(corpus, FRONT_END, workers=1)
        remedy = f"make it writable, or prepare a folder of yours with links to what lies in {corpus}"
        assert str(error.value).startswith(f"{corpus / 'features'} cannot be written (Read-only file system); {remedy}")
        for entry in corpus.iterdir():
            (linked / entry.name).symlink_to(entry)
        prepare(linked, FRONT_END, workers=1)
    prepare(corpus, FRONT_END, workers=1)
    assert digest(linked) == digest(corpus)
    with read_only(corpus):
        prepare(corpus, FRONT_END, workers=1)
        assert len(FeatureStore.open(corpus, SUPERVISED).names) == 6


def test_wrong_clocks_do_not_change_the_store(corpus: Path) -> None:
    path = train_file(corpus, "2.wav")
    contents = []
    for seconds in (4_102_444_800, 0, -86_400, path.stat().st_mtime):  # 2100, 1970, before that, and back to now
        os.utime(path, (seconds, seconds))
        done: list[int] = []
        prepare(corpus, FRONT_END, workers=1, progress=lambda now, total: done.append(now))  # noqa: B023
        assert done[0] < 6
        prepare(corpus, FRONT_END, workers=1, progress=lambda now, total: done.append(now))  # noqa: B023
        assert done[-2:] == [6, 6]
        contents.append(digest(corpus))
    assert len(set(contents)) == 1

    before = path.stat()
    change(corpus)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    prepare(corpus, FRONT_END, workers=1)
    assert digest(corpus) == contents[0]  # the same size and time: taken for the same file
    path.touch()
    prepare(corpus, FRONT_END, workers=1)
    assert digest(corpus) != contents[0]
