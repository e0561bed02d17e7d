"""Log-mel front ends and the positions of patches, against a slow transcription and the published code."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import chirp
from scipy.signal.windows import tukey

from acl import features  # whose testing_patch_starts pytest would take for a test
from acl.config import SELF_SUPERVISED, SUPERVISED, Mode
from acl.features import PATCH_FRAMES, LogMel, training_patch_starts
from reference import log_mel_loops, windowed_sinc


def tones(samples: int, sample_rate: int, *hertz: float) -> np.ndarray:
    seconds = np.arange(samples) / sample_rate
    return sum((np.sin(2 * np.pi * hz * seconds) for hz in hertz), np.zeros(samples))


@pytest.mark.parametrize(
    ("extract", "window", "hop", "min_hz", "max_hz", "offset", "edge"),
    [
        (LogMel.ssl(), 660, 220, 50, 10500, 1.1e-8, "reflect"),
        (LogMel.supervised(), 1764, 882, 0, 22050, 2.22e-16, "zeros"),
    ],
    ids=["ssl", "supervised"],
)
def test_equals_the_definition(
    extract: LogMel, window: int, hop: int, min_hz: float, max_hz: float, offset: float, edge: str
) -> None:
    waveform = np.random.default_rng(0).normal(size=extract.min_samples + 5000) + 0.3
    scaled = waveform - waveform.mean()
    scaled /= np.abs(scaled).max() + 0.005
    expected = log_mel_loops.log_mel(scaled, extract.sample_rate, window, hop, min_hz, max_hz, offset, edge)
    actual = extract(waveform, extract.sample_rate)
    assert actual.dtype == torch.float32
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=2e-5)


SECONDS = np.arange(3 * 44100) / 44100


QUIET_BANDS = {
    "tone": 0.99 * np.sin(2 * np.pi * 9000.3 * SECONDS),
    "sweep": 0.9 * np.sin(2 * np.pi * (50 + 2000 * SECONDS) * SECONDS),
    "bass, then silence": np.where(SECONDS < 1.5, 0.9 * np.sin(2 * np.pi * 60 * SECONDS), 0),
}


@pytest.mark.parametrize(("signal", "most"), [("tone", 1e-3), ("sweep", 1e-3), ("bass, then silence", 1e-4)])
def test_transforms_round_as_documented(signal: str, most: float) -> None:
    """16-bit audio against the same definition in float64."""
    extract = LogMel.supervised()
    waveform = np.round(QUIET_BANDS[signal] * 32767) / 32768
    scaled = extract.prepare(waveform, 44100).numpy()
    expected = log_mel_loops.log_mel(scaled, 44100, 1764, 882, 0, 22050, 2.22e-16, "zeros")
    for precision, factor in ((np.float64, 1), (np.float32, 1.3)):  # the second as files are read
        error = np.abs(extract(waveform.astype(precision), 44100).numpy() - expected)
        assert error.max() < factor * most
        assert error.mean() < 1e-5


@pytest.mark.reference
@pytest.mark.parametrize(
    ("extract", "key", "edge"),
    [(LogMel.ssl(), "ssl_22050", "reflect"), (LogMel.supervised(), "sup_44100", "constant")],
    ids=["ssl", "supervised"],
)
def test_equals_the_published_code(golden: dict[str, Any], extract: LogMel, key: str, edge: str) -> None:
    waveform = golden["arrays"][f"logmel/{key}/0.6s/wave"]
    expected = golden["arrays"][f"logmel/{key}/0.6s/logmel_{edge}"]
    error = np.abs(extract(waveform, extract.sample_rate).numpy() - expected)
    assert error.max() < 1e-4
    assert error.mean() < 3e-6


@pytest.mark.parametrize(
    ("extract", "total", "lowest_band", "highest_band"),
    [(LogMel.ssl(), 952.59180, 3.090074, 32.36654), (LogMel.supervised(), 1001.70490, None, None)],
    ids=["ssl", "supervised"],
)
def test_filter_bank_has_the_published_sums(
    extract: LogMel, total: float, lowest_band: float | None, highest_band: float | None
) -> None:
    sums = extract._filter_bank.sum(1)
    loops = log_mel_loops.filter_bank(extract.sample_rate, 2048, 96, extract.min_hz, extract.max_hz).sum(0)
    np.testing.assert_allclose(sums, loops, rtol=5e-5)
    assert sums.sum() == pytest.approx(total, rel=1e-6)
    assert sums.min() > 1  # no band is empty
    if lowest_band is not None:
        assert [sums[0], sums[-1]] == pytest.approx([lowest_band, highest_band], rel=1e-5)


@pytest.mark.reference
def test_scaling_equals_the_published_code(golden: dict[str, Any]) -> None:
    prepared = LogMel.ssl().prepare(golden["arrays"]["logmel/ssl_22050/0.6s/wave"].astype(np.float64), 22050)
    np.testing.assert_allclose(prepared[:64].numpy(), golden["arrays"]["logmel/ssl_22050/0.6s/y_norm_first64"], rtol=1e-12)


@pytest.mark.parametrize(("hertz", "extract"), [(440.0, LogMel.ssl()), (5000.0, LogMel.ssl()), (440.0, LogMel.supervised())])
@pytest.mark.parametrize("sample_rate", [11024, 16000, 22050, 44100, 44101, 48000])
def test_a_tone_lies_in_its_band_whatever_the_sample_rate(hertz: float, extract: LogMel, sample_rate: int) -> None:
    logmel = extract(tones(3 * sample_rate, sample_rate, hertz), sample_rate)
    mel = log_mel_loops.slaney_mel
    step = (mel(extract.max_hz) - mel(extract.min_hz)) / 97
    band = round((mel(hertz) - mel(extract.min_hz)) / step) - 1
    assert abs(logmel[logmel.shape[0] // 2].argmax().item() - band) <= 1


@pytest.mark.parametrize(
    ("signal", "zero_crossings", "rolloff"),
    [("noise to 9.5 kHz", 1024, 1.0), ("chirp to 9.5 kHz", 1024, 1.0), ("white noise", 64, 0.9475937167399596)],
    ids=["noise: long sinc", "chirp: long sinc", "white noise: the published filter"],
)
def test_resampling_is_within_its_documented_error(signal: str, zero_crossings: int, rolloff: float) -> None:
    """In the pass band of a much longer filter, at all frequencies of the published one."""
    samples = 2 * 44100
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=samples))
    if signal == "noise to 9.5 kHz":
        spectrum[2 * 9500 :] = 0
    waveform = np.fft.irfft(spectrum, samples)
    if signal == "chirp to 9.5 kHz":
        waveform = chirp(np.arange(samples) / 44100, 50, 2, 9500)
    waveform *= tukey(samples, 0.5)
    extract = LogMel.ssl()
    reference = windowed_sinc.halve_rate(waveform, zero_crossings, rolloff, beta=14.769656459379492)
    error = (extract.prepare(waveform, 44100) - extract.prepare(reference, 22050)).numpy()
    assert 20 * np.log10(error.std() / extract.prepare(reference, 22050).numpy().std()) < -140
    difference = (extract(waveform, 44100) - extract(reference, 22050)).abs()
    assert difference.max() < 2e-4  # a chirp leaves bands almost empty, which float32 rounds
    assert difference.mean() < 2e-6


def test_short_clips_are_repeated_after_scaling() -> None:
    waveform = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    prepared = LogMel.ssl().prepare(waveform, 22050)
    assert len(prepared) == 22050
    assert torch.equal(prepared[5000:10000], prepared[:5000])
    assert prepared[:5000].mean().abs() < 1e-7  # which float32 leaves


def test_loudness_does_not_matter_and_silence_is_finite() -> None:
    extract = LogMel.ssl()
    waveform = 0.5 * torch.randn(22050, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    quiet, loud = extract(waveform, 22050), extract(1000 * waveform, 22050)
    assert (quiet - loud).abs().max() < 0.01  # the peak offset of 0.005 remains
    assert extract(torch.zeros(22050), 22050).isfinite().all()


def test_numpy_and_torch_give_the_same() -> None:
    waveform = np.random.default_rng(0).normal(size=30000).astype(np.float32)
    waveform.flags.writeable = False
    from_torch = LogMel.ssl()(torch.tensor(waveform), 44100)
    assert torch.equal(LogMel.ssl()(waveform, 44100), from_torch)
    assert torch.equal(LogMel.ssl()(waveform[::-1][::-1], 44100), from_torch)


@pytest.mark.parametrize(
    ("waveform", "sample_rate", "message"),
    [
        (torch.zeros(0), 22050, "0 samples"),
        (torch.tensor([0.0, float("nan"), float("inf")]), 22050, "2 samples that are not finite"),
        (torch.zeros(100, 2), 22050, "mix its channels"),
        (np.zeros(100, dtype=np.int16), 22050, "read the file as float"),
        (torch.zeros(100), 0, "sample_rate is 0 Hz"),
    ],
)
def test_refuses_what_is_no_waveform(waveform: Any, sample_rate: int, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        LogMel.ssl()(waveform, sample_rate)
    assert "\n" not in str(error.value)


def test_parameters_survive_json_and_tell_the_front_ends_apart() -> None:
    parameters = LogMel.ssl().parameters
    assert json.loads(json.dumps(parameters)) == parameters
    assert parameters != LogMel.supervised().parameters
    assert parameters == LogMel.ssl().parameters


def test_torchaudio_imports_where_its_kernels_do_not_load() -> None:
    """A real failing load, in a fresh interpreter: loading the kernels raises what a missing CUDA library makes it raise."""
    program = """
import torch

def load_library(path):
    raise OSError(f"Could not load this library: {path}")

torch.ops.load_library = load_library
from acl.features import LogMel
from acl.torchaudio_import import torchaudio
import torchaudio as imported_later
assert imported_later is torchaudio
assert LogMel.ssl()(torch.ones(50000).cumsum(0).sin(), 44100).isfinite().all()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)


# Of the published code. Samples at 22.05 kHz → frames, patches, last start.
SELF_SUPERVISED_PATCHES = {
    100: (101, 1, 0),
    13230: (101, 1, 0),
    22050: (101, 1, 0),
    22219: (101, 1, 0),
    22220: (102, 1, 0),
    33000: (151, 2, 50),
    33050: (151, 2, 50),
    44100: (201, 3, 100),
    50715: (231, 3, 100),
    110250: (502, 9, 400),
    661500: (3007, 59, 2900),
}


# Samples at 44.1 kHz → frames, patches and last start in training, patches and last start in testing.
SUPERVISED_PATCHES = {
    100: (101, 1, 0, 1, 0),
    44100: (101, 1, 0, 1, 0),
    88200: (101, 1, 0, 1, 0),
    89082: (102, 1, 0, 1, 0),
    132300: (151, 2, 50, 1, 0),
    136710: (156, 2, 50, 1, 0),
    220500: (251, 4, 150, 2, 100),
    441000: (501, 9, 400, 5, 400),
    1323000: (1501, 29, 1400, 15, 1400),
}


def patches(extract: LogMel, samples: int) -> tuple[int, ...]:
    """Frames of a waveform of so many samples, then number and last start of its patches in training and in testing."""
    frames = len(extract(torch.randn(samples, generator=torch.Generator().manual_seed(0)), extract.sample_rate))
    training, testing = (starts(frames, extract.mode) for starts in (training_patch_starts, features.testing_patch_starts))
    assert training == [*range(0, training[-1] + 1, 50)]
    assert testing == [*range(0, testing[-1] + 1, 50 if extract.mode == SELF_SUPERVISED else 100)]
    return frames, len(training), training[-1], len(testing), testing[-1]


@pytest.mark.parametrize(("samples", "expected"), [*SELF_SUPERVISED_PATCHES.items(), (1, (101, 1, 0)), (32780, (150, 1, 0))])
def test_self_supervised_patches(samples: int, expected: tuple[int, int, int]) -> None:
    assert patches(LogMel.ssl(), samples) == (*expected, *expected[1:])


@pytest.mark.parametrize(("samples", "expected"), [*SUPERVISED_PATCHES.items(), (1, (101, 1, 0, 1, 0)), (88199, (101, 1, 0, 1, 0))])
def test_supervised_patches(samples: int, expected: tuple[int, ...]) -> None:
    assert patches(LogMel.supervised(), samples) == expected


@pytest.mark.reference
def test_patch_tables_are_those_of_the_published_code(golden: dict[str, Any]) -> None:
    ssl, supervised = (
        golden["patches"][f"{kind} after replication)"] for kind in ("ssl (n = samples at 22050", "sup (n = samples at 44100")
    )
    names = ("frames", "train_val_patches", "train_last_start", "test_patches", "test_last_start")
    assert {int(n): (row["frames"], row["eval_patches"], row["last_start"]) for n, row in ssl.items()} == SELF_SUPERVISED_PATCHES
    assert {int(n): tuple(row[name] for name in names) for n, row in supervised.items()} == SUPERVISED_PATCHES


@pytest.mark.parametrize("mode", [SELF_SUPERVISED, SUPERVISED])
def test_patches_lie_within_the_clip(mode: Mode) -> None:
    for frames in range(PATCH_FRAMES[mode], 400):
        for starts in (training_patch_starts(frames, mode), features.testing_patch_starts(frames, mode)):
            assert starts[0] == 0
            assert starts[-1] + PATCH_FRAMES[mode] <= frames


@pytest.mark.parametrize("mode", [SELF_SUPERVISED, SUPERVISED])
def test_refuses_clips_shorter_than_a_patch(mode: Mode) -> None:
    for starts in (training_patch_starts, features.testing_patch_starts):
        with pytest.raises(ValueError, match="extract its features with LogMel"):
            starts(99, mode)
