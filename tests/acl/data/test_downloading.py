"""Downloads from a real server that cuts, refuses, stalls and lies; unpacking of archives that are not what they should be."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import small_archives
from acl.data.archives import PUBLISHED, ArchiveError, unpack
from acl.data.downloading import BLOCK, ResumingDownloader, fetch
from acl.data.fsdnoisy18k import read_corpus
from archive_server import Answer, ArchiveServer, serve
from command_line import call
from small_disk import fill, small_disk
from study.downloads import WORK_FOLDER, download_corpus

TRAIN = "FSDnoisy18k.audio_train.zip"
COMMAND = Path(small_archives.__file__)
NO_WAITS = (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_archives.write_corpus(tmp_path_factory.mktemp("source") / "corpus")


@pytest.fixture(scope="module")
def archives(corpus: Path) -> Path:
    return small_archives.write_archives(corpus, corpus.parent / "archives")


@pytest.fixture
def server(archives: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setitem(PUBLISHED, "fsdnoisy18k", small_archives.published(archives))
    with serve(archives) as running:
        yield running


def download(root: Path, server: ArchiveServer, kept: Path | None = None) -> None:
    download_corpus("fsdnoisy18k", root, server.url, kept, NO_WAITS)


def assert_complete(root: Path, corpus: Path) -> None:
    """All files of the source with their bytes, and nothing else."""
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in (root, corpus)
    ]
    assert contents[0] == contents[1]
    assert not (root / WORK_FOLDER).exists()


def begin(root: Path, archives: Path, *, size: int) -> Path:
    """What a killed download of the training clips has left: the first bytes."""
    part = root / WORK_FOLDER / f"{TRAIN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes((archives / TRAIN).read_bytes()[:size])
    return part


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


def test_a_cut_connection_costs_only_the_rest(server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path) -> None:
    server.answers[TRAIN] = [Answer(cut_after=3 * BLOCK), Answer(cut_after=2 * BLOCK)]
    download(tmp_path, server)
    assert_complete(tmp_path, corpus)
    size = (archives / TRAIN).stat().st_size
    requests = server.requests(TRAIN)
    assert [(request.status, request.first) for request in requests] == [(200, 0), (206, 3 * BLOCK), (206, 5 * BLOCK)]
    assert requests[-1].sent == size - 5 * BLOCK


@pytest.mark.parametrize(
    ("answers", "waited"),
    [
        ([Answer(503), Answer(503)], [0, 0]),
        ([Answer(429, {"Retry-After": "1"})], [1]),
        ([Answer(429, {"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"})], [0]),
        ([Answer(500), Answer(502, {"Retry-After": "soon"}), Answer(504)], [0, 0, 0]),
    ],
    ids=["503 twice", "429", "429 with a date", "others"],
)
def test_a_busy_server_is_asked_again_when_it_wants(
    answers: list[Answer],
    waited: list[int],
    server: ArchiveServer,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    statuses = [answer.status for answer in answers]
    server.answers[TRAIN] = answers
    began = time.monotonic()
    download(tmp_path, server)
    assert time.monotonic() - began >= sum(waited)
    assert_complete(tmp_path, corpus)
    assert [request.status for request in server.requests(TRAIN)] == [*statuses, 200]
    said = re.findall(r"the server answers (\d+) .*; again in (\d+) s", capsys.readouterr().err)
    assert said == [(str(status), str(wait)) for status, wait in zip(statuses, waited, strict=True)]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(404), "the server answers 404 Not Found; check the address, or name another with --url"),
        (Answer(403), "the server answers 403 Forbidden; check"),
        (Answer(429, {"Retry-After": "86400"}), "429 Too Many Requests; run again later"),
    ],
    ids=["404", "403", "429 for a day"],
)
def test_a_refusal_ends_it_in_one_line(
    answer: Answer,
    message: str,
    server: ArchiveServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.answers["FSDnoisy18k.doc.zip"] = [answer]
    assert call(monkeypatch, "data", "download", "fsdnoisy18k", str(tmp_path), "--url", server.url) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert f"{server.url}/FSDnoisy18k.doc.zip" in error
    assert message in error
    assert error.count("\n") == 1
    assert len(server.log) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_stays_busy_is_given_up_and_what_arrived_is_kept(server: ArchiveServer, corpus: Path, tmp_path: Path) -> None:
    server.answers[TRAIN] = [Answer(cut_after=2 * BLOCK), *[Answer(503)] * 3]
    with pytest.raises(ArchiveError, match="503 Service Unavailable; run again later, it continues"):
        download(tmp_path, server)
    assert not (tmp_path / "FSDnoisy18k.audio_train").exists()
    download(tmp_path, server)
    assert_complete(tmp_path, corpus)
    assert [(request.status, request.first) for request in server.requests(TRAIN)[-1:]] == [(206, 2 * BLOCK)]


def test_a_server_that_falls_silent_is_asked_for_the_rest(server: ArchiveServer, archives: Path, tmp_path: Path) -> None:
    server.answers[TRAIN] = [Answer(stall_after=2 * BLOCK)]
    lines: list[str] = []
    part = tmp_path / f"{TRAIN}.part"
    downloader = ResumingDownloader(part, tmp_path, lambda arrived, total: None, lines.append, NO_WAITS, timeout=(5, 0.3))
    archive = PUBLISHED["fsdnoisy18k"].archives[-1]
    assert fetch(archive, f"{server.url}/{TRAIN}", tmp_path, downloader) == tmp_path / TRAIN
    assert (tmp_path / TRAIN).read_bytes() == (archives / TRAIN).read_bytes()
    assert [request.first for request in server.log] == [0, 2 * BLOCK]
    assert len(lines) == 1
    assert "Read timed out" in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == [TRAIN]


def test_wrong_bytes_are_removed_and_both_sums_named(server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path) -> None:
    wrong = (archives / TRAIN).read_bytes()[:-1] + b"x"
    server.answers[TRAIN] = [Answer(body=wrong)]
    with pytest.raises(ArchiveError) as failure:
        download(tmp_path, server)
    sums = re.findall("[0-9a-f]{32}", str(failure.value))
    (tmp_path / "wrong").write_bytes(wrong)
    assert sums == [small_archives.md5(tmp_path / "wrong"), small_archives.md5(archives / TRAIN)]
    assert "run again, or name a mirror with --url" in str(failure.value)
    (tmp_path / "wrong").unlink()
    assert not list(tmp_path.rglob("*.part"))
    assert not list(tmp_path.rglob("*.zip"))
    download(tmp_path, server)
    assert_complete(tmp_path, corpus)


def test_a_server_without_ranges_sends_everything_again(
    server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path
) -> None:
    server.knows_ranges = False
    begin(tmp_path, archives, size=200_000)
    download(tmp_path, server)
    assert_complete(tmp_path, corpus)
    assert [(request.status, request.first) for request in server.requests(TRAIN)] == [(200, 0)]


@pytest.mark.parametrize("surplus", [-200_000, 0, 5], ids=["begun", "whole", "too long"])
def test_what_a_killed_process_left_is_continued(
    surplus: int, server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path
) -> None:
    size = (archives / TRAIN).stat().st_size
    with begin(tmp_path, archives, size=size).open("r+b") as part:
        part.truncate(size + surplus)
    download(tmp_path, server)
    assert_complete(tmp_path, corpus)
    expected = {-200_000: [(206, 200_000)], 0: [(416, 0)], 5: [(416, 0), (200, size)]}[surplus]
    assert [(request.status, request.sent) for request in server.requests(TRAIN)] == expected


def test_an_archive_that_was_complete_is_not_downloaded_again(
    server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path
) -> None:
    part = begin(tmp_path, archives, size=10)
    shutil.copy(archives / TRAIN, part.parent)
    (part.parent / "tmp1234").touch()  # of pooch, when it was killed
    download(tmp_path, server)
    assert_complete(tmp_path, corpus)
    assert not server.requests(TRAIN)


@pytest.mark.parametrize("url", ["nowhere", "ftp://127.0.0.1", "http://", "http://a..b", "http://[::1", "http://127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused_at_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "data", "download", "fsdnoisy18k", "corpus", "--url", url) == 1
    error = capsys.readouterr().err
    assert re.match("error: .*/FSDnoisy18k.doc.zip cannot be downloaded: .*; check the address", error)
    assert error.count("\n") == 1


def test_parts_of_different_files_are_downloaded_once_more(
    server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, archives, size=200_000).write_bytes(b"an older file" * 10_000)
    download(tmp_path, server)
    assert "once more from its beginning" in capsys.readouterr().err
    assert_complete(tmp_path, corpus)
    assert [request.status for request in server.requests(TRAIN)] == [206, 200]
    (tmp_path / "other").mkdir()
    begin(tmp_path / "other", archives, size=200_000)
    other = b"a file that has changed" * 50_000
    server.answers[TRAIN] = [Answer(body=other), Answer(body=other, cut_after=BLOCK), Answer(body=other)]
    with pytest.raises(ArchiveError, match="has MD5"):
        download(tmp_path / "other", server)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_command_that_is_killed_in_mid_body_continues(
    number: int, server: ArchiveServer, corpus: Path, archives: Path, tmp_path: Path
) -> None:
    server.answers[TRAIN] = [Answer(stall_after=4 * BLOCK)]
    arguments = [sys.executable, str(COMMAND), str(archives), "data", "download", "fsdnoisy18k", str(tmp_path), "--url", server.url]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
        assert f"interrupted; the same command continues {TRAIN} where it was cut" in error
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
    process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    unpacked = root / WORK_FOLDER / "FSDnoisy18k.audio_train.unpacked"
    while not (unpacked / "FSDnoisy18k.audio_train" / "0000.wav").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.kill()
    process.communicate(timeout=30)
    assert unpacked.exists()
    assert not (root / "FSDnoisy18k.audio_train").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PUBLISHED, "fsdnoisy18k", small_archives.published(many))
        download_corpus("fsdnoisy18k", root, kept=many)
    assert len(list((root / "FSDnoisy18k.audio_train").iterdir())) == 2_509
    assert not (root / WORK_FOLDER).exists()


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


def zip_of(folder: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    path = folder / TRAIN
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("FSDnoisy18k.audio_train/1.wav", b"good")
        for name, content in members:
            archive.writestr(name, content)
    return path


def symlink(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("../escaped", b"x", "lies outside"),
        ("FSDnoisy18k.audio_train/../../escaped", b"x", "lies outside"),
        ("FSDnoisy18k.meta/train.csv", b"x", "lies outside"),
        ("escaped", b"x", "lies outside"),
        ("/tmp/escaped", b"x", "is an absolute path"),
        ("C:/escaped", b"x", "is an absolute path, or one of another system"),
        ("FSDnoisy18k.audio_train\\..\\..\\escaped", b"x", "is an absolute path, or one of another system"),
        (symlink("FSDnoisy18k.audio_train/link"), b"/etc", "is neither a file nor a folder"),
        ("FSDnoisy18k.audio_train/bomb.wav", bytes(10_000_000), "it would grow from"),
    ],
    ids=["parent", "parent inside", "another folder", "top", "absolute", "drive", "backslashes", "link", "bomb"],
)
def test_an_archive_that_leads_elsewhere_is_not_unpacked(
    member: str | zipfile.ZipInfo, content: bytes, message: str, tmp_path: Path
) -> None:
    root = tmp_path / "a" / "corpus"
    root.mkdir(parents=True)
    path = zip_of(tmp_path, (member, content))
    with pytest.raises(ArchiveError, match=message):
        unpack(path, root, root / "work", lambda done, total: None)
    assert {found for found in tmp_path.rglob("*") if found.is_file()} == {path}
    assert not Path("/tmp/escaped").exists()


@pytest.mark.parametrize("damage", ["bytes", "cut", "nothing", "no archive"])
def test_a_damaged_archive_leaves_nothing(damage: str, archives: Path, tmp_path: Path) -> None:
    content = bytearray((archives / TRAIN).read_bytes())
    if damage == "bytes":
        content[len(content) // 2] ^= 1
    path = tmp_path / TRAIN
    path.write_bytes(
        {"bytes": content, "cut": content[:-500], "nothing": b"", "no archive": b"<html>Please log in</html>" * 100}[damage]
    )
    with pytest.raises(ArchiveError, match=r"is damaged .*; remove it and run again"):
        unpack(path, tmp_path, tmp_path / "work", lambda done, total: None)
    assert not (tmp_path / "FSDnoisy18k.audio_train").exists()


def test_a_disk_with_too_little_room_is_told_before_it_is_full(server: ArchiveServer, archives: Path, tmp_path: Path) -> None:
    size = (archives / TRAIN).stat().st_size
    with small_disk(tmp_path / "disk", f"{size * 3 // 2 // 1024}k") as disk:
        with pytest.raises(
            ArchiveError, match=r"FSDnoisy18k\.audio_train\.zip with its files needs .* MB are free; free some space"
        ):
            download(disk, server)
        assert not (disk / WORK_FOLDER).exists()


@pytest.mark.parametrize(
    ("spare", "message"),
    [
        (-100_000, r"unpacking FSDnoisy18k\.audio_train\.zip needs"),
        (4_096, r"could not be unpacked in .* \(No space left on device\)"),
    ],
    ids=["known before", "found while unpacking"],
)
def test_unpacking_to_a_full_disk_leaves_nothing(spare: int, message: str, corpus: Path, archives: Path, tmp_path: Path) -> None:
    needed = sum(path.stat().st_size for path in (corpus / "FSDnoisy18k.audio_train").iterdir())
    with small_disk(tmp_path / "disk", str((needed + spare) // 4096 * 4096)) as disk:
        with pytest.raises(ArchiveError, match=message):
            unpack(archives / TRAIN, disk, disk / "work", lambda done, total: None)
        assert not [path for path in disk.rglob("*") if path.is_file()]
        assert not (disk / "FSDnoisy18k.audio_train").exists()


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
