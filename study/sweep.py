"""One sweep of a study: a search space, how it is searched, and what counts as better."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from acl.config import SELF_SUPERVISED, SUPERVISED, build_config, flatten
from study import record_names as names
from study.objectives import DIRECTIONS, Direction, check_objective, exists, exists_each_epoch
from study.scheduling import CHANGEABLE, NoScheduler, Pbt, Scheduler
from study.spaces import Dimension, Point, Scalar, edge_points, grid_points, random_points

SearchMethod = Literal["grid", "random", "tpe", "gp", "cmaes", "qmc"]
# What studies vary as their question, which evaluations are made (both protocols are the recipe's), and what says only where a run
# computes: no departure from the recipe.
_QUESTIONS = ("seed", "loss.alpha", "loss.margin", "loss.temperature")
_NO_DEPARTURE = {
    SUPERVISED: (*_QUESTIONS, "data.root", "data.subset"),
    SELF_SUPERVISED: (*_QUESTIONS, "data.root", "probe.protocol", "finetune.on"),
}
_PLACE = ("compute.device", "compute.threads", "compute.channels_last")
UNKNOWN_CORPUS = "."  # stands for data.root while a study is checked before its corpus is named


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resources(_Part):
    """What one trial takes; fractions of a GPU let trials share it."""

    cpus: float = Field(1, gt=0)
    gpus: float = Field(0, ge=0)


class Budget(_Part):
    """How much a sweep may take. When a launch's hours are over it is interrupted as by Ctrl-C, and `resume` goes on."""

    trials: int | None = Field(None, ge=1, description="settings that are tried; every method but grid needs it")
    hours: float | None = Field(None, gt=0, description="of each launch of the sweep")


class Sweep(_Part):
    """One search space, how it is searched, and what counts as better."""

    name: str = Field("sweep", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    base: dict[str, Any] = Field(default_factory=dict, description="settings of every trial, by dotted name")
    space: dict[str, Dimension] = Field(
        default_factory=dict, description="settings that vary; none is one setting, times the seeds"
    )
    enqueue: list[dict[str, Scalar]] = Field(
        default_factory=list, description="known points that are tried first; they count in budget.trials"
    )
    search: SearchMethod = "grid"
    scheduler: Annotated[Scheduler, Field(discriminator="name")] = NoScheduler()
    objective: str | list[str] = Field(
        names.VAL_ACCURACY, description="validation metric that is searched for; of several, the Pareto front"
    )
    seeds: list[int] = Field(default=[0], min_length=1)
    resources: Resources = Resources()
    budget: Budget = Budget()

    @field_validator("scheduler", mode="before")
    @classmethod
    def _named_scheduler(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("objective")
    @classmethod
    def _validation_only(cls, value: str | list[str]) -> str | list[str]:
        listed = [value] if isinstance(value, str) else value
        if not listed or len(set(listed)) < len(listed):
            raise ValueError(f"objective is one metric or several different ones, got {value}")
        for objective in listed:
            check_objective(objective)
        return value

    @model_validator(mode="after")
    def _settings_have_one_place(self) -> "Sweep":
        if "seed" in self.base:
            raise ValueError(f"seed is in base; write seeds: [{self.base['seed']}]")
        if both := sorted(set(self.space) & set(self.base)):
            raise ValueError(f"{both[0]} is in base and in space; keep it in one")
        if fixed := sorted(set(self.space) & {"mode", "seed"}):
            raise ValueError(f"{fixed[0]} cannot be searched; modes are sweeps of their own, seeds go into seeds")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} repeat; list each seed once")
        return self

    @model_validator(mode="after")
    def _objectives_can_be_searched_for(self) -> "Sweep":
        for objective in self.objectives:
            if not exists(objective, self_supervised=self._self_supervised):
                raise ValueError(f"objective {objective} exists in self-supervised runs only; use {names.VAL_ACCURACY}")
        if len(self.objectives) > 1 and self.search == "cmaes":
            raise ValueError("search cmaes takes one objective; several are searched with grid, random, tpe, gp or qmc")
        return self

    @model_validator(mode="after")
    def _search_has_points(self) -> "Sweep":
        if self.uses_optuna and not self.space:
            raise ValueError(f"search {self.search} needs a space; one setting alone is a grid")
        if self.search == "grid":
            grid_points(self.space)
        elif self.budget.trials is None:
            raise ValueError(f"search {self.search} needs budget.trials")
        if self.uses_optuna and len(self.seeds) > 1:
            raise ValueError(f"search {self.search} takes one seed, got {self.seeds}; repeat its winner with a grid over seeds")
        return self

    @model_validator(mode="after")
    def _known_points_lie_in_the_space(self) -> "Sweep":
        if not self.enqueue:
            return self
        if self.search == "grid":
            raise ValueError(
                "enqueue is for random search and Optuna's methods; a grid tries all its points anyway, add values there"
            )
        if len(self.enqueue) > self.trials:
            raise ValueError(f"enqueue has {len(self.enqueue)} points, budget.trials is {self.trials}; raise it or list fewer")
        for number, point in enumerate(self.enqueue):
            if wrong := sorted(set(self.space) ^ set(point)):
                rule = "is missing" if wrong[0] in self.space else "is not in the space"
                raise ValueError(
                    f"enqueue.{number}: {wrong[0]} {rule}; a point names each searched setting: {', '.join(self.space)}"
                )
            for name, value in point.items():
                if not self.space[name].contains(value):
                    raise ValueError(f"enqueue.{number}: {name} {value} lies outside its dimension; correct it or widen the space")
            if point in self.enqueue[:number]:
                raise ValueError(f"enqueue.{number} repeats an earlier point; list each point once")
        return self

    @model_validator(mode="after")
    def _scheduler_can_compare(self) -> "Sweep":
        scheduler, objective = self.scheduler.name, self.objectives[0]
        if scheduler == "none":
            return self
        if len(self.objectives) > 1:
            raise ValueError(
                f"{scheduler} compares trials by one objective, of several none is the better; use scheduler: none or one objective"
            )
        if not exists_each_epoch(objective, self_supervised=self._self_supervised):
            raise ValueError(
                f"{scheduler} compares epochs of pre-training, which have no {objective} yet; use {names.VAL_KNN_ACCURACY}"
            )
        if len(self.seeds) > 1:
            raise ValueError(
                f"{scheduler} takes one seed, got {self.seeds}: a setting of which only the lucky seeds run to the end "
                "looks better than it is; use scheduler: none, or repeat the winner with a grid over seeds"
            )
        return self

    @model_validator(mode="after")
    def _population_can_change(self) -> "Sweep":
        if not isinstance(self.scheduler, Pbt):
            return self
        if self.search != "random":
            raise ValueError(
                "pbt changes settings itself while trials run, a searcher would learn from settings that no trial kept; "
                f"use search: random, got {self.search}"
            )
        if not self.space:
            raise ValueError(f"pbt needs a space; what it can change is {', '.join(CHANGEABLE)}")
        if fixed := [name for name in self.space if name not in CHANGEABLE]:
            raise ValueError(f"{fixed[0]} cannot change while a trial runs; with pbt the space may hold {', '.join(CHANGEABLE)}")
        if self.trials * self.scheduler.quantile < 1:
            raise ValueError(
                f"pbt with quantile {self.scheduler.quantile:g} of {self.trials} trials never replaces one; "
                "raise budget.trials or scheduler.quantile"
            )
        return self

    @property
    def _self_supervised(self) -> bool:
        return self.base.get("mode") == SELF_SUPERVISED

    @property
    def objectives(self) -> tuple[str, ...]:
        """Metrics that are searched for; of several, the Pareto front counts."""
        return (self.objective,) if isinstance(self.objective, str) else tuple(self.objective)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Whether more or less is better, for each objective."""
        return tuple(DIRECTIONS[objective] for objective in self.objectives)

    @property
    def uses_optuna(self) -> bool:
        """Whether the points depend on earlier results or on a sampler of Optuna."""
        return self.search not in ("grid", "random")

    @property
    def common(self) -> dict[str, Any]:
        """Settings of every trial, by dotted name; a point's own seed stands above the first one here."""
        return {**self.base, "seed": self.seeds[0]}

    @property
    def points(self) -> list[Point]:
        """All points of a grid or random search, seeds included; empty for Optuna's methods."""
        if self.uses_optuna:
            return []
        if self.search == "grid":
            drawn = grid_points(self.space)
        else:
            drawn = [*self.enqueue, *random_points(self.space, self.trials - len(self.enqueue), self.seeds[0])]
        return [{**point, "seed": seed} for point in drawn for seed in self.seeds]

    @property
    def first_stage_epochs(self) -> int:
        """Epochs of the longest trials' first stage, the only one that a scheduler looks at."""
        return max(build_config({"data.root": UNKNOWN_CORPUS, **self.common, **p}).optim.epochs for p in edge_points(self.space))

    @property
    def departures(self) -> list[str]:
        """Settings that are not the published recipe's, one line each; what the paper varies itself is none."""
        root = {"data.root": UNKNOWN_CORPUS}
        recipe = flatten(build_config({**root, "mode": self.base["mode"]}))
        own = flatten(build_config({**root, **self.base, **edge_points(self.space)[0]}))
        lines = []
        for name, value in recipe.items():
            if name in _NO_DEPARTURE[self.base["mode"]] or name in _PLACE:
                continue
            if name.startswith("finetune.") and not own["finetune.on"]:
                continue
            if name in self.space:
                lines.append(f"{name} searched (recipe: {value})")
            elif own[name] != value:
                lines.append(f"{name} {own[name]} (recipe: {value})")
        return lines

    @property
    def trials(self) -> int:
        """Settings that the sweep tries (trials of a grid or random search: times the seeds)."""
        return len(grid_points(self.space)) if self.search == "grid" else int(self.budget.trials or 0)

    def trial_name(self, number: int) -> str:
        """Name of the sweep's trial with this number, from 0.

        >>> Sweep(name="search").trial_name(7)
        'search-0007'
        """
        return f"{self.name}-{number:04d}"

    @property
    def runs(self) -> int:
        """Trials that the sweep runs at most."""
        return self.trials * len(self.seeds)
