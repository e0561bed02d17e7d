"""Profiles: sets of settings that stand below a study's own, e.g. toy sizes or a whole published protocol."""

from collections.abc import Collection
from importlib.resources import files
from typing import Any, get_args

import yaml

from acl.config import ConfigError, Mode
from acl.system.text import close_to
from study.spec.study import Profile


def modes_of_profile(profile: str) -> list[str]:
    """Modes whose runs a profile is about."""
    settings = profile_settings(profile)
    return [mode for mode in get_args(Mode) if mode in settings] or list(get_args(Mode))


def check_profile(profile: str, modes: Collection[str]) -> None:
    """Refuse a profile that would change nothing and yet be recorded.

    Raises:
        ConfigError: the profile is about none of `modes`, or does not exist.
    """
    about = modes_of_profile(profile)
    known = [mode for mode in modes if mode in get_args(Mode)]  # an unknown mode has its own message
    if known and not set(about) & set(known):
        raise ConfigError(f"profile {profile} is about {' and '.join(about)} runs, these are {' and '.join(known)}; choose another")


def profile_settings(profile: str) -> dict[str, dict[str, Any]]:
    """What a profile replaces: recipe settings by mode, and fields of every sweep.

    Raises:
        ConfigError: there is no such profile.
    """
    if profile not in get_args(Profile):
        close = close_to(profile, get_args(Profile), "; ")
        raise ConfigError(f"profile must be one of {', '.join(get_args(Profile))}, got {profile!r}{close}")
    if profile == "recipe":
        return {}
    text = (files("study") / "profiles" / f"{profile}.yaml").read_text(encoding="utf-8")
    content: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return content
