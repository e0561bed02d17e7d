"""What losses cost on a CPU, one thread: make bench, or

PYTHONPATH=. python benchmarks/loss_speed.py [losses] [margin]
"""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring import print_sections, side_by_side

from acl.losses import AngularContrastiveLoss, MarginCrossEntropy
from acl.models import BaselineCnn


def losses(folder: Path) -> Iterator[dict[str, Any]]:
    """ACL forward and backward, and beside it the least that it has to do: cosines by one product, their gradient by two."""
    loss = AngularContrastiveLoss(0.3, 0.5, 0.2)
    for size in (256, 1024, 4096):
        h = torch.randn(2, size // 2, 512, requires_grad=True)
        z = torch.randn(2, size // 2, 128, requires_grad=True)
        rows = [torch.randn(size, 512), torch.randn(size, 128)]

        def products(rows: list[torch.Tensor] = rows) -> None:
            for each in rows:
                cosines = each @ each.T
                _ = cosines @ each, cosines.T @ each

        ways = {"ours": partial(lambda h, z: loss(*h, *z).backward(), h, z), "products": products}
        with torch.autograd.graph.saved_tensors_hooks(partial(_counted, kept := [0]), lambda kept: kept):
            loss(*h, *z)
        yield {"2N": size, **side_by_side(ways, 4), "kept for backward, matrices of (2N)²": kept[0] / (4 * size**2)}


def _counted(total: list[int], tensor: torch.Tensor) -> torch.Tensor:
    total[0] += tensor.untyped_storage().nbytes()
    return tensor


def margin(folder: Path) -> Iterator[dict[str, Any]]:
    """Share of the loss, most of which is the margin term, in a supervised step."""
    for size in (64, 256):
        loss = MarginCrossEntropy(0.5, 0.5, 1.28)
        model = BaselineCnn(20, 0.5, generator=torch.Generator()).to(memory_format=torch.channels_last)
        patches, labels = torch.randn(size, 1, 100, 96), torch.randint(20, (size,))
        logits, embeddings = (each.detach().requires_grad_() for each in model(patches))

        def whole(given: tuple[Any, ...] = (loss, model, patches, labels)) -> None:
            criterion, network, x, y = given
            criterion(*network(x), y).backward()

        def alone(given: tuple[Any, ...] = (loss, logits, embeddings, labels)) -> None:
            criterion, *rest = given
            criterion(*rest).backward()

        taken = side_by_side({"forward and backward": whole, "of it the loss": alone}, 6)
        yield {"batch": size, **taken, "share": taken["of it the loss"] / taken["forward and backward"]}


SECTIONS = {each.__name__: each for each in (losses, margin)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    print_sections(SECTIONS, Path(), sys.argv[1:])
