"""Messages about a wrong study, one line each: file and line where it was written, field, rule and remedy."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from acl.system.text import close_to
from study.errors import FieldError, FieldsError, StudyError, one_line
from study.spec.files import FieldPath, PlacedContent
from study.spec.schedulers import Scheduler
from study.spec.space import KINDS
from study.spec.sweep import Budget, Resources

_SCHEDULERS = {
    kind.model_fields["name"].default: [name for name in kind.model_fields if name != "name"] for kind in get_args(Scheduler)
}
_HOW_TO_WRITE = {
    "base": "a mapping of settings, e.g. {mode: supervised, loss.alpha: 0.7}",
    "space": "a mapping of settings to dimensions, e.g. {loss.alpha: {uniform: [0, 1]}}",
    "dimension": "a mapping with one of grid, choice (a list of values), uniform, loguniform ([low, high]), e.g. {uniform: [0, 1]}",
    "when": "a mapping of other settings to their values, e.g. {mode: self-supervised}",
    "enqueue": "a list of points, e.g. [{loss.alpha: 0.7, loss.margin: 0.5}]",
    "baseline": "a mapping of settings to values, e.g. {model.width: 64}",
    "within": "a list of settings, e.g. [data.subset]",
    "scheduler": f"one of {', '.join(_SCHEDULERS)}, or a mapping such as {{name: asha, grace: 0.2}}",
    "objective": "the name of a validation metric, or a list of several",
    "seeds": "a list of integers, e.g. [0, 1]",
    "resources": "a mapping such as {cpus: 2, gpus: 0.25}",
    "budget": "a mapping such as {trials: 30, hours: 12}",
    "warm_start": "a list of earlier studies, e.g. [search-ssl]",
}
_WRONG_SHAPE = ("model_type", "model_attributes_type", "dict_type", "list_type", "union_tag_not_found", "union_tag_invalid")


def together(errors: Sequence[StudyError]) -> StudyError:
    """One refusal, a line for each."""
    return StudyError("\n".join(map(str, errors)))


class ErrorFormatter:
    """Errors of one study.

    Args:
        content: as read from its file.
        overrides: what `--set` replaces, by dotted name.
        profile: that of `--profile`; None where the file's own counts.
    """

    def __init__(self, content: Mapping[str, Any], overrides: Mapping[str, Any], profile: str | None = None) -> None:
        self.content = content
        self.profile = profile
        self.places = content.places if isinstance(content, PlacedContent) else {}
        self.overrides = overrides

    def from_pydantic(self, error: ValidationError, resolved: Mapping[str, Any]) -> StudyError:
        """What is wrong with a resolved study, a line for each part; of a part that may be several things, the first."""
        found: dict[Any, StudyError] = {}  # what sweeps share is refused once
        for each in error.errors():
            path, value = _existing(each["loc"], resolved)
            cause = each.get("ctx", {}).get("error")
            if isinstance(cause, FieldsError):
                for one in cause.errors:
                    own = (*path, *one.path)
                    option = self._override(own)  # which sweeps share
                    key = (self._place(own), _in_any_sweep(own), str(one)) if option is None else option
                    found.setdefault(key, self.at_field(own, str(one)))
                continue
            if isinstance(cause, FieldError):
                path, message = (*path, *cause.path), str(cause)
            elif each["type"] == "missing":
                path, message = (*path, each["loc"][-1]), f"is missing; every study has a {each['loc'][-1]}"
            else:
                message = _in_words(each["type"], each["msg"], path, value, resolved)
            found.setdefault((self._place(path), _in_any_sweep(path)), self.at_field(path, message))
        return together(list(found.values()))

    def at_field(self, path: FieldPath, message: str) -> StudyError:
        """A refusal of the part that `path`, in the resolved study, leads to."""
        message = one_line(message)
        if message.startswith(f"{path[-1] if path else None}: "):
            message = message.partition(": ")[2]
        given = self._override(path)
        if given is not None:
            return StudyError(f"--set {given}: {message}")
        if path == ("profile",) and self.profile is not None:
            return StudyError(f"--profile: {message}")
        place = self._place(path)
        field = one_line(self._shown(path[:-1] if path and message.startswith(f"{path[-1]} ") else path))
        return StudyError(f"{place or self.content.get('name', 'study')}: {field + ': ' if field else ''}{message}")

    def _override(self, path: FieldPath) -> str | None:
        """Dotted name of the override that gave the part its value."""
        names = {path[3]} if path[2:3] == ("base",) and len(path) > 3 else {".".join(map(str, path[2:end])) for end in (3, 4)}
        return next((name for name in self.overrides if path[:1] == ("sweeps",) and name in names), None)

    def _place(self, path: FieldPath) -> Any:
        """Where the part was written, else the narrowest part around it; a sweep's fields may be those shared above it."""
        shared = _in_any_sweep(path)
        for outside in range(len(path) + 1):
            for candidate in (path[: len(path) - outside], shared[: max(0, len(shared) - outside)]):
                if candidate and candidate in self.places:
                    return self.places[candidate]
        return self.places.get(())

    def _shown(self, path: FieldPath) -> str:
        """Dotted path, with sweeps by their names; none for the only sweep of a file without a list of them."""
        if path[:1] == ("sweeps",) and len(path) > 1:
            names: dict[str | int, Any] = {
                number: entry.get("name", number) for number, entry in enumerate(self.content.get("sweeps") or [])
            }
            path = ("sweeps", names[path[1]], *path[2:]) if names else path[2:]
        return ".".join(str(part) for part in path)


def _in_any_sweep(path: FieldPath) -> FieldPath:
    """A path as it is within a sweep; sweeps may share what is written above them."""
    return path[2:] if path[:1] == ("sweeps",) else path


def _existing(location: tuple[str | int, ...], resolved: Any) -> tuple[FieldPath, Any]:
    """The parts of a pydantic location that the file has (unions add names of their own), and what lies there."""
    path: list[str | int] = []
    value = resolved
    for part in location:
        inside = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
        if part in inside:
            value = inside[part]
            path.append(part)
    return tuple(path), value


def _in_words(kind: str, message: str, path: FieldPath, value: Any, resolved: Mapping[str, Any]) -> str:
    """A message of pydantic in the words of a study file."""
    inside = [str(part) for part in _in_any_sweep(path)]
    field = (
        "when" if inside[2:3] == ["when"] else "dimension" if inside[:1] == ["space"] and len(inside) > 1 else (inside or [""])[0]
    )
    if kind == "extra_forbidden":
        if field == "scheduler":
            chosen = _existing(path[:3], resolved)[1]["name"]
            known = _SCHEDULERS[chosen]
            return f"{inside[-1]} is not a field of scheduler {chosen}; {_known(inside[-1], known)}"
        known = {"dimension": [*KINDS, "when"], "budget": [*Budget.model_fields], "resources": [*Resources.model_fields]}.get(
            field, []
        )
        return f"{inside[-1]} is not a field of {'a dimension' if field == 'dimension' else field}; {_known(inside[-1], known)}"
    if kind == "value_error":  # a rule of our own, which says what it got
        return message.removeprefix("Value error, ")
    got = f", got {value!r}"
    if kind == "bool_type" and field in ("dimension", "enqueue"):  # of a union, pydantic names the first kind only
        return f"must be a single value: a number, a text, true or false{got}"
    if kind == "tuple_type":
        return f"must be [low, high]{got}"
    if kind in _WRONG_SHAPE and field in _HOW_TO_WRITE:
        return f"must be {_HOW_TO_WRITE[field]}{got}"
    return message.replace("Input should be", "must be").replace("a valid integer", "a whole number").replace("a valid", "a") + got


def _known(name: str, known: list[str]) -> str:
    return close_to(name, known) or f"it has {', '.join(known) or 'no others'}"
