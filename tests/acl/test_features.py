"""Log-mel front ends against a frame-by-frame transcription and the published code; patch positions."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from acl import features
from acl.config import SELF_SUPERVISED, SUPERVISED, Mode
from acl.features import PATCH_FRAMES, LogMel, training_patch_starts
from reference import log_mel_loops


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


@pytest.mark.reference
@pytest.mark.parametrize(
    ("extract", "key", "edge"),
    [(LogMel.ssl(), "ssl_22050", "reflect"), (LogMel.supervised(), "sup_44100", "constant")],
    ids=["ssl", "supervised"],
)
def test_equals_the_published_code(golden: dict[str, Any], extract: LogMel, key: str, edge: str) -> None:
    waveform = golden["arrays"][f"logmel/{key}/0.6s/wave"]
    expected = golden["arrays"][f"logmel/{key}/0.6s/logmel_{edge}"]
    np.testing.assert_allclose(extract(waveform, extract.sample_rate).numpy(), expected, rtol=0, atol=1e-4)


@pytest.mark.reference
def test_scaling_equals_the_published_code(golden: dict[str, Any]) -> None:
    prepared = LogMel.ssl().prepare(golden["arrays"]["logmel/ssl_22050/0.6s/wave"], 22050)
    np.testing.assert_allclose(prepared[:64].numpy(), golden["arrays"]["logmel/ssl_22050/0.6s/y_norm_first64"], rtol=1e-12)


@pytest.mark.parametrize(("hertz", "extract"), [(440.0, LogMel.ssl()), (5000.0, LogMel.ssl()), (440.0, LogMel.supervised())])
@pytest.mark.parametrize("sample_rate", [16000, 22050, 44100, 48000])
def test_a_tone_lies_in_its_band_whatever_the_sample_rate(hertz: float, extract: LogMel, sample_rate: int) -> None:
    logmel = extract(tones(3 * sample_rate, sample_rate, hertz), sample_rate)
    mel = log_mel_loops.slaney_mel
    step = (mel(extract.max_hz) - mel(extract.min_hz)) / 97
    band = round((mel(hertz) - mel(extract.min_hz)) / step) - 1
    assert abs(logmel[logmel.shape[0] // 2].argmax().item() - band) <= 1


def test_resampling_passes_the_band_and_stops_what_would_alias() -> None:
    """Halving the rate: 5 kHz passes unchanged, 15 kHz, which would fold to 7.05 kHz, does not."""
    kept = LogMel.ssl().prepare(tones(44100, 44100, 5000), 44100)
    direct = LogMel.ssl().prepare(tones(22050, 22050, 5000), 22050)
    torch.testing.assert_close(kept[2000:-2000], direct[2000:-2000], rtol=0, atol=2e-3)
    both = LogMel.ssl().prepare(tones(44100, 44100, 5000, 15000), 44100)
    torch.testing.assert_close(both[2000:-2000], direct[2000:-2000], rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("extract", "samples", "frames"),
    [
        (LogMel.ssl(), 1, 101),
        (LogMel.ssl(), 13230, 101),
        (LogMel.ssl(), 22050, 101),
        (LogMel.ssl(), 22219, 101),
        (LogMel.ssl(), 22220, 102),
        (LogMel.ssl(), 110250, 502),
        (LogMel.supervised(), 1, 101),
        (LogMel.supervised(), 88199, 101),
        (LogMel.supervised(), 89082, 102),
        (LogMel.supervised(), 136710, 156),
    ],
)
def test_frames(extract: LogMel, samples: int, frames: int) -> None:
    waveform = torch.randn(samples, generator=torch.Generator().manual_seed(0))
    assert extract(waveform, extract.sample_rate).shape == (frames, 96)


def test_short_clips_are_repeated_after_scaling() -> None:
    waveform = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    prepared = LogMel.ssl().prepare(waveform, 22050)
    assert len(prepared) == 22050
    assert torch.equal(prepared[5000:10000], prepared[:5000])
    assert prepared[:5000].mean().abs() < 1e-9


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


@pytest.mark.parametrize(
    ("frames", "count", "last"),
    [(101, 1, 0), (102, 1, 0), (150, 1, 0), (151, 2, 50), (201, 3, 100), (231, 3, 100), (502, 9, 400), (3007, 59, 2900)],
)
def test_self_supervised_patch_starts(frames: int, count: int, last: int) -> None:
    """Counts of the published code."""
    assert training_patch_starts(frames, SELF_SUPERVISED) == list(range(0, last + 1, 50))
    assert len(training_patch_starts(frames, SELF_SUPERVISED)) == count
    assert features.testing_patch_starts(frames, SELF_SUPERVISED) == training_patch_starts(frames, SELF_SUPERVISED)


@pytest.mark.parametrize(
    ("frames", "train_count", "train_last", "test_count", "test_last"),
    [
        (100, 1, 0, 1, 0),
        (101, 1, 0, 1, 0),
        (151, 2, 50, 1, 0),
        (156, 2, 50, 1, 0),
        (251, 4, 150, 2, 100),
        (1501, 29, 1400, 15, 1400),
    ],
)
def test_supervised_patch_starts(frames: int, train_count: int, train_last: int, test_count: int, test_last: int) -> None:
    """Counts of the published code."""
    training, test = training_patch_starts(frames, SUPERVISED), features.testing_patch_starts(frames, SUPERVISED)
    assert (len(training), training[-1]) == (train_count, train_last)
    assert (len(test), test[-1]) == (test_count, test_last)


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
