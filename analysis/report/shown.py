"""What of its sections a page shows: nothing that no trial can fill, and the paper's results only where they belong."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import pandas as pd

from analysis import published
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.records.runs import SUBSETS
from analysis.section import DIFFERENCES_TO_PUBLISHED, Chapter, Section
from analysis.sections.winner_details import PUBLISHED


def is_of_paper(launches: pd.DataFrame) -> bool:
    """Whether all launches were on the paper's corpus, so that its numbers are those to compare with."""
    return bool(launches["corpus"].eq(published.CORPUS).all() and not launches["corpus_is_synthetic"].any())


def shows_published(launches: pd.DataFrame) -> bool:
    """Whether the page shows the paper's results: on its corpus, and where a study file says what the paper found."""
    return is_of_paper(launches) or bool(launches["paper_found"].ne("").any())


def shown_chapters(chapters: Iterable[Chapter], launches: pd.DataFrame, never: Collection[str]) -> list[Chapter]:
    """The chapters with the sections that are on the page.

    Details that are empty are left out, and so are empty sections that no trial to come can fill.

    Args:
        chapters: all of them.
        launches: of `analysis.records.runs.load_studies`; their corpora say whether the paper's numbers belong here.
        never: anchors that stay empty, of `unfillable_sections`.
    """
    return [
        replace(
            chapter,
            shown=tuple(
                _as_shown(each, launches)
                for each in chapter.shown
                if not (each.frame.empty and (each.anchor in never or not each.missing))
            ),
            details=tuple(_as_shown(each, launches) for each in chapter.details if _is_filled(each, launches)),
        )
        for chapter in chapters
    ]


def _is_filled(section: Section, launches: pd.DataFrame) -> bool:
    return not section.frame.empty and (section.anchor not in ("published", "assumed") or shows_published(launches))


def _as_shown(section: Section, launches: pd.DataFrame) -> Section:
    """The section as the corpora of the launches let it be."""
    if section.anchor == "table1":
        section = _of_subsets(section, {subset for listed in launches["corpus_subsets"] for subset in listed.split(", ")})
    if not shows_published(launches):
        return _without_published(section)
    section = section.with_paper()
    return section if is_of_paper(launches) else _without_comparison(section)


def _of_subsets(table1: Section, subsets: Collection[str]) -> Section:
    """Table 1 with rows for the training subsets that the corpus has, which its text names where some are missing."""
    missing = [subset for subset in SUBSETS if subset not in subsets]
    if not missing:
        return table1
    text = (
        "This corpus has no clean and noisy parts, so there is one row, of all training clips."
        if len(missing) == len(SUBSETS) - 1
        else f"This corpus has no {' and '.join(missing)} clips, so there are no such rows."
    )
    frame = table1.frame if table1.frame.empty else table1.frame[~table1.frame["subset"].isin(missing)]
    return replace(table1, frame=frame, text=f"{text} {table1.text}")


def _without_comparison(section: Section) -> Section:
    """The section without columns that compare with published numbers, which mean nothing on another corpus."""
    compared = DIFFERENCES_TO_PUBLISHED
    return replace(section, columns=[column for column in section.columns if column not in compared])


def _without_published(section: Section) -> Section:
    """The section without anything of the paper's results, which the study does not ask about."""
    frame = section.frame
    blank = [name for name in frame.columns if "published" in str(name)] if len(frame) else []
    frame = frame.assign(**dict.fromkeys(blank, float("nan"))) if blank else frame
    if section.anchor == "plane":
        frame = frame[frame["source"] != PUBLISHED]
    if section.anchor == "fig3" and len(frame):
        frame = frame[frame["baseline_accuracy"].notna()]
    if section.anchor == "margin":
        frame = frame.assign(papers=False)
    columns = [column for column in section.columns if column.kind != "published"]
    return replace(section, frame=frame, columns=columns, about_paper="")


class _Kind(NamedTuple):
    """What a trial is, as far as tables ask."""

    mode: str
    subset: str
    is_baseline: bool  # α = 1


def _has(kinds: Iterable[_Kind], mode: str) -> bool:
    return any(kind.mode == mode for kind in kinds)


def _compares(kinds: Iterable[_Kind], *modes: str) -> bool:
    """Whether a baseline and a setting with margin of one of the modes can be compared."""
    return any(kind.mode in modes and kind._replace(is_baseline=not kind.is_baseline) in kinds for kind in kinds)


_FILLED_BY: Mapping[str, Callable[[set[_Kind]], bool]] = {
    "table1": lambda kinds: _has(kinds, SUPERVISED),
    "table2": lambda kinds: _has(kinds, SELF_SUPERVISED) or any(kind.subset == "all" for kind in kinds),
    "fig2": lambda kinds: _compares(kinds, SUPERVISED, SELF_SUPERVISED),
    "fig3": lambda kinds: _compares(kinds, SELF_SUPERVISED),
    "on-test": lambda kinds: _compares(kinds, SUPERVISED, SELF_SUPERVISED),
}


def unfillable_sections(launched: pd.DataFrame, trials: pd.DataFrame) -> set[str]:
    """Anchors of the sections that stay empty however the trials end, since the studies have none of the kind that they show.

    Args:
        launched: of `analysis.records.provenance.load_launched`; says which trials are to come.
        trials: of `analysis.records.runs.load_trials`; say what has begun, also where a study's file is gone.
    """
    begun = trials.reindex(columns=["mode", "data.subset", "loss.alpha"]).itertuples(index=False)
    kinds = {_Kind(str(mode), str(subset), alpha == 1) for mode, subset, alpha in begun}
    kinds |= {kind for sweeps in launched["sweeps"] for sweep in sweeps for kind in _kinds(sweep)}
    return {anchor for anchor, is_filled_by in _FILLED_BY.items() if not is_filled_by(kinds)}


def _kinds(sweep: Mapping[str, Any]) -> Iterator[_Kind]:
    """The trials that a sweep, as its file holds it, can have. What it leaves to the recipe can be any."""
    mode = str(sweep.get("base", {}).get("mode"))
    subsets = _values(sweep, "data.subset") or ["all"]
    alphas = _values(sweep, "loss.alpha") or [1, None]
    return (_Kind(mode, str(subset), alpha == 1) for subset, alpha in product(subsets, alphas))


def _values(sweep: Mapping[str, Any], name: str) -> list[Any]:
    """Values that a setting can have in a sweep, None for those drawn from a range; empty where the sweep does not name it."""
    base, dimension = sweep.get("base", {}), sweep.get("space", {}).get(name, {})
    known = [point[name] for point in sweep.get("enqueue", []) if name in point]
    for kind, given in dimension.items():
        if kind != "when":
            known += [None] if "uniform" in str(kind) else given
    return known if dimension or name not in base else [*known, base[name]]
