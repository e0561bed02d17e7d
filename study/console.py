"""Output of the command line: durations, sizes, tables, progress bars, the objects of `--json`."""

import json
import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from numbers import Integral, Real
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from acl.system.text import format_size

_LOG_WIDTH = 140
_LABEL = re.compile(r"(?: *(?:\S+ )*\S+ {2,})+")  # words before a gap, as "verdict" before what it is
JSON_SCHEMA = 2  # of the objects of `--json`; the next number where a field goes or means something else


def format_hours(value: float, *, split: bool = False) -> str:
    """A duration that was estimated: hours, minutes below two hours, or seconds below two minutes.

    Args:
        value: hours.
        split: write it in two units, such as hours and minutes.

    >>> format_hours(0.01), format_hours(1.5), format_hours(50)
    ('36 s', '90 min', '50 h')
    >>> format_hours(0.01, split=True), format_hours(1.5, split=True), format_hours(50, split=True)
    ('36 s', '1 h 30 min', '2 d 2 h')
    """
    if split and value * 60 >= 1:
        minutes = round(value * 60)
        if minutes < 60:
            return f"{minutes} min"
        if minutes < 48 * 60:
            return f"{minutes // 60} h {minutes % 60} min"
        return f"{minutes // 1440} d {minutes % 1440 // 60} h"
    if value * 60 < 2:
        return f"{value * 3600:.0f} s"
    if value < 2:
        return f"{value * 60:.0f} min"
    return f"{value:.1f} h" if value < 20 else f"{value:.0f} h"


def format_seconds(value: float) -> str:
    """A duration that was measured: three significant digits below ten minutes, above as `format_hours`.

    >>> format_seconds(0.0123), format_seconds(12.345), format_seconds(900)
    ('12.3 ms', '12.3 s', '15 min')
    """
    if value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s" if value < 600 else format_hours(value / 3600)


def format_bytes(count: float) -> str:
    """A size that was estimated: GB, or whole MB and at least one. Sizes that are known are written by `format_size`.

    >>> format_bytes(1.26e9), format_bytes(5_300_000), format_bytes(3)
    ('1.3 GB', '5 MB', '1 MB')
    """
    return format_size(count, "GB") if count >= 1e9 else format_size(max(count, 1e6), "MB", digits=0)


def format_range(low: float, high: float) -> str:
    """Durations that were estimated, in one unit: that of the longer one.

    >>> format_range(0.01, 0.03), format_range(0.01, 1.5), format_range(3, 3)
    ('36 to 108 s', '0.6 to 90 min', '3.0 h')
    """
    longer = format_hours(high)
    if format_hours(low) == longer:
        return longer
    unit = longer.rpartition(" ")[2]
    shorter = low * {"s": 3600, "min": 60, "h": 1}[unit]
    return f"{shorter:.0f} to {longer}" if shorter >= 10 or unit == "s" else f"{shorter:.1g} to {longer}"


def output_width() -> int | None:
    """Columns of standard output: those of COLUMNS or of the terminal; None for a file or a pipe, which has none of its own."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table_console() -> Console:
    """Standard output for tables: as wide as the terminal, and 140 columns in a log file, which has no width of its own."""
    console = Console()
    return console if console.is_terminal else Console(width=output_width() or _LOG_WIDTH)


def wrapped(line: str, width: int | None = None) -> str:
    """A line of prose, broken between words where it is longer than the output is wide; the rest stands below its text.

    Lines with commands are not for this function: a terminal breaks them in a way in which they can be copied.

    >>> print(wrapped("  verdict     no gain: no other setting is better", width=32))
      verdict     no gain: no other
                  setting is better
    """
    width = width or output_width()
    if width is None or len(line) <= width:
        return line
    label = _LABEL.match(line)
    indent = label.end() if label and label.end() <= width // 2 else len(line) - len(line.lstrip()) + 2
    return textwrap.fill(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines of prose, see `wrapped`."""
    for line in lines:
        print(wrapped(line))


def print_json(fields: Mapping[str, Any]) -> None:
    """Print the object of `--json`: `schema`, then `fields`; docs/json.md documents them all."""
    print(json.dumps({"schema": JSON_SCHEMA, **json_value(fields)}, indent=2, allow_nan=False), flush=True)


def json_value(value: Any) -> Any:
    """Convert a value for JSON: numbers stay unrounded, NaN and infinities become null.

    >>> json_value({"accuracy": 0.1 + 0.2, "gain": float("nan"), "seeds": (0, 1)})
    {'accuracy': 0.30000000000000004, 'gain': None, 'seeds': [0, 1]}
    """
    if isinstance(value, Mapping):
        return {str(name): json_value(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(part) for part in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):  # numpy's numbers, too
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    return value


@contextmanager
def reserved_stdout(is_reserved: bool = True) -> Iterator[None]:
    """Send what the block prints to standard error, so that the object of `--json` stands alone on standard output."""
    with redirect_stdout(sys.stderr) if is_reserved else nullcontext():
        yield


@contextmanager
def progress_bar(what: str, unit: str = "clips", console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, fed with (done, total); it appears with the first call."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console or Console(stderr=True))
    task = bar.add_task(what, total=None)

    def show(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()
