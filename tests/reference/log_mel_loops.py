"""Log-mel spectrogram frame by frame in numpy, straight from its definition."""

import math

import numpy as np


def slaney_mel(hz: float) -> float:
    """Linear up to 1 kHz (200/3 Hz per mel), logarithmic above (27 mel per factor 6.4)."""
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def slaney_hz(mel: float) -> float:
    return 200 * mel / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)


def filter_bank(sample_rate: int, n_fft: int, bands: int, min_hz: float, max_hz: float) -> np.ndarray:
    """Triangles of height 1, `[bins, bands]`."""
    corners = [slaney_hz(mel) for mel in np.linspace(slaney_mel(min_hz), slaney_mel(max_hz), bands + 2)]
    bank = np.zeros((n_fft // 2 + 1, bands))
    for bin_index in range(len(bank)):
        hz = bin_index * sample_rate / n_fft
        for band in range(bands):
            low, centre, high = corners[band : band + 3]
            bank[bin_index, band] = max(0.0, min((hz - low) / (centre - low), (high - hz) / (high - centre)))
    return bank


def log_mel(
    waveform: np.ndarray, sample_rate: int, window: int, hop: int, min_hz: float, max_hz: float, offset: float, edge: str
) -> np.ndarray:
    """`[frames, 96]` of an already normalised waveform."""
    n_fft = 2048
    hamming = np.zeros(n_fft)
    left = (n_fft - window) // 2
    for n in range(window):
        hamming[left + n] = 0.54 - 0.46 * math.cos(2 * math.pi * n / window)
    padded = np.pad(waveform + offset, n_fft // 2, mode="reflect" if edge == "reflect" else "constant")
    bank = filter_bank(sample_rate, n_fft, 96, min_hz, max_hz)
    frames = []
    for frame in range(1 + len(waveform) // hop):
        power = np.abs(np.fft.rfft(padded[frame * hop : frame * hop + n_fft] * hamming)) ** 2
        frames.append(np.log10(power @ bank + offset))
    return np.array(frames)
