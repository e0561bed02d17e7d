"""Schedulers of a sweep: what stops or changes trials while they run, and what a sweep must be like for each of them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# What can change within a run: the loss. Shapes, data and epochs make another run; rates are part of the optimiser's saved state.
CHANGEABLE = ("loss.alpha", "loss.margin", "loss.temperature")

Grace = Annotated[float, Field(gt=0, le=1, description="share of its epochs that every trial runs")]
ReductionFactor = Annotated[float, Field(gt=1, description="one in this many trials goes on at each rung")]


class _Scheduler(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)  # no `Section`: what a discriminator names has no validator


class NoScheduler(_Scheduler):
    """Every trial runs to its end."""

    name: Literal["none"] = "none"


class Asha(_Scheduler):
    """Stops trials whose objective is in the lower part of those that came as far (asynchronous successive halving)."""

    name: Literal["asha"] = "asha"
    grace: Grace = 0.1
    reduction_factor: ReductionFactor = 3


class Hyperband(_Scheduler):
    """Successive halving in several brackets, from short first rungs with many trials to full length with few."""

    name: Literal["hyperband"] = "hyperband"
    reduction_factor: ReductionFactor = 3


class Median(_Scheduler):
    """Stops a trial whose best objective so far is below the median of the other trials' running means."""

    name: Literal["median"] = "median"
    grace: Grace = 0.1


class Pbt(_Scheduler):
    """Population-based training: at each interval the worst trials take over a better one's weights and change its settings."""

    name: Literal["pbt"] = "pbt"
    interval: float = Field(0.1, gt=0, le=0.5, description="share of the epochs between two changes")
    quantile: float = Field(0.25, gt=0, le=0.5, description="share of trials, at either end, that take over and are taken over")
    resample: float = Field(0.25, ge=0, le=1, description="probability of a fresh draw instead of a small step")


Scheduler = NoScheduler | Asha | Hyperband | Median | Pbt
