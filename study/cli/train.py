"""One run without Ray: its settings from the command line, its epochs on the screen."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acl.config import Config, Setting, build_config, describe_settings, flatten, setting_names
from acl.metric_names import CLASS_ACCURACY
from acl.store.feature_store import FeatureStore
from acl.system.files import write_durably
from acl.system.memory import keep_freed_memory
from study import names
from study.spec.profiles import check_profile, modes_of_profile, profile_settings

if TYPE_CHECKING:
    from acl.training import EpochResult

_WIDTH = 80
_CLASS_WISE = f"{CLASS_ACCURACY}."


def train_one(config: Config, checkpoints: Path | None) -> None:
    """Train and print a line for each epoch, then the final figures; errors as `acl.training.fit`."""
    from acl.training import fit  # with torch, which takes seconds to import

    keep_freed_memory()
    epoch = 0
    try:
        for result in fit(config, checkpoints):
            epoch = result.epoch
            figures = {name: value for name, value in result.metrics.items() if not _is_final(name)}
            shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(f"epoch {result.epoch}/{result.epochs} {result.stage}  {shown}", flush=True)
            if result.is_last:
                _print_final(result, checkpoints)
    except KeyboardInterrupt:
        remedy = "the same command continues" if checkpoints is not None else "nothing is kept without --checkpoints"
        print(f"interrupted after epoch {epoch}; {remedy}", flush=True)
        raise


def _is_final(name: str) -> bool:
    """Figures that come with the last epoch only."""
    return name.startswith(("test.", names.BEST_EPOCH)) or _CLASS_WISE in name


def _print_final(result: "EpochResult", checkpoints: Path | None) -> None:
    print("final figures, of the epochs that validation selected:")
    for name, value in result.metrics.items():
        if _is_final(name) and _CLASS_WISE not in name:
            print(f"  {name} {value:.4g}")
    if checkpoints is not None:
        from study.execution.predictions import predictions_csv

        path = checkpoints / names.PREDICTIONS_FILE
        write_durably(path, predictions_csv(result))
        print(f"predictions of every clip: {path}")


def run_settings(mode: str | None, profile: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run by dotted name: those of the profile, and above them those that the command line gives.

    Raises:
        ConfigError: there is no such profile, or it is one of the other mode.
    """
    of_profile = profile_settings(profile or "recipe")
    modes = modes_of_profile(profile or "recipe")
    chosen = mode or modes[0]
    check_profile(profile or "recipe", [chosen])
    return {"mode": chosen, **of_profile.get(chosen, {}), **given}


def list_lines(mode: str | None, profile: str | None, given: Mapping[str, Any]) -> list[str]:
    """Describe the settings of a mode, or of each mode that the profile is about; arguments and errors as `run_settings`.

    Of several modes, each takes those of the `given` settings that it has.
    """
    named = given.get("mode", mode)
    modes = [named] if named else modes_of_profile(profile or "recipe")
    known = {each: setting_names(each) for each in modes}
    lines: list[str] = []
    for each in modes:
        of_others = {name for other in modes for name in known[other]} - set(known[each])
        own = {name: value for name, value in given.items() if name not in of_others}
        config = build_config({"data.root": "(none: name one with --data)", **run_settings(each, profile, own)})
        lines += ["", f"Settings of {each} runs"]
        for name, value in flatten(config).items():
            lines += ["", f"{name} = {_as_typed(value)}", *_described(describe_settings(each)[name])]
    return lines[1:]


def _described(setting: Setting) -> list[str]:
    """Meaning, then range, unit and default."""
    default = "no default" if setting.default is None else f"default {_as_typed(setting.default)}"
    unit = f", in {setting.unit}" if setting.unit else ""
    texts = (setting.meaning, f"{setting.range}{unit}; {default}")
    return [line for text in texts for line in textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")]


def _as_typed(value: Any) -> str:
    """A value as `--set` takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def run_config(settings: Mapping[str, Any]) -> Config:
    """The configuration of a run whose corpus is prepared.

    Raises:
        ConfigError: a setting is wrong.
        StoreError: the corpus has no features.
    """
    config = build_config(settings)
    FeatureStore.open(config.data.root, config.mode)
    return config
