"""What a study has found, in MLflow: figures of its run, and the models of its winners."""

import re
import tempfile
from pathlib import Path

from acl.system.errors import CheckpointError, StoreError
from analysis.errors import AnalysisError
from analysis.records.runs import load_studies
from study import names
from study.errors import RecordError, StoreUnavailableError, StudyError
from study.models.card import CARD_FILE
from study.models.export import export_trial
from study.results.selection import Choice
from study.results.study_results import StudyResults
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.completion import study_left
from study.state.home import Home
from study.tracking.models import log_winner, name_winners
from study.tracking.store import translate_mlflow_errors
from study.tracking.winners import Winner, log_study_figures, register_winners

_UNREADABLE = (AnalysisError, RecordError, StoreUnavailableError)
_REFUSALS = (AnalysisError, CheckpointError, StoreError, StudyError, RecordError, StoreUnavailableError)
_RESERVED = re.compile(r"v\d+|latest", re.IGNORECASE)  # by MLflow
_LONGEST_ALIAS = 200  # letters; MLflow keeps 255
_ONLY_ALIAS = "winner"  # of the winner of a study with one choice


def log_winners(study: Study, home: Home, store_uri: str) -> list[str]:
    """Log a complete study's figures, and the winner of each choice as a version of the study's registered model.

    Of several seeds, the model is the one that validation accuracy selects. What is there stays.

    Returns:
        A line for each thing that could not be logged: weights or corpus are gone, the store does not answer or has no registry.
    """
    try:
        study_run, results = translate_mlflow_errors(_read)(study, store_uri)
    except _UNREADABLE as error:
        return [f"the winners are not logged as models: {error}"]
    refused = _log_figures(results, home, store_uri, study_run)
    logged: list[Winner] = []
    aliases: set[str] = set()
    for sweep, choice, label in _labelled(results):
        for place, winner in enumerate(choice.winners):
            sign = 1 if sweep.directions[0] == "max" else -1
            best = max(winner.rows, key=lambda row: sign * row[sweep.objectives[0]])
            alias = _alias(label, aliases) if place == 0 else ""
            try:
                logged.append(translate_mlflow_errors(_log)(best["run_id"], home, store_uri, alias))
            except _REFUSALS as error:
                refused.append(f"the winner {best['trial_id']} is not logged as a model: {error}")
    try:
        name_winners(store_uri, study_run, [winner.model_id for winner in logged])
    except (RecordError, StoreUnavailableError) as error:
        return [*refused, f"the study's run does not name its winners: {error}"]
    try:
        if logged:
            register_winners(store_uri, study.name, study.question, logged)
    except (RecordError, StoreUnavailableError) as error:
        refused.append(f"the winners are not in the model registry: {error}")
    return refused


def _alias(label: str, taken: set[str]) -> str:
    """A name that MLflow takes for an alias, and no other choice of the study has.

    >>> taken = set()
    >>> _alias("", taken), _alias("a.b", taken), _alias("a-b", taken), _alias("v1", taken)
    ('winner', 'a-b', 'a-b-2', 'sweep-v1')
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", label)[:_LONGEST_ALIAS] or _ONLY_ALIAS
    plain = f"sweep-{plain}" if _RESERVED.fullmatch(plain) else plain
    alias, number = plain, 1
    while alias in taken:
        number += 1
        alias = f"{plain}-{number}"
    taken.add(alias)
    return alias


def log_figures(study: Study, home: Home, store_uri: str) -> list[str]:
    """Log what a study has found so far; returns a line if the store does not take it."""
    try:
        study_run, results = translate_mlflow_errors(_read)(study, store_uri)
    except AnalysisError:
        return []  # there is no trial yet
    except (RecordError, StoreUnavailableError) as error:
        return [f"the study's run does not get its figures: {error}"]
    return _log_figures(results, home, store_uri, study_run)


def study_figures(results: StudyResults, left: int) -> dict[str, float]:
    """Figures of a study: its trials by outcome, and of the winner of each choice the objectives and the accuracy on test clips."""
    outcomes = list(results.trials["outcome"])
    figures: dict[str, float] = {f"{names.TRIALS}{outcome}": outcomes.count(outcome) for outcome in names.OUTCOMES}
    figures[f"{names.TRIALS}{names.LEFT}"] = left
    for sweep, choice, label in _labelled(results):
        winner, group = choice.winners[0], f"{label}/" if label else ""
        for metric in dict.fromkeys([*sweep.objectives, names.TEST_ACCURACY]):
            if all(metric in row for row in winner.rows):
                figures[f"{group}{names.WINNER}{metric}"] = results.figure(winner, metric).value
    return figures


def _log_figures(results: StudyResults, home: Home, store_uri: str, study_run: str) -> list[str]:
    try:
        log_study_figures(store_uri, study_run, study_figures(results, sum(study_left(results.study, home).values())))
    except (RecordError, StoreUnavailableError) as error:
        return [f"the study's run does not get its figures: {error}"]
    return []


def _labelled(results: StudyResults) -> list[tuple[Sweep, Choice, str]]:
    """All choices of the study, each with a label that tells it from the others; empty for the only one."""
    found = [(sweep, choice) for sweep in results.study.sweeps for choice in results.choices[sweep.name]]
    if len(found) == 1:
        return [(*found[0], "")]
    return [(sweep, choice, "-".join(filter(None, (sweep.name, choice.subset)))) for sweep, choice in found]


def _read(study: Study, store_uri: str) -> tuple[str, StudyResults]:
    """The run of the study's last launch under this name, and its results."""
    return str(load_studies(store_uri, [study.name])["run_id"].iloc[-1]), StudyResults(study, store_uri)


def _log(run_id: str, home: Home, store_uri: str, alias: str) -> Winner:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        export_trial(run_id, path, home, store_uri)
        card = (path / CARD_FILE).read_text(encoding="utf-8")
        return Winner(log_winner(store_uri, run_id, path), run_id, alias, card)
