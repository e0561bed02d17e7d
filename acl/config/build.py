"""From dotted names to a validated configuration and back."""

import shlex
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from acl.config.describe import Setting, describe
from acl.config.sections import SELF_SUPERVISED, SUPERVISED, Mode, Section
from acl.config.self_supervised import SelfSupervisedConfig
from acl.config.supervised import SupervisedConfig
from acl.system.errors import ConfigError
from acl.system.text import close_to

Config = SupervisedConfig | SelfSupervisedConfig
ConfigClass = type[SupervisedConfig] | type[SelfSupervisedConfig]
_CONFIG_OF_MODE: dict[str, ConfigClass] = {SUPERVISED: SupervisedConfig, SELF_SUPERVISED: SelfSupervisedConfig}


def setting_names(mode: str) -> list[str]:
    """Dotted names of all settings of `mode`, in the order of their declaration."""
    return list(_fields(_config_class(mode)))


def describe_settings(mode: str) -> dict[str, Setting]:
    """Dotted name -> meaning, unit, range and default of every setting of `mode`."""
    return {name: describe(name, field) for name, field in _fields(_config_class(mode)).items()}


def _fields(config_class: ConfigClass) -> dict[str, FieldInfo]:
    """Fields of all sections by dotted name."""
    fields: dict[str, FieldInfo] = {}
    for name, field in config_class.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            fields.update({f"{name}.{leaf}": leaf_field for leaf, leaf_field in section.model_fields.items()})
        else:
            fields[name] = field
    return fields


def build_config(settings: Mapping[str, Any]) -> Config:
    """Validated configuration from dotted names; everything not named has the recipe's value.

    Args:
        settings: e.g. `{"mode": "supervised", "data.root": "corpus", "loss.alpha": 0.3}`.

    Raises:
        ConfigError: unknown mode or name, wrong type, or a value out of its range; all of them are named, a line each.
    """
    mode = settings.get("mode")
    config_class = _config_class(mode)
    known = setting_names(str(mode))
    problems: list[str] = []
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in known:
            remedy = close_to(name, known) or f"known: {', '.join(known)}"
            problems.append(f"{name} is not a setting of {mode} runs; {remedy}")
            continue
        section, _, leaf = name.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[leaf] = value
    if "root" not in tree.get("data", {}):
        problems.append("data.root is not set; name the corpus folder, e.g. --set data.root=/data/FSDnoisy18k")
        tree.setdefault("data", {})["root"] = ""
    try:
        config = config_class.model_validate(tree)
    except ValidationError as error:
        problems += [_in_words(config_class, each) for each in error.errors()]
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return config


def flatten(config: Config) -> dict[str, Any]:
    """Dotted name -> value of every setting; `build_config(flatten(config)) == config`."""
    flat: dict[str, Any] = {}
    for name, value in config.model_dump(mode="json").items():
        if isinstance(value, dict):
            flat.update({f"{name}.{leaf}": leaf_value for leaf, leaf_value in value.items()})
        else:
            flat[name] = value
    return flat


def _config_class(mode: object) -> ConfigClass:
    if mode not in get_args(Mode):
        remedy = close_to(mode, get_args(Mode)) or "set it with --mode or in the study's base"
        raise ConfigError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}; {remedy}")
    return _CONFIG_OF_MODE[str(mode)]


def _in_words(config_class: ConfigClass, error: ErrorDetails) -> str:
    """One line with setting, rule, value, what the setting is, and a value that it may have."""
    where = ".".join(str(part) for part in error["loc"]) or "settings"
    message = error["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list such as [a, b]")
    message = message.replace("Input should be", "must be").replace("a valid integer", "a whole number").replace("a valid", "a")
    got = "" if isinstance(error["input"], dict) else f", got {error['input']!r}"
    found = next(((name, field) for name, field in _fields(config_class).items() if f"{where}.".startswith(f"{name}.")), None)
    if found is None:
        return f"{where}: {message}{got}"
    setting = describe(*found)
    remedy = "" if setting.default is None else f"; e.g. {as_option(setting.name, setting.default)}"
    return f"{where}: {message}{got} ({setting.words}){remedy}"


def as_option(name: str, value: Any) -> str:
    """The option of the command line that gives a setting a value.

    >>> as_option("loss.alpha", 0.5), as_option("views.crop", [0.5, 1])
    ('--set loss.alpha=0.5', "--set 'views.crop=[0.5, 1]'")
    """
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"--set {shlex.quote(f'{name}={text}')}"
