"""What a shell offers when Tab is pressed. It answers at every key, so nothing heavy is imported, and settings only when asked for.

Where nothing fits, the shell offers files.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import typer

from study.home import DEFAULT_HOME, Home


def complete_study(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of shipped studies."""
    from study.includes import shipped_studies

    return _beginning(incomplete, shipped_studies())


def complete_launched(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the studies that were launched in the home folder."""
    home = Home(Path(ctx.params.get("home") or DEFAULT_HOME))
    return _beginning(incomplete, (file.parent.name for file in home.root.glob("studies/*/study.yaml")))


def complete_profile(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the profiles."""
    from study.spec import Profile

    return _beginning(incomplete, get_args(Profile))


def complete_mode(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the modes."""
    from acl.config import Mode

    return _beginning(incomplete, get_args(Mode))


def complete_setting(ctx: typer.Context, incomplete: str) -> list[str]:
    """Dotted names of the settings of both modes, each with the = that follows."""
    from acl.config import Mode, setting_names

    return _beginning(incomplete, (f"{name}=" for mode in get_args(Mode) for name in setting_names(mode)))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
