"""Downloads from a real server that breaks off, refuses, stalls and sends wrong bytes."""

import re
import time
from pathlib import Path

import pytest

from acl.data.archives import PUBLISHED
from acl.data.downloading import BLOCK, ResumingDownloader, fetch
from acl.system.errors import ArchiveError
from support import published_archives
from support.command_line import call
from support.published_archives import NO_WAITS, TRAIN, Answer, ArchiveServer, assert_complete, begin, download


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


def test_a_busy_server_is_given_up_and_received_bytes_are_kept(server: ArchiveServer, corpus: Path, tmp_path: Path) -> None:
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
    assert sums == [published_archives.md5(tmp_path / "wrong"), published_archives.md5(archives / TRAIN)]
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
