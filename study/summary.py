"""What a launch ends with on the screen."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from analysis.page_tables import percent_interval
from analysis.runs import load_predictions, load_trials
from analysis.trial_tables import with_intervals
from study import record_names as names
from study.spec import Study, Sweep

OUTCOMES = (names.FINISHED, names.STOPPED, names.FAILED)
SUBSET = "data.subset"

Trial = dict[Any, Any]  # column of the trials' frame -> value


def print_summary(study: Study, store_uri: str) -> None:
    """Trials by outcome and the best finished setting by validation, one line per sweep.

    A sweep over subsets gets a line for each: their validation clips differ, so their figures do not compare.
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
        head = [sweep.name, f"{len(rows)}/{sweep.runs}", *counts, sweep.objective]
        for winner in _winners(sweep, rows):
            table.add_row(*head, _best(winner), _setting(sweep, winner))
            head = [""] * len(head)
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)  # a log file has no width of its own


def _winners(sweep: Sweep, rows: list[Trial]) -> list[Trial | None]:
    """Best finished trial of each subset that the sweep compares; [None] where no trial has finished."""
    finished = [row for row in rows if row["outcome"] == names.FINISHED]
    subsets = dict.fromkeys(row[SUBSET] for row in finished) if SUBSET in sweep.space else [None]
    groups = [[row for row in finished if subset in (None, row[SUBSET])] for subset in subsets]
    return [max(group, key=lambda row: _rank(sweep, row), default=None) for group in groups] or [None]


def _rank(sweep: Sweep, trial: Trial) -> tuple[float, ...]:
    """Ties go as in the report: to the larger alpha, then to the smaller margin and temperature."""
    margin, temperature = (trial.get(name, 0.0) for name in ("loss.margin", "loss.temperature"))
    return float(trial[sweep.objective]), trial["loss.alpha"], -margin, 0.0 if math.isnan(temperature) else -temperature


def _best(trial: Trial | None) -> str:
    """Objective, with its 95 % interval on the trial's validation clips where it is a share of clips."""
    if trial is None:
        return "–"
    return f"{percent_interval(trial, 'objective_value', 'objective_value_low', 'objective_value_high')} %"


def _setting(sweep: Sweep, trial: Trial | None) -> str:
    """What distinguishes a trial from the others of its sweep."""
    if trial is None:
        return "–"
    varied = [*sweep.space, *(["seed"] if len(sweep.seeds) > 1 else [])]
    return ", ".join(f"{name} {trial[name]:.3g}" if isinstance(trial[name], float) else f"{name} {trial[name]}" for name in varied)
