"""Clips of a corpus, and the subsets of its training set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

CLASSES = (
    "Acoustic_guitar",
    "Bass_guitar",
    "Clapping",
    "Coin_(dropping)",
    "Crash_cymbal",
    "Dishes_and_pots_and_pans",
    "Engine",
    "Fart",
    "Fire",
    "Fireworks",
    "Glass",
    "Hi-hat",
    "Piano",
    "Rain",
    "Slam",
    "Squeak",
    "Tearing",
    "Walk_or_footsteps",
    "Wind",
    "Writing",
)
"""Class names of FSDnoisy18k; a class id is a position in this alphabetical order."""
Split = Literal["train", "test", "fold", "foreign"]


@dataclass(frozen=True)
class Clip:
    """One audio file and what the corpus says about it. Test clips are all manually verified.

    Attributes:
        name: of the clip, once in a corpus.
        split: train or test; fold where a run says which fold tests; foreign for a sound of no class, which serves to inject label
            noise and never trains or tests as itself.
        label: its class; of a foreign clip, what it is.
        path: of the audio file.
        manually_verified: whether the label is known to be right.
        noisy_small: whether it belongs to FSDnoisy18k's smaller noisy set.
        fold: number of its fold, from 1; 0 without folds.
        group: recording that it was cut from, empty where that is not known; clips of one are held out together.
    """

    name: str
    split: Split
    label: str
    path: Path
    manually_verified: bool
    noisy_small: bool
    fold: int = 0
    group: str = ""

    @property
    def grouping(self) -> list[int | str]:
        """Fold and group, and nothing of a clip that has neither: what corpora without them are known by stays as it was."""
        return [self.fold, self.group] if self.fold or self.group else []


@dataclass(frozen=True)
class Corpus:
    """All clips of a corpus.

    Attributes:
        root: its folder.
        description: its name.
        is_synthetic: whether its sounds are computed.
        clips: in the order of its tables.
        classes: labels of all but foreign clips, in alphabetical order; `classes.index(label)` is the class id.
        has_parts: whether its flags tell clean clips from noisy ones.
    """

    root: Path
    description: str
    is_synthetic: bool
    clips: tuple[Clip, ...]
    classes: tuple[str, ...]
    has_parts: bool = True


class SubsetFlags(Protocol):
    """What decides on the subset: of one clip, or of many as arrays `[clips]`."""

    @property
    def split(self) -> Any: ...

    @property
    def manually_verified(self) -> Any: ...

    @property
    def noisy_small(self) -> Any: ...


def in_subset(clip: SubsetFlags, subset: str) -> Any:
    """Whether a clip belongs to a subset of the training set; elementwise if the flags are arrays.

    all: every training clip; clean: the manually verified ones; noisy: the others; noisy_small: the part of noisy that is
    as long as clean (FSDnoisy18k's own choice). Test clips belong to none.

    >>> clip = Clip("1.wav", "train", "Rain", Path("1.wav"), manually_verified=False, noisy_small=True)
    >>> [subset for subset in ("all", "clean", "noisy", "noisy_small") if in_subset(clip, subset)]
    ['all', 'noisy', 'noisy_small']

    Raises:
        ValueError: `subset` is none of the four.
    """
    in_training_set = np.equal(clip.split, "train")
    noisy = in_training_set & np.logical_not(clip.manually_verified)
    if subset == "all":
        return in_training_set
    if subset == "clean":
        return in_training_set & np.asarray(clip.manually_verified)
    if subset == "noisy":
        return noisy
    if subset == "noisy_small":
        return noisy & np.asarray(clip.noisy_small)
    raise ValueError(f"subset must be all, clean, noisy or noisy_small, got {subset!r}")
