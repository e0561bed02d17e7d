"""Logs the winners of a study that has ended to MLflow as models."""

import tempfile
from pathlib import Path

from acl.store import StoreError
from acl.training.checkpoint import CheckpointError
from analysis.runs import AnalysisError, load_studies
from study.export import export_trial
from study.home import Home
from study.model_records import log_winner
from study.results import StudyResults
from study.spec import Study, StudyError


def log_winners(study: Study, home: Home, store_uri: str) -> list[str]:
    """Log the winner of each choice of the study, of several seeds the one that validation likes best; what is there stays.

    Returns:
        A line for each winner that could not be logged: its weights or its corpus are gone.

    Raises:
        AnalysisError: the study has no trials.
    """
    results = StudyResults(study, store_uri)
    study_run = str(load_studies(store_uri, [study.name])["run_id"].iloc[-1])
    refused = []
    for sweep in study.sweeps:
        for choice in results.choices[sweep.name]:
            for winner in choice.winners:
                sign = 1 if sweep.directions[0] == "max" else -1
                best = max(winner.rows, key=lambda row: sign * row[sweep.objectives[0]])
                try:
                    _log(best["run_id"], study_run, home, store_uri)
                except (AnalysisError, CheckpointError, StoreError, StudyError, OSError) as error:
                    refused.append(f"the winner {best['trial_id']} is not logged as a model: {error}")
    return refused


def _log(run_id: str, study_run_id: str, home: Home, store_uri: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        export_trial(run_id, Path(folder, "model"), home, store_uri)
        log_winner(store_uri, study_run_id, run_id, Path(folder, "model"))
