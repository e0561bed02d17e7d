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
    with pytest.raises(AudioError, match=r"^(is cut off: \S.*|cannot be read as audio \(.*(lost sync|is malformed)\))$"):
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


def write_infinities(path: Path) -> None:
    written(path.parent, path.name, np.array([[0.1, np.inf], [-np.inf, np.inf], [np.nan, 0.2]]), subtype="FLOAT")


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.touch, "is empty"),
        (write_text, "cannot be read as audio (Format not recognised)"),
        (write_half_a_header, "cannot be read as audio (Error in WAV/W64/RF64 file. Malformed 'fmt ' chunk)"),
        (write_no_samples, "has 0 samples"),
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


def test_a_rate_that_would_take_gigabytes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^has 44101 samples a second, which is no simple ratio to 22050; convert it to 22050 Hz"):
        log_mel("self-supervised")(WAVE[:, 0], 44_101)
