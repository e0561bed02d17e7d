"""Deviations from the published code, and their reasons."""

from typing import NamedTuple

from acl.config import Config, SelfSupervisedConfig


class Deviation(NamedTuple):
    """One difference: what the published code does, what happens here, and the reason."""

    topic: str
    published: str
    here: str
    why: str


_BOTH = (
    Deviation(
        "seeds",
        "one run a setting, seed {seed}",
        "seeds are a list in the study; verdicts say how many there were",
        "how far seeds lie apart is measured by the study null-alpha",
    ),
    Deviation(
        "random numbers",
        "global generators of Python, numpy and torch",
        "explicit torch generators, derived from seed, purpose and epoch",
        "runs can be resumed bit for bit; single draws differ, distributions do not",
    ),
)

_SUPERVISED = (
    Deviation(
        "margin loss",
        "sum over ordered pairs / 50",
        "mean over the N anchors × loss.angular_scale; 1.28 = 64 / 50 gives the published value at batches of 64 patches",
        "alpha keeps its meaning at every batch size",
    ),
    Deviation(
        "arccos at ±1",
        "cosines limited to ±(1 − 1e-7)",
        "limited to one machine epsilon inside ±1, zero gradient there",
        "finite in every precision; values agree to 1e-5 in float32",
    ),
    Deviation(
        "validation split",
        "15 % stratified by scikit-learn, random_state 42; of `all` in the order of the file system",
        "15 % stratified, rounded for each class, the same clips on every machine and for every seed",
        "that of `all` depends on a file system and cannot be had again; so in each subset other clips are held out than published",
    ),
    Deviation(
        "validation loss",
        "shuffled batches, the last incomplete one dropped: other patches each epoch",
        "every patch, in batches of one fixed shuffle",
        "the loss that selects the checkpoint and cuts the rate should not change by chance",
    ),
)

_SUPERVISED_RATE = Deviation(
    "clips of another rate than 44.1 kHz",
    "no resampling: FSDnoisy18k has no such clips",
    "resampled to 44.1 kHz",
    "other corpora; features of clips at 44.1 kHz agree to 1e-4, whatever their length",
)
_UNUSABLE = Deviation(
    "unusable audio files",
    "an empty file raises, an unreadable one fails later",
    "all are named before anything is trained; data prepare --skip-bad leaves them out",
    "a study should not end in the middle, nor silently lack clips",
)

_SELF_SUPERVISED = (
    Deviation(
        "margin loss",
        "sum over ordered pairs / 25, also of the smaller last batch",
        "mean over the 2N anchors × loss.angular_scale; 10.24 = 256 / 25 gives the published value at batches of 128 clips",
        "alpha keeps its meaning at every batch size",
    ),
    Deviation(
        "arccos at ±1",
        "limit of 1 − 1e-10, which is 1 in float32: NaN gradients where two views coincide",
        "limited to one machine epsilon inside ±1, zero gradient there",
        "a defect; 1 s clips give identical views before augmentation",
    ),
    Deviation(
        "NT-Xent",
        "exponentials as they are, 1e-10 added inside the logarithms",
        "log-sum-exp",
        "finite at small temperatures; values agree to 1e-5 at 0.2",
    ),
    Deviation(
        "kNN labels",
        "the query clip is taken out of the embeddings but not out of the labels: each neighbour behind it gets the label of "
        "another patch, some the query's own",
        "each neighbour's own label",
        "a defect, and it selects the checkpoint",
    ),
    Deviation(
        "test set during training",
        "kNN on the test clips after every epoch",
        "test clips are scored once, with the selected weights",
        "test results never choose",
    ),
    Deviation(
        "choice of alpha",
        "at temperature 0.2 the alpha reported is also the best on the test set",
        "on validation clips alone",
        "test results never choose",
    ),
    Deviation(
        "standard deviation of the features",
        "a standard deviation divided by the square root of the number of values, so that inputs are about 1e4",
        "the true one",
        "BatchNorm behind the first convolution divides by the size of what it gets, so the size of the input has no effect",
    ),
    Deviation(
        "start of a random patch",
        "the last possible start is never drawn",
        "uniform over all starts",
        "no reason to leave it out",
    ),
    Deviation(
        "class ids",
        "numbers sorted as text: 0, 1, 10, 11, …",
        "alphabetical order of the labels",
        "independent of which classes a split has; accuracies do not change",
    ),
    Deviation(
        "headline accuracy",
        "clips weighted by their number of patches, called micro",
        "plain share of clips; patch-weighted, macro and class-wise accuracies beside it",
        "long clips should not count more; comparisons with published numbers use the weighted one and say so",
    ),
    Deviation(
        "resampling to 22.05 kHz",
        "kaiser_best of resampy 0.2 (of resampy 0.4 it is a shorter filter, and log-mels differ by 0.01 on average)",
        "torchaudio's sinc with the same Kaiser window, which is 3.5 samples longer to each side",
        "one filter for all rates; from 44.1 kHz log-mels differ by 0.003 at most below band 90, and by 0.015 from there on, where "
        "the filter falls off (benchmarks/published_deviations.py)",
    ),
    Deviation(
        "resampling from other rates than 44.1 kHz",
        "resampy steps through its table of weights in whole entries, from 48 kHz 235 instead of 235.2",
        "each weight at its own time",
        "a defect; from 48 kHz log-mels differ by up to 0.03. From lower rates they differ by up to 0.25 around "
        "half the clip's own rate, where the filter falls off",
    ),
    Deviation(
        "last sample of clips whose length at 22.05 kHz is no whole number",
        "odd numbers of samples at 44.1 kHz, 319 of 320 numbers at 48 kHz: the length is rounded down, a zero is appended; clips "
        "under a second repeat that zero with every copy",
        "the length is rounded up, the last sample filtered like the others",
        "a defect; log-mels differ by up to 1 (from 16 kHz 2.1) in such clips under 1 s, by up to 3 in the last 5 frames of longer "
        "ones, and not at all in other frames and clips (benchmarks/published_deviations.py)",
    ),
)

_PRECISION = Deviation(
    "precision of the features",
    "features stored in float64 (self-supervised: STFT in complex64)",
    "waveforms in float64 (in float32 from usual rates other than 44.1 kHz), STFT and what follows in float32",
    "log-mels agree with the published code to 1e-4; in bands that are empty but for 16-bit noise, within 1e-3 of float64",
)
_SMALL_BATCH = Deviation(
    "a last batch of one clip",
    "trained on",
    "skipped",
    "one clip alone has no negatives",
)

_CACHED_PROBE = Deviation(
    "linear evaluation",
    "encoder in training mode while the probe trains: its BatchNorm statistics drift; any patch of a clip",
    "encoder in evaluation mode, embeddings of patches 50 frames apart computed once",
    "frozen should mean frozen; probe.protocol published does as the published code",
)
_CLEAN_SPLIT = Deviation(
    "fine-tuning on clean clips",
    "validated on all clean clips, training clips included",
    "15 % stratified, disjoint from the training clips",
    "a defect",
)
_CLEAN_NORMALISATION = Deviation(
    "features of fine-tuning on clean clips",
    "a standard deviation about two to five times larger than in pre-training",
    "mean and standard deviation of pre-training",
    "the running statistics of the encoder belong to the size of inputs that it learned from",
)
_PAPER_TEXT = Deviation(
    "augmentations",
    "crop, compander and noise",
    "crop, SpecAugment masks and blur (views.augmentations paper-text)",
    "asked for: what the paper's text names, without strengths; the masks' are those that the published settings switch off",
)
_NOISE = Deviation(
    "labels",
    "as the corpus has them",
    "injected label noise in a share noise.rate of the training and validation clips, never in test clips",
    "asked for: to see what noise of a known rate and kind does",
)
_ALL_CLIPS = Deviation(
    "clips of pre-training",
    "the noisy part",
    "all training clips, validation clips included, without labels (data.pretraining all)",
    'asked for: the paper\'s text says "complete training set"',
)


def deviations(config: Config) -> list[Deviation]:
    """Every difference between a run of this configuration and the published code, settings that were changed not included."""
    seed = 271828 if isinstance(config, SelfSupervisedConfig) else 0
    both = [entry._replace(published=entry.published.format(seed=seed)) for entry in _BOTH]
    both += [_NOISE] if config.noise.rate else []
    if not isinstance(config, SelfSupervisedConfig):
        return [*_SUPERVISED, _SUPERVISED_RATE, _UNUSABLE, _PRECISION, *both]
    chosen = [
        (_CACHED_PROBE, config.probe.protocol == "cached"),
        (_CLEAN_SPLIT, "clean" in config.finetune.on),
        (_CLEAN_NORMALISATION, "clean" in config.finetune.on),
        (_PAPER_TEXT, config.views.augmentations == "paper-text"),
        (_ALL_CLIPS, config.data.pretraining == "all"),
    ]
    return [*_SELF_SUPERVISED, _UNUSABLE, _SMALL_BATCH, _PRECISION, *(entry for entry, applies in chosen if applies), *both]
