"""The status of studies on the screen."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from acl.system.text import format_size
from study import names
from study.cli.json_fields import UNREADABLE, status_fields
from study.console import format_hours, print_json, table_console, wrapped
from study.results.selection import Candidate, Choice
from study.results.status import STATES, StudyStatus, SweepStatus, UnreadableStudy, home_status, study_status
from study.spec.objectives import value_text
from study.spec.sweep import Sweep
from study.state.home import Home, invocation
from study.state.seeds import setting_text

WATCH_SECONDS = 5.0
_ANY_WIDTH = 1000  # columns, more than a table has
_MOST_NAMED = 3  # trials named with a failure


def show_status(home: Home, name: str | None, *, watch: bool, as_json: bool = False) -> None:
    """Print how far a study is, or all studies of the home.

    Args:
        home: folder of results.
        name: of a launched study; None for all.
        watch: print it anew every few seconds, until Ctrl-C.
        as_json: print the object of `--json`, once.

    Raises:
        StudyError: there is no such study.
    """
    if as_json:
        print_json(status_fields(home, home_status(home) if name is None else [study_status(home, name)]))
        return
    console = table_console()

    def drawn() -> RenderableType:
        return _overview(home, home_status(home)) if name is None else _study(home, study_status(home, name), console)

    if watch:
        _watch(console, drawn)
    else:
        console.print(drawn(), soft_wrap=True)  # what is left whole here can be copied as a whole


def _watch(console: Console, drawn: Callable[[], RenderableType]) -> None:
    """Ctrl-C is how a person ends it, and no failure."""
    try:
        if not console.is_terminal:
            while True:
                console.print(drawn())
                time.sleep(WATCH_SECONDS)
        with Live(drawn(), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(drawn(), refresh=True)
    except KeyboardInterrupt:
        return


def _overview(home: Home, studies: Sequence[StudyStatus | UnreadableStudy]) -> RenderableType:
    if not studies:
        return Text(f"no study in {home.root}; start one with: {invocation('run STUDY', home)}, or name another folder with --home")
    table = Table("study", "state", "trials", "failed", "last activity")
    for status in studies:
        if isinstance(status, UnreadableStudy):
            table.add_row(Text(status.name), UNREADABLE, "–", "–", Text(status.reason))
            continue
        failed = sum(sweep.states[names.FAILED] for sweep in status.sweeps)
        table.add_row(Text(status.name), status.state, f"{status.over}/{status.total}", str(failed), _when(status.last_activity))
    return table


def _study(home: Home, status: StudyStatus, console: Console) -> RenderableType:
    parts: list[RenderableType] = [Text(line) for line in _head(home, status, console.width)]
    remarks = [line for sweep in status.sweeps for line in sweep.remarks]
    table = _wide_table(status)
    if console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).maximum > console.width:
        table = _narrow_table(status)
        windows = dict.fromkeys(
            f"{sweep.sweep.name} {_window(sweep)}" for sweep in status.sweeps if sweep.epochs_per_hour is not None
        )
        remarks = [f"epochs/h are of the last part of each sweep: {', '.join(windows)}"] * bool(windows) + remarks
    best = [f"  {line}" for sweep in status.sweeps for line in _best(sweep)]
    failures = [f"  {sweep.sweep.name}: {line}" for sweep in status.sweeps for line in _failures(sweep)]
    below = [*remarks, "best so far by validation:", *best, *(["failed or lost:", *failures] if failures else [])]
    return Group(*parts, table, *[Text(wrapped(line, console.width)) for line in below])


def _wide_table(status: StudyStatus) -> Table:
    """A column for each state."""
    shown = _states(status)
    table = Table("sweep", "trials", *shown, "epochs per hour", "time left")
    for sweep in status.sweeps:
        counts = [str(sweep.states[state]) for state in shown]
        rate = "–" if sweep.epochs_per_hour is None else f"{_rate(sweep)} (last {_window(sweep)})"
        table.add_row(Text(sweep.sweep.name), f"{sweep.over}/{sweep.needed}", *counts, rate, _left(status, sweep))
    return table


def _narrow_table(status: StudyStatus) -> Table:
    """All states in one column, where its words have room to wrap."""
    table = Table("sweep", "trials", "states", "epochs/h", "time left")
    table.columns[0].overflow = "fold"
    for column in table.columns[:2]:
        column.no_wrap = True
    for sweep in status.sweeps:
        states = ", ".join(f"{sweep.states[state]} {state}" for state in _states(status) if sweep.states[state])
        table.add_row(Text(sweep.sweep.name), f"{sweep.over}/{sweep.needed}", states, _rate(sweep), _left(status, sweep))
    return table


def _states(status: StudyStatus) -> list[str]:
    return [state for state in STATES if any(sweep.states[state] for sweep in status.sweeps)]


def _head(home: Home, status: StudyStatus, width: int) -> list[str]:
    process = status.process
    if process is None:
        line = f"{status.name}: {status.state}, last activity {_when(status.last_activity)}"
    else:
        who = f"process {process.pid} on {process.host}" if process.pid is not None else f"a launch that begins on {process.host}"
        line = f"{status.name}: running since {_when(process.since)} ({who}), last activity {_when(status.last_activity)}"
    lines = [wrapped(line, width)]
    if status.state == "interrupted":
        lines.append(f"{status.total - status.over} trials are left; continue with: {invocation(f'resume {status.name}', home)}")
    if status.records_gone is not None:
        again = invocation(f"resume {status.name}", home)
        lines.append(f"the records are gone from {status.records_gone}; write them anew from the journals with: {again}")
    behind = f"MLflow lacks {status.events_behind} entries of the journals" if status.events_behind > 0 else "MLflow is up to date"
    size, checkpoints, free = (format_size(count, "MiB", "GiB") for count in (status.size, status.checkpoints, status.free))
    lines.append(wrapped(f"{behind}; disk: {size}, of which checkpoints {checkpoints}, {free} free", width))
    return lines


def _rate(sweep: SweepStatus) -> str:
    if sweep.epochs_per_hour is None:
        return "–"
    return f"{sweep.epochs_per_hour:.0f}" if sweep.epochs_per_hour >= 10 else f"{sweep.epochs_per_hour:.2g}"


def _window(sweep: SweepStatus) -> str:
    return format_hours(sweep.window / 3600, split=True)


def _left(status: StudyStatus, sweep: SweepStatus) -> str:
    if not sweep.epochs_left:
        return "none"
    if sweep.hours_left is None or status.process is None:
        return f"{sweep.epochs_left} epochs{' at most' if sweep.is_bound else ''}"
    return ("at most " if sweep.is_bound else "") + format_hours(sweep.hours_left, split=True)


def _best(sweep: SweepStatus) -> list[str]:
    if not sweep.choices:
        return [f"{sweep.sweep.name}: nothing yet"]
    return [f"{sweep.sweep.name}: {_choice(sweep.sweep, choice)}" for choice in sweep.choices]


def _choice(sweep: Sweep, choice: Choice) -> str:
    if len(sweep.objectives) > 1:
        subset = f"{choice.subset}: " if choice.subset else ""
        return f"{subset}{len(choice.winners)} of {len(choice.candidates)} settings on the Pareto front"
    (winner,) = choice.winners
    return f"{sweep.objectives[0]} {_figure(sweep, winner)}, {setting_text(winner.setting) or 'one setting'}"


def _figure(sweep: Sweep, winner: Candidate) -> str:
    text = value_text(sweep.objectives[0], winner.objectives[0])
    return text if len(sweep.seeds) == 1 else f"{text} ({len(winner.rows)} of {len(sweep.seeds)} seeds)"


def _failures(sweep: SweepStatus) -> list[str]:
    lines = []
    for reason, trials in sweep.failures.items():
        named = ", ".join(trials[:_MOST_NAMED]) + (", …" if len(trials) > _MOST_NAMED else "")
        lines.append(f"{len(trials)} × {reason or 'no reason is known'} ({named})")
    return lines


def _when(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
