"""This installation and what a profile amounts to, in words. Imports torch, which may fail: `report` does not."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acl.config import SELF_SUPERVISED, SUPERVISED, build_config, flatten
from acl.deviations import Deviation, deviations
from acl.metric_names import COMPUTE_PREFIX
from acl.provenance import describe_code, describe_hardware, describe_versions
from study.spec.profiles import modes_of_profile, profile_settings

WIDTH = 110
_PAPER: dict[str, str] = {SUPERVISED: "paper-supervised", SELF_SUPERVISED: "paper-ssl"}
NO_CORPUS = "(none: --data names it)"


def code_words() -> str:
    """Version of acl-study, and of a git checkout the commit."""
    code = describe_code()
    commit = code["git_commit"] or f"no commit ({code['no_commit_because']})"
    return f"{code['version']}, {commit}" + (", with changes that are not committed" if code["git_dirty"] else "")


@dataclass(frozen=True)
class Installation:
    """Code, libraries and machine, as `acl.provenance` describes them."""

    code: Mapping[str, Any]
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]


@dataclass(frozen=True)
class ModeSettings:
    """Settings of the runs of a mode under a profile.

    Attributes:
        mode: of the runs.
        settings: dotted name -> value.
        published: dotted name -> the published value, where another one stands in `settings`.
        deviations: from the published code, besides those of settings.
    """

    mode: str
    settings: Mapping[str, Any]
    published: Mapping[str, Any]
    deviations: Sequence[Deviation]


def describe_installation() -> Installation:
    """Describe this installation."""
    return Installation(describe_code(), describe_versions(), describe_hardware())


def settings_of_modes(profile: str) -> list[ModeSettings]:
    """Resolve a profile for each of its modes; `recipe` and others that name settings of no mode are about both.

    Raises:
        ConfigError: there is no such profile.
    """
    settings = profile_settings(profile)
    modes = []
    for mode in modes_of_profile(profile):
        config = build_config({"data.root": NO_CORPUS, **settings.get(mode, {}), "mode": mode})
        paper = profile_settings(_PAPER[mode])[mode]
        published = flatten(build_config({"data.root": NO_CORPUS, **paper, "mode": mode}))
        resolved = flatten(config)
        differing = {
            name: published[name]
            for name, value in resolved.items()
            if value != published[name] and not name.startswith(COMPUTE_PREFIX)
        }
        modes.append(ModeSettings(mode, resolved, differing, deviations(config)))
    return modes


def installation_lines(installation: Installation) -> list[str]:
    """Code, versions and machine."""
    hardware = installation.hardware
    gpu = hardware["gpu"]
    shown_gpu = f"{gpu['name']}, {gpu['memory_gib']} GiB, CUDA {gpu['cuda']}" if gpu else "none that torch sees: runs use the CPU"
    versions = ", ".join(f"{name} {version}" for name, version in installation.versions.items())
    return [
        f"acl-study  {code_words()}",
        *textwrap.wrap(f"versions   {versions}", WIDTH, subsequent_indent=" " * 11),
        f"machine    {hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB",
        f"GPU        {shown_gpu}",
    ]


def profile_lines(profile: str, modes: Sequence[ModeSettings]) -> list[str]:
    """Every setting of a run under the profile, and every deviation from the published code."""
    lines: list[str] = []
    for of_mode in modes:
        lines += ["", f"{of_mode.mode} runs under profile {profile}:", ""]
        for name, value in of_mode.settings.items():
            published = f"    (published: {of_mode.published[name]})" if name in of_mode.published else ""
            lines.append(f"  {name} = {value}{published}")
        lines += ["", *_deviation_lines(of_mode.deviations)]
    return lines


def _deviation_lines(entries: Sequence[Deviation]) -> list[str]:
    lines = [f"{len(entries)} deviations from the published code, besides settings marked above:"]
    for number, entry in enumerate(entries, start=1):
        lines += ["", f"{number:3}. {entry.topic}"]
        parts: dict[str, Any] = {"published": entry.published, "here": entry.here, "because": entry.why}
        for name, text in parts.items():
            lines += textwrap.wrap(f"     {name:10} {text}", WIDTH, subsequent_indent=" " * 16)
    return lines
