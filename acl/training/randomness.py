"""Seeding: every random stream follows from (seed, purpose, epoch), so a resumed run draws what an uninterrupted one does."""

import zlib

import numpy as np
import torch


def stream_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """63-bit seed of one random stream.

    >>> stream_seed(0, "views", 1) == stream_seed(0, "views", 1)
    True
    >>> stream_seed(0, "views", 1) == stream_seed(0, "views", 2)
    False
    """
    words = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), epoch]).generate_state(1, np.uint64)
    return int(words[0]) >> 1


def stream(seed: int, purpose: str, epoch: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """Generator of one random stream on `device`."""
    generator = torch.Generator(device=device)
    generator.manual_seed(stream_seed(seed, purpose, epoch))
    return generator
