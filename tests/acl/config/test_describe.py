"""Descriptions of settings against what `build_config` accepts."""

import math
import re
from typing import Any

import pytest

from acl.config import SELF_SUPERVISED, SUPERVISED, ConfigError, Setting, build_config, describe_settings

MODES = (SUPERVISED, SELF_SUPERVISED)
COUNT_NOTHING = {"data.test_fold", "seed"}  # whole numbers without a unit
UPWARDS = {"at least": True, "above": False}  # from these ends on values are legal; whether the end itself is
DOWNWARDS = {"at most": True, "below": False}


def refusal(mode: str, name: str, value: Any) -> str:
    """Why a value is refused; empty for one that is accepted."""
    holdout = {"data.validation": "holdout"} if mode == SELF_SUPERVISED else {}  # with which every subset is legal
    try:
        build_config({"mode": mode, "data.root": "x", **holdout, name: value})
    except ConfigError as error:
        return str(error)
    return ""


def neighbours(text: str, *, is_whole: bool) -> tuple[float, float, float]:
    """The number before, at and behind a printed end."""
    if is_whole:
        return int(text) - 1, int(text), int(text) + 1
    end = math.pi if text == "pi" else float(text)
    return math.nextafter(end, -math.inf), end, math.nextafter(end, math.inf)


def numbers(words: str) -> tuple[list[float], list[float]]:
    """The outermost legal numbers of a printed range, and the illegal ones beside them."""
    legal, illegal = [], []
    words = re.sub(r"(\S+) to (\S+)$", r"at least \1, at most \2", words).replace("0, or", "at least 0, at most 0, or")
    for word, text in re.findall(r"(at least|above|at most|below) ([^\s,]+)", words):
        before, end, behind = neighbours(text, is_whole=words.startswith("whole number"))
        inside, outside = (behind, before) if word in UPWARDS else (before, behind)
        included = {**UPWARDS, **DOWNWARDS}[word]
        legal.append(end if included else inside)
        illegal.append(outside if included else end)
    return legal, illegal


def values(setting: Setting) -> tuple[list[Any], list[Any]]:
    """Legal and illegal values by the printed range."""
    words = setting.range.removeprefix("always ")
    if words.startswith("list, each "):
        legal, illegal = values(Setting("", "", None, words.removeprefix("list, each "), None))
        return [[], *([value] for value in legal)], [[value] for value in illegal]
    if words == "text":
        return ["x"], [1]
    legal, illegal = numbers(words)
    if legal:
        return legal, [*illegal, *([2.5] if words.startswith("whole number") else [])]
    return [{"true": True, "false": False}.get(word, word) for word in re.split(", | or ", words)], ["other"]


@pytest.mark.parametrize("mode", MODES)
def test_every_setting_has_a_meaning_and_numbers_a_unit(mode: str) -> None:
    for setting in describe_settings(mode).values():
        assert setting.meaning, setting.name
        is_number = isinstance(setting.default, int | float) and not isinstance(setting.default, bool)
        assert (setting.unit is not None) == is_number, setting.name
        if setting.range.startswith("whole number"):
            assert bool(setting.unit) == (setting.name not in COUNT_NOTHING), setting.name


@pytest.mark.parametrize("mode", MODES)
def test_the_printed_range_is_the_one_that_is_enforced(mode: str) -> None:
    for setting in describe_settings(mode).values():
        legal, illegal = values(setting)
        assert legal, setting.name
        assert illegal, setting.name
        assert [value for value in legal if refusal(mode, setting.name, value)] == [], setting.name
        assert all(refusal(mode, setting.name, value).startswith(setting.name) for value in illegal), setting.name
