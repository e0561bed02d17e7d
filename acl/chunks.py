"""Parts of what is too much to handle at once."""

from collections.abc import Iterator


def chunks(length: int, size: int) -> Iterator[slice]:
    """Consecutive slices that cover `range(length)`.

    >>> [(part.start, part.stop) for part in chunks(5, 2)]
    [(0, 2), (2, 4), (4, 5)]
    """
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
