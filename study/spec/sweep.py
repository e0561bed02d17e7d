"""A sweep of a study: a search space, how it is searched, what a trial takes, how long it trains, and what counts as better."""

import math
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from acl.config import SELF_SUPERVISED, Config, Section, build_config
from study import names
from study.errors import FieldError
from study.spec.objectives import DIRECTIONS, Direction, check_objective, exists, exists_each_epoch
from study.spec.schedulers import CHANGEABLE, Asha, Hyperband, Median, NoScheduler, Pbt, Scheduler
from study.spec.space import (
    MOST_TRIALS,
    Dimension,
    Point,
    Scalar,
    check_conditions,
    conditional_point,
    edge_points,
    grid_points,
    random_points,
)


class Resources(Section):
    """What one trial takes; fractions of a GPU let trials share it."""

    cpus: float = Field(1, gt=0)
    gpus: float = Field(0, ge=0)

    @property
    def words(self) -> str:
        """In words.

        >>> Resources(cpus=1).words, Resources(cpus=2, gpus=0.25).words
        ('1 CPU', '2 CPUs and 0.25 GPU')
        """
        cpus = f"{self.cpus:g} CPU{'s' * (self.cpus != 1)}"
        return f"{cpus} and {self.gpus:g} GPU{'s' * (self.gpus > 1)}" if self.gpus else cpus


class Budget(Section):
    """How much a sweep may take, and what ends its search earlier.

    When a launch's hours are over it is interrupted as by Ctrl-C, and `resume` goes on. A search that patience or target has ended
    is complete.
    """

    trials: int | None = Field(None, ge=1, le=MOST_TRIALS, description="settings that are tried; every method but grid needs it")
    hours: float | None = Field(None, gt=0, description="of each launch of the sweep")
    patience: int | None = Field(
        None, ge=1, description="ends an Optuna search whose best objective has not improved for so many finished trials"
    )
    target: float | None = Field(None, description="ends an Optuna search when a finished trial's objective reaches it")


SearchMethod = Literal["grid", "random", "tpe", "gp", "cmaes", "qmc"]


class Sweep(Section):
    """One search space, how it is searched, and what counts as better."""

    name: str = Field(names.SWEEP_NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
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

    @field_validator("name")
    @classmethod
    def _has_a_folder(cls, name: str) -> str:
        if name.endswith((".yaml", ".json")):
            raise ValueError(f"name {name} may be that of a file in the study's folder; choose one without .yaml or .json")
        return name

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
            raise FieldError(f"seed is in base; write seeds: [{self.base['seed']}]", "base", "seed")
        # A conditional one may have a value in base, for the trials where it is inactive.
        if both := sorted(name for name, dimension in self.space.items() if name in self.base and not dimension.when):
            raise FieldError(f"{both[0]} is in base and in space; keep it in one", "space", both[0])
        if fixed := sorted(set(self.space) & {"mode", "seed"}):
            rule = f"{fixed[0]} cannot be searched; modes are sweeps of their own, seeds go into seeds"
            raise FieldError(rule, "space", fixed[0])
        if len(set(self.seeds)) < len(self.seeds):
            raise FieldError(f"seeds {self.seeds} repeat; list each seed once", "seeds")
        check_conditions(self.space)
        return self

    @model_validator(mode="after")
    def _objectives_can_be_searched_for(self) -> "Sweep":
        for objective in self.objectives:
            if not exists(objective, self_supervised=self._self_supervised):
                rule = f"objective {objective} exists in self-supervised runs only; use {names.VAL_ACCURACY}"
                raise FieldError(rule, "objective")
        if len(self.objectives) > 1 and self.search == "cmaes":
            raise FieldError("search cmaes takes one objective; several are searched with grid, random, tpe, gp or qmc", "search")
        return self

    @model_validator(mode="after")
    def _search_has_points(self) -> "Sweep":
        if self.search != "grid" and not self.space:
            raise FieldError(f"search {self.search} needs a space; one setting alone is a grid", "search")
        if self.search == "grid":
            grid_points(self.space)
        elif self.budget.trials is None:
            raise FieldError(f"search {self.search} needs budget.trials, e.g. budget: {{trials: 30}}", "search")
        if self.uses_optuna and len(self.seeds) > 1:
            rule = f"search {self.search} takes one seed, got {self.seeds}; repeat its winner with a grid over seeds"
            raise FieldError(rule, "seeds")
        return self

    @model_validator(mode="after")
    def _search_can_end_early(self) -> "Sweep":
        for field in ("patience", "target"):
            value = getattr(self.budget, field)
            if value is None:
                continue
            if self.scheduler.name in ("hyperband", "pbt"):  # both need a random search
                rule = f"{self.scheduler.name} needs all its trials, got {field} {value:g}; leave it out, or use scheduler: asha"
                raise FieldError(f"{rule} and search: tpe", "budget", field)
            if not self.uses_optuna:
                rule = (
                    f"search {self.search} lists all its points beforehand, got {field} {value:g}; leave it out, or use search: tpe"
                )
                raise FieldError(rule, "budget", field)
            if len(self.objectives) > 1:
                rule = (
                    f"{field} {value:g} is for one objective, got {', '.join(self.objectives)}; leave it out, or keep one of them"
                )
                raise FieldError(rule, "budget", field)
        target = self.budget.target
        if target is not None and "accuracy" in self.objectives[0] and not 0 < target <= 1:
            rule = f"target is a share of clips above 0 and up to 1, got {target:g}; 80 % is target: 0.8"
            raise FieldError(rule, "budget", "target")
        return self

    @model_validator(mode="after")
    def _known_points_lie_in_the_space(self) -> "Sweep":
        if self.enqueue and self.search == "grid":
            rule = "enqueue is for random search and Optuna's methods; a grid tries all its points anyway, add values there"
            raise FieldError(rule, "enqueue")
        if len(self.enqueue) > self.trials:
            rule = f"enqueue has {len(self.enqueue)} points, budget.trials is {self.trials}; raise it or list fewer"
            raise FieldError(rule, "enqueue")
        for number, point in enumerate(self.enqueue):
            self._check_known_point(number)
            if point in self.enqueue[:number]:
                raise FieldError("repeats an earlier point; list each point once", "enqueue", number)
        return self

    def _check_known_point(self, number: int) -> None:
        given = self.enqueue[number]

        def ask(name: str, dimension: Dimension) -> Scalar:
            if name not in given:
                raise FieldError(f"{name} is missing; a point names each setting that is searched at it", "enqueue", number)
            if not dimension.contains(given[name]):
                rule = f"{name} {given[name]} lies outside its dimension; correct it or widen the space"
                raise FieldError(rule, "enqueue", number, name)
            return given[name]

        point = conditional_point(self.space, ask)
        if extra := [name for name in given if name not in point]:
            place = "is not searched at this point: see its when" if extra[0] in self.space else "is not in the space"
            raise FieldError(f"{extra[0]} {place}; leave it out", "enqueue", number, extra[0])

    @model_validator(mode="after")
    def _scheduler_can_compare(self) -> "Sweep":
        scheduler, objective = self.scheduler.name, self.objectives[0]
        if scheduler == "none":
            return self
        if len(self.objectives) > 1:
            rule = (
                f"{scheduler} compares trials by one objective, of several none is the better; use scheduler: none or one objective"
            )
            raise FieldError(rule, "scheduler")
        if not exists_each_epoch(objective, self_supervised=self._self_supervised):
            rule = f"{scheduler} compares epochs of pre-training, which have no {objective} yet; use {names.VAL_KNN_ACCURACY}"
            raise FieldError(rule, "objective")
        if scheduler == "hyperband" and self.uses_optuna:
            rule = "hyperband fills its brackets before results arrive, so a searcher learns nothing; use search: random, or asha"
            raise FieldError(rule, "scheduler")
        if len(self.seeds) > 1:
            raise FieldError(
                f"{scheduler} takes one seed, got {self.seeds}: a setting of which only the lucky seeds run to the end "
                "looks better than it is; use scheduler: none, or repeat the winner with a grid over seeds",
                "seeds",
            )
        return self

    @model_validator(mode="after")
    def _population_can_change(self) -> "Sweep":
        if not isinstance(self.scheduler, Pbt):
            return self
        if self.search != "random":
            raise FieldError(
                "pbt changes settings itself while trials run, a searcher would learn from settings that no trial kept; "
                f"use search: random, got {self.search}",
                "search",
            )
        if fixed := [name for name in self.space if name not in CHANGEABLE]:
            rule = f"{fixed[0]} cannot change while a trial runs; with pbt the space may hold {', '.join(CHANGEABLE)}"
            raise FieldError(rule, "space", fixed[0])
        if depending := [name for name, dimension in self.space.items() if dimension.when]:
            rule = f"{depending[0]} depends on another setting, which pbt may change while a trial runs; leave its when out"
            raise FieldError(rule, "space", depending[0], "when")
        if self.trials * self.scheduler.quantile < 1:
            rule = f"pbt with quantile {self.scheduler.quantile:g} of {self.trials} trials never replaces one"
            raise FieldError(f"{rule}; raise budget.trials or scheduler.quantile", "scheduler")
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
    def learns_from_others(self) -> bool:
        """Whether the search uses results of trials that it did not propose: cmaes and qmc do not."""
        return self.search in ("tpe", "gp")

    @property
    def can_end_early(self) -> bool:
        """Whether the search may end before it has used its budget of trials."""
        return self.budget.patience is not None or self.budget.target is not None

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


_UNKNOWN_CORPUS = {"data.root": "."}  # lengths do not depend on it


def longest_epochs(sweep: Sweep) -> int:
    """Epochs of the longest trials, all stages together."""
    return max(config.total_epochs for config in _edge_configs(sweep))


def first_stage_epochs(sweep: Sweep) -> int:
    """Epochs of the longest trials' first stage, the only one that a scheduler looks at."""
    return max(config.optim.epochs for config in _edge_configs(sweep))


class Bracket(NamedTuple):
    """Trials that are halved together: at the first rung and each multiple of it by `factor`, one in `factor` goes on."""

    share: float  # of the sweep's trials
    first_rung: int  # epochs
    factor: float


def brackets(scheduler: Scheduler, epochs: int) -> list[Bracket]:
    """How a scheduler stops trials of so many epochs; none where it stops none.

    HyperBand's are those of Ray, which fills them from full length on. The median rule stops about half of the trials.
    """
    if isinstance(scheduler, Hyperband):
        factor = scheduler.reduction_factor
        halvings = range(round(math.log(epochs) / math.log(factor)) + 1)
        sizes = {s: math.ceil(len(halvings) / (s + 1) * factor**s) for s in halvings if int(epochs * factor**-s) > 0}
        return [Bracket(size / sum(sizes.values()), int(epochs * factor**-s), factor) for s, size in sizes.items()]
    if isinstance(scheduler, Asha | Median):
        factor = scheduler.reduction_factor if isinstance(scheduler, Asha) else 2.0
        return [Bracket(1.0, max(1, math.floor(scheduler.grace * epochs)), factor)]
    return []


def _edge_configs(sweep: Sweep) -> list[Config]:
    return [build_config({**_UNKNOWN_CORPUS, **sweep.common, **point}) for point in edge_points(sweep.space)]
