"""Sounds outside the vocabulary of the synthetic corpus: what most wrong labels stand on.

A sound `f(rng, n)` is `[n]` samples of a new instance.
"""

import numpy as np

from acl.data.synthetic.struck import burst, ping
from acl.data.synthetic.waveforms import (
    SAMPLE_RATE,
    Generator,
    Waveform,
    decay,
    harmonics,
    impulses,
    log_uniform,
    noise,
    place,
    random_times,
    resonate,
    samples,
    steady_times,
    wander,
)


def speech(rng: Generator, n: int) -> Waveform:
    pitch = log_uniform(rng, 85, 300)

    def syllable() -> Waveform:
        m = samples(rng.uniform(0.1, 0.3))
        glottis = np.maximum(0, harmonics(pitch * np.exp(0.1 * wander(rng, m, 5)), np.full(12, 1.0))) + 0.05 * noise(rng, m)
        formants = (rng.uniform(250, 850), rng.uniform(850, 2400), rng.uniform(2300, 3400))
        voiced = sum((resonate(glottis, hz, 0.1 * hz) for hz in formants), np.zeros(m))
        return voiced * np.hanning(m) ** 0.5 + rng.uniform(0, 0.1) * noise(rng, m, 3000, 9000)

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 2.5, 6), 0.15), syllable)


def bird(rng: Generator, n: int) -> Waveform:
    pitch, trill = log_uniform(rng, 1800, 6500), log_uniform(rng, 8, 40)

    def chirp() -> Waveform:
        m = samples(log_uniform(rng, 0.04, 0.3))
        t = np.arange(m) / SAMPLE_RATE
        glide = rng.uniform(-0.4, 0.4) * np.linspace(0, 1, m) + 0.1 * np.sin(2 * np.pi * trill * t)
        return harmonics(pitch * np.exp(glide), [1, 0.15]) * np.hanning(m)

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 1, 7)), chirp)


def siren(rng: Generator, n: int) -> Waveform:
    cycle = 2 * np.pi * log_uniform(rng, 0.2, 5) * np.arange(n) / SAMPLE_RATE + rng.uniform(0, 6)
    course = np.sign(np.sin(cycle)) if rng.uniform() < 0.4 else np.sin(cycle)
    return harmonics(log_uniform(rng, 400, 1200) * np.exp(rng.uniform(0.1, 0.4) * course), rng.uniform(0.1, 1, 6))


def beep(rng: Generator, n: int) -> Waveform:
    hz, seconds = log_uniform(rng, 400, 4000), log_uniform(rng, 0.05, 0.4)
    shape = rng.uniform(0, 1, 4) * np.array([1, 0.2, 0.6, 0.1])

    def tone() -> Waveform:
        m = samples(seconds)
        return harmonics(np.full(m, hz), shape + 0.05) * np.minimum(1, 20 * np.hanning(m))

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.8, 5), 0.0), tone)


def water_drip(rng: Generator, n: int) -> Waveform:
    pitch = log_uniform(rng, 500, 1800)

    def drop() -> Waveform:
        m = samples(0.12)
        rise = pitch * log_uniform(rng, 0.7, 1.4) * np.exp(rng.uniform(0.2, 1.0) * np.linspace(0, 1, m))
        return harmonics(rise, [1.0]) * decay(m, log_uniform(rng, 0.01, 0.04), 0.002)

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 1, 12)), drop)


def hum(rng: Generator, n: int) -> Waveform:
    mains = rng.choice([50.0, 60.0, 100.0, 120.0]) * rng.uniform(0.99, 1.01)
    tone = harmonics(np.full(n, mains), rng.uniform(0, 1, 16) ** 2 + 0.01)
    return tone + log_uniform(rng, 0.02, 0.6) * noise(rng, n, 50, 4000, 1)


def dog_bark(rng: Generator, n: int) -> Waveform:
    pitch, formant = log_uniform(rng, 220, 800), log_uniform(rng, 600, 1700)

    def bark() -> Waveform:
        m = samples(rng.uniform(0.1, 0.35))
        arc = pitch * np.exp(0.5 * np.sin(np.pi * np.linspace(0, 1, m)))
        voice = harmonics(arc, np.full(10, 1.0)) * (1 + 0.5 * noise(rng, m, 50, 500))
        return resonate(voice, formant, 0.5 * formant) * np.hanning(m) ** 0.6

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.7, 3)), bark)


def keyboard(rng: Generator, n: int) -> Waveform:
    low, seconds = log_uniform(rng, 400, 2500), log_uniform(rng, 0.003, 0.012)

    def key() -> Waveform:
        return place(samples(0.2), [0.0, rng.uniform(0.05, 0.12)], lambda: rng.uniform(0.3, 1) * burst(rng, low, 5 * low, seconds))

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 3, 12)), key)


def applause(rng: Generator, n: int) -> Waveform:
    hands = resonate(impulses(rng, n, log_uniform(rng, 300, 3000), 0.6), log_uniform(rng, 900, 2200), log_uniform(rng, 600, 1800))
    return hands * np.exp(0.3 * wander(rng, n, 1)) + 0.05 * hands.std() * noise(rng, n, 100, 8000)


def insects(rng: Generator, n: int) -> Waveform:
    t = np.arange(n) / SAMPLE_RATE
    wings = np.maximum(0, np.sin(2 * np.pi * log_uniform(rng, 12, 80) * t)) ** 2
    phrase = np.maximum(0.02, np.sin(2 * np.pi * log_uniform(rng, 0.6, 4) * t + rng.uniform(0, 6)))
    return harmonics(np.full(n, log_uniform(rng, 2500, 8000)), [1, 0.1]) * wings * phrase


def bell(rng: Generator, n: int) -> Waveform:
    low, seconds = log_uniform(rng, 250, 1500), log_uniform(rng, 0.4, 2)
    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.4, 8), 0.05), lambda: ping(rng, low, 5 * low, seconds, 6))


def drill(rng: Generator, n: int) -> Waveform:
    speed = log_uniform(rng, 150, 600) * np.exp(0.15 * wander(rng, n, 1.5))
    whine = harmonics(speed, rng.uniform(0.1, 1, 20))
    return whine / whine.std() + rng.uniform(0.3, 1.5) * noise(rng, n, 800, 10_000)
