"""Unusable audio files: all are named at once, the others are kept, and every record says which were left out."""

import json
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from acl.config import SUPERVISED, Mode
from acl.provenance import describe_run
from acl.store.digest import content_digest
from acl.store.feature_store import FeatureStore
from acl.store.pieces import UNFINISHED
from acl.store.prepare import prepare
from acl.store.problems import BadAudioError
from acl.system.errors import CorpusError, StoreError, WorkerError
from study import names
from study.tracking.writer import provenance_tags
from support.command_line import call
from support.corpora import train_file, write_small_corpus
from support.forked import forked, prepare_and_note
from support.training_runs import config

FRONT_END: list[Mode] = [SUPERVISED]
MANY = {"train": tuple(f"{number}.wav" for number in range(70)), "test": ("a.wav", "b.wav")}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_small_corpus(tmp_path / "corpus")


def store_of(root: Path) -> FeatureStore:
    return FeatureStore.open(root, SUPERVISED)


def digest(root: Path) -> str:
    return content_digest(root / "features" / "supervised")


def prepared_without(root: Path, name: str) -> Path:
    """A copy of a corpus whose table does not list a clip."""
    copy = Path(
        shutil.copytree(root, root.parent / "without" / root.name, symlinks=True, ignore=shutil.ignore_patterns("features"))
    )
    table = copy / "FSDnoisy18k.meta" / "train.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(keepends=True) if not line.startswith(name)))
    prepare(copy, FRONT_END, workers=1)
    return copy


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def write_huge(path: Path) -> None:
    soundfile.write(path, np.array([3.4e38, 3.4e38, -3.4e38]), 44_100, subtype="FLOAT")


def write_beyond_float32(path: Path) -> None:
    soundfile.write(path, np.array([1.7e308, 1.7e308, -1.7e308, 0.5]), 44_100, subtype="DOUBLE")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (cut, "is cut off: its header announces 26460 bytes of audio, 25460 are there"),
        (replace_by_folder, "cannot be read (Is a directory)"),
        (replace_by_link, "cannot be read (No such file or directory)"),
        (write_huge, "has samples so large that its log-mels are not finite"),
        (write_beyond_float32, "has 3 samples that are not finite"),
    ],
)
def test_a_clip_is_named_or_left_out(corpus: Path, spoil: Callable[[Path], None], problem: str) -> None:
    spoil(train_file(corpus, "3.wav"))
    with pytest.raises(BadAudioError) as error:
        prepare(corpus, FRONT_END, workers=1)
    first, *others = str(error.value).splitlines()
    assert first.startswith("1 of 6 clips cannot be used; restore the files, remove their rows from the tables, or leave them out")
    assert others == [f"  3.wav {problem}"]
    with pytest.raises(StoreError, match="has no supervised features"):
        store_of(corpus)
    said: list[str] = []
    prepare(corpus, FRONT_END, workers=1, skip_bad=True, say=said.append)
    assert said == [f"left out: 3.wav {problem}", "1 of 6 clips are left out"]
    store, other = store_of(corpus), store_of(prepared_without(corpus, "3.wav"))
    assert store.names.tolist() == other.names.tolist() == ["1.wav", "2.wav", "4.wav", "5.wav", "6.wav"]
    assert store.metadata["content_sha256"] == other.metadata["content_sha256"]
    assert store.metadata["left_out"] == [{"clip": "3.wav", "why": problem}]
    assert store.metadata["corpus"] == "corpus in corpus, 6 clips, 1 clip left out"
    assert store.metadata["corpus_sha256"] != other.metadata["corpus_sha256"]


def test_all_bad_files_are_named_and_only_they_are_read_again(tmp_path: Path) -> None:
    root = write_small_corpus(tmp_path / "corpus", MANY, seconds=0.05)
    whole = {name: train_file(root, name).read_bytes() for name in MANY["train"][:25]}
    for name in whole:
        train_file(root, name).write_text(name)
    with pytest.raises(BadAudioError) as error:
        prepare(root, FRONT_END, workers=1)
    first, *named, more = str(error.value).splitlines()
    assert first.startswith("25 of 72 clips cannot be used")
    assert len(named) == 20
    listing = root / "features" / "bad-audio.txt"
    assert more == f"  and 5 more, all in {listing}"
    assert listing.read_text().splitlines() == sorted(
        f"{name} cannot be read as audio (Format not recognised); restore it or convert it to WAV or FLAC" for name in whole
    )

    for name, content in whole.items():
        train_file(root, name).write_bytes(content)
    broken = train_file(root, "60.wav").read_bytes()
    train_file(root, "60.wav").write_bytes(b"")
    with pytest.raises(BadAudioError, match=r"\n  60.wav is empty$"):
        prepare(root, FRONT_END, workers=1)
    train_file(root, "60.wav").write_bytes(broken)
    prepare(root, FRONT_END, workers=1)
    assert not listing.exists()
    repaired = digest(root)
    shutil.rmtree(root / "features")
    prepare(root, FRONT_END, workers=1)
    assert digest(root) == repaired


def test_a_store_without_clips_stays_until_they_are_repaired(corpus: Path) -> None:
    path = train_file(corpus, "3.wav")
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(whole[:-2] + b"")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    prepare(corpus, FRONT_END, workers=1, skip_bad=True)
    written = (corpus / "features" / "supervised" / "store.json").stat().st_mtime_ns

    seen: list[tuple[int, int]] = []
    prepare(corpus, FRONT_END, workers=1, skip_bad=True, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(6, 6)]
    with pytest.raises(BadAudioError, match="1 of 6 clips cannot be used"):
        prepare(corpus, FRONT_END, workers=1)
    assert (corpus / "features" / "supervised" / "store.json").stat().st_mtime_ns == written
    assert len(store_of(corpus).names) == 5

    path.write_bytes(whole)
    prepare(corpus, FRONT_END, workers=1)
    assert len(store_of(corpus).names) == 6
    assert store_of(corpus).metadata["left_out"] == []
    assert store_of(corpus).metadata["corpus"] == "corpus in corpus, 6 clips"


def test_runs_say_how_many_clips_were_left_out(corpus: Path) -> None:
    cut(train_file(corpus, "3.wav"))
    prepare(corpus, FRONT_END, workers=1, skip_bad=True)
    launch = describe_run(config(SUPERVISED, corpus), store_of(corpus), torch.device("cpu"))
    assert (launch["clips_left_out"], launch["corpus"]) == (1, "corpus in corpus, 6 clips, 1 clip left out")
    assert provenance_tags([launch])[names.CLIPS_LEFT_OUT] == "1"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (("1.wav", "3.wav"), "--skip-bad would leave the class 'Rain' without training clips; restore one of its files"),
        (("5.wav", "6.wav"), "--skip-bad would leave no test clips; restore one of their files"),
    ],
)
def test_what_a_corpus_cannot_do_without_is_not_left_out(corpus: Path, bad: tuple[str, ...], message: str) -> None:
    for name in bad:
        next(corpus.glob(f"*/{name}")).write_bytes(b"")
    with pytest.raises(CorpusError) as error:
        prepare(corpus, FRONT_END, workers=1, skip_bad=True)
    assert str(error.value) == message
    with pytest.raises(StoreError, match="has no supervised features"):
        store_of(corpus)


def test_the_command_line_ends_with_a_line_for_each_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = ("[red]1[bold].wav", "a b.wav", "-3, 'é'.wav", "4.wav", "5.wav", "6.wav")
    root = write_small_corpus(tmp_path / "[bold]c[x]", {"train": odd, "test": ("7.wav",)})
    for name in odd[:3]:
        cut(train_file(root, name))
    command = ["data", "prepare", str(root), "--workers", "1"]
    assert call(monkeypatch, *command) == 1
    lines = capsys.readouterr().err.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("error: 3 of 7 clips cannot be used"))
    cut_off = "is cut off: its header announces 26460 bytes of audio, 25460 are there"
    assert lines[at + 1 :] == [f"  {name} {cut_off}" for name in ("-3, 'é'.wav", "[red]1[bold].wav", "a b.wav")]

    assert call(monkeypatch, *command, "--skip-bad") == 0
    said = capsys.readouterr()
    assert "3 of 7 clips are left out" in said.err
    assert f"left out: [red]1[bold].wav {cut_off}" in said.err
    assert (
        json.loads((root / "features" / "self-supervised" / "store.json").read_text())["left_out"][1]["clip"] == "[red]1[bold].wav"
    )


def write_20_minutes(path: Path) -> None:
    soundfile.write(path, np.zeros(20 * 60 * 8_000), 8_000, subtype="PCM_U8")


def test_a_clip_that_exhausts_memory_is_named(corpus: Path, tmp_path: Path) -> None:
    """By a real limit on the address space, which nothing tells beforehand."""
    write_20_minutes(train_file(corpus, "3.wav"))
    with forked(prepare_within, corpus, tmp_path / "notes", 200_000_000) as process:
        process.join()
    *_, named = (tmp_path / "notes").read_text().splitlines()
    assert named == "  3.wav takes more memory than there is; cut it into shorter clips, or use fewer workers"


def prepare_within(root: Path, notes: Path, more: int) -> None:
    """Prepare with so many bytes of addresses more than this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, resource.RLIM_INFINITY))
    prepare_and_note(root, notes, {"front_ends": FRONT_END})


def test_a_killed_worker_names_the_clips_that_were_in_work(corpus: Path) -> None:
    """Both front ends, and so both workers, are at the large one."""
    write_20_minutes(train_file(corpus, "3.wav"))
    killer = threading.Thread(target=kill_worker_at, args=(corpus, "3.wav"))
    killer.start()
    with pytest.raises(WorkerError, match=r"^a worker process was killed, .*; it was at work on 3\.wav \(9\.6 MB\)$"):
        prepare(corpus, workers=2)
    killer.join()


def kill_worker_at(root: Path, clip: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        at = [path for path in root.glob(f"features/.partial-*/*{UNFINISHED}") if path.read_bytes() == clip.encode()]
        if len(at) == 2:
            os.kill(int(at[0].suffixes[-2][1:]), signal.SIGKILL)
            return
        time.sleep(0.01)


def test_files_without_permission_need_no_other_repair(corpus: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for mode, last in ((0o000, "  3.wav cannot be read (Permission denied)"), (0o400, "prepared")):
        train_file(corpus, "3.wav").chmod(mode)
        with forked(prepare_and_note, corpus, notes, {"front_ends": FRONT_END}, True) as process:
            process.join()
        assert notes.read_text().splitlines()[-1] == last
    assert len(store_of(corpus).names) == 6


def test_a_folder_that_may_not_be_written_is_refused(corpus: Path, tmp_path: Path) -> None:
    corpus.chmod(0o500)
    with forked(prepare_and_note, corpus, tmp_path / "notes", {"front_ends": FRONT_END}, True) as process:
        process.join()
    assert (tmp_path / "notes").read_text().splitlines() == [
        f"StoreError: {corpus / 'features'} cannot be written (Permission denied); make it writable, or prepare a folder of yours "
        f"with links to what lies in {corpus}; what is done is kept"
    ]
