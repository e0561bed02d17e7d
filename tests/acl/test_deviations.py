"""Deviations of the features from the published code: their sizes, and that they are listed."""

from typing import Any

import numpy as np
import pytest

from acl.config import SELF_SUPERVISED, SUPERVISED, Mode, build_config
from acl.deviations import deviations
from acl.store.pieces import log_mel
from reference.published_front_end import kaiser_best, missing_samples, published_log_mel

LAST_FRAMES = 5
ZERO = "last sample of clips whose length at 22.05 kHz is no whole number"

# Computed by resampy 0.2.2: of sin(n² / 300), n < 700, the first two and the last two samples, and how many there are.
RESAMPY = {
    (44100, 22050): (9.158e-09, 0.013187362177, -0.020998024376, -0.052461263867, 350),
    (48000, 22050): (-1.344866e-06, 0.015622428173, 0.098582888515, -0.142878074519, 321),
    (22050, 44100): (-1.2786e-08, 0.00094920589, 0.951390701473, 0.501775400568, 1400),
    (48000, 44100): (-7.33405e-07, 0.003931634526, -0.300151059338, 0.973838210351, 643),
}


@pytest.mark.parametrize(("rates", "expected"), RESAMPY.items())
def test_the_transcription_resamples_as_resampy(rates: tuple[int, int], expected: tuple[float, ...]) -> None:
    resampled = kaiser_best(np.sin(np.arange(700) ** 2 / 300), *rates)
    assert (*resampled[[0, 1, -2, -1]], len(resampled)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("mode", "key", "rate"),
    [(SELF_SUPERVISED, "ssl_22050/0.6s/logmel_reflect", 22050), (SUPERVISED, "sup_44100/0.6s/logmel_constant", 44100)],
)
def test_the_transcription_is_the_published_code(golden: dict[str, Any], mode: Mode, key: str, rate: int) -> None:
    wave = golden["arrays"][f"logmel/{key.rpartition('/')[0]}/wave"].astype(np.float64)
    np.testing.assert_allclose(published_log_mel(wave, rate, mode), golden["arrays"][f"logmel/{key}"], atol=3e-6)


def differences(samples: int, rate: int, mode: Mode) -> tuple[np.ndarray, bool]:
    """`[frames, 96]` of noise beside which a tone sounds, and whether the published clip ends in a zero."""
    noise = np.random.default_rng(samples).normal(0, 0.1, samples)
    wave = np.round((noise + np.sin(np.arange(samples) / 20) / 2).clip(-1, 1) * 32767) / 32768
    extract = log_mel(mode)
    difference = extract(wave.astype(np.float32), rate).numpy() - published_log_mel(wave, rate, mode)
    return np.abs(difference), missing_samples(samples, rate, extract.sample_rate) > 0


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("seconds", [0.1, 0.37, 0.999, 1.0, 1.6, 3.0])
@pytest.mark.parametrize("more", [0, 1])
def test_self_supervised_features_differ_as_listed(rate: int, seconds: float, more: int) -> None:
    samples = round(seconds * rate / 320) * 320 + more  # of which both rates make whole numbers, and then none
    difference, has_zero = differences(samples, rate, SELF_SUPERVISED)
    assert has_zero == bool(more)
    is_repeated = samples < rate
    untouched = difference[:0] if has_zero and is_repeated else difference[: len(difference) - LAST_FRAMES * has_zero]
    assert untouched[:, :90].max(initial=0) < (0.003 if rate == 44_100 else 0.03)
    assert untouched[:, 90:].max(initial=0) < (0.015 if rate == 44_100 else 0.03)
    if has_zero:
        assert 0.01 < difference.max() < (1 if is_repeated else 3)


@pytest.mark.parametrize("samples", [4_411, 44_100, 88_199, 88_200, 88_201, 132_301])
def test_supervised_features_are_the_published_ones_at_any_length(samples: int) -> None:
    difference, _ = differences(samples, 44_100, SUPERVISED)
    assert difference.max() < 1e-4


def test_what_was_found_is_listed() -> None:
    topics = {
        mode: {each.topic for each in deviations(build_config({"data.root": "x", "mode": mode}))}
        for mode in (SELF_SUPERVISED, SUPERVISED)
    }
    assert {ZERO, "resampling to 22.05 kHz", "resampling from other rates than 44.1 kHz"} <= topics[SELF_SUPERVISED]
    assert "clips of another rate than 44.1 kHz" in topics[SUPERVISED]
    assert "unusable audio files" in topics[SELF_SUPERVISED] & topics[SUPERVISED]
