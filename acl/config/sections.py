"""What the settings of both modes have in common: the base class, shared types, and where a run computes."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from acl.config.describe import Unit

Mode = Literal["supervised", "self-supervised"]
Subset = Literal["all", "clean", "noisy", "noisy_small"]

SUPERVISED: Mode = "supervised"
SELF_SUPERVISED: Mode = "self-supervised"


class Section(BaseModel):
    """Base of all sections, and of the parts of a study: immutable, no unknown names, no infinities.

    A text or a boolean is no number, and only true and false are booleans; pydantic alone takes true for 1 and "0.5" for 0.5.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _kind_as_written(cls, value: Any, info: ValidationInfo) -> Any:
        wanted = set(_kinds(cls.model_fields[info.field_name or ""].annotation))
        given = {type(each) for each in (value if isinstance(value, list | tuple) else [value])}
        if wanted & {int, float} and not wanted & {str, bool} and given & {str, bool}:
            raise PydanticKnownError("float_type" if float in wanted else "int_type")
        if bool in wanted and not wanted & {int, float, str} and given != {bool}:
            raise PydanticKnownError("bool_type")
        return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """Types within an annotation, e.g. int and NoneType of `int | None`."""
    parts = get_args(annotation)
    if not parts:
        yield annotation if isinstance(annotation, type) else type(annotation)  # a value of a Literal
    for part in parts:
        yield from _kinds(part)


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
