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
from study.console import format_hours, print_json, table_console
from study.results.selection import Candidate, Choice
from study.results.status import STATES, StudyStatus, SweepStatus, UnreadableStudy, home_status, study_status
from study.spec.objectives import value_text
from study.spec.sweep import Sweep
from study.state.home import Home, invocation
from study.state.seeds import setting_text

WATCH_SECONDS = 5.0
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
        return _overview(home, home_status(home)) if name is None else _study(home, study_status(home, name))

    if watch:
        _watch(console, drawn)
    else:
        console.print(drawn())


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


def _study(home: Home, status: StudyStatus) -> RenderableType:
    parts: list[RenderableType] = [Text(line) for line in _head(home, status)]
    shown = [state for state in STATES if any(sweep.states[state] for sweep in status.sweeps)]
    table = Table("sweep", "trials", *shown, "epochs per hour", "time left")
    for sweep in status.sweeps:
        counts = [str(sweep.states[state]) for state in shown]
        table.add_row(Text(sweep.sweep.name), f"{sweep.over}/{sweep.needed}", *counts, _rate(sweep), _left(status, sweep))
    parts += [table, *(Text(line) for sweep in status.sweeps for line in sweep.remarks), Text("best so far by validation:")]
    parts += [Text(f"  {line}") for sweep in status.sweeps for line in _best(sweep)]
    failures = [f"  {sweep.sweep.name}: {line}" for sweep in status.sweeps for line in _failures(sweep)]
    return Group(*parts, *[Text(line) for line in (["failed or lost:", *failures] if failures else [])])


def _head(home: Home, status: StudyStatus) -> list[str]:
    process = status.process
    if process is None:
        line = f"{status.name}: {status.state}, last activity {_when(status.last_activity)}"
    else:
        who = f"process {process.pid} on {process.host}" if process.pid is not None else f"a launch that begins on {process.host}"
        line = f"{status.name}: running since {_when(process.since)} ({who}), last activity {_when(status.last_activity)}"
    lines = [line]
    if status.state == "interrupted":
        lines.append(f"{status.total - status.over} trials are left; continue with: {invocation(f'resume {status.name}', home)}")
    behind = f"MLflow lacks {status.events_behind} entries of the journals" if status.events_behind > 0 else "MLflow is up to date"
    size, checkpoints, free = (format_size(count, "MiB", "GiB") for count in (status.size, status.checkpoints, status.free))
    lines.append(f"{behind}; disk: {size}, of which checkpoints {checkpoints}, {free} free")
    return lines


def _rate(sweep: SweepStatus) -> str:
    if sweep.epochs_per_hour is None:
        return "–"
    rate = f"{sweep.epochs_per_hour:.0f}" if sweep.epochs_per_hour >= 10 else f"{sweep.epochs_per_hour:.2g}"
    return f"{rate} (last {format_hours(sweep.window / 3600, split=True)})"


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
