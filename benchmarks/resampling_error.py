"""Error of the front end's resampling from 44.1 to 22.05 kHz, against long windowed-sinc filters in float64.

    .venv/bin/python benchmarks/resampling_error.py

Two references, both written out here: the front end's own filter as a plain convolution (what the implementation adds),
and a sinc of 1024 zero crossings a side that cuts at 11.025 kHz within about 100 Hz (what the filter itself does to the band, and
where). scipy's `resample_poly`, and soxr where it is installed, stand beside the front end for comparison.
"""

import importlib
import importlib.util
from collections.abc import Callable

import numpy as np
from scipy.signal import chirp, resample_poly, upfirdn
from scipy.signal.windows import tukey

from acl.features import LogMel
from acl.resampling import RESAMPLING, resample

RATE_IN, RATE_OUT = 44100, 22050
SECONDS = 5
PASSBAND_HZ = 9500  # the front end's filter is flat up to here; its transition ends at about 11.2 kHz
BANDS_IN_PASSBAND = 93  # mel bands that end below it; the last three reach from 9.2 to 10.5 kHz
FADE_SECONDS = 0.5  # at both ends: a signal that starts abruptly has energy beyond any pass band

Resampler = Callable[[np.ndarray], np.ndarray]


def windowed_sinc(zero_crossings: int, rolloff: float, beta: float) -> Resampler:
    """Every second sample of the signal behind an ideal low-pass at rolloff · 11.025 kHz, cut off by a Kaiser window."""
    cutoff = rolloff * RATE_OUT / RATE_IN  # of the input's Nyquist frequency
    half = int(zero_crossings / cutoff)  # the sinc crosses zero every 1 / cutoff input samples
    n = np.arange(-half, half + 1)
    window = np.i0(beta * np.sqrt(1 - (n * cutoff / zero_crossings) ** 2)) / np.i0(beta)
    taps = cutoff * np.sinc(cutoff * n) * window

    def resample(signal: np.ndarray) -> np.ndarray:
        return upfirdn(taps, signal)[half : half + len(signal) : 2]

    return resample


def front_end(signal: np.ndarray) -> np.ndarray:
    """As `LogMel.prepare` does it, without the scaling."""
    return resample(signal, RATE_IN, RATE_OUT)


def signals() -> dict[str, np.ndarray]:
    """Peaks near 1, faded in and out."""
    seconds = np.arange(SECONDS * RATE_IN) / RATE_IN
    noise = np.random.default_rng(0).normal(scale=0.25, size=len(seconds))
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / RATE_IN) > PASSBAND_HZ] = 0
    tones = {f"tone {hz} Hz": np.sin(2 * np.pi * hz * seconds) for hz in (100, 1000, 5000, PASSBAND_HZ)}
    unfaded = {
        f"noise to {PASSBAND_HZ} Hz": np.fft.irfft(spectrum, len(noise)),
        **tones,
        f"chirp 50-{PASSBAND_HZ} Hz": chirp(seconds, 50, SECONDS, PASSBAND_HZ),
        "noise, full band": noise,
        "tone 10400 Hz": np.sin(2 * np.pi * 10400 * seconds),
    }
    fade = tukey(len(seconds), 2 * FADE_SECONDS / SECONDS)
    return {name: signal * fade for name, signal in unfaded.items()}


def decibels(error: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """RMS of the error over RMS of the reference, and largest error over largest value."""
    rms = np.sqrt(np.mean(error**2) / np.mean(reference**2))
    return 20 * np.log10(rms + 1e-30), 20 * np.log10(np.abs(error).max() / np.abs(reference).max() + 1e-30)


def log_mel_difference(actual: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`[frames, 96]`, log10 units; both signals are scaled as the front end scales a clip."""
    extract = LogMel.ssl()
    return (extract(actual, RATE_OUT) - extract(reference, RATE_OUT)).abs().numpy()


def main() -> None:
    references = {
        "own filter in float64": windowed_sinc(RESAMPLING["lowpass_filter_width"], RESAMPLING["rolloff"], RESAMPLING["beta"]),
        "sinc of 1024 zero crossings": windowed_sinc(1024, 1.0, RESAMPLING["beta"]),
    }
    resamplers: dict[str, Resampler] = {"front end": front_end, "resample_poly": lambda signal: resample_poly(signal, 1, 2)}
    if importlib.util.find_spec("soxr"):
        soxr = importlib.import_module("soxr")
        resamplers["soxr HQ"] = lambda signal: soxr.resample(signal, RATE_IN, RATE_OUT, quality="HQ")
    heading = f"{'signal':20}{'resampler':15}{'RMS dB':>8}{'max dB':>8}{'log-mel max':>13}{'mean':>10}{'max to 9.5 kHz':>16}"
    for title, reference in references.items():
        print(f"\nerror against the {title}\n{heading}")
        for name, signal in signals().items():
            expected = reference(signal)
            for resampler, resampled in resamplers.items():
                actual = resampled(signal)
                rms, largest = decibels(actual - expected, expected)
                mels = log_mel_difference(actual, expected)
                in_passband = mels[:, :BANDS_IN_PASSBAND].max()
                print(f"{name:20}{resampler:15}{rms:8.1f}{largest:8.1f}{mels.max():13.2e}{mels.mean():10.2e}{in_passband:16.2e}")


if __name__ == "__main__":
    main()
