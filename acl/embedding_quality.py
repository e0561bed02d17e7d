"""Quality of embeddings on the unit sphere: uniformity, tolerance, alignment.

Rows are L2-normalised inside; all sums run in float64.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS_AT_ONCE = 1024  # bounds the memory of the pairwise sum


def uniformity(z: Tensor, t: float = 2.0) -> Tensor:
    """Logarithm of the mean Gaussian potential of all pairs; the lower, the more uniform (Wang and Isola, 2020).

        U = log mean_{i<j} exp(-t ‖z_i - z_j‖²)

    Args:
        z: `[N, D]`.
        t: inverse width of the potential.

    Returns:
        Scalar ≤ 0. The paper's Fig. 3 shows -U.

    Raises:
        ValueError: `z` is not `[N, D]` with N ≥ 2.

    >>> uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))  # one pair, at distance 2
    tensor(-8., dtype=torch.float64)
    """
    rows = _unit_rows(z)
    count = len(rows)
    total = rows.new_zeros(())
    for first_row in range(0, count, ROWS_AT_ONCE):
        squared_distance = 2 - 2 * (rows[first_row : first_row + ROWS_AT_ONCE] @ rows.T)
        potential = torch.exp(-t * squared_distance)
        potential.diagonal(first_row).fill_(0)  # a row is no pair with itself
        total += potential.sum()
    return torch.log(total / (count * (count - 1)))


def tolerance(z: Tensor, labels: Tensor) -> Tensor:
    """Mean cosine of all pairs of different rows with the same label; the higher, the closer the classes (Wang and Liu, 2021).

    Pairs are pooled over the classes: a class of n rows has weight n (n - 1).

    Args:
        z: `[N, D]`.
        labels: `[N]` class ids.

    Raises:
        ValueError: shapes do not fit together, or no two rows share a label.

    >>> tolerance(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 0, 1]))
    tensor(0., dtype=torch.float64)
    """
    rows = _unit_rows(z)
    if labels.shape != rows.shape[:1]:
        raise ValueError(f"labels have shape {list(labels.shape)}, expected [{len(rows)}]; pass one class id per row")
    _, class_index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    pairs = (counts * (counts - 1)).sum()
    if pairs == 0:
        raise ValueError(f"no two of {len(rows)} rows share a label; tolerance needs a class with at least 2 rows")
    # ‖Σ z‖² of a class is the sum of all its cosines, each row's 1 with itself included.
    class_sums = rows.new_zeros(len(counts), rows.shape[1]).index_add_(0, class_index, rows)
    return (class_sums.square().sum() - rows.square().sum()) / pairs


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of the two views of a clip; the lower, the better aligned (Wang and Isola, 2020).

        A = mean_i ‖z_i - z'_i‖²

    Args:
        first: `[N, D]`, one view of each clip.
        second: `[N, D]`, the other view.

    Raises:
        ValueError: shapes differ or are not `[N, D]` with N ≥ 2.
    """
    if first.shape != second.shape:
        raise ValueError(f"views have shapes {list(first.shape)} and {list(second.shape)}; pass two views of the same clips")
    return (_unit_rows(first) - _unit_rows(second)).square().sum(1).mean()


def _unit_rows(z: Tensor) -> Tensor:
    if z.ndim != 2 or len(z) < 2:
        raise ValueError(f"embeddings have shape {list(z.shape)}, expected [N, D] with N of at least 2; pass one row per patch")
    return F.normalize(z.detach().double(), dim=1)
