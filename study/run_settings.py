"""Settings of one run without Ray, from the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acl.config import Config, build_config, flatten
from acl.store import FeatureStore
from study.commands import parse_settings
from study.profile_settings import check_profile, modes_of_profile, profile_settings


def run_settings(mode: str | None, profile: str | None, settings: list[str], data: Path | None) -> dict[str, Any]:
    """Settings of a run by dotted name: those of the profile, and above them those of the command line.

    Raises:
        ConfigError: there is no such profile, it is one of the other mode, or an option without "=".
    """
    of_profile = profile_settings(profile or "recipe")
    modes = modes_of_profile(profile or "recipe")
    chosen = mode or modes[0]
    check_profile(profile or "recipe", [chosen])
    return {"mode": chosen, **of_profile.get(chosen, {}), **parse_settings(settings, data)}


def list_lines(settings: Mapping[str, Any]) -> list[str]:
    """A line for each setting."""
    config = build_config({"data.root": "(none: name one with --data)", **settings})
    return [f"{name} = {value}" for name, value in flatten(config).items()]


def run_config(settings: Mapping[str, Any]) -> Config:
    """The configuration of a run whose corpus is prepared.

    Raises:
        ConfigError: a setting is wrong.
        StoreError: the corpus has no features.
    """
    config = build_config(settings)
    FeatureStore.open(config.data.root, config.mode)
    return config
