"""Settings of supervised runs; defaults are the published recipe."""

from typing import Annotated, Literal

from pydantic import Field

from acl.config.describe import Unit
from acl.config.sections import (
    Alpha,
    ComputeConfig,
    Epochs,
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


class SupervisedData(Section):
    """Clips that a supervised run trains on and selects with."""

    root: Root
    test_fold: TestFold = 0
    subset: Subset = Field("all", description="clips of the training split that are used")
    validation_fraction: Annotated[float, Unit()] = Field(
        0.15, gt=0, lt=1, description="stratified share of the subset held out for validation"
    )


class SupervisedModel(Section):
    """CNN baseline."""

    dropout: Annotated[float, Unit()] = Field(0.5, ge=0, lt=1, description="share of the activations that dropout sets to 0")


class MarginCrossEntropyConfig(Section):
    """alpha * CE + (1 - alpha) * angular_scale * L_margin."""

    alpha: Alpha = 1.0
    margin: Margin = 0.5
    angular_scale: Annotated[float, Unit()] = Field(
        64 / 50, ge=0, description="factor of the margin part; 64/50 equals the published sum over pairs / 50 at batch 64"
    )


class SupervisedOptim(Section):
    """Adam with the learning rate cut on a plateau of the validation loss."""

    epochs: Epochs = 99
    batch_size: Annotated[int, Unit("patches")] = Field(64, ge=2, description="batch size")
    lr: LearningRate = 1e-3
    weight_decay: WeightDecay = 1e-3
    plateau_factor: Annotated[float, Unit()] = Field(0.5, gt=0, lt=1, description="factor by which the rate is cut on a plateau")
    plateau_patience: Annotated[int, Unit("epochs")] = Field(
        5, ge=0, description="how long the validation loss may stay without improvement before the rate is cut"
    )


class SupervisedConfig(Section):
    """A supervised run: CNN on labelled 2 s patches."""

    mode: Literal["supervised"] = Field("supervised", description="kind of training; each has its own settings")
    seed: Seed = 0
    data: SupervisedData
    noise: NoiseConfig = NoiseConfig()
    model: SupervisedModel = SupervisedModel()
    loss: MarginCrossEntropyConfig = MarginCrossEntropyConfig()
    optim: SupervisedOptim = SupervisedOptim()
    compute: ComputeConfig = ComputeConfig()

    @property
    def total_epochs(self) -> int:
        """Epochs of the whole run."""
        return self.optim.epochs
