"""Another sampling rate for a waveform, by one fixed low-pass filter."""

import math
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acl.system.memory import chunks
from acl.torchaudio_import import torchaudio

# The Kaiser-windowed sinc known as "kaiser_best", with which the published features were resampled. From 44.1 kHz, noise, tones
# and a chirp up to 9.5 kHz differ from a float64 sinc of 1024 zero crossings by at most -148 dB RMS and -143 dB at the peak.
# Log-mels move by 3e-4 at most (in quiet bands) and 2e-6 on average, float32's rounding of the STFT included. Above, the filter
# falls off, by 0.1 dB at 10 kHz and 6 dB at 10.45 kHz, which lowers the top mel band of white noise by 0.1. Measured by
# benchmarks/resampling_error.py.
RESAMPLING: dict[str, Any] = {
    "resampling_method": "sinc_interp_kaiser",
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "beta": 14.769656459379492,
}

_BLOCK = 1 << 14  # samples of one FFT; four of them stay in a core's cache
_BLOCKS_AT_ONCE = 4
_LARGEST_FACTOR = 16  # whose filter is much shorter than a block
_LARGEST_BANK = 300_000  # product of a ratio's terms, 441 * 640 between 32 and 22.05 kHz, whose taps are made in milliseconds


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Waveform `[n]` at `new_rate` Hz, ceil(n * new_rate / rate) samples in float64.

    From a small multiple of the new rate (44.1 to 22.05 kHz) the filter is applied by FFTs of overlapping blocks (overlap-save), in
    float64. Between the usual rates (8, 16, 32, 48, 96 kHz and others) it is torchaudio's convolution, in float32: in float64 it
    takes a path that is 60 times slower and needs gigabytes for a clip of 30 s. That rounding, 1e-5 of the peak from 48 kHz, moves
    log-mels by less than 1e-3.

    Between any other rates (11 024 and 22 050 Hz) torchaudio's taps of all phases would take gigabytes; here they are
    made for one phase at a time, in float64. A clip takes 0.3 s (11 024 Hz) to 5 s (191 999 Hz) more.

    Time and memory are linear in n.
    """
    ratio = Fraction(new_rate, rate)
    if ratio.numerator == 1 and ratio.denominator <= _LARGEST_FACTOR:
        return _decimated(samples, ratio.denominator)
    if ratio.numerator * ratio.denominator <= _LARGEST_BANK:
        converted = torchaudio.functional.resample(torch.from_numpy(samples).float(), rate, new_rate, **RESAMPLING)
        return np.asarray(converted.double())
    return _phase_by_phase(samples, ratio.numerator, ratio.denominator)


def _phase_by_phase(samples: np.ndarray, up: int, down: int) -> np.ndarray:
    """Sample m, at m * down / up of the old ones: Σ_n h(m * down / up - n) x[n]. Every `up` samples the same taps return."""
    crossings, response = _impulse_response()
    edge = RESAMPLING["rolloff"] * min(1, up / down)  # of the old Nyquist frequency
    reach = math.ceil(crossings[-1] / edge)
    lags = edge * np.arange(reach, -reach - 1, -1)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(samples.astype(np.float64), reach), len(lags))
    converted = np.empty(-(-len(samples) * up // down))
    for first in range(min(up, len(converted))):
        before, phase = divmod(first * down, up)
        taps = np.interp(np.abs(lags + edge * phase / up), crossings, response, right=0)
        converted[first::up] = around[before::down] @ taps
    return edge * converted


@cache
def _impulse_response() -> tuple[np.ndarray, np.ndarray]:
    """The filter's later half in zero crossings of its sinc, so dense that straight lines between them err by 3e-8."""
    width = RESAMPLING["lowpass_filter_width"]
    crossings = np.linspace(0, width, width * 4096 + 1)
    window = np.i0(RESAMPLING["beta"] * np.sqrt(1 - (crossings / width) ** 2)) / np.i0(RESAMPLING["beta"])
    return crossings, np.sinc(crossings) * window


def _decimated(samples: np.ndarray, factor: int) -> np.ndarray:
    reach, spectrum = _low_pass(factor)
    hop = (_BLOCK - 2 * reach) // factor * factor  # samples of a block that its neighbours do not reach into
    count = -(-len(samples) // hop)
    kept = torch.empty(count, hop // factor, dtype=torch.float64)
    for part in chunks(count, _BLOCKS_AT_ONCE):
        start = part.start * hop - reach  # of the first block, before the waveform at first
        padded = torch.zeros((part.stop - part.start - 1) * hop + _BLOCK, dtype=torch.float64)
        inside = torch.from_numpy(samples[max(0, start) : start + len(padded)])
        padded[max(0, -start) : max(0, -start) + len(inside)] = inside
        filtered = torch.fft.irfft(torch.fft.rfft(padded.unfold(0, _BLOCK, hop)) * spectrum)
        kept[part] = filtered[:, 2 * reach : 2 * reach + hop : factor]
    return kept.flatten()[: -(-len(samples) // factor)].numpy()


@cache
def _low_pass(factor: int) -> tuple[int, Tensor]:
    """How many samples torchaudio's filter reaches to each side, and its spectrum in an FFT of a block.

    Output m of that filter is Σ_n h[factor * m - n] x[n]: impulses at `factor` neighbouring places show all of h.
    """
    reach = factor * math.ceil(RESAMPLING["lowpass_filter_width"] / RESAMPLING["rolloff"] + 1)
    impulses = torch.zeros(factor, 2 * reach + 1, dtype=torch.float64)
    impulses[:, reach : reach + factor] = torch.eye(factor)
    responses = np.asarray(torchaudio.functional.resample(impulses, factor, 1, **RESAMPLING))
    taps = np.zeros(2 * reach + 1)
    for shift, response in enumerate(responses):
        lag = factor * np.arange(len(response)) - reach - shift
        within = np.abs(lag) <= reach
        taps[lag[within] + reach] = response[within]
    return reach, torch.fft.rfft(torch.from_numpy(taps), _BLOCK)
