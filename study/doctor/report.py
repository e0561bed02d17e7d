"""The checks of `acl-study doctor`, one after the other."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from study.console import wrapped
from study.doctor.findings import Finding, count_problems
from study.doctor.machine_checks import machine_findings, torch_findings
from study.doctor.tool_checks import tool_findings
from study.state.home import Home


def installation_findings(home: Home, store: str | None, data: Path | None, *, with_ray: bool) -> Iterator[Finding]:
    """Look at one thing after the other; where torch does not load, nothing else is looked at.

    Arguments as `study.doctor.tool_checks.tool_findings`.
    """
    has_torch = True
    for finding in torch_findings():
        has_torch = has_torch and finding.state != "problem"
        yield finding
    if has_torch:
        yield from machine_findings(home.root)
        yield from tool_findings(home, store, data, with_ray=with_ray)
    else:
        yield Finding("note", "all else", "not looked at, since it needs torch", "once torch loads, run acl-study doctor again")


def show_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Print each finding as it comes, then the number of problems; returns the findings."""
    shown = []
    for finding in findings:
        print(wrapped(finding.line), flush=True)
        shown.append(finding)
    problems = count_problems(shown)
    print(f"{problems or 'no'} problem{'' if problems == 1 else 's'} that would keep studies from running")
    return shown
