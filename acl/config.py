"""Every setting of a training run: name, type, unit, default and legal range, once.

A run is either supervised (CNN, cross-entropy + angular margin) or self-supervised (ResNet-18, ACL). Each mode has its own
configuration class, so a setting that a mode does not use does not exist there. Defaults are the published recipe.

The dotted name of a setting (`loss.alpha`) is its name everywhere: command line, search space, study file, MLflow parameter.
"""

import difflib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Mode = Literal["supervised", "self-supervised"]
Subset = Literal["all", "clean", "noisy", "noisy_small"]

SUPERVISED: Mode = "supervised"
SELF_SUPERVISED: Mode = "self-supervised"


class ConfigError(ValueError):
    """A setting is unknown, of the wrong type or out of its legal range; the message is one line with rule, value and remedy."""


class Section(BaseModel):
    """Base of all sections: immutable, no unknown names, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Alpha = Annotated[
    float, Field(ge=0, le=1, description="weight of the contrastive or cross-entropy part; 1 - alpha weighs the margin")
]
Margin = Annotated[float, Field(ge=0, le=math.pi, description="angular margin, rad")]
Fraction = Annotated[float, Field(ge=0, le=1)]


class ComputeConfig(Section):
    """Where and in which precision a run computes."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes the GPU if there is one")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16 is autocast; weights stay float32")
    channels_last: bool = Field(False, description="memory format of images and convolution weights")
    threads: int = Field(0, ge=0, description="CPU threads of torch; 0 leaves torch's own choice")


class SupervisedData(Section):
    """Clips that a supervised run trains on and selects with."""

    root: str = Field(description="corpus folder in FSDnoisy18k layout, prepared with `acl-study data prepare`")
    subset: Subset = Field("all", description="training clips")
    validation_fraction: float = Field(0.15, gt=0, lt=1, description="stratified share of the subset held out for validation")


class SupervisedModel(Section):
    """CNN baseline."""

    dropout: float = Field(0.5, ge=0, lt=1)


class MarginCrossEntropyConfig(Section):
    """alpha * CE + (1 - alpha) * angular_scale * L_margin."""

    alpha: Alpha = 1.0
    margin: Margin = 0.5
    angular_scale: float = Field(64 / 50, ge=0, description="64/50 equals the published sum over pairs / 50 at batch 64")


class SupervisedOptim(Section):
    """Adam with the learning rate halved on a plateau of the validation loss."""

    epochs: int = Field(99, ge=1)
    batch_size: int = Field(64, ge=2, description="patches per step")
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    plateau_patience: int = Field(5, ge=0, description="epochs without a better validation loss before the rate is cut")


class SelfSupervisedData(Section):
    """Clips that a self-supervised run learns from and selects with."""

    root: str = Field(description="corpus folder in FSDnoisy18k layout, prepared with `acl-study data prepare`")
    subset: Subset = Field("noisy", description="clips of pre-training and of the linear probe's training")
    validation: Literal["clean", "holdout"] = Field(
        "clean", description="clean: the whole clean set, disjoint from `noisy`; holdout: a stratified share of the subset"
    )
    validation_fraction: float = Field(0.15, gt=0, lt=1, description="share held out where validation is holdout")

    @model_validator(mode="after")
    def _validation_is_disjoint(self) -> "SelfSupervisedData":
        if self.validation == "clean" and self.subset in ("all", "clean"):
            raise ValueError(f"subset {self.subset!r} contains the clean validation clips; set data.validation to holdout")
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
    """How two views are made of a clip."""

    augmentations: Literal["published-code", "paper-text"] = Field(
        "published-code", description="published-code: crop, compander, noise; paper-text: crop, SpecAugment, blur"
    )
    mix_back_max: Fraction = Field(0.05, description="mix-back weight is drawn from U(0, this)")
    crop_area_min: float = Field(0.8, gt=0, le=1, description="area of the random crop is drawn from U(this, 1)")
    compander_min: float = Field(0.75, gt=0, le=1, description="log-mel gain is drawn from U(this, 1)")
    noise_std_max: float = Field(0.01, ge=0, description="noise standard deviation is drawn from U(0, this), log-mel units")
    mask_frames_max: int = Field(20, ge=0, le=100, description="widest SpecAugment time mask, frames")
    mask_bands_max: int = Field(20, ge=0, le=95, description="widest SpecAugment frequency mask, mel bands")
    masks: int = Field(2, ge=0, description="SpecAugment masks per axis")
    blur_sigma_max: float = Field(2.0, ge=0.1, description="Gaussian blur sigma is drawn from U(0.1, this), pixels")


class SelfSupervisedOptim(Section):
    """SGD with step decay."""

    epochs: int = Field(500, ge=1)
    batch_size: int = Field(128, ge=2, description="clips per step; each gives two views")
    lr: float = Field(0.03, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    milestones: tuple[Fraction, ...] = Field((0.65, 0.85), description="shares of the epochs after which the rate is cut")
    decay: float = Field(0.1, gt=0, le=1)


class ProbeConfig(Section):
    """Linear classifier on frozen embeddings: SGD with step decay."""

    epochs: int = Field(200, ge=1)
    batch_size: int = Field(128, ge=2, description="clips per step, one random patch each")
    lr: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    milestones: tuple[Fraction, ...] = (0.4, 0.8)
    decay: float = Field(0.1, gt=0, le=1)


class KnnConfig(Section):
    """k-nearest-neighbour evaluation that selects the checkpoint."""

    k: int = Field(200, ge=1, description="neighbouring patches that vote")


class SupervisedConfig(Section):
    """A supervised run: CNN on labelled 2 s patches."""

    mode: Literal["supervised"] = "supervised"
    seed: int = Field(0, ge=0, lt=2**31)
    data: SupervisedData
    model: SupervisedModel = SupervisedModel()
    loss: MarginCrossEntropyConfig = MarginCrossEntropyConfig()
    optim: SupervisedOptim = SupervisedOptim()
    compute: ComputeConfig = ComputeConfig()


class SelfSupervisedConfig(Section):
    """A self-supervised run: ACL pre-training on 1 s patches, then a linear probe."""

    mode: Literal["self-supervised"] = "self-supervised"
    seed: int = Field(0, ge=0, lt=2**31)
    data: SelfSupervisedData
    model: EncoderConfig = EncoderConfig()
    loss: AngularContrastiveConfig = AngularContrastiveConfig()
    views: ViewsConfig = ViewsConfig()
    optim: SelfSupervisedOptim = SelfSupervisedOptim()
    probe: ProbeConfig = ProbeConfig()
    knn: KnnConfig = KnnConfig()
    compute: ComputeConfig = ComputeConfig()


Config = SupervisedConfig | SelfSupervisedConfig
ConfigClass = type[SupervisedConfig] | type[SelfSupervisedConfig]
_CONFIG_OF_MODE: dict[str, ConfigClass] = {SUPERVISED: SupervisedConfig, SELF_SUPERVISED: SelfSupervisedConfig}


def setting_names(mode: str) -> list[str]:
    """Dotted names of all settings of `mode`, in the order of their declaration."""
    names = []
    for name, field in _config_class(mode).model_fields.items():
        section = field.annotation
        leaves = section.model_fields if isinstance(section, type) and issubclass(section, Section) else None
        names += [name] if leaves is None else [f"{name}.{leaf}" for leaf in leaves]
    return names


def build_config(settings: Mapping[str, Any]) -> Config:
    """Validated configuration from dotted names; everything not named has the recipe's value.

    Args:
        settings: e.g. `{"mode": "supervised", "data.root": "corpus", "loss.alpha": 0.3}`.

    Raises:
        ConfigError: unknown mode or name, wrong type, or a value out of its range.
    """
    mode = settings.get("mode")
    config_class = _config_class(mode)
    known = setting_names(str(mode))
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
            raise ConfigError(f"{name} is not a setting of {mode} runs; {remedy}")
        section, _, leaf = name.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[leaf] = value
    if "root" not in tree.get("data", {}):
        raise ConfigError("data.root is not set; name the corpus folder, e.g. --set data.root=/data/FSDnoisy18k")
    try:
        return config_class.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        message = first["msg"].removeprefix("Value error, ")
        got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
        raise ConfigError(f"{where}: {message}{got}") from None


def flatten(config: Config) -> dict[str, Any]:
    """Dotted name -> value of every setting; `build_config(flatten(config)) == config`."""
    flat: dict[str, Any] = {}
    for name, value in config.model_dump(mode="json").items():
        if isinstance(value, dict):
            flat.update({f"{name}.{leaf}": leaf_value for leaf, leaf_value in value.items()})
        else:
            flat[name] = value
    return flat


def _config_class(mode: object) -> ConfigClass:
    if mode not in _CONFIG_OF_MODE:
        raise ConfigError(
            f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}; set it with --mode or in the study's base"
        )
    return _CONFIG_OF_MODE[str(mode)]
