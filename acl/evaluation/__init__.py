"""Evaluation: from patches to clips by votes and pooled predictions, accuracies, and the linear probe.

Stages of training and exported models call it.
"""

from acl.evaluation.accuracy import (
    Accuracies,
    Pooling,
    accuracies,
    clip_predictions,
    clip_probabilities,
    knn_predict,
    knn_votes,
    top_accuracy,
)
from acl.evaluation.probe import probe_probabilities, train_linear_probe

__all__ = [
    "Accuracies",
    "Pooling",
    "accuracies",
    "clip_predictions",
    "clip_probabilities",
    "knn_predict",
    "knn_votes",
    "probe_probabilities",
    "top_accuracy",
    "train_linear_probe",
]
