"""The command `data download`: killed and repeated, with local archives, and on disks with too little room."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from acl.data.archives import PUBLISHED
from acl.data.downloading import BLOCK
from acl.data.fsdnoisy18k import read_corpus
from acl.system.errors import ArchiveError
from study.corpora import WORK_FOLDER, download_corpus
from support import published_archives
from support.command_line import call
from support.file_systems import fill, small_disk
from support.published_archives import TRAIN, Answer, ArchiveServer, assert_complete, begin, download

COMMAND = Path(published_archives.__file__)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(COMMAND.parents[2])}


def test_downloads_checks_and_unpacks_all_archives_once(
    server: ArchiveServer, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "corpus"
    assert call(monkeypatch, "data", "download", "fsdnoisy18k", str(root), "--url", f"{server.url}/mirror/") == 0
    assert f"next: acl-study data verify {root}" in capsys.readouterr().out
    assert_complete(root, corpus)
    assert len(read_corpus(root).clips) == 12
    assert [request.status for request in server.log] == [200] * 4
    assert call(monkeypatch, "data", "download", "fsdnoisy18k", str(root), "--url", server.url) == 0
    assert capsys.readouterr().err.count("there already") == 4
    assert len(server.log) == 4
    shutil.rmtree(root / "FSDnoisy18k.meta")
    download(root, server)
    assert [request.name for request in server.log[4:]] == ["FSDnoisy18k.meta.zip"]
    assert_complete(root, corpus)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_command_that_is_killed_in_mid_body_continues(
    number: int, server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path
) -> None:
    server.answers[TRAIN] = [Answer(stall_after=4 * BLOCK)]
    arguments = [sys.executable, str(COMMAND), str(archives), "data", "download", "fsdnoisy18k", str(tmp_path), "--url", server.url]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    part = tmp_path / WORK_FOLDER / f"{TRAIN}.part"
    while not part.exists() or part.stat().st_size < 4 * BLOCK:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    with pytest.raises(ArchiveError, match="another process downloads to"):
        download(tmp_path, server)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert error.endswith("Ctrl-C: ended early; run the same command again\n")
        assert "Traceback" not in error
    assert not (tmp_path / "FSDnoisy18k.audio_train").exists()
    before = len(server.log)
    download(tmp_path, server)
    assert_complete(tmp_path, corpus)
    size = (archives / TRAIN).stat().st_size
    rest = [(request.name, request.status, request.first, request.sent) for request in server.log[before:]]
    assert rest == [(TRAIN, 206, 4 * BLOCK, size - 4 * BLOCK)]


def test_unpacking_that_is_killed_leaves_no_half_folder(tmp_path: Path, corpus: Path, archives: Path) -> None:
    many = tmp_path / "archives"
    shutil.copytree(archives, many)
    with zipfile.ZipFile(many / TRAIN, "a") as archive:
        for number in range(2_500):
            archive.writestr(f"FSDnoisy18k.audio_train/{number:04}.wav", b"")
    root = tmp_path / "corpus"
    arguments = [str(COMMAND), str(many), "data", "download", "fsdnoisy18k", str(root), "--archives", str(many)]
    process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)
    unpacked = root / WORK_FOLDER / "FSDnoisy18k.audio_train.unpacked"
    while not (unpacked / "FSDnoisy18k.audio_train" / "0000.wav").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.kill()
    process.communicate(timeout=30)
    assert unpacked.exists()
    assert not (root / "FSDnoisy18k.audio_train").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PUBLISHED, "fsdnoisy18k", published_archives.published(many))
        download_corpus("fsdnoisy18k", root, kept=many)
    assert len(list((root / "FSDnoisy18k.audio_train").iterdir())) == 2_509
    assert not (root / WORK_FOLDER).exists()


def test_an_archive_that_was_complete_is_not_downloaded_again(
    server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path
) -> None:
    part = begin(tmp_path, archives, size=10)
    shutil.copy(archives / TRAIN, part.parent)
    (part.parent / "tmp1234").touch()  # of pooch, when it was killed
    download(tmp_path, server)
    assert_complete(tmp_path, corpus)
    assert not server.requests(TRAIN)


def test_archives_that_lie_somewhere_are_used_and_kept(server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(archives / TRAIN, kept)
    download(tmp_path / "corpus", server, kept)
    assert_complete(tmp_path / "corpus", corpus)
    assert not server.requests(TRAIN)
    assert {path.name for path in kept.iterdir()} == {path.name for path in archives.iterdir()}
    before = len(server.log)
    download(tmp_path / "again", server, kept)
    assert_complete(tmp_path / "again", corpus)
    assert len(server.log) == before
    with (kept / TRAIN).open("r+b") as file:
        file.truncate(1_000)
    with pytest.raises(ArchiveError, match=f"{TRAIN} has MD5 [0-9a-f]+, published is [0-9a-f]+; remove it"):
        download(tmp_path / "third", server, kept)
    assert (kept / TRAIN).stat().st_size == 1_000


def test_other_corpora_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.json").write_text('{"name": "mine", "synthetic": false}', encoding="utf-8")
    for name, message in (("fsdnoisy18k", "holds another corpus"), ("fsd50k", "corpus must be one of fsdnoisy18k, got 'fsd50k'")):
        assert call(monkeypatch, "data", "download", name, str(tmp_path)) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.json"]


def test_a_disk_with_too_little_room_is_told_before_it_is_full(server: ArchiveServer, archives: Path, tmp_path: Path) -> None:
    size = (archives / TRAIN).stat().st_size
    with small_disk(tmp_path / "disk", f"{size * 3 // 2 // 1024}k") as disk:
        with pytest.raises(
            ArchiveError, match=r"FSDnoisy18k\.audio_train\.zip with its files needs .* MB are free; free some space"
        ):
            download(disk, server)
        assert not (disk / WORK_FOLDER).exists()


def test_a_disk_that_fills_up_loses_nothing(server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path) -> None:
    size = (archives / TRAIN).stat().st_size
    with small_disk(tmp_path / "disk", "8m") as disk:
        server.answers[TRAIN] = [Answer(has_length=False)]  # so that nobody can know how much it takes
        fill(disk / "filler")
        with (disk / "filler").open("r+b") as filler:
            filler.truncate(filler.seek(0, os.SEEK_END) - size)
        with pytest.raises(ArchiveError, match=r"No space left on device.*make room and run again, it continues"):
            download(disk, server)
        kept = (disk / WORK_FOLDER / f"{TRAIN}.part").stat().st_size
        assert 0 < kept < size
        (disk / "filler").unlink()
        download(disk, server)
        assert server.requests(TRAIN)[-1].first == kept
        assert_complete(disk, corpus)


@pytest.mark.parametrize(
    "url", ["nowhere", "ftp://127.0.0.1", "http://", "http://a..b", "http://[::1", "http://127.0.0.1:99999", "{0}"]
)
def test_an_address_that_is_none_is_refused_at_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "data", "download", "fsdnoisy18k", "corpus", "--url", url) == 1
    error = capsys.readouterr().err
    assert re.match("error: .*/FSDnoisy18k.doc.zip cannot be downloaded: .*; check the address", error)
    assert error.count("\n") == 1
