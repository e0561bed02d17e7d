"""The pages of docs/, run as a reader would: every fenced block that says what it is, from the first to the last.

console  lines behind a $ are run in the reader's folder, acl-study by itself, all else by bash
python   with a path in a comment on its first line: written to that file; else a part of the page's script, run at the end
yaml     written to the file that the text before it names: "as `study.yaml`"
diff     applied to the sources in the reader's folder with `git apply`
bash     takes hours or other machines: its acl-study commands are parsed only
text     shown only
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from support.command_line import acl_study
from support.preloaded import Command

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"as `([\w.-]+\.yaml)`")
_SECONDS = 240


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Kind, content, and the text before it up to the last block, of every fenced block."""
    text, end = (DOCS / page).read_text(encoding="utf-8"), 0
    for found in _BLOCK.finditer(text):
        yield found[1], found[2], text[end : found.start()]
        end = found.end()


def commands(page: str) -> list[str]:
    """The acl-study commands of a page, also those that are not run."""
    lines = "".join(content for kind, content, _ in blocks(page) if kind in ("console", "bash")).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("acl-study ")]


def follow(
    page: str,
    folder: Path,
    sources: Path = ROOT,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Do in `folder` what a page says, with the packages of `sources`; returns all that was printed.

    The command line has the `variables` besides.

    Raises:
        AssertionError: a command or the script failed, or a diff does not fit.
    """
    environment = _environment(folder, sources)
    printed, script = "", ""
    for kind, content, before in blocks(page):
        if kind == "console":
            for line in (line.removeprefix("$ ") for line in content.splitlines() if line.startswith("$ ")):
                if line.startswith("acl-study "):
                    printed += _acl_study(line, folder, {"PYTHONPATH": str(sources), **(variables or {})})
                else:
                    printed += _run(["bash", "-c", line], folder, environment)
        elif kind == "yaml" and (name := _FILE.findall(before)):
            (folder / name[-1]).write_text(content)
        elif kind == "python" and (path := re.match(r"# (\S+\.py)\n", content)):
            (folder / path[1]).write_text(content.partition("\n")[2])
        elif kind == "python":
            script += content
        elif kind == "diff":
            apply_diff(content, folder)
    if script:
        process = Command(["python", "-c", script], environment, folder, fresh=True)
        process.communicate(timeout=_SECONDS)
        printed += _said(script, process.returncode, process.out, process.err)
    return printed


def apply_diff(diff: str, folder: Path) -> None:
    """Apply a patch as a reader does, with git."""
    done = subprocess.run(["git", "apply", "-"], cwd=folder, input=diff, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{diff}"


# Objects of `--json` whose keys are settings, metrics or libraries
_NAMED_BY_OTHERS = ("setting", "settings", "winner_setting", "baseline_setting", "baseline", "lacking_seeds", "objectives")
_NAMED_BY_OTHERS += ("published", "versions")


def documented_fields(command: str) -> set[str]:
    """Fields of a command's object that docs/json.md documents; none twice."""
    section = (DOCS / "json.md").read_text().split(f"\n## {command}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", section, flags=re.MULTILINE)
    documented = [field for row in rows for field in re.findall(r"`(.+?)`", row)]
    assert len(documented) == len(set(documented))
    return set(documented)


def field_paths(value: Any, path: str = "", key: str = "") -> Iterator[str]:
    """Path of each field of an object, as the page writes it."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            shown = "*" if key in _NAMED_BY_OTHERS else name
            of_setting = shown == "*" and not isinstance(part, Mapping)
            yield from [f"{path}.*"] if of_setting else field_paths(part, f"{path}.{shown}".removeprefix("."), shown)
    elif isinstance(value, list):
        for part in value:
            yield from field_paths(part, f"{path}[]", key)
    else:
        yield path


def _acl_study(line: str, folder: Path, variables: Mapping[str, str]) -> str:
    done = acl_study(*shlex.split(line)[1:], folder=folder, env=variables)
    return _said(line, done.returncode, done.out, done.err)


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    return _said(command[-1], done.returncode, done.stdout, done.stderr)


def _said(line: str, status: int | None, out: str, err: str) -> str:
    """What a command has printed, which must not have failed."""
    assert status == 0, f"{line}\n{out}\n{err}"
    return f"$ {line}\n{out}"


def _environment(folder: Path, sources: Path) -> dict[str, str]:
    """Where `python` is that of the tests, with the packages of `sources`."""
    programs = folder / ".programs"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (programs / "python").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(sources), "COLUMNS": "150"}
