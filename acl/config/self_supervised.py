"""Settings of self-supervised runs; defaults are the published recipe, with our linear evaluation."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from acl.config.sections import Alpha, ComputeConfig, Fraction, Margin, NoiseConfig, Section, Subset, TestFold

BLUR_SIGMA_MIN = 0.1  # pixels
# What the paper's text names, in place of compander and noise of the published code: SpecAugment and Gaussian blur.
_PAPER_TEXT = {"compander_min": 1.0, "noise_std_max": 0.0, "masks": 2, "blur_sigma_max": 2.0}


class SelfSupervisedData(Section):
    """Clips that a self-supervised run learns from and selects with."""

    root: str = Field(description="corpus folder, prepared with `acl-study data prepare`")
    test_fold: TestFold = 0
    subset: Subset = Field("noisy", description="labelled clips of the linear evaluation")
    pretraining: Literal["subset", "all"] = Field(
        "subset",
        description="clips of pre-training, without labels; all: every training clip, so that validation clips are heard too",
    )
    validation: Literal["clean", "holdout"] = Field(
        "clean", description="clean: the whole clean set, disjoint from `noisy`; holdout: a stratified share of the subset"
    )
    validation_fraction: float = Field(
        0.15, gt=0, lt=1, description="share held out where validation is holdout, and of fine-tuning on clean"
    )

    @model_validator(mode="after")
    def _validation_is_disjoint(self) -> "SelfSupervisedData":
        if self.validation == "clean" and self.subset in ("all", "clean"):
            raise ValueError(
                f"subset {self.subset!r} contains the clean validation clips; set data.validation to holdout, or data.subset to "
                "noisy (with data.pretraining all, pre-training hears the clean clips too)"
            )
        return self


class EncoderConfig(Section):
    """ResNet-18 encoder and projection head."""

    width: int = Field(64, ge=4, le=256, description="channels of the first stage; the embedding has 8 * width dimensions")


class AngularContrastiveConfig(Section):
    """alpha * NT-Xent(z) + (1 - alpha) * angular_scale * L_margin(h)."""

    alpha: Alpha = 0.3
    margin: Margin = 0.5
    temperature: float = Field(0.2, gt=0, le=10)
    angular_scale: float = Field(256 / 25, ge=0, description="256/25 equals the published sum over pairs / 25 at batch 128")


class ViewsConfig(Section):
    """How two views are made of a clip: mix-back, then each augmentation below in this order.

    `augmentations` names a set of strengths; those written beside it stand above the set's. The resolved configuration holds
    every strength, and what is off shows it: a gain from U(1, 1), noise of 0, no masks, a blur of 0.
    """

    augmentations: Literal["published-code", "paper-text"] = Field(
        "published-code", description="published-code: crop, compander, noise; paper-text: crop, SpecAugment masks, blur"
    )
    mix_back_max: Fraction = Field(0.05, description="mix-back weight is drawn from U(0, this)")
    crop_area_min: float = Field(0.8, gt=0, le=1, description="area of the random crop is drawn from U(this, 1)")
    compander_min: float = Field(0.75, gt=0, le=1, description="log-mel gain is drawn from U(this, 1); 1 is off")
    masks: int = Field(0, ge=0, description="SpecAugment masks per axis; 0 is off")
    mask_frames_max: int = Field(20, ge=0, le=100, description="widest SpecAugment time mask, frames")
    mask_bands_max: int = Field(20, ge=0, le=95, description="widest SpecAugment frequency mask, mel bands")
    noise_std_max: float = Field(
        0.01, ge=0, description="noise standard deviation is drawn from U(0, this), log-mel units; 0 is off"
    )
    blur_sigma_max: float = Field(0.0, ge=0, description="Gaussian blur sigma is drawn from U(0.1, this), pixels; 0 is off")

    @model_validator(mode="before")
    @classmethod
    def _strengths_of_the_set(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("augmentations") == "paper-text":
            return {**_PAPER_TEXT, **values}
        return values

    @model_validator(mode="after")
    def _blur_has_a_range(self) -> "ViewsConfig":
        if 0 < self.blur_sigma_max < BLUR_SIGMA_MIN:
            raise ValueError(f"blur_sigma_max is {self.blur_sigma_max}; it is 0 (no blur) or at least {BLUR_SIGMA_MIN} pixels")
        return self


class StepDecayConfig(Section):
    """SGD with step decay; at least one epoch runs at the full rate, however few there are."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(128, ge=2, description="clips per step")
    lr: float = Field(gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    milestones: tuple[Fraction, ...] = Field(description="shares of the epochs after which the rate is cut")
    decay: float = Field(0.1, gt=0, le=1)


class SelfSupervisedOptim(StepDecayConfig):
    """Pre-training; each clip of a batch gives two views."""

    epochs: int = Field(500, ge=1)
    lr: float = Field(0.03, gt=0)
    milestones: tuple[Fraction, ...] = Field((0.65, 0.85), description="shares of the epochs after which the rate is cut")


class ClassifierOptim(StepDecayConfig):
    """Training of a classifier on the encoder, on one random patch of each clip, selected by macro validation accuracy."""

    epochs: int = Field(200, ge=1)
    lr: float = Field(0.1, gt=0)
    milestones: tuple[Fraction, ...] = Field((0.4, 0.8), description="shares of the epochs after which the rate is cut")


class ProbeConfig(ClassifierOptim):
    """Linear evaluation."""

    protocol: Literal["cached", "published"] = Field(
        "cached",
        description="cached: encoder in evaluation mode, embeddings computed once; published: BatchNorm drifts meanwhile",
    )


class FineTuneConfig(ClassifierOptim):
    """Fine-tuning of all weights."""

    on: tuple[Literal["noisy", "clean"], ...] = Field(
        (), description="noisy: all noisy clips, validated on the clean ones; clean: 85 % of the clean clips, validated on the rest"
    )
    lr: float = Field(0.01, gt=0)

    @model_validator(mode="after")
    def _each_once(self) -> "FineTuneConfig":
        if len(set(self.on)) < len(self.on):
            raise ValueError(f"on is {list(self.on)}; list each part once")
        return self


class KnnConfig(Section):
    """k-nearest-neighbour evaluation that selects the checkpoint."""

    k: int = Field(200, ge=1, description="neighbouring patches that vote")


class SelfSupervisedConfig(Section):
    """A self-supervised run: ACL pre-training on 1 s patches, then linear evaluation and, where asked for, fine-tuning."""

    mode: Literal["self-supervised"] = "self-supervised"
    seed: int = Field(0, ge=0, lt=2**31)
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
