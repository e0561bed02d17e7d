"""Resampling: three ways to one filter, against torchaudio's convolution and the filter's definition, in float64."""

import tracemalloc

import numpy as np
import pytest
import torch

from acl.resampling import _BLOCK, RESAMPLING, _low_pass, resample
from acl.torchaudio_import import torchaudio
from reference import windowed_sinc

FILTER = (RESAMPLING["lowpass_filter_width"], RESAMPLING["rolloff"], RESAMPLING["beta"])


@pytest.mark.parametrize("samples", [1, 2, 137, 4411, 16383, 40000])
@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 22050), (88200, 44100), (88200, 22050), (66150, 22050)])
def test_decimation_is_torchaudios_filter(samples: int, rate: int, new_rate: int) -> None:
    waveform = np.random.default_rng(samples).normal(size=samples)
    expected = torchaudio.functional.resample(torch.from_numpy(waveform), rate, new_rate, **RESAMPLING).numpy()
    converted = resample(waveform, rate, new_rate)
    assert converted.shape == expected.shape
    np.testing.assert_allclose(converted, expected, atol=1e-12)


def halved_at_once(samples: np.ndarray) -> np.ndarray:
    """Overlap-save with all blocks of the waveform in memory."""
    reach, spectrum = _low_pass(2)
    hop = (_BLOCK - 2 * reach) // 2 * 2
    count = -(-len(samples) // hop)
    padded = torch.zeros(count * hop + _BLOCK, dtype=torch.float64)
    padded[reach : reach + len(samples)] = torch.from_numpy(samples)
    parts = padded.unfold(0, _BLOCK, hop)[:count].split(4)
    filtered = torch.cat([torch.fft.irfft(torch.fft.rfft(part) * spectrum) for part in parts])
    return filtered[:, 2 * reach : 2 * reach + hop : 2].flatten()[: -(-len(samples) // 2)].numpy()


@pytest.mark.parametrize("samples", [1, 2, 22_051, 44_100, 300_001])
def test_the_published_ratio_keeps_its_numbers_bit_for_bit(samples: int) -> None:
    waveform = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    np.testing.assert_array_equal(resample(waveform, 44100, 22050), halved_at_once(waveform))


@pytest.mark.parametrize(("rate", "new_rate"), [(48000, 22050), (16000, 22050), (22050, 44100), (200 * 22050, 22050)])
def test_usual_rates_are_within_float32_of_torchaudios_float64(rate: int, new_rate: int) -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, 3000)
    expected = torchaudio.functional.resample(torch.from_numpy(waveform), rate, new_rate, **RESAMPLING).numpy()
    np.testing.assert_allclose(resample(waveform, rate, new_rate), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("rate", "new_rate"), [(11024, 22050), (11024, 44100), (8009, 44100), (44101, 22050), (44101, 44100), (191999, 22050)]
)
@pytest.mark.parametrize("samples", [1, 700])
def test_any_other_rate_is_the_filters_definition(rate: int, new_rate: int, samples: int) -> None:
    waveform = np.random.default_rng(0).normal(size=samples)
    expected = windowed_sinc.change_rate(waveform, rate, new_rate, *FILTER)
    converted = resample(waveform, rate, new_rate)
    assert converted.shape == expected.shape
    np.testing.assert_allclose(converted, expected, atol=1e-6)


@pytest.mark.parametrize("rate", [11024, 44101, 191999])
def test_no_filter_takes_much_memory(rate: int) -> None:
    waveform = np.zeros(rate // 10, np.float32)
    tracemalloc.start()
    try:
        resample(waveform, rate, 22050)
        assert tracemalloc.get_traced_memory()[1] < 8e6 + 5 * waveform.nbytes
    finally:
        tracemalloc.stop()


def test_each_sample_of_a_long_waveform_is_filtered_once() -> None:
    """A shift by the factor shifts the output by one sample, wherever blocks begin."""
    waveform = np.random.default_rng(0).normal(size=100_000)
    shifted = resample(np.concatenate([np.zeros(2), waveform]), 44100, 22050)
    np.testing.assert_allclose(shifted[1:], resample(waveform, 44100, 22050), atol=1e-12)
