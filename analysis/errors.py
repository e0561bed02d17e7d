"""The errors of reading, comparing and reporting."""


class AnalysisError(ValueError):
    """The records do not hold what was asked for; the message is one line with rule, value and remedy."""
