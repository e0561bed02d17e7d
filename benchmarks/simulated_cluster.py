"""A cluster on a simulated clock, for Ray Tune's controller: nothing is trained, and the driver never waits.

Put in the place of `RayActorManager`, the one part of Ray's controller that knows that there are other processes. All around it
(the controller's step, schedulers, our callbacks) is what runs in a real sweep. What is missing of Ray is then: starting workers,
sending calls and waiting for their answers (`ray.wait` over as many futures as there are workers).
"""

import heapq
import itertools
import math
import pickle
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.tune.result import TRIAL_INFO

from study import names
from study.search.keys import EPOCH, IS_LAST, POINT, RUNG_EPOCH

START_SECONDS, RESET_SECONDS = 10.0, 0.3  # simulated: a new worker, one that takes up its next trial
OTHER_METRICS = 14  # of an epoch, beside the objective and the epoch's seconds: as many as a supervised one has


class SimulatedActors:
    """What `RayActorManager` is to Ray's controller; as many actors as there are slots are alive at once.

    Attributes:
        clock: simulated seconds.
        events: that the controller has been given.
        own_seconds: of this thread, that the simulation itself took; the driver's are the others.
        on_event: called after each event.
    """

    slots = 512
    epoch_seconds = 60.0  # on average, half to one and a half times as many
    on_event: Callable[["SimulatedActors"], None] = staticmethod(lambda actors: None)

    def __init__(self, resource_manager: Any) -> None:
        self.clock = 0.0
        self.events = 0
        self.own_seconds = 0.0
        self._random = random.Random(0)
        self._numbers = itertools.count()
        self._waiting: deque[TrackedActor] = deque()
        self._configs: dict[TrackedActor, Mapping[str, Any]] = {}
        self._epochs: dict[TrackedActor, int] = {}
        self._running: dict[TrackedActor, int] = {}  # number of the newest call of a worker; answers to earlier ones are dropped
        self._calendar: list[tuple[float, int, TrackedActor, Callable[[], None]]] = []
        self._live_actors_to_ray_actors_resources: dict[TrackedActor, tuple[None, None]] = {}

    def next(self, timeout: float | None = None) -> bool:
        """Go on to the next event and tell the controller; False where there is none."""
        began = time.thread_time()
        while self._waiting and len(self._live_actors_to_ray_actors_resources) < self.slots:
            actor = self._waiting.popleft()
            self._live_actors_to_ray_actors_resources[actor] = (None, None)
            self._plan(actor, START_SECONDS, lambda actor=actor: actor._on_start(actor))  # type: ignore[misc]
        while self._calendar:
            self.clock, number, actor, tell = heapq.heappop(self._calendar)
            if self._running.get(actor) == number:
                self.own_seconds += time.thread_time() - began
                tell()
                self.events += 1
                type(self).on_event(self)
                return True
        self.own_seconds += time.thread_time() - began
        return False

    def add_actor(self, cls: Any, kwargs: Any, resource_request: Any, on_start: Any, on_stop: Any, on_error: Any) -> TrackedActor:
        """A worker that starts as soon as there is a slot."""
        actor = TrackedActor(next(self._numbers), on_start, on_stop, on_error)
        self._take(actor, kwargs["config"])
        self._waiting.append(actor)
        return actor

    def schedule_actor_task(
        self, tracked_actor: TrackedActor, method_name: str, args: Any = (), on_result: Any = None, **_: Any
    ) -> None:
        """Plan the answer to a call."""
        began = time.thread_time()
        if method_name == "train":
            result = pickle.dumps(self._trained(tracked_actor))
            seconds = self._random.uniform(0.5, 1.5) * self.epoch_seconds if b"__duplicate__" not in result else 0.0
            self._plan(tracked_actor, seconds, lambda: on_result(tracked_actor, pickle.loads(result)))
        elif method_name == "reset":
            self._take(tracked_actor, args[0])
            self._plan(tracked_actor, RESET_SECONDS, lambda: on_result(tracked_actor, True))
        self.own_seconds += time.thread_time() - began

    def remove_actor(self, tracked_actor: TrackedActor, kill: bool = False, stop_future: Any = None) -> bool:
        """End a worker, or take it off the list of those that wait."""
        if tracked_actor in self._waiting:
            self._waiting.remove(tracked_actor)
            return False

        def stopped() -> None:
            del self._live_actors_to_ray_actors_resources[tracked_actor]
            self._running.pop(tracked_actor, None)
            if tracked_actor._on_stop is not None:
                tracked_actor._on_stop(tracked_actor)

        self._plan(tracked_actor, 0.1, stopped)
        return True

    def _take(self, actor: TrackedActor, config: Mapping[str, Any]) -> None:
        self._configs[actor], self._epochs[actor] = config, 0

    def _plan(self, actor: TrackedActor, seconds: float, tell: Callable[[], None]) -> None:
        self._running[actor] = number = next(self._numbers)
        heapq.heappush(self._calendar, (self.clock + seconds, number, actor, tell))

    def _trained(self, actor: TrackedActor) -> dict[str, Any]:
        """What a worker's call of `train` answers: an epoch's report as Ray fills it up, at last that there is none."""
        config = self._configs[actor]
        trial, point = config[TRIAL_INFO].trial_id, config[POINT]
        epochs = point.get("optim.epochs", 3)
        self._epochs[actor] += 1
        epoch = self._epochs[actor]
        if epoch > epochs:
            return {"done": True, "__duplicate__": True, "trial_id": trial}
        luck = random.Random(f"{trial} {epoch}").gauss(0, 0.02)
        accuracy = (1 - (point["loss.alpha"] - 0.4) ** 2) * (1 - math.exp(-(5 + epoch) / 10)) + luck
        metrics = {f"train.metric_{number}": self._random.random() for number in range(OTHER_METRICS)}
        report = {**metrics, names.VAL_ACCURACY: accuracy, names.EPOCH_SECONDS: self.epoch_seconds, EPOCH: epoch}
        report |= {IS_LAST: epoch == epochs} | ({RUNG_EPOCH: epoch} if epoch < epochs else {})
        filled = {"trial_id": trial, "date": "2026-01-01_00-00-00", "timestamp": 1767225600 + int(self.clock), "pid": 12345}
        filled |= {"time_this_iter_s": self.epoch_seconds, "time_total_s": self.epoch_seconds * epoch, "hostname": "node-17"}
        filled |= {"node_ip": "10.0.0.17", "config": {POINT: dict(point), "received": 0, "source": None}, "done": False}
        return (
            report | filled | {"training_iteration": epoch, "iterations_since_restore": epoch, "time_since_restore": 60.0 * epoch}
        )

    def clear_actor_task_futures(self, tracked_actor: TrackedActor) -> None:
        """Answers that are under way are dropped."""
        self._running.pop(tracked_actor, None)

    def is_actor_started(self, tracked_actor: TrackedActor) -> bool:
        return tracked_actor in self._live_actors_to_ray_actors_resources

    def is_actor_failed(self, tracked_actor: TrackedActor) -> bool:
        return False

    def get_live_actors_resources(self) -> dict[str, float]:
        return {}

    def cleanup(self) -> None:
        pass

    @property
    def num_pending_actors(self) -> int:
        return len(self._waiting)

    @property
    def num_live_actors(self) -> int:
        return len(self._live_actors_to_ray_actors_resources)

    @property
    def num_total_actors(self) -> int:
        return self.num_pending_actors + self.num_live_actors

    @property
    def num_actor_tasks(self) -> int:
        return len(self._running)
