"""From the records of studies to the sections of their report."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from analysis import (
    beyond_sections,
    detail_sections,
    evaluation_sections,
    page_tables,
    published,
    search_sections,
    training_sections,
)
from analysis.answer import answer
from analysis.by_design import never_filled
from analysis.checklist import checklist
from analysis.claim_sections import claim_sections
from analysis.evaluation_tables import FINE_TUNINGS, fine_tuned_trials
from analysis.folds import pooled_folds
from analysis.noise_sections import noise_sections
from analysis.provenance import load_launched, load_provenance
from analysis.record_sections import record_sections
from analysis.runs import SUBSETS, load_history, load_predictions, load_studies, load_trials
from analysis.sections import Section, paper_sections, trial_sections
from analysis.settings import comparable_settings
from analysis.training_tables import metrics_by_epoch
from analysis.trial_tables import CURVE_METRICS
from study import record_names as names


@dataclass(frozen=True)
class Reading:
    """What the records of some studies hold.

    Attributes:
        launches: of `analysis.runs.load_studies`.
        launched: of `analysis.provenance.load_launched`.
        trials: of `analysis.runs.load_trials`.
        answer: to the question, in at most three sentences.
        sections: of the report, in its order.
        notes: one on each group of trials that was left out of comparisons.
    """

    launches: pd.DataFrame
    launched: pd.DataFrame
    trials: pd.DataFrame
    answer: str
    sections: list[Section]
    notes: list[str]


def read_sections(store_uri: str, studies: Sequence[str]) -> Reading:
    """Read the records of the studies and make the sections of their report.

    Args:
        store_uri: MLflow tracking store, e.g. `sqlite:////home/me/acl/mlflow.db`.
        studies: names under which the studies were launched.

    Raises:
        AnalysisError: there is no store, no study of that name, or it has no trials.
    """
    launches = load_studies(store_uri, studies)
    launched = load_launched(store_uri, launches["run_id"])
    trials = load_trials(store_uri, studies)
    provenance = load_provenance(store_uri, launches["run_id"])
    finished = trials.loc[trials["outcome"] == names.FINISHED, "run_id"]
    predictions = load_predictions(store_uri, finished, may_lack=True)
    lost = trials["run_id"].isin(set(finished) - set(predictions["run_id"]))
    shown = {metric for metrics in CURVE_METRICS.values() for metric in metrics}
    history = load_history(store_uri, trials["run_id"], sorted({*shown, *metrics_by_epoch(trials), names.EPOCH_SECONDS}))
    results, tested, notes = pooled_folds(trials[~lost], predictions)
    settings, more = comparable_settings(results, tested)
    notes += more
    with_lost, _ = comparable_settings(*pooled_folds(trials, predictions)[:2]) if lost.any() else (settings, notes)
    if lost.any():
        where = ", ".join(sorted(trials.loc[lost, "study"].unique()))
        notes.append(
            f"{lost.sum()} finished trials ({where}) have lost {names.PREDICTIONS_FILE}: they are left out of comparisons "
            "over clips, and only “Any setting against the baseline” has them, by their accuracies."
        )
    fine_tuned = fine_tuned_trials(trials[~lost])["run_id"]
    of_fine_tuning = {
        evaluation: pooled_folds(trials[~lost], load_predictions(store_uri, fine_tuned, evaluation))[1]
        for evaluation in FINE_TUNINGS
    }
    seconds = history.loc[history["metric"] == names.EPOCH_SECONDS, "value"]
    accuracies = trials.set_index("run_id").reindex(columns=[names.TEST_ACCURACY])[names.TEST_ACCURACY]
    facts = checklist(launches, launched, trials, provenance, predictions, seconds)
    sections = [
        *paper_sections(settings, tested),
        *detail_sections.detail_sections(settings, trials, history, tested),
        *evaluation_sections.evaluation_sections(settings, results, tested, of_fine_tuning),
        *claim_sections(with_lost, tested, accuracies),
        *beyond_sections.beyond_sections(settings, results, tested),
        *noise_sections(results, tested),
        *search_sections.search_sections(settings, trials),
        *trial_sections(trials, history, predictions),
        *training_sections.training_sections(history, trials),
        *record_sections(store_uri, launched, trials, provenance, facts),
    ]
    sections = _shown(sections, launches, never_filled(launched, trials))
    tables = tables_of(sections)
    short = answer(tables["table1"], tables["table2"], tables["margin"], trials, list(launched["status"]))
    return Reading(launches, launched, trials, short, sections, notes)


def tables_of(sections: Iterable[Section]) -> Mapping[str, pd.DataFrame]:
    """The sections' tables by their anchors; a section that is not there has an empty one."""
    return defaultdict(pd.DataFrame, {section.anchor: section.frame for section in sections})


def is_of_paper(launches: pd.DataFrame) -> bool:
    """Whether all launches were on the paper's corpus, so that its numbers are those to compare with."""
    return bool(launches["corpus"].eq(published.CORPUS).all() and not launches["corpus_is_synthetic"].any())


def _shown(sections: list[Section], launches: pd.DataFrame, never: Collection[str]) -> list[Section]:
    """The sections that are on the page, as the corpora of the launches let them be; empty ones that `never` fill are not."""
    shown = [section for section in sections if not (section.frame.empty and section.anchor in never)]
    subsets = {subset for listed in launches["corpus_subsets"] for subset in listed.split(", ")}
    shown = [_of_subsets(section, subsets) if section.anchor == "table1" else section for section in shown]
    return shown if is_of_paper(launches) else [_without_comparison(section) for section in shown]


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
    compared = page_tables.DIFFERENCES_TO_PUBLISHED
    return replace(section, columns=[column for column in section.columns if column not in compared])
