"""From a sound to a recording of it: room, microphone, background noise, level."""

import numpy as np
import scipy.signal

from acl.data.synthetic.waveforms import SAMPLE_RATE, Generator, Waveform, log_uniform, noise, samples, wander

SNR_DB = (-3.0, 35.0)  # uniform
REVERBERATION_SECONDS = (0.05, 0.5)  # decay constant, log-uniform
WET_SHARE = (0.0, 0.7)  # amplitude of the room next to the direct sound, uniform
PEAK = (0.05, 0.95)  # of full scale, log-uniform


def record(rng: Generator, sound: Waveform) -> Waveform:
    """Recording `[n]` of a sound `[n]`: in a random room, with a random microphone and background, peak below 1."""
    n = len(sound)
    heard = _microphone(rng, _room(rng, sound))
    signal_rms = np.sqrt(np.mean(heard**2))
    snr = 10 ** (rng.uniform(*SNR_DB) / 20)
    background = noise(rng, n, 20, log_uniform(rng, 1000, 18_000), rng.uniform(0, 2)) * np.exp(0.2 * wander(rng, n, 1))
    heard = heard + background * signal_rms / snr
    return heard / np.abs(heard).max() * log_uniform(rng, *PEAK)


def _room(rng: Generator, sound: Waveform) -> Waveform:
    """Direct sound plus its convolution with exponentially decaying noise."""
    seconds = log_uniform(rng, *REVERBERATION_SECONDS)
    n = samples(5 * seconds)
    response = noise(rng, n, 100, log_uniform(rng, 1500, 12_000)) * np.exp(-np.arange(n) / samples(seconds))
    response *= rng.uniform(*WET_SHARE) / np.sqrt(np.sum(response**2))
    return sound + scipy.signal.fftconvolve(sound, response)[: len(sound)]


def _microphone(rng: Generator, sound: Waveform) -> Waveform:
    """First-order low and high cuts."""
    low, high = log_uniform(rng, 20, 250), log_uniform(rng, 3500, 19_000)
    b, a = scipy.signal.butter(1, [low, high], "bandpass", fs=SAMPLE_RATE)
    return scipy.signal.lfilter(b, a, sound)
