"""Names of runs in MLflow: short enough for a narrow column, and each trial's different from the others of its study.

A person may type them: `0007` and `search-0007` name trials in `acl-study export STUDY/TRIAL` and `compare`.
"""

from collections.abc import Mapping
from typing import Any

from study import names
from study.spec.sweep import Sweep
from study.state.seeds import SEED, setting_of_row

_SYMBOLS = {"loss.alpha": "α ", "loss.margin": "m ", "loss.temperature": "τ ", "data.subset": "", SEED: "s"}
_SEPARATOR = " · "
_LONGEST = 240  # letters; databases keep 250


def trial_name(trial: str, sweep: Sweep, settings: Mapping[str, Any]) -> str:
    """Name of a trial's run: the trial, what varies in its sweep, and where the sweep has several seeds the seed.

    >>> trial_name("sweep-0007", Sweep(seeds=[0, 1]), {"seed": 1})
    '0007 · s1'
    """
    seed = {SEED: settings[SEED]} if len(sweep.seeds) > 1 else {}
    short = trial.removeprefix(f"{names.SWEEP_NAME}-") if sweep.name == names.SWEEP_NAME else trial
    return _joined([short, *_parts({**setting_of_row(sweep, settings), **seed})])


def setting_name(sweep: Sweep, settings: Mapping[str, Any]) -> str:
    """Name of a setting's run; a sweep of nothing but seeds is one setting, and has the sweep's name."""
    sweep_name = [] if sweep.name == names.SWEEP_NAME else [sweep.name]
    return _joined([*sweep_name, *_parts(setting_of_row(sweep, settings))]) or sweep.name


def short_value(value: Any) -> str:
    """A value of a setting: as it is where three digits suffice for that, else rounded to two.

    >>> short_value(0.4831), short_value(0.125), short_value(1.0), short_value("clean")
    ('0.48', '0.125', '1', 'clean')
    """
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if float(f"{value:.3g}") == value else f"{value:.2g}"


def _joined(parts: list[str]) -> str:
    name = _SEPARATOR.join(parts)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _parts(values: Mapping[str, Any]) -> list[str]:
    return [f"{_SYMBOLS.get(name, name.rpartition('.')[2] + ' ')}{short_value(value)}" for name, value in values.items()]
