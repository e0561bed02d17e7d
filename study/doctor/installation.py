"""This installation and what a profile amounts to, in words. Imports torch, which may fail: `report` does not."""

import textwrap
from typing import Any

from acl.config import SELF_SUPERVISED, SUPERVISED, Config, build_config, flatten
from acl.deviations import deviations
from acl.metric_names import COMPUTE_PREFIX
from acl.provenance import describe_code, describe_hardware, describe_versions
from study.spec.profiles import modes_of_profile, profile_settings

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
