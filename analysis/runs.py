"""Records as pandas frames: the functions that notebooks import, see docs/mlflow-with-pandas.md."""

from analysis.records.runs import find_trial, known_studies, load_history, load_predictions, load_studies, load_trials

__all__ = ["find_trial", "known_studies", "load_history", "load_predictions", "load_studies", "load_trials"]
