"""The published code's way from a waveform to log-mels, transcribed: resampy 0.2, librosa 0.7.2 (self-supervised) and 0.9.2."""

from functools import cache

import numpy as np

from reference import log_mel_loops

ZERO_CROSSINGS, TABLE, ROLLOFF, BETA = 64, 512, 0.9475937167399596, 14.769656459379492  # of resampy 0.2's kaiser_best


filter_bank = cache(log_mel_loops.filter_bank)


def kaiser_best(signal: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """resampy 0.2: floor(n * ratio) samples; weights from a table, whose steps are whole numbers, by straight lines."""
    ratio = new_rate / rate
    positions = np.linspace(0, ZERO_CROSSINGS, ZERO_CROSSINGS * TABLE + 1)
    table = ROLLOFF * np.sinc(ROLLOFF * positions) * np.i0(BETA * np.sqrt(1 - (positions / ZERO_CROSSINGS) ** 2)) / np.i0(BETA)
    table *= min(1, ratio)
    slopes = np.append(np.diff(table), 0)
    step, scale = int(min(1, ratio) * TABLE), min(1, ratio)
    times = np.cumsum(np.full(int(len(signal) * ratio), 1 / ratio)) - 1 / ratio
    resampled = np.zeros(len(times))
    before = times.astype(int)
    for side, first in ((-1, before), (1, before + 1)):
        distance = scale * np.abs(times - first) if side < 0 else scale - scale * (times - before)
        offset = (distance * TABLE).astype(int)
        part = distance * TABLE - offset
        for tap in range(len(table) // step + 1):
            used = (tap < (len(table) - offset) // step) & (first + side * tap >= 0) & (first + side * tap < len(signal))
            at = np.where(used, offset + tap * step, 0)
            weights = np.where(used, table[at] + part * slopes[at], 0)
            resampled += weights * signal[np.where(used, first + side * tap, 0)]
    return resampled


def missing_samples(samples: int, rate: int, new_rate: int) -> int:
    """Zeros that librosa appends to what resampy gives."""
    return int(np.ceil(samples * new_rate / rate)) - int(samples * (new_rate / rate))


def published_log_mel(signal: np.ndarray, rate: int, mode: str) -> np.ndarray:
    """`[frames, 96]`; a self-supervised clip has 22.05 kHz, a supervised one 44.1 kHz."""
    new_rate, shortest, window, hop, low, high, offset = (
        (22050, 22050, 660, 220, 50, 10500, 1.1e-8) if mode == "self-supervised" else (44100, 88200, 1764, 882, 0, 22050, 2.22e-16)
    )
    if rate != new_rate:
        signal = np.append(kaiser_best(signal, rate, new_rate), np.zeros(missing_samples(len(signal), rate, new_rate)))
    signal = signal - signal.mean()
    signal = signal / (np.abs(signal).max() + 0.005)
    if len(signal) <= shortest:
        signal = np.tile(signal, -(-shortest // len(signal)))[:shortest]
    padded = np.pad(signal + offset, 1024, mode="reflect" if mode == "self-supervised" else "constant")
    left = (2048 - window) // 2
    shape = np.zeros(2048)
    shape[left : left + window] = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2048)[::hop][: 1 + len(signal) // hop]
    spectrum = np.fft.rfft(frames * shape)
    if mode == "self-supervised":  # librosa 0.7.2 keeps it so
        spectrum = spectrum.astype(np.complex64)
    return np.log10(np.abs(spectrum) ** 2 @ filter_bank(new_rate, 2048, 96, low, high) + offset)
