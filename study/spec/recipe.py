"""Departures from the published recipe: the settings of a sweep that differ from it."""

from typing import Any

from acl.config import SELF_SUPERVISED, SUPERVISED, build_config, flatten
from acl.metric_names import PLACE_SETTINGS
from study.spec.space import edge_points
from study.spec.sweep import Sweep

# What studies vary as their question, which evaluations are made (both protocols are the recipe's), and what says only where a run
# computes: no departure from the recipe.
_QUESTIONS = ("seed", "loss.alpha", "loss.margin", "loss.temperature")
PLACE = (*PLACE_SETTINGS, "compute.channels_last")  # a memory format, of which the recipe says nothing
_NO_DEPARTURE = {
    SUPERVISED: (*_QUESTIONS, *PLACE, "data.test_fold", "data.subset"),
    SELF_SUPERVISED: (*_QUESTIONS, *PLACE, "data.test_fold", "probe.protocol", "finetune.on"),
}
UNKNOWN_CORPUS = "."  # stands for data.root while a study is checked before its corpus is named


def recipe_settings(mode: str) -> dict[str, Any]:
    """Every setting of a mode with the recipe's value, by dotted name.

    Raises:
        ConfigError: there is no such mode.
    """
    return flatten(build_config({"data.root": UNKNOWN_CORPUS, "mode": mode}))


def departures(sweep: Sweep) -> list[str]:
    """Settings that are not the published recipe's, one line each; what the paper varies itself is none."""
    mode = sweep.base["mode"]
    own = flatten(build_config({"data.root": UNKNOWN_CORPUS, **sweep.base, **edge_points(sweep.space)[0]}))
    lines = []
    for name, value in recipe_settings(mode).items():
        if name in _NO_DEPARTURE[mode]:
            continue
        if name.startswith("finetune.") and not own["finetune.on"]:
            continue
        if name in sweep.space:
            lines.append(f"{name} searched (recipe: {value})")
        elif own[name] != value:
            lines.append(f"{name} {own[name]} (recipe: {value})")
    return lines
