"""Struck, plucked and clapped sounds of the synthetic corpus: events that ring and decay.

A sound `f(rng, n)` is `[n]` samples of a new instance: pitch, rate, timbre and playing differ widely inside a class.
"""

import numpy as np

from acl.data.synthetic.waveforms import (
    SAMPLE_RATE,
    Generator,
    Waveform,
    decay,
    log_uniform,
    log_uniforms,
    noise,
    partials,
    place,
    random_times,
    samples,
    steady_times,
)


def string(rng: Generator, hz: float, seconds: float, brightness: float, stiffness: float, count: int = 14) -> Waveform:
    """Struck or plucked string: slightly stretched harmonics, the higher the shorter."""
    number = np.arange(1, count + 1)
    position = rng.uniform(0.08, 0.45)
    amplitudes = np.abs(np.sin(np.pi * number * position)) * number ** (-1 / brightness)
    frequencies = hz * number * np.sqrt(1 + stiffness * number**2)
    return partials(rng, samples(min(5 * seconds, 6)), frequencies, amplitudes, seconds / (1 + 0.25 * number / brightness))


def ping(rng: Generator, low: float, high: float, seconds: float, count: int) -> Waveform:
    """Struck rigid body: inharmonic partials between `low` and `high` Hz."""
    frequencies = log_uniforms(rng, low, high, count)
    return partials(rng, samples(7 * seconds), frequencies, rng.uniform(0.2, 1, count), seconds * log_uniforms(rng, 0.3, 1, count))


def burst(rng: Generator, low: float, high: float, seconds: float, attack: float = 0.0) -> Waveform:
    """Noise burst with exponential decay."""
    n = samples(6 * seconds + attack)
    return noise(rng, n, low, high) * decay(n, seconds, attack)


def acoustic_guitar(rng: Generator, n: int) -> Waveform:
    seconds, root = log_uniform(rng, 0.2, 1.2), log_uniform(rng, 100, 450)
    brightness, strings, lag = rng.uniform(0.6, 1.4), rng.integers(1, 5), rng.uniform(0.008, 0.04)
    chord = root * 2 ** (np.array([0, 7, 12, 16])[:strings] / 12)

    def strum() -> Waveform:
        step = 2 ** (rng.integers(-5, 6) / 12)
        pitches = iter(chord * step)
        return place(samples(6), lag * np.arange(strings), lambda: string(rng, next(pitches), seconds, brightness, 5e-5))

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.7, 5), 0.08), strum)


def bass_guitar(rng: Generator, n: int) -> Waveform:
    seconds, root, brightness = log_uniform(rng, 0.2, 1.5), log_uniform(rng, 38, 130), rng.uniform(0.35, 1.0)

    def note() -> Waveform:
        return string(rng, root * 2 ** (rng.integers(-3, 8) / 12), seconds, brightness, 2e-5, 8)

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.7, 6), 0.05), note)


def piano(rng: Generator, n: int) -> Waveform:
    root, brightness, voices = log_uniform(rng, 80, 1400), rng.uniform(0.3, 0.9), rng.integers(1, 4)
    seconds = log_uniform(rng, 0.3, 1.6)

    def note() -> Waveform:
        wave = np.zeros(samples(6))
        for _ in range(voices):
            hz = root * 2 ** (rng.integers(-7, 8) / 12)
            tone = string(rng, hz, seconds * min(1, 300 / hz) + 0.1, brightness, 4e-4, 10)
            wave[: len(tone)] += tone
        hammer = burst(rng, 80, 900, 0.012)
        wave[: len(hammer)] += 0.12 * hammer
        return wave

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.6, 7), 0.05), note)


def clapping(rng: Generator, n: int) -> Waveform:
    centre, seconds, people = log_uniform(rng, 700, 2600), log_uniform(rng, 0.005, 0.03), rng.integers(1, 5)
    seconds_in_clip, rate = n / SAMPLE_RATE, log_uniform(rng, 1.5, 7)

    def clap() -> Waveform:
        shift = log_uniform(rng, 0.8, 1.25)
        return burst(rng, 0.6 * centre * shift, 1.9 * centre * shift, seconds) * rng.uniform(0.4, 1)

    times = np.concatenate([steady_times(rng, seconds_in_clip, rate, 0.1) for _ in range(people)])
    return place(n, times, clap)


def coin(rng: Generator, n: int) -> Waveform:
    low, seconds, count = log_uniform(rng, 2500, 6000), log_uniform(rng, 0.03, 0.25), int(rng.integers(3, 8))
    shrink, gap = rng.uniform(0.6, 0.9), log_uniform(rng, 0.08, 0.4)
    bounces = np.concatenate([[0.0], np.cumsum(gap * shrink ** np.arange(12))])
    drops = random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.3, 2))
    frequencies = log_uniforms(rng, low, 3.2 * low, count)

    def hit() -> Waveform:
        return partials(rng, samples(7 * seconds), frequencies, rng.uniform(0.1, 1, count), seconds * rng.uniform(0.3, 1, count))

    return place(n, (drops[:, None] + bounces).ravel()[:60], hit)


def crash_cymbal(rng: Generator, n: int) -> Waveform:
    seconds, low = log_uniform(rng, 0.25, 2.5), log_uniform(rng, 250, 3000)

    def crash() -> Waveform:
        m = samples(5 * seconds)
        wash = noise(rng, m, low, log_uniform(rng, 7000, 17_000)) * decay(m, seconds, rng.uniform(0.001, 0.05))
        return wash + 0.25 * partials(rng, m, log_uniforms(rng, low, 9000, 12), rng.uniform(0, 1, 12), np.full(12, seconds))

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.3, 1.5), 0.1), crash)


def dishes(rng: Generator, n: int) -> Waveform:
    low, seconds = log_uniform(rng, 500, 2500), log_uniform(rng, 0.01, 0.1)

    def clatter() -> Waveform:
        body = ping(rng, low, 4 * low, seconds * log_uniform(rng, 0.4, 2), 6)
        contact = burst(rng, low, 10_000, 0.004)[: len(body)]
        body[: len(contact)] += rng.uniform(0.1, 0.8) * contact
        return body * log_uniform(rng, 0.2, 1)

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 1.5, 12)), clatter)


def glass(rng: Generator, n: int) -> Waveform:
    low, seconds = log_uniform(rng, 1200, 4500), log_uniform(rng, 0.03, 0.3)
    shatters = rng.uniform() < 0.6
    shards = rng.integers(8, 40) if shatters else rng.integers(1, 3)
    spread = log_uniform(rng, 0.1, 0.6)

    def crash() -> Waveform:
        def shard() -> Waveform:
            return ping(rng, low, 3.5 * low, seconds * log_uniform(rng, 0.4, 1.5), 4) * log_uniform(rng, 0.1, 1)

        wave = place(samples(2.5), np.sort(rng.exponential(spread, shards)) * shatters, shard)
        impact = burst(rng, low, 15_000, 0.02)
        wave[: len(impact)] += rng.uniform(0.2, 1.0) * shatters * impact
        return wave

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.3, 1.5)), crash)


def hi_hat(rng: Generator, n: int) -> Waveform:
    seconds, low = log_uniform(rng, 0.015, 0.4), log_uniform(rng, 3500, 9000)
    accents = rng.uniform(0.1, 0.9)

    def tick() -> Waveform:
        hit = burst(rng, low, 19_000, seconds * log_uniform(rng, 0.7, 1.4)) * (1 - accents * rng.uniform())
        metal = partials(rng, len(hit), log_uniforms(rng, low, 14_000, 6), rng.uniform(0, 0.3, 6), np.full(6, seconds))
        return hit + metal

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 1, 9), 0.03), tick)


def slam(rng: Generator, n: int) -> Waveform:
    low, seconds, rattle = log_uniform(rng, 40, 180), log_uniform(rng, 0.03, 0.25), log_uniform(rng, 0.02, 0.5)
    top = log_uniform(rng, 500, 5000)

    def door() -> Waveform:
        m = samples(1.5)
        body = ping(rng, low, 6 * low, seconds, 6)[:m]
        wave = np.zeros(m)
        wave[: len(body)] += 0.7 * body
        impact = burst(rng, low, top, 0.4 * seconds)[:m]
        wave[: len(impact)] += 0.6 * impact
        latch = random_times(rng, 0.6, 12)
        return wave + place(m, latch, lambda: rattle * rng.uniform(0, 1) * burst(rng, 500, 2 * top, 0.008))

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.2, 1)), door)
