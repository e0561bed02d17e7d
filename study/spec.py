"""What a study is: a question, and the sweeps that answer it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from acl.config import SELF_SUPERVISED, SUPERVISED, build_config, flatten
from study import record_names as names
from study.spaces import Dimension, Point, edge_points, grid_points, random_points

Profile = Literal["recipe", "mini", "paper-ssl", "paper-supervised"]
SearchMethod = Literal["grid", "random", "tpe", "gp", "cmaes", "qmc"]
OBJECTIVES = (names.VAL_ACCURACY, names.VAL_MACRO_ACCURACY, names.VAL_KNN_ACCURACY, names.VAL_KNN_MACRO_ACCURACY)
# What studies vary as their question, which evaluations are made (both protocols are the recipe's), and what says only where a run
# computes: no departure from the recipe.
_QUESTIONS = ("seed", "loss.alpha", "loss.margin", "loss.temperature")
_NO_DEPARTURE = {
    SUPERVISED: (*_QUESTIONS, "data.root", "data.subset"),
    SELF_SUPERVISED: (*_QUESTIONS, "data.root", "probe.protocol", "finetune.on"),
}
_PLACE = ("compute.device", "compute.threads", "compute.channels_last")
_UNKNOWN_CORPUS = "."  # stands for data.root while a study is checked before its corpus is named


class StudyError(ValueError):
    """A study file, or the way it is used, is wrong; the message is one line with field, value and remedy."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scheduler(_Part):
    """Early stopping. `asha` stops trials whose objective is in the lower part of those that came as far."""

    name: Literal["none", "asha"] = "none"
    grace: float = Field(0.1, gt=0, le=1, description="share of its epochs that every trial runs")
    reduction_factor: float = Field(3, gt=1, description="one in this many trials goes on at each rung")


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
    search: SearchMethod = "grid"
    scheduler: Scheduler = Scheduler()
    objective: str = names.VAL_ACCURACY
    seeds: list[int] = Field(default=[0], min_length=1)
    resources: Resources = Resources()
    budget: Budget = Budget()

    @field_validator("scheduler", mode="before")
    @classmethod
    def _named_scheduler(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("objective")
    @classmethod
    def _validation_only(cls, value: str) -> str:
        if value.startswith("test."):
            raise ValueError(f"{value} is a test metric; test results never choose settings, use {names.VAL_ACCURACY}")
        if value not in OBJECTIVES:
            raise ValueError(f"must be one of {', '.join(OBJECTIVES)} (losses of different alphas do not compare)")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Sweep":
        self_supervised = self.base.get("mode") == SELF_SUPERVISED
        knn = self.objective in (names.VAL_KNN_ACCURACY, names.VAL_KNN_MACRO_ACCURACY)
        if knn and not self_supervised:
            raise ValueError(f"objective {self.objective} exists in self-supervised runs only; use {names.VAL_ACCURACY}")
        if self.scheduler.name == "asha" and self_supervised and not knn:
            raise ValueError(
                f"asha compares epochs of pre-training, which have no {self.objective} yet; use {names.VAL_KNN_ACCURACY}"
            )
        if "seed" in self.base:
            raise ValueError(f"seed is in base; write seeds: [{self.base['seed']}]")
        if both := sorted(set(self.space) & set(self.base)):
            raise ValueError(f"{both[0]} is in base and in space; keep it in one")
        if fixed := sorted(set(self.space) & {"mode", "seed"}):
            raise ValueError(f"{fixed[0]} cannot be searched; modes are sweeps of their own, seeds go into seeds")
        if self.uses_optuna and not self.space:
            raise ValueError(f"search {self.search} needs a space; one setting alone is a grid")
        if self.search == "grid":
            grid_points(self.space)
        elif self.budget.trials is None:
            raise ValueError(f"search {self.search} needs budget.trials")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} repeat; list each seed once")
        if self.uses_optuna and len(self.seeds) > 1:
            raise ValueError(f"search {self.search} takes one seed, got {self.seeds}; repeat its winner with a grid over seeds")
        return self

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
        drawn = grid_points(self.space) if self.search == "grid" else random_points(self.space, self.trials, self.seeds[0])
        return [{**point, "seed": seed} for point in drawn for seed in self.seeds]

    @property
    def departures(self) -> list[str]:
        """Settings that are not the published recipe's, one line each; what the paper varies itself is none."""
        root = {"data.root": _UNKNOWN_CORPUS}
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

    @property
    def runs(self) -> int:
        """Trials that the sweep runs at most."""
        return self.trials * len(self.seeds)


class Study(_Part):
    """A question and the sweeps that answer it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    question: str = Field(min_length=1)
    paper_found: str = ""
    profile: Profile = "recipe"
    sweeps: list[Sweep] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_every_edge(self) -> "Study":
        sweep_names = [sweep.name for sweep in self.sweeps]
        if len(set(sweep_names)) < len(sweep_names):
            raise ValueError(f"sweeps need different names, got {', '.join(sweep_names)}")
        for sweep in self.sweeps:
            for point in edge_points(sweep.space):
                build_config({"data.root": _UNKNOWN_CORPUS, **sweep.base, **point})
        return self

    @property
    def departures(self) -> str:
        """Settings of any sweep that are not the published recipe's, by mode; empty where all are."""
        by_mode: dict[str, dict[str, None]] = {}
        for sweep in self.sweeps:
            by_mode.setdefault(sweep.base["mode"], {}).update(dict.fromkeys(sweep.departures))
        return "; ".join(f"{mode}: {', '.join(lines)}" for mode, lines in by_mode.items() if lines)

    @property
    def runs(self) -> int:
        """Trials of all sweeps."""
        return sum(sweep.runs for sweep in self.sweeps)
