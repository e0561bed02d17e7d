"""The trials of a sweep as Ray Tune asks for them: first those that earlier launches left, then new ones."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Experiment, Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search.search_algorithm import SearchAlgorithm

from study import names
from study.execution.callbacks import JournalKeeper
from study.search.keys import POINT, RECEIVED, SOURCE
from study.search.schedulers import replay
from study.spec.space import Point
from study.spec.sweep import Resources, Sweep
from study.state.journal import Journal, TrialState

NextPoint = Callable[[], tuple[int, Point] | None]  # number and point of a new trial; None when there is no further one


def listed_points(sweep: Sweep, journal: Journal) -> NextPoint:
    """New trials of a grid or random search: their numbers are their places in the sweep's list of points."""
    left = enumerate(sweep.points)  # none is looked at twice: what the journal has, it keeps

    def next_point() -> tuple[int, Point] | None:
        return next(((number, point) for number, point in left if sweep.trial_name(number) not in journal.trials), None)

    return next_point


class TrialQueue(SearchAlgorithm):
    """Gives Ray its trials, under our own names.

    Args:
        sweep: whose trials they are.
        keeper: notes each trial before Ray has it.
        resources: of each trial.
        left: trials that go on.
        next_point: a new trial's number and point; None where there shall be no new ones.
        scheduler: is shown what the journal has.
        at_once: trials that have room at the same time. As many are given to Ray, and one more that waits for the first worker that
            is free; a search chooses later ones when more is known. Where there is more room after all, one by one is given.
            A search that can end early gives no trial without room, so that none waits when it ends.
    """

    def __init__(
        self,
        sweep: Sweep,
        keeper: JournalKeeper,
        resources: Resources,
        left: list[TrialState],
        next_point: NextPoint | None,
        scheduler: TrialScheduler,
        at_once: int,
    ) -> None:
        self._sweep = sweep
        self._keeper = keeper
        self._resources = resources
        self._scheduler = scheduler
        self._left = left
        self._next_point = next_point
        self._at_once = at_once
        self._given: list[Trial] = []  # and not over
        self._finished = False
        self._queue: list[Trial] = []
        self._experiment: Experiment | None = None

    def add_configurations(self, experiments: Any) -> None:
        """Take up what Ray runs, and make the trials that go on."""
        (self._experiment,) = experiments
        self._queue = [self._trial(state.trial, state.point, state.epochs, state.source) for state in self._left]
        for name in replay(self._scheduler, self._keeper.journal, {trial.trial_id: trial for trial in self._queue}):
            self._keeper.end(name, names.STOPPED)
            self._queue = [trial for trial in self._queue if trial.trial_id != name]

    @property
    def total_samples(self) -> int:
        """Trials that there may be; shown by nobody."""
        return self._sweep.runs

    def next_trial(self) -> Trial | None:
        """The next trial for Ray's queue; None also while enough are under way."""
        self._given = [trial for trial in self._given if not trial.is_finished()]
        waiting = any(trial.status == Trial.PENDING for trial in self._given)
        is_full = (
            len(self._given) >= max(1, self._at_once) if self._sweep.can_end_early else waiting and len(self._given) > self._at_once
        )
        if self._finished or is_full:
            return None
        trial = self._next_trial()
        if trial is None:
            self._finished = True
        else:
            self._given.append(trial)
        return trial

    def _next_trial(self) -> Trial | None:
        if self._queue:
            trial = self._queue.pop(0)
            state = self._keeper.journal.trials[trial.trial_id]
            self._keeper.start(state.trial, state.number, state.point)
            return trial
        while self._next_point is not None and (new := self._next_point()) is not None:
            number, point = new
            if not self._keeper.note_repeat(number, point):
                name = self._sweep.trial_name(number)
                self._keeper.start(name, number, point)
                return self._trial(name, point, received=0, source=None)
        return None

    def _trial(self, name: str, point: Mapping[str, Any], received: int, source: str | None) -> Trial:
        assert self._experiment is not None
        spec = self._experiment.spec
        return _Trial(
            spec["run"],
            config={**spec.get("config", {}), POINT: dict(point), RECEIVED: received, SOURCE: source},
            trial_id=name,
            storage=spec["storage"],
            placement_group_factory=PlacementGroupFactory([{"CPU": self._resources.cpus, "GPU": self._resources.gpus}]),
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        )


class _Trial(Trial):
    """Ray's trial without what is for its own tables and its snapshot, which nobody reads: statistics of each metric, and JSON.

    Ray keeps every trial to the end of the sweep. They are most of a trial's memory, and writing them takes a minute in the end.
    """

    def update_last_result(self, result: dict[str, Any]) -> None:
        self.run_metadata.last_result = result

    def get_json_state(self) -> tuple[str, str]:
        return "{}", "{}"


def ray_folder(sweep_folder: Path) -> Path:
    """Where Ray keeps its own files of a sweep; nothing of them is needed again."""
    return sweep_folder / "ray"
