"""From dotted names to a validated configuration and back."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

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
        ConfigError: unknown mode or name, wrong type, or a value out of its range.
    """
    mode = settings.get("mode")
    config_class = _config_class(mode)
    known = setting_names(str(mode))
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in known:
            remedy = close_to(name, known) or f"known: {', '.join(known)}"
            raise ConfigError(f"{name} is not a setting of {mode} runs; {remedy}")
        section, _, leaf = name.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[leaf] = value
    if "root" not in tree.get("data", {}):
        raise ConfigError("data.root is not set; name the corpus folder, e.g. --set data.root=/data/FSDnoisy18k")
    try:
        return config_class.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_in_words(config_class, error)) from None


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


def _in_words(config_class: ConfigClass, error: ValidationError) -> str:
    """One line with setting, rule, value and what the setting is."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"]]
    where = ".".join(names) or "settings"
    message = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list such as [a, b]")
    got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
    field = next((field for name, field in _fields(config_class).items() if f"{where}.".startswith(f"{name}.")), None)
    return f"{where}: {message}{got}" + (f" ({describe(where, field).words})" if field else "")
