"""Log-mels of both front ends against the published code, over lengths, parities, rates and signals.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/published_deviations.py

The published way is transcribed in tests/reference/published_front_end.py. Each line has the largest difference of log-mels (log10
units) over its clips: in the first and last 5 frames and between, in bands below the edge of the resampling filter and above it.
"""

from collections import defaultdict
from itertools import product

import numpy as np

from acl.features import LogMel
from reference.published_front_end import missing_samples, published_log_mel

SECONDS = [0.1, 0.15, 0.23, 0.31, 0.5, 0.7, 0.95, 1.0, 1.1, 1.35, 1.7, 1.99, 2.0, 2.2, 2.6, 3.0]
RATES = (44_100, 48_000, 22_050, 16_000, 11_025)
EDGE_FRAMES = 5


def signals(samples: int, rate: int, seed: int) -> dict[str, np.ndarray]:
    """16-bit sound: noise, noise that dies away, a tone in little noise, a quiet tone."""
    random = np.random.default_rng(seed)
    noise, seconds = random.normal(0, 0.2, samples), np.arange(samples) / rate
    waves = {
        "noise": noise,
        "decay": noise * np.exp(-4 * np.arange(samples) / samples),
        "tone": np.sin(2 * np.pi * 700 * seconds) / 2 + random.normal(0, 1e-3, samples),
        "quiet tone": np.sin(2 * np.pi * 440 * seconds) / 100,
    }
    return {name: np.round(wave.clip(-1, 1) * 32767) / 32768 for name, wave in waves.items()}


def differences(wave: np.ndarray, rate: int, extract: LogMel) -> list[float]:
    """Largest differences below and from band 90: in the first frames, between, and in the last ones."""
    ours, published = extract(wave.astype(np.float32), rate).numpy(), published_log_mel(wave, rate, extract.mode)
    if ours.shape != published.shape:
        raise ValueError(f"{len(wave)} samples at {rate} Hz: {len(ours)} frames here, published are {len(published)}")
    error = np.abs(ours - published)
    frames = (slice(0, EDGE_FRAMES), slice(EDGE_FRAMES, -EDGE_FRAMES), slice(-EDGE_FRAMES, None))
    return [float(error[rows, columns].max()) for columns in (slice(0, 90), slice(90, 96)) for rows in frames]


def main() -> None:
    print(
        "| front end | Hz | clip | ends in a zero | clips | first, band < 90 | middle | last | first, band ≥ 90 | middle | last |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for extract, rate in product((LogMel.ssl(), LogMel.supervised()), RATES):
        found: defaultdict[tuple[str, str], list[list[float]]] = defaultdict(list)
        for (seed, seconds), odd in product(enumerate(SECONDS), (0, 1)):
            samples = round(seconds * rate / 2) * 2 + odd
            is_short = samples * extract.sample_rate <= extract.min_samples * rate
            has_zero = bool(missing_samples(samples, rate, extract.sample_rate))
            for wave in signals(samples, rate, seed).values():
                kind = ("repeated" if is_short else "whole", "yes" if has_zero else "no")
                found[kind].append(differences(wave, rate, extract))
        for kind, rows in sorted(found.items()):
            largest = " | ".join(f"{value:.1e}" for value in np.max(rows, axis=0))
            print(f"| {extract.mode} | {rate} | {' | '.join(kind)} | {len(rows)} | {largest} |", flush=True)


if __name__ == "__main__":
    main()
