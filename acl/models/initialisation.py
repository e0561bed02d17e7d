"""Initial weights from an explicit generator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def weights_from(generator: torch.Generator) -> Iterator[None]:
    """Layers made inside draw their initial weights from `generator`; torch's global CPU generator is left as it was.

    torch's layers initialise themselves from the global generator and accept no other, so it is seeded for the time being.

    >>> with weights_from(torch.Generator().manual_seed(0)):
    ...     first = torch.nn.Linear(2, 2)
    >>> with weights_from(torch.Generator().manual_seed(0)):
    ...     second = torch.nn.Linear(2, 2)
    >>> bool((first.weight == second.weight).all())
    True
    """
    seed = torch.randint(2**62, (), generator=generator, device=generator.device).item()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(seed))
        yield
