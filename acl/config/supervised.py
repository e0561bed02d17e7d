"""Settings of supervised runs; defaults are the published recipe."""

from typing import Literal

from pydantic import Field

from acl.config.sections import Alpha, ComputeConfig, Margin, NoiseConfig, Section, Subset, TestFold


class SupervisedData(Section):
    """Clips that a supervised run trains on and selects with."""

    root: str = Field(description="corpus folder, prepared with `acl-study data prepare`")
    test_fold: TestFold = 0
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
    """Adam with the learning rate cut on a plateau of the validation loss."""

    epochs: int = Field(99, ge=1)
    batch_size: int = Field(64, ge=2, description="patches per step")
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    plateau_patience: int = Field(5, ge=0, description="epochs without a better validation loss before the rate is cut")


class SupervisedConfig(Section):
    """A supervised run: CNN on labelled 2 s patches."""

    mode: Literal["supervised"] = "supervised"
    seed: int = Field(0, ge=0, lt=2**31)
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
