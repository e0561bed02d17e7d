"""From the records of studies to the sections of their report."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis import beyond_sections, detail_sections, evaluation_sections, search_sections, training_sections
from analysis.evaluation_tables import FINE_TUNINGS, fine_tuned_trials
from analysis.runs import load_history, load_predictions, load_studies, load_trials
from analysis.sections import Section, paper_sections, trial_sections
from analysis.settings import comparable_settings
from analysis.training_tables import metrics_by_epoch
from analysis.trial_tables import CURVE_METRICS
from study import record_names as names

# Sections that are there only where their data are.
OPTIONAL = (
    evaluation_sections.ANCHOR,
    *beyond_sections.ANCHORS,
    *search_sections.ANCHORS,
    *training_sections.ANCHORS,
    *detail_sections.ANCHORS,
)


@dataclass(frozen=True)
class Reading:
    """What the records of some studies hold.

    Attributes:
        launches: of `analysis.runs.load_studies`.
        trials: of `analysis.runs.load_trials`.
        sections: of the report, in its order.
        notes: one on each group of trials that was left out of comparisons.
    """

    launches: pd.DataFrame
    trials: pd.DataFrame
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
    trials = load_trials(store_uri, studies)
    finished = trials.loc[trials["outcome"] == names.FINISHED, "run_id"]
    predictions = load_predictions(store_uri, finished)
    shown = {metric for metrics in CURVE_METRICS.values() for metric in metrics}
    history = load_history(store_uri, trials["run_id"], sorted(shown | metrics_by_epoch(trials)))
    settings, notes = comparable_settings(trials, predictions)
    fine_tuned = fine_tuned_trials(trials)["run_id"]
    of_fine_tuning = {evaluation: load_predictions(store_uri, fine_tuned, evaluation) for evaluation in FINE_TUNINGS}
    sections = [
        *paper_sections(settings, predictions),
        *detail_sections.detail_sections(settings, trials, history, predictions),
        *evaluation_sections.evaluation_sections(settings, trials, predictions, of_fine_tuning),
        *beyond_sections.beyond_sections(settings, trials, predictions),
        *search_sections.search_sections(settings, trials),
        *trial_sections(trials, history, predictions),
        *training_sections.training_sections(history, trials),
    ]
    return Reading(launches, trials, sections, notes)
