"""JSON that may be anything."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """What a text says.

    Raises:
        ValueError: it is no JSON in UTF-8, or nested more deeply than any of ours.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
