"""Errors of `study`: an expected failure each, whose message begins with one line of rule, value and remedy.

The command line turns these, `acl.system.errors.AclError` and `analysis.errors.AnalysisError` into that line and a status.
"""

MOST_SHOWN = 600  # characters of a message


class StudyError(ValueError):
    """An expected failure of a study; the message starts with one line with field, value and remedy."""


class FieldError(StudyError):
    """A part of a sweep, or of a study, is wrong.

    Attributes:
        path: names and positions that lead from there to the part.
    """

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


class FieldsError(StudyError):
    """Several parts of a study are wrong.

    Attributes:
        errors: one for each.
    """

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors


class RecordError(StudyError):
    """MLflow refuses a record, and always will; the message is one line."""


class StoreUnavailableError(StudyError):
    """The store does not answer, or is locked; the same call may succeed later."""


class NoAccessError(StoreUnavailableError):
    """The store answers, but not to this user, or its certificate is not trusted; the message names the remedy."""


class NodeError(StudyError):
    """No trial can run on this machine; the message is one line with the remedy.

    Attributes:
        node: Ray's id of the machine.
    """

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(node, reason)  # both, for pickle
        self.node = node
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class InputError(StudyError):
    """A worker would use other code or other features than the launch that it works for; the message is one line with both."""


def one_line(text: str) -> str:
    """A message that has parts of a file in it: without its control characters, and the middle of a long one left out.

    >>> one_line("no study 'a\\nb'")
    "no study 'a\\\\nb'"
    """
    text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 200]} … {text[-200:]}"
