"""What the settings of both modes have in common: the base class, shared types, and where a run computes."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from acl.config.describe import Unit

Mode = Literal["supervised", "self-supervised"]
Subset = Literal["all", "clean", "noisy", "noisy_small"]

SUPERVISED: Mode = "supervised"
SELF_SUPERVISED: Mode = "self-supervised"


class Section(BaseModel):
    """Base of all sections: immutable, no unknown names, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Alpha = Annotated[
    float, Field(ge=0, le=1, description="weight of the contrastive or cross-entropy part; 1 - alpha weighs the margin"), Unit()
]
Margin = Annotated[float, Field(ge=0, le=math.pi, description="angular margin"), Unit("rad")]
Fraction = Annotated[float, Field(ge=0, le=1), Unit()]
Root = Annotated[str, Field(description="corpus folder, prepared with `acl-study data prepare`")]
TestFold = Annotated[
    int,
    Field(ge=0, description="fold that tests, the others train; 0 for a corpus that is split into training and test clips"),
    Unit(),
]
Seed = Annotated[int, Field(ge=0, lt=2**31, description="seed of all random numbers of the run"), Unit()]
Epochs = Annotated[int, Field(ge=1, description="passes over the training clips"), Unit("epochs")]
LearningRate = Annotated[float, Field(gt=0, description="learning rate at the start"), Unit()]
WeightDecay = Annotated[float, Field(ge=0, description="factor of the L2 penalty on the weights; 0 is off"), Unit()]


class ComputeConfig(Section):
    """Where and in which precision a run computes."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="device that computes; auto takes the GPU if there is one")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="number format; bf16 is autocast, weights stay float32")
    channels_last: bool = Field(True, description="memory format of images and convolution weights; faster, the same results")
    threads: Annotated[int, Unit("threads")] = Field(0, ge=0, description="CPU threads of torch; 0 leaves torch's own choice")


class NoiseConfig(Section):
    """Label noise injected into the clips of `data.subset`, training and held-out ones alike; the same for every seed."""

    rate: Fraction = Field(0.0, description="share of the clips with injected label noise")
    kind: Literal["symmetric", "out-of-vocabulary"] = Field(
        "symmetric",
        description="kind of label noise; symmetric: the label becomes any other class; "
        "out-of-vocabulary: the sound becomes that of a foreign clip",
    )
