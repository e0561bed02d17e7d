"""Models of winners: the selected setting of each sweep of a study that has ended, logged in MLflow."""

import tempfile
from pathlib import Path

from acl.system.errors import CheckpointError, StoreError
from analysis.errors import AnalysisError
from analysis.records.runs import load_studies
from study.errors import RecordError, StoreUnavailableError, StudyError
from study.models.export import export_trial
from study.results.study_results import StudyResults
from study.spec.study import Study
from study.state.home import Home
from study.tracking.models import log_winner, name_winners
from study.tracking.store import translate_mlflow_errors

_REFUSALS = (AnalysisError, CheckpointError, StoreError, StudyError, RecordError, StoreUnavailableError)


def log_winners(study: Study, home: Home, store_uri: str) -> list[str]:
    """Log the winner of each choice of the study, of several seeds the one that validation likes best; what is there stays.

    Returns:
        A line for each winner that could not be logged: its weights or its corpus are gone, or the store does not answer.
    """
    try:
        study_run, results = translate_mlflow_errors(_read)(study, store_uri)
    except (AnalysisError, RecordError, StoreUnavailableError) as error:
        return [f"the winners are not logged as models: {error}"]
    logged, refused = [], []
    for sweep in study.sweeps:
        for choice in results.choices[sweep.name]:
            for winner in choice.winners:
                sign = 1 if sweep.directions[0] == "max" else -1
                best = max(winner.rows, key=lambda row: sign * row[sweep.objectives[0]])
                try:
                    logged.append(translate_mlflow_errors(_log)(best["run_id"], home, store_uri))
                except _REFUSALS as error:
                    refused.append(f"the winner {best['trial_id']} is not logged as a model: {error}")
    try:
        name_winners(store_uri, study_run, logged)
    except (RecordError, StoreUnavailableError) as error:
        refused.append(f"the study's run does not name its winners: {error}")
    return refused


def _read(study: Study, store_uri: str) -> tuple[str, StudyResults]:
    """The run of the study's last launch under this name, and its results."""
    return str(load_studies(store_uri, [study.name])["run_id"].iloc[-1]), StudyResults(study, store_uri)


def _log(run_id: str, home: Home, store_uri: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        export_trial(run_id, Path(folder, "model"), home, store_uri)
        return log_winner(store_uri, run_id, Path(folder, "model"))
