"""Population-based training: at each interval the worst trials take over a better one's weights, with changed settings.

Jaderberg et al., Population Based Training of Neural Networks (2017). The population is synchronous: all trials wait for each other
at each interval, so that they are compared at the same epoch, whatever runs at once.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import PopulationBasedTraining

from acl.training.checkpoint import copy_file
from study.home import state_folder
from study.journal import Journal
from study.lengths import first_stage_epochs
from study.scheduling import Pbt
from study.spaces import Dimension, Point
from study.sweep import Sweep
from study.trial import POINT, SOURCE

Change = Callable[[str, Point, str], None]  # trial, its new point, the copy of a checkpoint that it takes over


def copy_each(sweep: Sweep) -> int:
    """Epochs between two changes; 0 where the sweep has no population."""
    if not isinstance(sweep.scheduler, Pbt):
        return 0
    return max(1, math.floor(sweep.scheduler.interval * first_stage_epochs(sweep)))


class Population(PopulationBasedTraining):
    """Ray's population-based training over our trials, which keep their checkpoints themselves."""

    def __init__(self, sweep: Sweep, settings: Pbt, folder: Path, change: Change, **common: Any) -> None:
        super().__init__(
            **common,
            perturbation_interval=copy_each(sweep),
            hyperparam_mutations={POINT: {name: _fresh(dimension) for name, dimension in sweep.space.items()}},
            quantile_fraction=settings.quantile,
            resample_probability=settings.resample,
            custom_explore_fn=lambda config: {**config, POINT: _within(config[POINT], sweep.space)},
            synch=True,
            log_config=False,
            require_attrs=False,  # later stages, and the last epoch, are none of its business
        )
        self._folder = folder
        self._change = change
        self._seed = sweep.seeds[0]

    def take_up(self, journal: Journal, live: dict[str, Trial]) -> None:
        """Go on where earlier launches were: the next change comes at the next interval that not all trials have reached."""
        if live:
            done = min(journal.trials[name].epochs for name in live) // self._perturbation_interval
            self._next_perturbation_sync = (done + 1) * self._perturbation_interval
            self._done = done * self._perturbation_interval

    _done = 0

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        self._trial_state[trial].last_perturbation_time = self._done

    def _checkpoint_or_exploit(self, trial: Trial, tune_controller: Any, upper_quantile: Any, lower_quantile: Any) -> None:
        """Give a trial of the lower quantile the weights of one of the upper, and settings near that one's.

        Replaces Ray's own, which moves checkpoints that Ray keeps.
        """
        if trial not in lower_quantile:
            return
        state = self._trial_state[trial]
        # One stream for each decision: a resumed population decides as an uninterrupted one does.
        random.seed(f"{self._seed} {trial.trial_id} {state.last_train_time}")
        donor = random.choice(sorted(upper_quantile, key=lambda other: str(other.trial_id)))
        config, _ = self._get_new_config(trial, donor)
        source = state_folder(self._folder, donor.trial_id) / copy_file(self._trial_state[donor].last_train_time)
        self._change(trial.trial_id, config[POINT], str(source))
        if trial.status != Trial.PAUSED:
            tune_controller.pause_trial(trial, should_checkpoint=False)
        trial.set_config({**trial.config, POINT: config[POINT], SOURCE: str(source)})
        self._num_perturbations += 1


def _fresh(dimension: Dimension) -> Any:
    """What Ray draws a fresh value from."""
    if dimension.interval is None:
        return list(dimension.values or [])
    low, high = dimension.interval
    if dimension.loguniform is None:
        return lambda: random.uniform(low, high)
    return lambda: math.exp(random.uniform(math.log(low), math.log(high)))


def _within(point: Point, space: dict[str, Dimension]) -> Point:
    """A point whose intervals are kept; Ray multiplies values by 0.8 or 1.2 and looks at no bounds."""
    kept = dict(point)
    for name, dimension in space.items():
        if dimension.interval is not None:
            low, high = dimension.interval
            kept[name] = min(max(float(point[name]), low), high)
    return kept
