"""Statistical power of a study before it runs: which differences it could resolve, and what the best of many gains by luck."""

import math
from dataclasses import dataclass

from scipy.integrate import quad
from scipy.stats import norm

POWER = 0.8
LEVEL = 0.05  # two-sided
# Share of test clips on which exactly one of two models is right. Independent errors would give 2a(1 - a), 0.33 to 0.42 at
# accuracies of 0.70 to 0.79; models of one architecture trained on the same clips mostly fail on the same ones.
DISCORDANCE = (0.10, 0.25)
# Standard deviation of a test accuracy over seeds: LOG.md has 0.01 to 0.06 for 12 epochs of self-supervised training, 0.04 for
# supervised training on clean clips, 0.065 for null-alpha on noisy_small.
SEED_SD = (0.01, 0.04)


def smallest_difference(clips: int, discordance: float, seeds: int = 1, seed_sd: float = 0.0) -> float:
    """Difference of two accuracies on the same clips that a two-sided test at 5 % finds with a power of 80 %; shares, 0..1.

    The smallest δ with

        δ = z₀.₉₇₅ √(p/n + 2σ²/s) + z₀.₈ √((p − δ²)/n + 2σ²/s),

    for n clips, discordance p, and means over s seeds whose accuracies vary by σ. Without the seeds' part it is the sample size of
    McNemar's test, n = (z₀.₉₇₅ √p + z₀.₈ √(p − δ²))² / δ² (Connor, Biometrics 43 (1987) 207; Miettinen, Biometrics 24 (1968) 339).
    The clips' part does not shrink with the seeds: all are tested on the same clips.

    Args:
        clips: n.
        discordance: p, share of clips on which exactly one side is right.
        seeds: s, of each side.
        seed_sd: σ.

    Raises:
        ValueError: no clips or seeds, or a share outside 0..1.

    >>> round(smallest_difference(947, 0.15), 3)
    0.035
    """
    if clips < 1 or seeds < 1 or not 0 < discordance <= 1 or seed_sd < 0:
        raise ValueError(f"{clips} clips, {seeds} seeds, discordance {discordance}, seed SD {seed_sd}: nothing to compare")
    z_level, z_power = norm.ppf(1 - LEVEL / 2), norm.ppf(POWER)
    null_variance = discordance / clips + 2 * seed_sd**2 / seeds
    # The equation is (δ − a)² = b² (v − δ²/n) with a = z₀.₉₇₅ √v and b = z₀.₈, a quadratic in δ.
    shrink = 1 + z_power**2 / clips
    root = null_variance * shrink - z_level**2 * null_variance / clips
    difference = (z_level * math.sqrt(null_variance) + z_power * math.sqrt(max(0.0, root))) / shrink
    return float(difference)


def expected_maximum(count: int) -> float:
    """Expected largest of `count` independent standard normal numbers, E = ∫₀^∞ 1 − Φᵏ(x) dx − ∫₋∞⁰ Φᵏ(x) dx.

    >>> round(expected_maximum(2), 4), round(expected_maximum(10), 4)
    (0.5642, 1.5388)
    """
    above = quad(lambda x: 1 - norm.cdf(x) ** count, 0, math.inf)[0]
    below = quad(lambda x: norm.cdf(x) ** count, -math.inf, 0)[0]
    return float(above - below)


def luck_of_the_best(candidates: int, clips: int, discordance: float, seeds: int = 1, seed_sd: float = 0.0) -> float:
    """How far the best of equal candidates lies above their mean on the clips that picked it, by luck alone; a share.

    The noise of one candidate against the others is √(p/(2n) + σ²/s): two that are equal differ by a variance of p/n + 2σ²/s.
    """
    noise = math.sqrt(discordance / (2 * clips) + seed_sd**2 / seeds)
    return expected_maximum(candidates) * noise


@dataclass(frozen=True)
class Power:
    """What a sweep can find out.

    Attributes:
        test_clips: of the final figures.
        val_clips: that pick the winner.
        seeds: of each setting.
        candidates: settings of which the winner is picked.
        seed_sd: range of the standard deviation over seeds.
    """

    test_clips: int
    val_clips: int
    seeds: int
    candidates: int
    seed_sd: tuple[float, float] = SEED_SD

    @property
    def sentences(self) -> list[str]:
        """In plain words, under the stated assumptions."""
        clip_part = [smallest_difference(self.test_clips, share) for share in DISCORDANCE]
        whole = [
            smallest_difference(self.test_clips, share, self.seeds, sd) for share, sd in zip(DISCORDANCE, self.seed_sd, strict=True)
        ]
        seeds = "one seed" if self.seeds == 1 else f"{self.seeds} seeds"
        lines = [
            f"{self.test_clips} test clips, {seeds}: differences under {_points(clip_part)} points can't be resolved (80 % power) "
            f"by two models that differ on {_percent(DISCORDANCE)} % of the clips, and under {_points(whole)} points if seeds of "
            f"one setting scatter by {_percent(self.seed_sd)} points (SD).",
        ]
        if self.candidates > 1:
            luck = [
                luck_of_the_best(self.candidates, self.val_clips, share, self.seeds, sd)
                for share, sd in zip(DISCORDANCE, self.seed_sd, strict=True)
            ]
            lines.append(
                f"The best of {self.candidates} settings that do not differ lies {_points(luck)} points above their mean on the "
                f"{self.val_clips} validation clips, by luck alone."
            )
        return lines


def _points(ends: list[float]) -> str:
    low, high = (f"{100 * end:.1f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _percent(ends: tuple[float, float]) -> str:
    low, high = (f"{100 * end:g}" for end in ends)
    return low if low == high else f"{low} to {high}"
