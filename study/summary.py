"""What a launch ends with on the screen."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from analysis.page_tables import percent_interval
from analysis.runs import load_predictions, load_trials
from analysis.trial_tables import with_intervals
from study import record_names as names
from study.objectives import pareto_front
from study.spaces import conditional_point
from study.spec import Study, Sweep

OUTCOMES = (names.FINISHED, names.STOPPED, names.FAILED)
SUBSET = "data.subset"

Trial = dict[Any, Any]  # column of the trials' frame -> value


def print_summary(study: Study, store_uri: str) -> None:
    """Trials by outcome and the best finished setting by validation, one line per sweep.

    A sweep over subsets gets a line for each: their validation clips differ, so their figures do not compare. One for several
    objectives gets a line for each trial of its Pareto front.
    """
    trials = load_trials(store_uri, [study.name])
    finished = trials.loc[trials["outcome"] == names.FINISHED, "run_id"]
    trials = with_intervals(trials, load_predictions(store_uri, finished))
    table = Table(title=f"{study.name}: best by validation", title_justify="left")
    for heading in ("sweep", "trials", *OUTCOMES, "objective", "best", "setting"):
        table.add_column(heading, overflow="fold")
    for sweep in study.sweeps:
        rows: list[Trial] = trials[trials["sweep"] == sweep.name].to_dict("records")
        counts = [str(sum(row["outcome"] == outcome for row in rows)) for outcome in OUTCOMES]
        head = [sweep.name, f"{len(rows)}/{sweep.runs}", *counts, ", ".join(sweep.objectives)]
        for winner in _winners(sweep, rows):
            table.add_row(*head, _best(sweep, winner), _setting(sweep, winner))
            head = [""] * len(head)
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)  # a log file has no width of its own


def _winners(sweep: Sweep, rows: list[Trial]) -> list[Trial | None]:
    """Best finished trials of each subset that the sweep compares; [None] where no trial has finished."""
    finished = [row for row in rows if row["outcome"] == names.FINISHED]
    subsets = dict.fromkeys(row[SUBSET] for row in finished) if SUBSET in sweep.space else [None]
    groups = [[row for row in finished if subset in (None, row[SUBSET])] for subset in subsets]
    return [winner for group in groups for winner in _best_of(sweep, group)] or [None]


def _best_of(sweep: Sweep, trials: list[Trial]) -> list[Trial]:
    if len(sweep.objectives) > 1:
        front = pareto_front([[trial[objective] for objective in sweep.objectives] for trial in trials], sweep.directions)
        return [trials[place] for place in front]
    return [max(trials, key=lambda trial: _rank(sweep, trial))] if trials else []


def _rank(sweep: Sweep, trial: Trial) -> tuple[float, ...]:
    """Ties go as in the report: to the larger alpha, then to the smaller margin and temperature."""
    margin, temperature = (trial.get(name, 0.0) for name in ("loss.margin", "loss.temperature"))
    value = float(trial[sweep.objectives[0]])
    gain = value if sweep.directions[0] == "max" else -value
    return gain, trial["loss.alpha"], -margin, 0.0 if math.isnan(temperature) else -temperature


def _best(sweep: Sweep, trial: Trial | None) -> str:
    """Objectives: accuracies in %, with their 95 % intervals on the trial's validation clips where they are shares of clips."""
    if trial is None:
        return "–"
    texts = []
    for objective in sweep.objectives:
        if "accuracy" in objective:
            low, high = f"{objective}_low", f"{objective}_high"
            texts.append(f"{percent_interval({low: math.nan, high: math.nan, **trial}, objective, low, high)} %")
        else:
            texts.append(f"{trial[objective]:.3f}")
    return ", ".join(texts)


def _setting(sweep: Sweep, trial: Trial | None) -> str:
    """What distinguishes a trial from the others of its sweep."""
    if trial is None:
        return "–"
    searched = conditional_point(sweep.space, lambda name, _: trial[name])
    varied = [*searched, *(["seed"] if len(sweep.seeds) > 1 else [])]
    return ", ".join(f"{name} {trial[name]:.3g}" if isinstance(trial[name], float) else f"{name} {trial[name]}" for name in varied)
