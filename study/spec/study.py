"""A study: a question, and the sweeps that answer it."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from acl.config import ConfigError, Section, build_config, setting_names
from acl.system.text import close_to
from analysis.question import FOLD, SUBSET, Question, question_of
from study.errors import FieldError, FieldsError
from study.spec.recipe import UNKNOWN_CORPUS, departures
from study.spec.space import Scalar, edge_points
from study.spec.sweep import Sweep

_NEVER_COMPARED = {"mode", "seed", "data.root", FOLD}  # seeds and folds repeat a setting
Profile = Literal["recipe", "mini", "paper-ssl", "paper-supervised"]


class Study(Section):
    """A question and the sweeps that answer it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    question: str = Field(min_length=1)
    paper_found: str = ""
    profile: Profile = "recipe"
    baseline: dict[str, Scalar] | None = Field(
        None,
        min_length=1,
        description="values that make a setting a baseline, by dotted name; default: alpha 1, or the first value of each list",
    )
    within: list[str] | None = Field(
        None, min_length=1, description="settings of which each value is a comparison of its own; default: [data.subset]"
    )
    equivalence: float | None = Field(
        None, gt=0, lt=1, description="difference in accuracy, share, below which settings count as equivalent, e.g. 0.02"
    )
    confirms: str | None = Field(None, description="name of the study whose winners these runs repeat, see `acl-study confirm`")
    warm_start: list[str] | None = Field(
        None,
        description="names of earlier studies in the same results folder, whose finished trials tpe and gp begin with",
    )
    sweeps: list[Sweep] = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _report_has_a_folder(cls, name: str) -> str:
        if name.endswith(".html") or name == "compared":
            raise ValueError(f"name {name} is that of a file or folder beside the reports; choose another")
        return name

    @model_validator(mode="after")
    def _check_every_edge(self) -> "Study":
        sweep_names = [sweep.name for sweep in self.sweeps]
        if len(set(sweep_names)) < len(sweep_names):
            raise ValueError(f"sweeps need different names, got {', '.join(sweep_names)}")
        found = [error for number, sweep in enumerate(self.sweeps) for error in _wrong_settings(number, sweep)]
        if found:
            raise FieldsError(found)
        return self

    @model_validator(mode="after")
    def _warm_start_has_a_use(self) -> "Study":
        for number, name in enumerate(self.warm_start or []):
            if name == self.name:
                raise FieldError(f"{name} is this study itself; name an earlier one", "warm_start", number)
            if name in (self.warm_start or [])[:number]:
                raise FieldError(f"{name} is listed twice; list each study once", "warm_start", number)
        if self.warm_start and not any(sweep.learns_from_others for sweep in self.sweeps):
            searches = ", ".join(dict.fromkeys(sweep.search for sweep in self.sweeps))
            rule = f"warm_start needs a sweep with search: tpe or gp, got {searches}; the others do not learn from earlier trials"
            raise FieldError(f"{rule}: leave it out", "warm_start")
        return self

    @model_validator(mode="after")
    def _check_question(self) -> "Study":
        known = {name for mode in self.modes for name in setting_names(mode)} - _NEVER_COMPARED
        for field, listed in (("baseline", self.baseline or {}), ("within", self.within or [])):
            for name in listed:
                path = (field, name) if field == "baseline" else (field,)
                if name not in known:
                    remedy = close_to(name, known) or "`acl-study train --list --mode MODE` lists them"
                    raise FieldError(f"{name} is not a setting that this study can compare; {remedy}", *path)
        effective = list(dict.fromkeys(name for mode in self.modes for name in self.question_in(mode).within))
        if both := [name for name in effective if name in (self.baseline or {})]:
            rule = f"{both[0]} is in within: each of its values is a comparison of its own; take it out of the baseline"
            raise FieldError(rule, "baseline", both[0])
        searched = [(name, dimension) for sweep in self.sweeps for name, dimension in sweep.space.items()]
        for name, dimension in searched:
            if dimension.values is None and name in (effective if self.baseline else self.within or []):
                raise FieldError(
                    f"{name} is drawn from a range, so each value has one setting; list its values with grid", "within"
                )
            if name == SUBSET and self.within and SUBSET not in self.within:
                raise FieldError(f"{SUBSET} is searched, and subsets validate on different clips; add it to within", "within")
        return self

    @property
    def modes(self) -> list[str]:
        """Training modes of the sweeps."""
        return list(dict.fromkeys(str(sweep.base.get("mode")) for sweep in self.sweeps))

    def question_in(self, mode: str) -> Question:
        """What the study compares in a training mode."""
        return question_of(self.model_dump(mode="json", exclude_none=True), mode, setting_names(mode))

    @property
    def departures(self) -> str:
        """Settings of any sweep that are not the published recipe's, by mode; empty where all are."""
        by_mode: dict[str, dict[str, None]] = {}
        for sweep in self.sweeps:
            by_mode.setdefault(sweep.base["mode"], {}).update(dict.fromkeys(departures(sweep)))
        return "; ".join(f"{mode}: {', '.join(lines)}" for mode, lines in by_mode.items() if lines)

    @property
    def runs(self) -> int:
        """Trials of all sweeps."""
        return sum(sweep.runs for sweep in self.sweeps)


def _wrong_settings(number: int, sweep: Sweep) -> list[FieldError]:
    """What is wrong with settings at the edges of a sweep's space, the first mistake of each setting."""
    found: dict[tuple[str, ...] | str, FieldError] = {}
    seeds = [{"seed": seed} for seed in (min(sweep.seeds), max(sweep.seeds))]
    for point in (*edge_points(sweep.space), *seeds):
        try:
            build_config({"data.root": UNKNOWN_CORPUS, **sweep.base, **point})
        except ConfigError as error:
            for problem in str(error).splitlines():
                place = _place_of(problem, sweep)
                found.setdefault(place or problem, FieldError(problem, "sweeps", number, *place))
    return list(found.values())


def _place_of(message: str, sweep: Sweep) -> tuple[str, ...]:
    """Where in a sweep the setting is with whose name a message about a configuration begins; the sweep itself for none."""
    setting = re.match(r"[\w.]*\w", message)
    if setting and setting[0] == "seed":
        return ("seeds",)
    parts = {"space": sweep.space, "base": sweep.base}
    return next(((part, setting[0]) for part, settings in parts.items() if setting and setting[0] in settings), ())
