"""Hostile input for readers. HOSTILE_FACTOR=50 in the environment tries 50 times as much, at random."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

FACTOR = int(os.environ.get("HOSTILE_FACTOR", "1"))

NASTY = (
    "",
    " ",
    "=1+1",
    "../..",
    "a\nb",
    "a\0b",
    "\x1b[31m",
    "\ud800",
    "[red]x[/]",
    "<img src=x onerror=alert(1)>",
    "NaN",
    "é",
    "x" * 300,
)
SCALARS = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=8),
    st.sampled_from((None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, float("nan"), float("inf"), 1e-320, 1e308, 0.5)),
    st.integers(-3, 300),
    st.floats(),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=6
)


def examples(count: int) -> Callable[[Any], Any]:
    """Settings of a test with that many examples, the same ones each time."""
    return settings(
        max_examples=count * FACTOR,
        deadline=None,
        derandomize=FACTOR == 1,
        database=None,
        phases=[Phase.explicit, Phase.generate],  # shrinking what is slow to read takes minutes
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def readable(message: str, most_lines: int = 100, longest: int = 1500) -> None:
    """People can read the message: lines of printable characters, none endless."""
    lines = message.split("\n")
    assert all(line.isprintable() and 0 < len(line) < longest for line in lines), message
    assert len(lines) <= most_lines, message


@st.composite
def changed(draw: st.DrawFn, content: Any, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """Nested mappings and lists with one to three parts replaced, removed or added."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        part: Any = content
        while True:
            keys = list(part) if isinstance(part, dict) else list(range(len(part)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(part[key], dict | list) or draw(st.booleans()):
                break
            part = part[key]
        change = draw(st.sampled_from(("replace", "remove", "add")))
        if change == "add" and isinstance(part, dict):
            part[draw(SCALARS)] = draw(values)
        elif change == "add" or not keys:
            part.append(draw(values)) if isinstance(part, list) else part.update(added=draw(values))
        elif change == "replace":
            part[key] = draw(values)
        else:
            del part[key]
    return content


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes of a file with some of them changed, cut off, put in or put twice."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        change = draw(st.sampled_from(("flip", "cut", "insert", "repeat", "drop")))
        length = draw(st.integers(1, 40))
        if change == "flip" and content:
            content[place] ^= draw(st.integers(1, 255))
        elif change == "cut":
            del content[place:]
        elif change == "insert":
            content[place:place] = draw(
                st.binary(max_size=6) | st.sampled_from((b",", b"\n", b"-1", b"nan", b"9" * 30, b'"', b"\0", b"\xff", b"{", b"["))
            )
        elif change == "repeat":
            content[place:place] = content[place : place + length]
        else:
            del content[place : place + length]
    return bytes(content)


def replaced(path: Path, content: bytes) -> Path:
    """The file with other content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
