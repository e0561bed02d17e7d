"""Audio files: readable ones give their samples, and every fault is named in a sentence."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acl.data.audio import read_audio, read_mono
from acl.store.pieces import log_mel
from acl.system.errors import AudioError

WAVE = np.random.default_rng(0).uniform(-0.9, 0.9, (9_600, 2))
FORMATS = [
    ("x.wav", "WAV", "PCM_U8", 8_000, 1 / 128),
    ("x.wav", "WAV", "PCM_16", 44_100, 2**-15),
    ("x.wav", "WAV", "PCM_24", 192_000, 2**-23),
    ("x.wav", "WAV", "FLOAT", 48_000, 2**-24),
    ("x.wav", "RF64", "PCM_32", 44_100, 2**-31),
    ("x.w64", "W64", "PCM_16", 44_100, 2**-15),
    ("x.aiff", "AIFF", "PCM_16", 44_100, 2**-15),
    ("x.au", "AU", "PCM_16", 44_100, 2**-15),
    ("x.flac", "FLAC", "PCM_16", 44_100, 2**-15),
    ("x.ogg", "OGG", "VORBIS", 44_100, None),
    ("x.opus", "OGG", "OPUS", 48_000, None),
    ("x.mp3", "MP3", "MPEG_LAYER_III", 44_100, None),
]


def written(folder: Path, name: str = "x.wav", wave: np.ndarray = WAVE, rate: int = 44_100, **options: str) -> Path:
    soundfile.write(folder / name, wave, rate, **{"format": "WAV", **options})
    return folder / name


@pytest.mark.parametrize(("name", "format", "subtype", "rate", "step"), FORMATS)
def test_all_formats_are_read_and_channels_are_averaged(
    tmp_path: Path, name: str, format: str, subtype: str, rate: int, step: float | None
) -> None:
    path = written(tmp_path, name, rate=rate, format=format, subtype=subtype)
    both, mono = read_audio(path), read_mono(path)
    assert both[1] == mono[1] == rate
    assert both[0].shape == WAVE.shape
    np.testing.assert_array_equal(mono[0], both[0].mean(axis=1))
    if step is not None:
        np.testing.assert_allclose(both[0], WAVE, atol=step)


@pytest.mark.parametrize(("name", "format", "subtype"), [each[:3] for each in FORMATS])
@pytest.mark.parametrize("keep", [0.5, -1])
def test_a_file_that_was_cut_off_is_found(tmp_path: Path, name: str, format: str, subtype: str, keep: float) -> None:
    path = written(tmp_path, name, np.tile(WAVE, (10, 1)), 48_000, format=format, subtype=subtype)
    size = path.stat().st_size
    os.truncate(path, size + keep if keep < 0 else round(keep * size))
    with pytest.raises(
        AudioError, match=r"^(is cut off: \S.*|cannot be read as audio \(.*(lost sync|is malformed)\); restore it .*)$"
    ):
        read_mono(path)


def test_headers_of_recorders_that_cannot_go_back_are_no_cuts(tmp_path: Path) -> None:
    content = written(tmp_path).read_bytes()
    at = content.index(b"data") + 4
    for size in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"):
        (tmp_path / "x.wav").write_bytes(content[:at] + size + content[at + 4 :])
        assert len(read_mono(tmp_path / "x.wav")[0]) == len(WAVE)
    (tmp_path / "x.wav").write_bytes(content + b"something behind the sound")
    assert len(read_mono(tmp_path / "x.wav")[0]) == len(WAVE)


def write_text(path: Path) -> None:
    path.write_text("this is no audio file")


def write_half_a_header(path: Path) -> None:
    path.write_bytes(written(path.parent, "whole.wav").read_bytes()[:20])


def write_no_samples(path: Path) -> None:
    written(path.parent, path.name, np.zeros(0))


def write_slow(path: Path) -> None:
    written(path.parent, path.name, rate=1)


def write_fast(path: Path) -> None:
    written(path.parent, path.name, rate=192_001)


def claim_200_hours(path: Path) -> None:
    """In the 36 bits of a flac file that count its samples."""
    content = written(path.parent, path.name, format="FLAC").read_bytes()
    fields = int.from_bytes(content[18:26]) >> 36 << 36 | 200 * 3600 * 44_100
    path.write_bytes(content[:18] + fields.to_bytes(8) + content[26:])


def write_sparse_hours(path: Path) -> None:
    """Nothing but holes, so that it is as long as its header says and takes no room."""
    content = written(path.parent, path.name, WAVE[:, 0], rate=44_100, subtype="PCM_U8").read_bytes()
    size = 2**30
    at = content.index(b"data") + 4
    path.write_bytes(content[:4] + (size + at - 4).to_bytes(4, "little") + content[8:at] + size.to_bytes(4, "little"))
    os.truncate(path, size + at + 4)


def write_infinities(path: Path) -> None:
    written(path.parent, path.name, np.array([[0.1, np.inf], [-np.inf, np.inf], [np.nan, 0.2]]), subtype="FLOAT")


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.touch, "is empty"),
        (write_text, "cannot be read as audio (Format not recognised); restore it or convert it to WAV or FLAC"),
        (
            write_half_a_header,
            "cannot be read as audio (Error in WAV/W64/RF64 file. Malformed 'fmt ' chunk); restore it or convert it to WAV or FLAC",
        ),
        (write_no_samples, "has 0 samples"),
        (write_slow, "has 1 samples a second, 8000 to 192000 are read; correct its header or convert it"),
        (write_fast, "has 192001 samples a second, 8000 to 192000 are read; correct its header or convert it"),
        (claim_200_hours, "lasts 200 h, clips of up to 30 minutes are read; cut it into shorter ones"),
        (write_sparse_hours, "lasts 6.76 h, clips of up to 30 minutes are read; cut it into shorter ones"),
        (write_infinities, "has 4 samples that are not finite"),
        (Path.mkdir, "cannot be read (Is a directory)"),
        (os.mkfifo, "is no regular file"),
        (link_to_nothing, "cannot be read (No such file or directory)"),
    ],
)
def test_every_fault_is_a_sentence(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "x.wav")
    for read in (read_mono, read_audio):
        with pytest.raises(AudioError) as error:
            read(tmp_path / "x.wav")
        assert str(error.value) == message


@pytest.mark.parametrize("name", ["x", "x.txt", "x.raw", "x.mp3", "-x.wav", "a b, [red]é.wav", "a\nb.wav"])
def test_names_say_nothing_about_the_content(tmp_path: Path, name: str) -> None:
    assert read_mono(written(tmp_path, name))[0].shape == (len(WAVE),)


@pytest.mark.parametrize("front_end", ["self-supervised", "supervised"])
@pytest.mark.parametrize(
    ("rate", "wave"),
    [
        (8_000, WAVE[:8_000, 0]),
        (192_000, WAVE[:, 0]),
        (44_100, WAVE[:2_205, 0]),  # 0.05 s
        (44_100, np.zeros(44_100)),
        (44_100, np.sign(WAVE[:, 0])),
        (11_025, np.ones(1)),
    ],
)
def test_unusual_sound_has_finite_features_of_at_least_a_patch(front_end: str, rate: int, wave: np.ndarray) -> None:
    frames = log_mel(front_end)(wave, rate)  # type: ignore[arg-type]
    assert len(frames) >= 101
    assert frames.isfinite().all()


MP3_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)


@pytest.fixture(scope="module")
def mp3_frames(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Frames of 1152 samples at 44.1 kHz, the first 150 loud and the others silent, without the one that counts them."""
    wave = np.concatenate([WAVE[np.arange(150 * 1152) % len(WAVE), 0], np.zeros(150 * 1152)])
    content = written(tmp_path_factory.mktemp("mp3"), wave=wave, format="MP3", subtype="MPEG_LAYER_III").read_bytes()
    frames, at = [], 0
    while at < len(content):
        head = int.from_bytes(content[at : at + 4])
        size = 144_000 * MP3_KILOBITS[head >> 12 & 15] // 44_100 + (head >> 9 & 1)
        frames.append(content[at : at + size])
        at += size
    return frames[1:]


TAG = b"ID3\x03\0\0\0\0\1\x0a" + 138 * b"\0"  # 1 and 10 are seven bits of its size each


@pytest.mark.parametrize("before", [b"", TAG])
@pytest.mark.parametrize("first", ["loud", "silent"])
def test_what_can_be_decoded_of_an_mp3_that_counts_no_frames_is_read(
    tmp_path: Path, mp3_frames: list[bytes], first: str, before: bytes
) -> None:
    """The decoder's estimate is a quarter of the clip, or twice as much."""
    frames = mp3_frames if first == "loud" else mp3_frames[200:] + mp3_frames[:100]
    (tmp_path / "x.mp3").write_bytes(before + b"".join(frames))
    estimate = soundfile.info(tmp_path / "x.mp3").frames
    assert estimate < 0.7 * 1152 * len(frames) or estimate > 1.5 * 1152 * len(frames)
    assert len(read_mono(tmp_path / "x.mp3")[0]) == 1152 * len(frames)


def test_a_cut_in_an_mp3_that_counts_no_frames_is_found(tmp_path: Path, mp3_frames: list[bytes]) -> None:
    (tmp_path / "x.mp3").write_bytes(b"".join(mp3_frames)[:-1])
    with pytest.raises(AudioError, match="cannot be read as audio"):
        read_mono(tmp_path / "x.mp3")


def test_a_clip_that_memory_has_no_room_for_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, wave=np.zeros(25 * 60 * 8_000), rate=8_000, subtype="PCM_U8")
    monkeypatch.setattr("acl.data.audio.available_memory", lambda: 8e8)
    with pytest.raises(AudioError) as error:
        read_mono(path)
    assert str(error.value) == "lasts 25 minutes, which takes 1.5 GB of memory, 800.0 MB are free; cut it, or use fewer workers"
    monkeypatch.undo()
    assert len(read_mono(path)[0]) == 25 * 60 * 8_000
