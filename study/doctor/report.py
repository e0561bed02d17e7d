"""The checks of `acl-study doctor`, printed as they come."""

from collections.abc import Iterable
from pathlib import Path

from study.doctor.findings import Finding
from study.doctor.machine_checks import machine_findings, torch_findings
from study.doctor.tool_checks import tool_findings
from study.state.home import Home


def check_installation(home: Home, store: str | None, data: Path | None, *, with_ray: bool) -> int:
    """Print what this installation is and a line for each thing that is looked at; returns the number of problems.

    Arguments as `study.doctor.tool_checks.tool_findings`.
    """
    problems = _shown(torch_findings())
    if problems:
        print("the rest needs torch; once it loads, run acl-study doctor again")
        return problems
    problems += _shown(machine_findings(home.root)) + _shown(tool_findings(home, store, data, with_ray=with_ray))
    print(f"{problems or 'no'} problem{'' if problems == 1 else 's'} that would keep studies from running")
    return problems


def _shown(findings: Iterable[Finding]) -> int:
    problems = 0
    for finding in findings:
        print(finding.line, flush=True)
        problems += finding.state == "problem"
    return problems
