"""Elementary waveforms of the synthetic corpus: noise, partials, pulses, and their placement in time.

Waveforms are float64 arrays `[samples]` at 44.1 kHz. All randomness comes from the generator passed first.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy.fft
import scipy.signal

SAMPLE_RATE = 44_100  # Hz

Waveform = np.ndarray
Generator = np.random.Generator


def samples(seconds: float) -> int:
    """Number of samples of a duration, at least one."""
    return max(1, round(seconds * SAMPLE_RATE))


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """One value whose logarithm is uniform: as likely in each octave."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def log_uniforms(rng: Generator, low: float, high: float, count: int) -> np.ndarray:
    """`[count]` values whose logarithms are uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def decay(n: int, seconds: float, attack: float = 0.0) -> Waveform:
    """exp(-t / seconds) after a linear rise of `attack` seconds."""
    t = np.arange(n) / SAMPLE_RATE
    envelope = np.exp(-t / seconds)
    return envelope * np.minimum(1, t / attack) if attack > 0 else envelope


def noise(rng: Generator, n: int, low: float = 20.0, high: float = 20_000.0, tilt: float = 0.0) -> Waveform:
    """Gaussian noise between `low` and `high` Hz with soft edges, power falling as 1 / f^tilt; RMS 1."""
    size = scipy.fft.next_fast_len(n, real=True)
    spectrum = scipy.fft.rfft(rng.standard_normal(size))
    f = np.maximum(np.arange(len(spectrum)) * SAMPLE_RATE / size, 1.0)
    spectrum *= f ** (-tilt / 2) / np.sqrt((1 + (low / f) ** 6) * (1 + (f / high) ** 6))
    wave = scipy.fft.irfft(spectrum, size)[:n]
    return wave / (np.sqrt(np.mean(wave**2)) + 1e-12)


def wander(rng: Generator, n: int, hz: float) -> Waveform:
    """Smooth random curve that changes about `hz` times a second; values are standard normal at its nodes."""
    nodes = int(n / SAMPLE_RATE * hz) + 3
    return np.interp(np.linspace(0, nodes - 1.001, n), np.arange(nodes), rng.standard_normal(nodes))


def partials(rng: Generator, n: int, hz: np.ndarray, amplitudes: np.ndarray, decays: np.ndarray) -> Waveform:
    """Sum of damped sinusoids with random phases; decay times in s. Partials above 20 kHz are left out."""
    wave = np.zeros(n)
    t = np.arange(n) / SAMPLE_RATE
    for frequency, amplitude, seconds in zip(hz, amplitudes, decays, strict=True):
        if frequency < 20_000:
            audible = min(n, samples(7 * seconds))
            part = t[:audible]
            phase = 2 * np.pi * (frequency * part + rng.uniform())
            wave[:audible] += amplitude * np.exp(-part / seconds) * np.sin(phase)
    return wave


def harmonics(hz: np.ndarray, amplitudes: Sequence[float] | np.ndarray) -> Waveform:
    """Sum of the harmonics of a gliding fundamental `hz` `[samples]`; those that would alias are left out."""
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    top = float(np.max(hz))
    wave = np.zeros(len(hz))
    for number, amplitude in enumerate(amplitudes, start=1):
        if number * top < 20_000:
            wave += amplitude * np.sin(number * phase)
    return wave


def resonate(wave: Waveform, hz: float, bandwidth: float) -> Waveform:
    """Two-pole resonance at `hz`, peak gain about 1."""
    radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
    angle = 2 * np.pi * hz / SAMPLE_RATE
    gain = (1 - radius) * np.sqrt(1 - 2 * radius * np.cos(2 * angle) + radius**2)
    return scipy.signal.lfilter([gain], [1, -2 * radius * np.cos(angle), radius**2], wave)


def impulses(rng: Generator, n: int, rate: float, spread: float = 1.0) -> Waveform:
    """Single-sample clicks at random instants, `rate` a second, log-normal heights with random sign."""
    count = max(1, rng.poisson(rate * n / SAMPLE_RATE))
    wave = np.zeros(n)
    heights = np.exp(spread * rng.standard_normal(count)) * rng.choice([-1.0, 1.0], count)
    np.add.at(wave, rng.integers(0, n, count), heights)
    return wave


def place(n: int, times: Iterable[float], event: Callable[[], Waveform]) -> Waveform:
    """Sum of one fresh `event()` at each of `times` (s), cut at the end."""
    wave = np.zeros(n)
    for time in times:
        start = int(time * SAMPLE_RATE)
        if start < n:
            sound = event()[: n - start]
            wave[start : start + len(sound)] += sound
    return wave


def steady_times(rng: Generator, seconds: float, rate: float, jitter: float) -> np.ndarray:
    """Instants about 1 / `rate` s apart, each displaced by a share `jitter` of that; the first one early in the clip."""
    count = max(1, int(seconds * rate))
    times = np.abs(np.arange(count) + rng.uniform(0, 0.3) + jitter * rng.standard_normal(count)) / rate
    times[0] = rng.uniform(0, 0.2 * min(seconds, 1 / rate))
    return times


def random_times(rng: Generator, seconds: float, rate: float) -> np.ndarray:
    """Instants of a Poisson process, the first one early in the clip."""
    count = max(1, rng.poisson(rate * seconds))
    times = rng.uniform(0, seconds, count)
    times[0] = rng.uniform(0, 0.2 * seconds)
    return times
