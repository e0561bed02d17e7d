"""Names of evaluations and metrics, and of settings that say where a run computes: recorded in MLflow, read by `analysis`.

Everything that names or looks up a metric takes its name from here; `study.names` hands them on to those who read records. It
imports nothing, so that `analysis` can have it. All other settings have their names in `acl.config`.
"""

# Settings that say where a run computes, not what: whoever compares runs, or a run with the recipe, leaves them out.
PLACE_SETTINGS = ("data.root", "compute.device", "compute.threads")
# The section also has `compute.precision` and `compute.channels_last`, which change how numbers are rounded. A run may go on with
# other values of all of these, and no search is read as one over them. But where two runs are compared, these two are named.
COMPUTE_PREFIX = "compute."

# What predicts: the headline (supervised: the CNN; self-supervised: linear evaluation), and what else was evaluated
EVALUATION_CLASSIFIER = "classifier"
EVALUATION_KNN = "knn"
EVALUATION_FINETUNE_NOISY = "finetune_noisy"
EVALUATION_FINETUNE_CLEAN = "finetune_clean"

METRIC_PREFIXES = ("train.", "val.", "test.", "best_epoch")  # of everything that is a metric

# Metrics, each epoch
TRAIN_LOSS = "train.loss"
TRAIN_NT_XENT = "train.nt_xent"  # self-supervised
TRAIN_CROSS_ENTROPY = "train.cross_entropy"  # supervised
TRAIN_ANGULAR_MARGIN = "train.angular_margin"  # before alpha and angular_scale, rad²
LEARNING_RATE = "train.learning_rate"
CLIPS_PER_SECOND = "train.clips_per_second"
EPOCH_SECONDS = "train.epoch_seconds"
MEMORY_GB = "train.memory_gb"  # the process's own memory after the epoch, without the features, which processes share
GPU_MEMORY_GB = "train.gpu_memory_gb"  # most that it has taken from the GPU so far
VAL_LOSS = "val.loss"  # supervised
VAL_CROSS_ENTROPY = "val.cross_entropy"  # supervised
VAL_ANGULAR_MARGIN = "val.angular_margin"  # supervised
VAL_EPOCH_KNN_ACCURACY = "val.epoch_knn_accuracy"  # self-supervised, of the epoch's own weights
VAL_EPOCH_KNN_MACRO_ACCURACY = "val.epoch_knn_macro_accuracy"  # self-supervised, of the epoch's own weights

VAL_EPOCH_ACCURACY = "val.epoch_accuracy"  # supervised, of the epoch's own weights

# Metrics of the epoch that validation has selected so far, whose weights are tested in the end. The classifier's: supervised
# each epoch, self-supervised (linear probe) with the last epoch. kNN: self-supervised, each epoch.
VAL_KNN_ACCURACY = "val.knn_accuracy"
VAL_KNN_MACRO_ACCURACY = "val.knn_macro_accuracy"
VAL_ACCURACY = "val.accuracy"  # share of clips, 0..1
VAL_MACRO_ACCURACY = "val.macro_accuracy"  # mean of the class-wise accuracies
VAL_PATCH_WEIGHTED_ACCURACY = "val.patch_weighted_accuracy"

# With the last epoch only: of the validation clips' z, self-supervised
VAL_UNIFORMITY = "val.uniformity"  # smaller is more uniform
VAL_TOLERANCE = "val.tolerance"
VAL_ALIGNMENT = "val.alignment"  # smaller is more aligned

# Metrics with the last epoch only, of the checkpoint that validation selected. Besides these, every evaluation has its plain,
# macro, patch-weighted and class-wise accuracies on both splits:
#     {val,test}.[knn_|finetune_noisy_|finetune_clean_]{accuracy,macro_accuracy,patch_weighted_accuracy,class_accuracy.CLASS}
# kNN also {val,test}.knn_top3_accuracy. A classifier trained through the encoder ("linear", "finetune_noisy", "finetune_clean")
# reports each of its epochs: train.NAME_{loss,learning_rate,clips_per_second}, val.NAME_epoch_{accuracy,macro_accuracy}; and
# best_epoch.NAME. Final figures of pre-training come with its last epoch, and again with the run's.
BEST_EPOCH = "best_epoch"
TEST_ACCURACY = "test.accuracy"
TEST_MACRO_ACCURACY = "test.macro_accuracy"
TEST_PATCH_WEIGHTED_ACCURACY = "test.patch_weighted_accuracy"
TEST_KNN_ACCURACY = "test.knn_accuracy"  # self-supervised
TEST_UNIFORMITY = "test.uniformity"  # self-supervised, of z; the paper's tables print its negative
TEST_TOLERANCE = "test.tolerance"  # self-supervised, of z
TEST_ALIGNMENT = "test.alignment"  # self-supervised, of z

# Last parts of the names of an evaluation's figures
ACCURACY = "accuracy"
MACRO_ACCURACY = "macro_accuracy"
PATCH_WEIGHTED_ACCURACY = "patch_weighted_accuracy"
CLASS_ACCURACY = "class_accuracy"  # and "." and the class
TOP3_ACCURACY = "top3_accuracy"  # of kNN

# and of the figures of embeddings
UNIFORMITY = "uniformity"
TOLERANCE = "tolerance"
ALIGNMENT = "alignment"


def of_training(prefix: str, figure: str) -> str:
    """Name of a training figure.

    Args:
        prefix: empty for the first stage, else the stage and "_".
        figure: e.g. "loss".

    >>> of_training("", "loss") == TRAIN_LOSS, of_training("linear_", "loss")
    (True, 'train.linear_loss')
    """
    return f"train.{prefix}{figure}"


def of_split(split: str, evaluation: str, figure: str) -> str:
    """Name of a figure of one evaluation on one split; the headline classifier's have no prefix.

    >>> of_split("val", EVALUATION_CLASSIFIER, ACCURACY) == VAL_ACCURACY, of_split("test", EVALUATION_KNN, ACCURACY)
    (True, 'test.knn_accuracy')
    """
    prefix = "" if evaluation == EVALUATION_CLASSIFIER else f"{evaluation}_"
    return f"{split}.{prefix}{figure}"


def of_epoch(stage: str, figure: str) -> str:
    """Name of a validation figure of an epoch's own weights, in a stage that trains a classifier through the encoder.

    >>> of_epoch("finetune_noisy", ACCURACY)
    'val.finetune_noisy_epoch_accuracy'
    """
    return f"val.{stage}_epoch_{figure}"
