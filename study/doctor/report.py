"""The report of `acl-study doctor`: this installation, a profile in words, and the checks as they come."""

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from acl.config import SELF_SUPERVISED, SUPERVISED, Config, build_config, flatten
from acl.deviations import deviations
from acl.metric_names import COMPUTE_PREFIX
from acl.provenance import describe_code, describe_hardware, describe_versions
from study.doctor.findings import Finding
from study.doctor.machine_checks import machine_findings, torch_findings
from study.doctor.tool_checks import tool_findings
from study.spec.profiles import modes_of_profile, profile_settings
from study.state.home import Home

WIDTH = 110
_PAPER: dict[str, str] = {SUPERVISED: "paper-supervised", SELF_SUPERVISED: "paper-ssl"}
_NO_CORPUS = "(none: --data names it)"


def code_words() -> str:
    """Version of acl-study, and of a git checkout the commit."""
    code = describe_code()
    commit = code["git_commit"] or f"no commit ({code['no_commit_because']})"
    return f"{code['version']}, {commit}" + (", with changes that are not committed" if code["git_dirty"] else "")


def installation_lines() -> list[str]:
    """Code, versions and machine."""
    hardware = describe_hardware()
    gpu = hardware["gpu"]
    shown_gpu = f"{gpu['name']}, {gpu['memory_gib']} GiB, CUDA {gpu['cuda']}" if gpu else "none that torch sees: runs use the CPU"
    versions = ", ".join(f"{name} {version}" for name, version in describe_versions().items())
    return [
        f"acl-study  {code_words()}",
        *textwrap.wrap(f"versions   {versions}", WIDTH, subsequent_indent=" " * 11),
        f"machine    {hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB",
        f"GPU        {shown_gpu}",
    ]


def profile_lines(profile: str) -> list[str]:
    """Every setting of a run under the profile, and every deviation from the published code.

    A profile that names settings of one mode is shown for that mode, `recipe` and others for both.

    Raises:
        ConfigError: there is no such profile.
    """
    settings = profile_settings(profile)
    lines: list[str] = []
    for mode in modes_of_profile(profile):
        config = build_config({"data.root": _NO_CORPUS, **settings.get(mode, {}), "mode": mode})
        paper = profile_settings(_PAPER[mode])[mode]
        published = flatten(build_config({"data.root": _NO_CORPUS, **paper, "mode": mode}))
        lines += ["", f"{mode} runs under profile {profile}:", ""]
        for name, value in flatten(config).items():
            differs = value != published[name] and not name.startswith(COMPUTE_PREFIX)
            lines.append(f"  {name} = {value}" + (f"    (published: {published[name]})" if differs else ""))
        lines += ["", *_deviation_lines(config)]
    return lines


def _deviation_lines(config: Config) -> list[str]:
    entries = deviations(config)
    lines = [f"{len(entries)} deviations from the published code, besides settings marked above:"]
    for number, entry in enumerate(entries, start=1):
        lines += ["", f"{number:3}. {entry.topic}"]
        parts: dict[str, Any] = {"published": entry.published, "here": entry.here, "because": entry.why}
        for name, text in parts.items():
            lines += textwrap.wrap(f"     {name:10} {text}", WIDTH, subsequent_indent=" " * 16)
    return lines


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
