"""Population-based training: at each interval the worst trials take over a better one's weights, with changed settings.

Jaderberg et al., Population Based Training of Neural Networks (2017). The population is synchronous: all trials wait for each other
at each interval, so that they are compared at the same epoch, whatever runs at once.
"""

import math
import random
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import PopulationBasedTraining

from acl.training.checkpoint import hand_over
from study.search.keys import POINT, SOURCE
from study.spec.schedulers import Pbt
from study.spec.space import Dimension, Point
from study.spec.sweep import Sweep, first_stage_epochs
from study.state.home import state_folder
from study.state.journal import Journal, TrialState

Change = Callable[[str, int, Point, str], None]  # trial, epoch, its new point, the copy of a checkpoint that it takes over


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
        self._known: dict[str, TrialState] = {}  # trials of earlier launches that go on
        self._done = 0  # intervals that they all have behind them

    def take_up(self, journal: Journal, live: dict[str, Trial]) -> None:
        """Go on where earlier launches were: the next change comes when all trials have reached the next interval."""
        if live:
            self._known = {name: journal.trials[name] for name in live}
            self._done = min(state.epochs for state in self._known.values()) // self._perturbation_interval
            self._next_perturbation_sync = (self._done + 1) * self._perturbation_interval

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        state = self._trial_state[trial]
        state.last_perturbation_time = self._done * self._perturbation_interval
        known = self._known.get(trial.trial_id)
        if known is not None and known.epochs >= self._next_perturbation_sync:  # it waits there for the others
            self._save_trial_state(state, self._next_perturbation_sync, known.metrics, trial)
            trial.status = Trial.PAUSED  # Ray would start a pending one

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return str(super().on_trial_result(_Members(tune_controller, self._trial_state), trial, result))

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Go on without a trial that failed; the others may have waited for it alone."""
        self._trial_state.pop(trial, None)
        waiting = _Members(tune_controller, self._trial_state).get_trials()
        times = [self._trial_state[other].last_train_time for other in waiting]
        if waiting and all(time >= self._next_perturbation_sync for time in times):
            last = self._trial_state[waiting[0]]
            self.on_trial_result(tune_controller, waiting[0], {**(last.last_result or {}), self._time_attr: last.last_train_time})

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        chosen: Trial | None = super().choose_trial_to_run(_Members(tune_controller, self._trial_state))
        return chosen

    def _checkpoint_or_exploit(self, trial: Trial, tune_controller: Any, upper_quantile: Any, lower_quantile: Any) -> None:
        """Give a trial of the lower quantile the weights of one of the upper, and settings near that one's.

        Replaces Ray's own, which moves checkpoints that Ray keeps.
        """
        if trial not in lower_quantile:
            return
        epoch = self._trial_state[trial].last_train_time
        # One stream for each decision: a resumed population decides as an uninterrupted one does.
        random.seed(f"{self._seed} {trial.trial_id} {epoch}")
        donor = random.choice(sorted(upper_quantile, key=lambda other: str(other.trial_id)))
        config, _ = self._get_new_config(trial, donor)
        source = hand_over(state_folder(self._folder, donor.trial_id), epoch, state_folder(self._folder, trial.trial_id))
        self._change(trial.trial_id, epoch, config[POINT], str(source))
        if trial.status != Trial.PAUSED:
            tune_controller.pause_trial(trial, should_checkpoint=False)
        trial.set_config({**trial.config, POINT: config[POINT], SOURCE: str(source)})
        self._num_perturbations += 1


class _Members:
    """Ray's controller with those trials only that are still of the population: Ray counts failed ones as alive."""

    def __init__(self, controller: Any, members: Collection[Trial]) -> None:
        self._controller = controller
        self._members = members

    def get_trials(self) -> list[Trial]:
        return [trial for trial in self._controller.get_trials() if trial in self._members and not trial.is_finished()]

    get_live_trials = get_trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)


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
