"""Training: `fit(config)` yields one complete record per epoch.

`loop` has `fit` and the loop over a run's stages; `stage` what all stages share; `supervised`, `pretraining`, `classifier` are
the stages; `checkpoint` keeps their state; `cost` and `timing` measure them. Trials and `acl-study train` call it.
"""

from acl.system.errors import DivergedError
from acl.training.epoch_result import ClipPrediction, EpochResult
from acl.training.loop import Population, fit

__all__ = ["ClipPrediction", "DivergedError", "EpochResult", "Population", "fit"]
