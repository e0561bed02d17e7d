"""Descriptions of settings: meaning, unit, legal range and default, read off the fields that enforce them."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Unit:
    """Unit of a numeric setting, in the annotation of its field; without a name, of a pure number."""

    name: str = ""


@dataclass(frozen=True)
class ZeroOrAtLeast:
    """Range of a setting that is 0 (off) or not below a value, in the annotation of its field."""

    least: float

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: float) -> float:
        if 0 < value < self.least:
            raise ValueError(f"Input should be 0 (off) or at least {self.least:g}")
        return value


@dataclass(frozen=True)
class Setting:
    """A setting as a person reads it.

    Attributes:
        name: dotted.
        meaning: what it is.
        unit: of a number; empty for a pure number, None where the setting is no number.
        range: legal values.
        default: value of the recipe; None where there is none.
    """

    name: str
    meaning: str
    unit: str | None
    range: str
    default: Any

    @property
    def words(self) -> str:
        """Meaning and unit, in one line."""
        return f"{self.meaning} [{self.unit}]" if self.unit else self.meaning


def describe(name: str, field: FieldInfo) -> Setting:
    """Describe the setting that a field of a section is."""
    unit = next((mark.name for mark in field.metadata if isinstance(mark, Unit)), None)
    default = None if field.is_required() else field.default
    return Setting(name, field.description or "", unit, _range(field), list(default) if isinstance(default, tuple) else default)


def _range(field: FieldInfo) -> str:
    """Legal values of a field.

    >>> from pydantic import Field
    >>> _range(FieldInfo.from_annotated_attribute(float, Field(gt=0, le=1))), _range(FieldInfo.from_annotation(bool))
    ('above 0, at most 1', 'true or false')
    """
    kind = field.annotation
    if get_origin(kind) is Literal:
        *others, last = map(str, get_args(kind))
        return f"{', '.join(others)} or {last}" if others else f"always {last}"
    if get_origin(kind) is tuple:
        return f"list, each {_range(FieldInfo.from_annotation(get_args(kind)[0]))}"
    if kind in (int, float):
        return ", ".join(["whole number"] * (kind is int) + _ends(field.metadata))
    return "true or false" if kind is bool else "text"


def _ends(metadata: list[Any]) -> list[str]:
    """Words for the ends of an interval."""
    least = next((mark.least for mark in metadata if isinstance(mark, ZeroOrAtLeast)), None)
    if least is not None:
        return [f"0, or at least {_number(least)}"]
    bounds = {name: getattr(mark, name) for mark in metadata for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)}
    if bounds.keys() == {"ge", "le"}:
        return [f"{_number(bounds['ge'])} to {_number(bounds['le'])}"]
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return [f"{words[name]} {_number(bounds[name])}" for name in words if name in bounds]


def _number(value: Any) -> str:
    if value == math.pi:
        return "pi"
    return str(int(value)) if value == int(value) else repr(value)
