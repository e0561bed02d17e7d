"""Two kinds of claim about a setting and its baseline, which are never mixed.

*These trained models differ*: the test clips are a sample, the models are fixed. One seed is enough; `compare_paired` makes it.
*These settings differ*: runs of one setting differ among themselves as well, so it takes three seeds of each side.

A setting that validation has picked among several and that is tested once needs no correction for the first claim: its test clips
took no part. For the second it does. The luck of a setting's seeds raises its validation accuracy and its test accuracy alike, so
the best of many on validation is lucky on test too (LOG.md: without a correction such claims err in up to 13 % of studies). The
claims about settings here are corrected for the number of candidates as if they had been selected on test, which covers both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.formats import percent, plain
from analysis.stats.clusters import FOLD, Clusters, clusters_of
from analysis.stats.comparisons import SettingsComparison, compare_settings
from analysis.stats.intervals import NOT_DISTINGUISHABLE, PairedComparison, compare_paired, finding
from analysis.stats.power import DISCORDANCE, MIN_SEEDS, SEED_SD, assumed_design, detectable_difference, over_folds


class Look(NamedTuple):
    """When a study is looked at, and which p-value makes a claim about settings then.

    A study has one look at 5 %: the first at which it is complete. Whoever looks while it runs, or again after more seeds were
    added, has more than one chance: at 5 % each, up to 13 % of studies without any difference would show one. At any other look a
    claim takes p < 0.001 (Haybittle 1971, Peto et al. 1976), so that all looks together err in at most 5 % (LOG.md).

    Attributes:
        level: p-value below which a difference counts.
        words: what kind of look it is, where it is not the planned one.
    """

    level: float
    words: str = ""


PLANNED = Look(0.05)
INTERIM = Look(0.001, "the study is not complete, so a claim takes p < 0.001")
GROWN = Look(
    0.001, "seeds or settings were added after a first comparison, so a claim takes p < 0.001; `acl-study confirm` starts afresh"
)
PREFERS_BASELINE = "but validation would select the baseline"
MOST_SEEDS = 30  # that a report proposes
EQUIVALENT = "equivalent"


@dataclass(frozen=True)
class Claim:
    """What may be said about a setting that validation selected, and its baseline.

    Attributes:
        models: the trained models on the test clips.
        settings: the settings; None where the baseline or the selected setting has fewer than `MIN_SEEDS` seeds.
        candidates: settings among which validation selected this one.
        baselines: baselines among which it picked the one that this is compared with.
        equivalence: difference, share, below which settings count as equivalent; None: not asked.
        prefers_baseline: whether validation, asked for the best of all, selects the baseline.
        look: whether this is the study's one look at 5 %.
        sample: test clips, by fold where these are pooled, else by recording.
    """

    models: PairedComparison
    settings: SettingsComparison | None
    candidates: int
    baselines: int = 1
    equivalence: float | None = None
    prefers_baseline: bool = False
    look: Look = PLANNED
    sample: Clusters | None = None

    @property
    def finding(self) -> str:
        """About the settings, in a word or two; with few seeds nothing can be said about them."""
        found = self._found
        return EQUIVALENT if found == NOT_DISTINGUISHABLE and self.is_equivalent else found

    @property
    def _found(self) -> str:
        if self.settings is None:
            return NOT_DISTINGUISHABLE
        return finding(self.settings.difference, self.settings.p_value, self.look.level)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference: of the settings', and where nothing is known about them of the models'."""
        source = self.models if self.settings is None else self.settings
        return source.low, source.high

    @property
    def p_value(self) -> float:
        """Of the claim that can be made."""
        return self.models.p_value if self.settings is None else self.settings.p_value

    @property
    def resolvable(self) -> float:
        """True difference that the study finds with a power of 80 %: of settings, with few seeds of models.

        NaN at a look that is not the planned one.
        """
        if self.settings is not None and self.look != PLANNED:
            return math.nan
        return self.models.resolvable if self.settings is None else self.settings.resolvable

    @property
    def is_about_settings_as_planned(self) -> bool:
        """Whether enough seeds are there, and this is the one look at 5 %."""
        return self.settings is not None and self.look == PLANNED

    @property
    def is_equivalent(self) -> bool:
        """Whether the settings differ by less than `equivalence`; False with few seeds, and but for the planned look."""
        if self.settings is None or self.equivalence is None or self.look != PLANNED:
            return False
        return self.settings.is_equivalent(self.equivalence)

    @property
    def verdict(self) -> str:
        """One plain line: the finding, then what it rests on and how the setting was picked."""
        if self.baselines > 1:
            picked = f"selected among {self.baselines} baselines and {_settings(self.candidates)}"
        else:
            picked = "the only candidate" if self.candidates == 1 else f"best of {self.candidates} other settings on validation"
        but = f", {PREFERS_BASELINE}" if self.prefers_baseline else ""
        if self.settings is not None:
            corrected = "" if self.candidates == self.baselines == 1 else ", corrected for that"
            basis = f"{self.settings.seeds} seeds and {self.settings.clusters.words}"
            return f"{self._finding_about_settings} over {basis}; {picked}{corrected}{but}; {self._detects}"
        return f"{_of_models(self.models)} on {self.models.clusters.words}; {picked}{but}; {self._needs}"

    @property
    def difference(self) -> float:
        """Accuracy minus the baseline's, share."""
        return self.models.difference

    @property
    def _finding_about_settings(self) -> str:
        found = self._found
        if not self.is_equivalent or self.equivalence is None:
            return _words(found, self.difference)
        equivalent = f"equivalent to the baseline within ±{plain(self.equivalence * 100)} points"
        return equivalent if found == NOT_DISTINGUISHABLE else f"{_words(found, self.difference)}, and {equivalent},"

    @property
    def _detects(self) -> str:
        if self.look != PLANNED:
            return f"{self.look.words} (here p = {self.p_value:.2g})"
        if self.resolvable >= 1:
            what = "folds" if self.settings is not None and self.settings.clusters.kind == FOLD else "clips"
            return f"with so few {what} it could not detect any difference"
        return f"it could detect {percent(self.resolvable)} points"

    @property
    def _needs(self) -> str:
        """What a claim about the settings would take."""
        seeds = "one seed" if self.models.seeds == 1 else f"{self.models.seeds} seeds"
        few = f"{seeds}, so nothing is known about the settings"
        pairs, clips = self.candidates * self.baselines, int(self.models.independent)
        low, high = seeds_needed(abs(self.difference), clips, self.models.discordance, pairs, self.sample)
        if low is None:
            return f"{few}: to detect such a difference (power 80 %) takes more than {MOST_SEEDS} seeds of each"
        number = f"{low}" if low == high else f"{low} to {high}" if high is not None else f"{low} or more"
        return f"{few}: to detect such a difference (power 80 %) takes about {number} seeds of each"


def claim(
    baseline: pd.DataFrame,
    candidates: Sequence[pd.DataFrame],
    picked: int,
    *,
    rivals: Sequence[pd.DataFrame] = (),
    equivalence: float | None = None,
    prefers_baseline: bool = False,
    look: Look = PLANNED,
) -> Claim:
    """What may be said about the candidate that validation selected.

    Args:
        baseline: correct (bool) by test clip (index) and run (columns).
        candidates: the same of all settings among which validation selected.
        picked: place of the one that it picked.
        rivals: the same of each other baseline among which validation selected this one.
        equivalence: difference, share, below which settings count as equivalent; None: not asked.
        prefers_baseline: whether validation, asked for the best of all, selects the baseline.
        look: whether this is the study's one look at 5 %.

    Raises:
        ValueError: the picked one and the baseline were tested on different clips.
    """
    winner = candidates[picked]
    settings = None
    if min(baseline.shape[1], winner.shape[1]) >= MIN_SEEDS:
        settings = compare_settings(baseline, candidates, rivals)[picked]
    models = compare_paired(baseline, winner)
    sample = clusters_of(baseline.index, by_fold=True)
    return Claim(models, settings, len(candidates), 1 + len(rivals), equivalence, prefers_baseline, look, sample)


def seeds_needed(
    difference: float, clips: int, discordance: float, candidates: int, sample: Clusters | None = None
) -> tuple[int | None, int | None]:
    """Seeds of each side with which a difference is found with a power of 80 %, for the spreads over seeds of `SEED_SD`.

    None stands for more than `MOST_SEEDS`. What is not known of the design is assumed, see `analysis.stats.power.assumed_design`.

    Args:
        difference: share.
        clips: independent ones.
        discordance: share of clips on which exactly one of two models is right.
        candidates: pairs of a setting and a baseline.
        sample: clips by fold or recording, which limit what seeds can tell.
    """
    share = float(np.clip(discordance, DISCORDANCE[0], 1.0))
    found: list[int | None] = []
    for seed_sd in SEED_SD:
        few, many = MIN_SEEDS - 1, MOST_SEEDS + 1  # too few, and enough
        while many - few > 1:
            middle = (few + many) // 2
            design = assumed_design(clips, middle, candidates, seed_sd, share)
            if sample is not None and sample.kind == FOLD:
                design = over_folds(design, len(sample.sizes))
            elif sample is not None:
                design = replace(design, clip_freedom=sample.freedom)
            enough = detectable_difference(design) <= difference
            few, many = (few, middle) if enough else (middle, many)
        found.append(many if many <= MOST_SEEDS else None)
    return found[0], found[1]


def _settings(number: int) -> str:
    return "1 setting" if number == 1 else f"{number} settings"


def _words(finding: str, difference: float) -> str:
    if finding == NOT_DISTINGUISHABLE:
        return f"{finding} from the baseline"
    return f"{finding} than the baseline by {percent(abs(difference))} points"


def _of_models(models: PairedComparison) -> str:
    if models.finding == NOT_DISTINGUISHABLE:
        return f"trained model {models.finding} from the baseline's"
    return f"trained model {models.finding} than the baseline's by {percent(abs(models.difference))} points"
