"""Settings of self-supervised runs; defaults are the published recipe, with our linear evaluation."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from acl.config.describe import Unit, ZeroOrAtLeast
from acl.config.sections import (
    Alpha,
    ComputeConfig,
    Epochs,
    Fraction,
    LearningRate,
    Margin,
    NoiseConfig,
    Root,
    Section,
    Seed,
    Subset,
    TestFold,
    WeightDecay,
)

BLUR_SIGMA_MIN = 0.1  # pixels
Milestones = Annotated[tuple[Fraction, ...], Field(description="shares of the epochs after which the rate is cut")]
# What the paper's text names, in place of compander and noise of the published code: SpecAugment and Gaussian blur.
_PAPER_TEXT = {"compander_min": 1.0, "noise_std_max": 0.0, "masks": 2, "blur_sigma_max": 2.0}


class SelfSupervisedData(Section):
    """Clips that a self-supervised run learns from and selects with."""

    root: Root
    test_fold: TestFold = 0
    subset: Subset = Field(
        "noisy", description="labelled clips of the linear evaluation; all and clean need data.validation holdout"
    )
    pretraining: Literal["subset", "all"] = Field(
        "subset",
        description="clips of pre-training, without labels; all: every training clip, also those that validate",
    )
    validation: Literal["clean", "holdout"] = Field(
        "clean",
        description="clips that validate; clean: the whole clean set, disjoint from `noisy`; "
        "holdout: a stratified share of the subset",
    )
    validation_fraction: Annotated[float, Unit()] = Field(
        0.15, gt=0, lt=1, description="share held out where validation is holdout, and of fine-tuning on clean"
    )

    @model_validator(mode="after")
    def _validation_is_disjoint(self) -> "SelfSupervisedData":
        if self.validation == "clean" and self.subset in ("all", "clean"):
            raise ValueError(
                f"subset {self.subset!r} contains the clean validation clips; set data.validation to holdout, or data.subset to "
                "noisy (with data.pretraining all, pre-training uses the clean clips too)"
            )
        return self


class EncoderConfig(Section):
    """ResNet-18 encoder and projection head."""

    width: Annotated[int, Unit("channels")] = Field(
        64, ge=4, le=256, description="size of the first stage; the embedding has 8 * width dimensions"
    )


class AngularContrastiveConfig(Section):
    """alpha * NT-Xent(z) + (1 - alpha) * angular_scale * L_margin(h)."""

    alpha: Alpha = 0.3
    margin: Margin = 0.5
    temperature: Annotated[float, Unit()] = Field(
        0.2, gt=0, le=10, description="divisor of the cosine similarities of NT-Xent; a small one weighs hard negatives"
    )
    angular_scale: Annotated[float, Unit()] = Field(
        256 / 25, ge=0, description="factor of the margin part; 256/25 equals the published sum over pairs / 25 at batch 128"
    )


class ViewsConfig(Section):
    """How two views are made of a clip: mix-back, then each augmentation below in this order.

    `augmentations` names a set of strengths; those written beside it stand above the set's. The resolved configuration holds
    every strength, and what is off shows it: a gain from U(1, 1), noise of 0, no masks, a blur of 0.
    """

    augmentations: Literal["published-code", "paper-text"] = Field(
        "published-code",
        description="set of strengths; published-code: crop, compander, noise; paper-text: crop, SpecAugment masks, blur",
    )
    mix_back_max: Fraction = Field(0.05, description="mix-back weight is drawn from U(0, this)")
    crop_area_min: Annotated[float, Unit()] = Field(
        0.8, gt=0, le=1, description="share of the area that the random crop keeps is drawn from U(this, 1)"
    )
    compander_min: Annotated[float, Unit()] = Field(0.75, gt=0, le=1, description="log-mel gain is drawn from U(this, 1); 1 is off")
    masks: Annotated[int, Unit("masks")] = Field(0, ge=0, description="SpecAugment masks along each axis; 0 is off")
    mask_frames_max: Annotated[int, Unit("frames")] = Field(20, ge=0, le=100, description="widest SpecAugment time mask")
    mask_bands_max: Annotated[int, Unit("mel bands")] = Field(20, ge=0, le=95, description="widest SpecAugment frequency mask")
    noise_std_max: Annotated[float, Unit("log-mel units")] = Field(
        0.01, ge=0, description="noise standard deviation is drawn from U(0, this); 0 is off"
    )
    blur_sigma_max: Annotated[float, Unit("pixels"), ZeroOrAtLeast(BLUR_SIGMA_MIN)] = Field(
        0.0, ge=0, description=f"Gaussian blur sigma is drawn from U({BLUR_SIGMA_MIN}, this); 0 is off"
    )

    @model_validator(mode="before")
    @classmethod
    def _strengths_of_the_set(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("augmentations") == "paper-text":
            return {**_PAPER_TEXT, **values}
        return values


class StepDecayConfig(Section):
    """SGD with step decay; at least one epoch runs at the full rate, however few there are."""

    epochs: Epochs
    batch_size: Annotated[int, Unit("clips")] = Field(128, ge=2, description="batch size")
    lr: LearningRate
    momentum: Annotated[float, Unit()] = Field(0.9, ge=0, lt=1, description="momentum of SGD; 0 is off")
    weight_decay: WeightDecay = 1e-4
    milestones: Milestones
    decay: Annotated[float, Unit()] = Field(0.1, gt=0, le=1, description="factor by which the rate is cut at each milestone")


class SelfSupervisedOptim(StepDecayConfig):
    """Pre-training; each clip of a batch gives two views."""

    epochs: Epochs = 500
    lr: LearningRate = 0.03
    milestones: Milestones = (0.65, 0.85)


class ClassifierOptim(StepDecayConfig):
    """Training of a classifier on the encoder, on one random patch of each clip, selected by macro validation accuracy."""

    epochs: Epochs = 200
    lr: LearningRate = 0.1
    milestones: Milestones = (0.4, 0.8)


class ProbeConfig(ClassifierOptim):
    """Linear evaluation."""

    protocol: Literal["cached", "published"] = Field(
        "cached",
        description="mode of the encoder; cached: evaluation mode, embeddings computed once; published: training mode, in "
        "which its BatchNorm drifts",
    )


class FineTuneConfig(ClassifierOptim):
    """Fine-tuning of all weights."""

    on: tuple[Literal["noisy", "clean"], ...] = Field(
        (),
        description="parts to fine-tune on, each once; noisy: all noisy clips, validated on the clean ones; "
        "clean: 85 % of the clean clips, validated on the rest",
    )
    lr: LearningRate = 0.01

    @model_validator(mode="after")
    def _each_once(self) -> "FineTuneConfig":
        if len(set(self.on)) < len(self.on):
            raise ValueError(f"on is {list(self.on)}; list each part once")
        return self


class KnnConfig(Section):
    """k-nearest-neighbour evaluation that selects the checkpoint."""

    k: Annotated[int, Unit("patches")] = Field(200, ge=1, description="nearest neighbours that vote")


class SelfSupervisedConfig(Section):
    """A self-supervised run: ACL pre-training on 1 s patches, then linear evaluation and, where asked for, fine-tuning."""

    mode: Literal["self-supervised"] = Field("self-supervised", description="kind of training; each has its own settings")
    seed: Seed = 0
    data: SelfSupervisedData
    noise: NoiseConfig = NoiseConfig()
    model: EncoderConfig = EncoderConfig()
    loss: AngularContrastiveConfig = AngularContrastiveConfig()
    views: ViewsConfig = ViewsConfig()
    optim: SelfSupervisedOptim = SelfSupervisedOptim()
    probe: ProbeConfig = ProbeConfig()
    finetune: FineTuneConfig = FineTuneConfig()
    knn: KnnConfig = KnnConfig()
    compute: ComputeConfig = ComputeConfig()

    @property
    def total_epochs(self) -> int:
        """Epochs of the whole run: pre-training, and each classifier that is trained through the encoder."""
        probe = self.probe.epochs if self.probe.protocol == "published" else 0
        return self.optim.epochs + probe + len(self.finetune.on) * self.finetune.epochs
