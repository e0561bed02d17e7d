"""Names in the MLflow records: written by `study.tracking`, read by `analysis.records`. Metrics are named in `acl`.

A study is one run, above its trials (`mlflow.parentRunId`); where a sweep has several seeds, each of its settings is a run between
the two. A trial's parameters are the dotted setting names of `acl.config`, plus nothing else; its metrics are those of
`acl.training.EpochResult`, one step per epoch, some of them in a group (`recorded`). A setting's parameters are those of its trials
without the seed, its metrics the mean and the spread of theirs, one step per finished seed.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from acl.metric_names import (  # noqa: F401 (records have metrics under the names that training gives them)
    ACCURACY,
    BEST_EPOCH,
    CLASS_ACCURACY,
    CLIPS_PER_SECOND,
    COMPUTE_PREFIX,
    EPOCH_SECONDS,
    EVALUATION_CLASSIFIER,
    EVALUATION_FINETUNE_CLEAN,
    EVALUATION_FINETUNE_NOISY,
    EVALUATION_KNN,
    LEARNING_RATE,
    MEMORY_GB,
    METRIC_PREFIXES,
    PATCH_WEIGHTED_ACCURACY,
    PLACE_SETTINGS,
    TEST_ACCURACY,
    TEST_KNN_ACCURACY,
    TEST_MACRO_ACCURACY,
    TEST_PATCH_WEIGHTED_ACCURACY,
    TEST_TOLERANCE,
    TEST_UNIFORMITY,
    TRAIN_ANGULAR_MARGIN,
    TRAIN_CROSS_ENTROPY,
    TRAIN_LOSS,
    TRAIN_NT_XENT,
    VAL_ACCURACY,
    VAL_ALIGNMENT,
    VAL_ANGULAR_MARGIN,
    VAL_CROSS_ENTROPY,
    VAL_EPOCH_ACCURACY,
    VAL_EPOCH_KNN_ACCURACY,
    VAL_EPOCH_KNN_MACRO_ACCURACY,
    VAL_KNN_ACCURACY,
    VAL_KNN_MACRO_ACCURACY,
    VAL_LOSS,
    VAL_MACRO_ACCURACY,
    VAL_PATCH_WEIGHTED_ACCURACY,
    VAL_TOLERANCE,
    VAL_UNIFORMITY,
    of_split,
)

EXPERIMENT = "acl-study"

# Tags of every kind of run
KIND = "acl_study.kind"
KIND_STUDY = "study"
KIND_SETTING = "setting"
KIND_TRIAL = "trial"
STUDY = "acl_study.study"  # the name under which the study was launched

# Tags of study runs
RECORD = "acl_study.record"  # key of the study's record, by which every launch finds its run
QUESTION = "acl_study.question"
PAPER_FOUND = "acl_study.paper_found"
CORPUS = "acl_study.corpus"  # e.g. "FSDnoisy18k" or "synthetic corpus, small, seed 0"
CORPUS_IS_SYNTHETIC = "acl_study.corpus_is_synthetic"  # "true" or "false"
CORPUS_SUBSETS = "acl_study.corpus_subsets"  # of its training clips, e.g. "all, noisy, noisy_small, clean"
PROFILE = "acl_study.profile"  # "recipe" or "mini"
STUDY_DIGEST = "acl_study.study_sha256"  # of the resolved study, see study.state.study_folder
DEPARTURES = "acl_study.departures"  # settings that are not the published recipe's, e.g. "optim.epochs 12 (recipe: 500)"
CONFIRMS = "acl_study.confirms"  # name of the study whose winners this one runs again on fresh seeds; absent elsewhere
WINNERS = "acl_study.winners"  # ids of the models of its winners, separated by ", "

# Tags of setting and trial runs
STUDY_RUN = "acl_study.study_run"  # id of the study's run
SWEEP = "acl_study.sweep"  # which of the study's sweeps the trial belongs to
OBJECTIVE = "acl_study.objective"  # the validation metric that the sweep searches for; several are separated by ", "

# Tags of setting runs
SETTING = "acl_study.setting"  # values of what the sweep varies, JSON by dotted name

SWEEP_NAME = "sweep"  # of a study's only sweep, where its file names none

# Ends of the names of the sweeps of a study that confirms another: a winner and its baseline make a pair
WINNER_SWEEP, BASELINE_SWEEP = "-winner", "-baseline"

# Tags of models, beside STUDY, SWEEP and TRIAL_ID
TRIAL_RUN = "acl_study.trial_run"  # id of the trial's run

# Tags of trial runs
TRIAL_ID = "acl_study.trial_id"
OUTCOME = "acl_study.outcome"  # finished, stopped (by the scheduler) or failed
REASON = "acl_study.reason"  # of a failure, one line
CHANGED_SETTINGS = "acl_study.changed_settings"  # of population-based training: what it has last changed, JSON by dotted name
# What trained it; where launches of a trial differ, all values, separated by "; "
GIT_COMMIT = "acl_study.git_commit"  # or "none (why)"
GIT_DIRTY = "acl_study.git_dirty"  # "true" if the sources differed from the commit, "false", or "unknown"
VERSIONS = "acl_study.versions"  # e.g. "python 3.11.2, torch 2.13.0"
HARDWARE = "acl_study.hardware"  # e.g. "Intel Xeon, 2 cores, 24 GiB, no GPU"
GPU_SHARE = "acl_study.gpu_share"  # of one GPU's memory that was the trial's, 0..1; 0 without GPU
CORPUS_SHA256 = "acl_study.corpus_sha256"  # over labels, flags and audio bytes of every clip
CLIPS_LEFT_OUT = "acl_study.clips_left_out"  # of the corpus, because their audio is unusable; "0" where all are there
FEATURES_SHA256 = "acl_study.features_sha256"  # over log-mels and clip table, as the feature store states it
MLFLOW_COMMIT = "mlflow.source.git.commit"  # MLflow's own page shows it

FINISHED = "finished"
STOPPED = "stopped"
FAILED = "failed"
OUTCOMES = (FINISHED, STOPPED, FAILED)  # of trials that have ended, in the order in which they are listed

# Artifacts
STUDY_FILE = "study.yaml"  # of a study run: the study as launched, all overrides applied
CONFIG_FILE = "config.json"  # of a trial run: dotted name -> value
PROVENANCE_FILE = "provenance.json"  # of a trial run: list of launches, each with code, versions, machine and digests
PREDICTIONS_FILE = "predictions.csv"  # of a trial run: columns below, one row per evaluation and validation or test clip

PREDICTION_EVALUATION = "evaluation"  # one of the EVALUATION_… below
PREDICTION_SPLIT = "split"  # "val" or "test"
PREDICTION_CLIP = "clip"
PREDICTION_LABEL = "label"
PREDICTION_PREDICTED = "predicted"
PREDICTION_PATCHES = "patches"  # patches that the clip has, the weight of the patch-weighted accuracy
PREDICTION_RECORDING = "recording"  # first clip of the recording that the clip was cut from, empty if its own; may be absent
PREDICTION_PROBABILITY_PREFIX = "p:"  # and the class: a column each, the share that the evaluation gives to the class

# Metrics of setting runs, over the seeds that have finished
SEEDS = "seeds.n"


def mean_of(metric: str) -> str:
    """Name of a metric's mean over seeds.

    >>> mean_of("val.accuracy")
    'val.accuracy.mean'
    """
    return f"{metric}.mean"


def spread_of(metric: str) -> str:
    """Name of a metric's sample standard deviation over seeds, which needs two of them."""
    return f"{metric}.sd"


# Metrics of study runs: of the winner of each choice, and how many trials are in which state
WINNER = "winner."  # and the metric, as in "winner.val.accuracy"
TRIALS = "trials."  # and the outcome, or `LEFT`
LEFT = "left"  # trials that are not over

# Groups of trial metrics. MLflow's page of a run shows groups in alphabetical order, then the metrics without one. Records of
# earlier versions have no groups; a trial that such a version began, and this one goes on with, has metrics under both names.
CURVE_GROUP = "by_epoch/"  # what each epoch's own weights give: losses, accuracies on validation clips
CLASS_GROUP = "class_accuracy/"

_CURVE = re.compile(r"(train|val)\.(\w+_)?(loss|nt_xent|cross_entropy|angular_margin)|val\.(\w+_)?epoch_\w+")
_OTHER_EVALUATIONS = (EVALUATION_KNN, EVALUATION_FINETUNE_NOISY, EVALUATION_FINETUNE_CLEAN)
_Value = TypeVar("_Value")


def recorded(metric: str) -> str:
    """Name under which MLflow has a trial's metric.

    >>> recorded("train.loss"), recorded("test.knn_class_accuracy.Rain"), recorded("val.accuracy")
    ('by_epoch/train.loss', 'class_accuracy/knn/test.Rain', 'val.accuracy')
    """
    before, is_class_wise, label = metric.partition(f"{CLASS_ACCURACY}.")
    if is_class_wise:
        split, _, evaluation = before.removesuffix("_").partition(".")
        return f"{CLASS_GROUP}{evaluation}{'/' * bool(evaluation)}{split}.{label}"
    return f"{CURVE_GROUP}{metric}" if _CURVE.fullmatch(metric) else metric


def metric_of(key: str) -> str:
    """The trial's metric that MLflow has under this name, with or without a group.

    >>> metric_of("by_epoch/train.loss"), metric_of("class_accuracy/knn/test.Rain"), metric_of("train.loss")
    ('train.loss', 'test.knn_class_accuracy.Rain', 'train.loss')
    >>> metric_of(recorded("test.class_accuracy.knn.Rain"))
    'test.class_accuracy.knn.Rain'
    """
    if not key.startswith(CLASS_GROUP):
        return key.removeprefix(CURVE_GROUP)
    name = key.removeprefix(CLASS_GROUP)
    evaluation = next((each for each in _OTHER_EVALUATIONS if name.startswith(f"{each}/")), "")
    split, _, label = name.removeprefix(f"{evaluation}/").partition(".")
    return f"{of_split(split, evaluation or EVALUATION_CLASSIFIER, CLASS_ACCURACY)}.{label}"


def by_metric(logged: Mapping[str, _Value]) -> dict[str, _Value]:
    """Values by metric from values by MLflow's names; where both names have one, the grouped one is the later.

    >>> by_metric({"by_epoch/train.loss": 1.0, "train.loss": 2.0, "val.accuracy": 0.5})
    {'val.accuracy': 0.5, 'train.loss': 1.0}
    """
    grouped = {key: value for key, value in logged.items() if metric_of(key) != key}
    plain = {key: value for key, value in logged.items() if key not in grouped and recorded(key) not in grouped}
    return {**plain, **{metric_of(key): value for key, value in grouped.items()}}


def trial_of(reference: str) -> str:
    """Id of the trial that a person means: the number alone stands for a trial of a study's only, unnamed sweep.

    >>> trial_of("0007"), trial_of("search-0007")
    ('sweep-0007', 'search-0007')
    """
    return f"{SWEEP_NAME}-{reference}" if reference.isdecimal() else reference
