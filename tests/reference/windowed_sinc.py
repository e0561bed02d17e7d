"""Other sample rates by a Kaiser-windowed sinc in float64, straight from its definition."""

import numpy as np


def halve_rate(signal: np.ndarray, zero_crossings: int, rolloff: float, beta: float) -> np.ndarray:
    """Cut off at `rolloff` times the new Nyquist frequency; the window ends behind `zero_crossings` of the sinc a side."""
    half = int(2 * zero_crossings / rolloff)
    n = np.arange(-half, half + 1)
    position = n * rolloff / 2
    taps = rolloff / 2 * np.sinc(position) * np.i0(beta * np.sqrt(1 - (position / zero_crossings) ** 2)) / np.i0(beta)
    size = len(signal) + len(taps)
    filtered = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(taps, size), size)
    return filtered[half : half + len(signal) : 2]


def change_rate(signal: np.ndarray, rate: int, new_rate: int, zero_crossings: int, rolloff: float, beta: float) -> np.ndarray:
    """Sample m is the signal behind the filter at m / new_rate seconds, one after the other."""
    cutoff = rolloff * min(1, new_rate / rate)  # of the old Nyquist frequency
    changed = []
    for m in range(-(-len(signal) * new_rate // rate)):
        position = cutoff * (m * rate / new_rate - np.arange(len(signal)))
        window = np.i0(beta * np.sqrt(np.maximum(0, 1 - (position / zero_crossings) ** 2))) / np.i0(beta)
        changed.append(np.sum(signal * cutoff * np.sinc(position) * window * (np.abs(position) <= zero_crossings)))
    return np.array(changed)
