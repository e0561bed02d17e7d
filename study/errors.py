"""The errors of studies, each of one line with rule, value and remedy."""

MOST_SHOWN = 600  # characters of a message


class StudyError(ValueError):
    """A study file, or the way it is used, is wrong; the message starts with one line with field, value and remedy."""


def one_line(text: str) -> str:
    """A message that has parts of a file in it: without its control characters, and the middle of a long one left out.

    >>> one_line("no study 'a\\nb'")
    "no study 'a\\\\nb'"
    """
    text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 200]} … {text[-200:]}"


class FieldError(ValueError):
    """A part of a sweep, or of a study, is wrong.

    Attributes:
        path: names and positions that lead from there to the part.
    """

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path
