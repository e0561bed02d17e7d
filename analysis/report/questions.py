"""Questions of a page: which of its trials answer which question, and the settings that each one compares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.question import PAPER, Question, asks_the_paper, question_of
from analysis.records.runs import parameter_names
from analysis.section import Heading
from analysis.settings import PooledResults, comparable_settings, is_repeat

_MODES = (SUPERVISED, SELF_SUPERVISED)


@dataclass(frozen=True)
class Part:
    """The trials that answer one question.

    Attributes:
        question: what they are asked.
        places: studies and modes whose trials they are.
        trials: those of the page that belong here, also such as have not finished.
        settings: of `analysis.settings.comparable_settings`.
        notes: what was left out of them.
    """

    question: Question
    places: tuple[tuple[str, str], ...]
    trials: pd.DataFrame
    settings: pd.DataFrame
    notes: list[str]

    @property
    def studies(self) -> tuple[str, ...]:
        """Whose trials they are."""
        return tuple(dict.fromkeys(study for study, _ in self.places))

    def has(self, trials: pd.DataFrame) -> pd.Series:
        """Which of some trials belong here."""
        return _at(trials, self.places)

    @property
    def confirms(self) -> bool:
        """Whether they run winners of other studies again on fresh seeds."""
        return bool(self.trials["confirms"].ne("").all())

    @property
    def is_of_paper(self) -> bool:
        """Whether the paper asks it, so that the paper's tables and figures show it."""
        return self.question.is_of_paper


def parts_of(files: Mapping[str, Mapping[str, Any]], pooled: PooledResults) -> list[Part]:
    """The parts of a page, that of the paper first.

    Studies that vary only what the paper varies, and name no baseline, answer one question together. Every other study has its own
    for each mode. Trials that repeat winners of another study of the page belong to none: they have a section of their own.

    Args:
        files: content of each study's file as launched, by name; without `sweeps` where it is not known.
        pooled: trials and predictions of the page.
    """
    trials = pooled.trials[~is_repeat(pooled.trials)]
    whose = _questions(files, trials)
    parts = []
    for question, places in whose:
        mask = _at(trials, places)
        if not mask.any():
            continue
        own = trials[mask]
        settings, notes = comparable_settings(own, pooled.predictions, question)
        parts.append(Part(question, tuple(places), own, settings, notes))
    return parts


def _questions(files: Mapping[str, Mapping[str, Any]], trials: pd.DataFrame) -> list[tuple[Question, list[tuple[str, str]]]]:
    """Questions, each with the studies and modes that answer it; that of the paper first."""
    common = [study for study, content in files.items() if not content.get("sweeps") or asks_the_paper(content)]
    merged = {"sweeps": [sweep for study in common for sweep in files[study].get("sweeps", [])]}
    asked = [(question_of(merged, mode), [(study, mode) for study in common]) for mode in _MODES]
    for study, content in files.items():
        if study not in common:
            asked += [(question_of(content, mode, _settings(trials, study, mode)), [(study, mode)]) for mode in _MODES]
    of_paper = [(question, places) for question, places in asked if question.is_of_paper]
    present = {study for _, places in of_paper for study, mode in places if _at(trials, [(study, mode)]).any()}
    bounds = {files[study].get("equivalence") for study in present}
    equivalence = bounds.pop() if len(bounds) == 1 else None  # of several, none holds for all
    paper = Question(PAPER.baseline, PAPER.within, PAPER.dimensions, equivalence=equivalence)
    own = [(question, places) for question, places in asked if not question.is_of_paper]
    return [(paper, [place for _, places in of_paper for place in places]), *own]


def _at(trials: pd.DataFrame, places: Sequence[tuple[str, str]]) -> pd.Series:
    found = pd.Series(False, index=trials.index)
    for study, mode in places:
        found |= trials["study"].eq(study) & trials["mode"].eq(mode)
    return found


def _settings(trials: pd.DataFrame, study: str, mode: str) -> list[str]:
    """Settings that the study's runs of a mode have."""
    own = trials[trials["study"].eq(study) & trials["mode"].eq(mode)]
    return [name for name in parameter_names(own) if own[name].notna().any()]


def paper_part(parts: Sequence[Part]) -> Part | None:
    """The part that answers the paper's question; None where no study of the page asks it."""
    return next((part for part in parts if part.is_of_paper), None)


def heading_of(part: Part, place: int, parts: int) -> Heading:
    """What tells the sections of a part from those of the other parts of a page; nothing where it is the only one.

    Args:
        part: one that is not the paper's.
        place: among all parts of the page, from 0.
        parts: how many there are.
    """
    if parts == 1:
        return Heading()
    modes = ", ".join(part.trials["mode"].unique())
    return Heading(f"-{place + 1}" if place else "", f": {', '.join(part.studies)}, {modes}")
