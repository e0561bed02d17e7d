"""Resampling: the FFT way against torchaudio's convolution, in float64."""

import numpy as np
import pytest
import torch
import torchaudio

from acl.resampling import RESAMPLING, resample


@pytest.mark.parametrize("samples", [1, 2, 137, 4411, 16383, 40000])
@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 22050), (88200, 44100), (88200, 22050), (66150, 22050)])
def test_decimation_is_torchaudios_filter(samples: int, rate: int, new_rate: int) -> None:
    waveform = np.random.default_rng(samples).normal(size=samples)
    expected = torchaudio.functional.resample(torch.from_numpy(waveform), rate, new_rate, **RESAMPLING).numpy()
    converted = resample(waveform, rate, new_rate)
    assert converted.shape == expected.shape
    np.testing.assert_allclose(converted, expected, atol=1e-12)


@pytest.mark.parametrize(("rate", "new_rate"), [(48000, 22050), (16000, 22050), (22050, 44100), (200 * 22050, 22050)])
def test_other_rates_are_within_float32_of_torchaudios_float64(rate: int, new_rate: int) -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, 3000)
    expected = torchaudio.functional.resample(torch.from_numpy(waveform), rate, new_rate, **RESAMPLING).numpy()
    np.testing.assert_allclose(resample(waveform, rate, new_rate), expected, atol=1e-5)


def test_each_sample_of_a_long_waveform_is_filtered_once() -> None:
    """A shift by the factor shifts the output by one sample, wherever blocks begin."""
    waveform = np.random.default_rng(0).normal(size=100_000)
    shifted = resample(np.concatenate([np.zeros(2), waveform]), 44100, 22050)
    np.testing.assert_allclose(shifted[1:], resample(waveform, 44100, 22050), atol=1e-12)
