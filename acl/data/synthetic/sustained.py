"""Rubbed, blown, burning and running sounds of the synthetic corpus: textures and glides.

A sound `f(rng, n)` is `[n]` samples of a new instance: pitch, rate, timbre and course differ widely inside a class.
"""

import numpy as np

from acl.data.synthetic.struck import burst
from acl.data.synthetic.waveforms import (
    SAMPLE_RATE,
    Generator,
    Waveform,
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


def engine(rng: Generator, n: int) -> Waveform:
    idle, load = log_uniform(rng, 18, 150), rng.uniform(0, 0.25)
    hz = idle * np.exp(load * wander(rng, n, log_uniform(rng, 0.3, 3)) + rng.uniform(-0.5, 0.5) * np.linspace(0, 1, n))
    numbers = np.arange(1, 33)
    tone = harmonics(hz, rng.uniform(0.1, 1, 32) * numbers ** -rng.uniform(0.3, 1.2))
    firing = 1 + rng.uniform(0, 0.9) * np.sin(np.pi * np.cumsum(hz) / SAMPLE_RATE)
    return (tone / tone.std() + rng.uniform(0.1, 1.5) * noise(rng, n, 40, log_uniform(rng, 500, 6000), 1)) * firing


def fart(rng: Generator, n: int) -> Waveform:
    pitch, seconds = log_uniform(rng, 45, 220), log_uniform(rng, 0.15, 1.2)
    formant, wetness = log_uniform(rng, 180, 900), rng.uniform(0.05, 0.6)

    def toot() -> Waveform:
        m = samples(seconds * rng.uniform(0.6, 1.4))
        hz = pitch * np.exp(0.2 * wander(rng, m, 12) + rng.uniform(-0.7, 0.4) * np.linspace(0, 1, m))
        pulses = np.maximum(0, np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE)) ** 4
        source = pulses * (1 + wetness * noise(rng, m)) * (1 + 0.4 * wander(rng, m, 25))
        source -= source.mean()
        return (resonate(source, formant, formant / 2) + 0.2 * source) * np.hanning(m) ** 0.3

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.2, 1)), toot)


def fire(rng: Generator, n: int) -> Waveform:
    crackle = resonate(impulses(rng, n, log_uniform(rng, 4, 90), 1.2), log_uniform(rng, 900, 5000), log_uniform(rng, 500, 3000))
    roar = noise(rng, n, 30, log_uniform(rng, 200, 1500), 1) * np.exp(0.3 * wander(rng, n, 4))
    return crackle / np.abs(crackle).max() + log_uniform(rng, 0.01, 0.3) * roar


def fireworks(rng: Generator, n: int) -> Waveform:
    top, seconds = log_uniform(rng, 120, 900), log_uniform(rng, 0.08, 0.6)
    has_whistle, has_crackle = rng.uniform(size=2) < 0.5
    lead = min(n // 2, samples(log_uniform(rng, 0.3, 1))) if has_whistle else 0

    def shell() -> Waveform:
        tail = samples(1.5)
        bang = burst(rng, 30, top, seconds, 0.002)[:tail]
        after = np.zeros(tail)
        after[: len(bang)] += bang
        if has_crackle:
            sparks = resonate(impulses(rng, tail, 150), log_uniform(rng, 1500, 5000), 2500)
            after += sparks / np.abs(sparks).max() * np.linspace(1, 0, tail)
        sweep = np.geomspace(log_uniform(rng, 700, 3500), log_uniform(rng, 700, 3500), lead + 1)
        return np.concatenate([0.5 * harmonics(sweep, [1, 0.3]) * np.linspace(0.2, 1, lead + 1), after])

    return place(n, random_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.4, 3)), shell)


def rain(rng: Generator, n: int) -> Waveform:
    hiss = noise(rng, n, log_uniform(rng, 200, 2000), log_uniform(rng, 5000, 16_000), rng.uniform(0, 1))
    drops = resonate(impulses(rng, n, log_uniform(rng, 60, 1500), 0.8), log_uniform(rng, 1200, 6000), log_uniform(rng, 300, 3000))
    return hiss * np.exp(0.1 * wander(rng, n, 2)) + log_uniform(rng, 0.3, 3) * drops / (drops.std() + 1e-12)


def squeak(rng: Generator, n: int) -> Waveform:
    pitch, seconds = log_uniform(rng, 350, 3500), log_uniform(rng, 0.08, 0.8)
    brightness, roughness, slip = rng.uniform(0.4, 1.6), rng.uniform(0, 1), log_uniform(rng, 15, 90)

    def rub() -> Waveform:
        m = samples(seconds * rng.uniform(0.6, 1.5))
        glide = rng.uniform(-0.5, 0.5) * np.linspace(0, 1, m) + 0.06 * wander(rng, m, 15)
        tone = harmonics(pitch * np.exp(glide), np.arange(1, 9) ** (-1 / brightness))
        return tone * (1 + roughness * np.sin(2 * np.pi * slip * np.arange(m) / SAMPLE_RATE)) * np.hanning(m) ** 0.4

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.6, 4), 0.15), rub)


def tearing(rng: Generator, n: int) -> Waveform:
    seconds, low = log_uniform(rng, 0.15, 1.5), log_uniform(rng, 500, 3000)
    fibres = log_uniform(rng, 150, 1500)

    def rip() -> Waveform:
        m = samples(seconds * rng.uniform(0.6, 1.4))
        grains = resonate(impulses(rng, m, fibres, 1.0), 2 * low, 2 * low) + 0.02 * noise(rng, m, low, 12_000)
        return grains * np.linspace(0.3, 1, m) ** rng.uniform(0, 2) * np.exp(0.5 * wander(rng, m, 20))

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.5, 2.5), 0.2), rip)


def footsteps(rng: Generator, n: int) -> Waveform:
    thump, seconds = log_uniform(rng, 60, 300), log_uniform(rng, 0.01, 0.05)
    gravel, lag, top = log_uniform(rng, 0.03, 1.5), rng.uniform(0.03, 0.14), log_uniform(rng, 1500, 7000)

    def step() -> Waveform:
        m = samples(0.35)
        foot = place(m, [0.0, lag], lambda: rng.uniform(0.4, 1) * burst(rng, thump, 5 * thump, seconds, 0.003))
        ground = noise(rng, m, 800, top) * np.abs(wander(rng, m, 90)) * np.hanning(m) ** 2
        return (foot + gravel * ground) * rng.uniform(0.6, 1)

    return place(n, steady_times(rng, n / SAMPLE_RATE, log_uniform(rng, 0.9, 3.2), 0.06), step)


def wind(rng: Generator, n: int) -> Waveform:
    gusts = log_uniform(rng, 0.3, 2)
    strength = wander(rng, n, gusts)
    rumble = noise(rng, n, 25, log_uniform(rng, 150, 1200), rng.uniform(0.5, 2)) * np.exp(0.6 * strength)
    hz = log_uniform(rng, 250, 1500)
    howl = resonate(noise(rng, n, 100, 5000), hz, log_uniform(rng, 0.03, 0.5) * hz) * np.exp(0.9 * strength)
    return rumble + log_uniform(rng, 0.05, 2) * howl / (howl.std() + 1e-12)


def writing(rng: Generator, n: int) -> Waveform:
    low, rate = log_uniform(rng, 900, 4500), log_uniform(rng, 2.5, 9)
    taps, grain = log_uniform(rng, 0.05, 1), log_uniform(rng, 40, 300)

    def stroke() -> Waveform:
        m = samples(rng.uniform(0.3, 1.1) / rate)
        scratch = noise(rng, m, low, 3 * low) * np.hanning(m) ** 0.7 * (1 + 0.5 * wander(rng, m, grain))
        tap = burst(rng, 0.3 * low, 2 * low, 0.004)[:m]
        scratch[: len(tap)] += taps * tap
        return scratch * rng.uniform(0.3, 1)

    return place(n, steady_times(rng, n / SAMPLE_RATE, rate, 0.2), stroke)
