"""From patches to clips: kNN vote, pooled predictions, accuracies."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Pooling = Literal["mean", "gmean"]

SIMILARITIES_AT_ONCE = 2**24  # bounds the memory of the kNN vote, 64 MiB in float32


@dataclass(frozen=True)
class Accuracies:
    """Clip accuracies of one split, as fractions.

    Attributes:
        clip: share of clips that are right.
        macro: mean of the class-wise accuracies, over the classes that occur.
        patch_weighted: share of clips that are right, each weighted by its number of patches (the published "micro" accuracy).
        class_wise: class id -> share of that class's clips that are right.
    """

    clip: float
    macro: float
    patch_weighted: float
    class_wise: dict[int, float]


def knn_votes(embeddings: Tensor, patch_labels: Tensor, clip_of_patch: Tensor, k: int, num_classes: int) -> Tensor:
    """Votes of each clip's patches, of which each has one: the most frequent label among its k nearest neighbours.

    Neighbours are patches of other clips with the highest cosine; ties among their labels go to the lowest.

    Args:
        embeddings: `[P, D]`, one row per patch.
        patch_labels: `[P]` int64, the label of each patch's clip, below `num_classes`.
        clip_of_patch: `[P]` int64, the clip of each patch.
        k: neighbours that vote.
        num_classes: columns of the result.

    Returns:
        `[C, num_classes]` int64 counts of patches, in ascending order of clip.

    Raises:
        ValueError: lengths differ, or a clip has fewer than k patches of other clips to compare with.
    """
    patches = len(embeddings)
    _check_lengths(patches, patch_labels=patch_labels, clip_of_patch=clip_of_patch)
    _, clip_index, patches_per_clip = torch.unique(clip_of_patch, return_inverse=True, return_counts=True)
    available = patches - int(patches_per_clip.max())
    if not 1 <= k <= available:
        raise ValueError(
            f"k is {k}, but a clip has only {available} patches of other clips around it; lower it: --set knn.k={available}"
        )
    rows = F.normalize(embeddings.to(torch.promote_types(embeddings.dtype, torch.float32)), dim=1)
    patch_votes = []
    for part in torch.arange(patches, device=rows.device).split(max(1, SIMILARITIES_AT_ONCE // patches)):
        cosines = rows[part] @ rows.T
        cosines.masked_fill_(clip_index[part, None] == clip_index, -torch.inf)
        neighbour_labels = patch_labels[cosines.topk(k, dim=1).indices]
        patch_votes.append(_most_frequent(neighbour_labels, num_classes))
    clips = len(patches_per_clip)
    counts = torch.bincount(clip_index * num_classes + torch.cat(patch_votes), minlength=clips * num_classes)
    return counts.view(clips, num_classes)


def knn_predict(embeddings: Tensor, patch_labels: Tensor, clip_of_patch: Tensor, k: int) -> Tensor:
    """Label of each clip by the vote of its patches' k nearest neighbours in other clips.

    A patch takes the most frequent label among the k patches of other clips with the highest cosine, a clip the most frequent
    label of its patches; ties go to the lowest label. Arguments and errors as `knn_votes`.

    Returns:
        `[C]` int64, in ascending order of clip.

    >>> embeddings = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    >>> knn_predict(embeddings, patch_labels=torch.tensor([0, 0, 1, 1]), clip_of_patch=torch.tensor([0, 1, 2, 3]), k=1)
    tensor([0, 0, 1, 1])
    """
    return knn_votes(embeddings, patch_labels, clip_of_patch, k, int(patch_labels.max()) + 1).argmax(1)


def top_accuracy(votes: Tensor, true: Tensor, n: int = 3) -> float:
    """Share of clips whose label is among the n classes with most votes; a class without a vote is never among them.

    Args:
        votes: `[C, classes]`, as of `knn_votes`; ties go to the lowest class.
        true: `[C]`.
        n: how many classes count, 3 in the recipe.

    Raises:
        ValueError: no clips, or lengths differ.

    >>> top_accuracy(torch.tensor([[5, 2, 1, 1], [9, 0, 0, 0]]), torch.tensor([2, 1]))
    0.5
    """
    if len(true) == 0:
        raise ValueError("there are 0 clips to score; check the split")
    _check_lengths(len(votes), true=true)
    order = votes.argsort(dim=1, descending=True, stable=True)[:, :n]
    among = (order == true[:, None]).any(1) & (votes.gather(1, true[:, None])[:, 0] > 0)
    return float(among.double().mean())


def clip_probabilities(patch_probabilities: Tensor, clip_of_patch: Tensor, pooling: Pooling = "mean") -> Tensor:
    """Class probabilities of each clip, pooled over its patches; rows sum to 1.

    Args:
        patch_probabilities: `[P, classes]`.
        clip_of_patch: `[P]` int64.
        pooling: `mean` (recipe) or `gmean`, the geometric mean.

    Returns:
        `[C, classes]` float64, in ascending order of clip.

    Raises:
        ValueError: lengths differ, or an unknown pooling.
    """
    if pooling not in get_args(Pooling):
        raise ValueError(f"pooling is {pooling!r}; choose mean or gmean")
    _check_lengths(len(patch_probabilities), clip_of_patch=clip_of_patch)
    summands = patch_probabilities.double() if pooling == "mean" else patch_probabilities.double().log()
    _, clip_index, patches = torch.unique(clip_of_patch, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(patches), summands.shape[1], dtype=summands.dtype, device=summands.device)
    means = sums.index_add_(0, clip_index, summands) / patches[:, None]
    return means / means.sum(1, keepdim=True) if pooling == "mean" else means.softmax(1)


def clip_predictions(patch_probabilities: Tensor, clip_of_patch: Tensor, pooling: Pooling = "mean") -> Tensor:
    """Class of each clip: the largest pooled probability of its patches; ties go to the lowest class.

    Arguments and errors as `clip_probabilities`.

    Returns:
        `[C]` int64, in ascending order of clip.

    >>> clip_predictions(torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), torch.tensor([0, 0, 1]))
    tensor([0, 1])
    """
    return clip_probabilities(patch_probabilities, clip_of_patch, pooling).argmax(1)


def accuracies(predicted: Tensor, true: Tensor, patches_per_clip: Tensor) -> Accuracies:
    """Accuracies of predicted classes.

    Args:
        predicted: `[C]`, class of each clip.
        true: `[C]`.
        patches_per_clip: `[C]`, weights of `patch_weighted`.

    Raises:
        ValueError: no clips, or lengths differ.

    >>> accuracies(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), torch.tensor([1, 2, 1]))
    Accuracies(clip=0.6666666666666666, macro=0.75, patch_weighted=0.5, class_wise={0: 0.5, 1: 1.0})
    """
    if len(true) == 0:
        raise ValueError("there are 0 clips to score; check the split")
    _check_lengths(len(true), predicted=predicted, patches_per_clip=patches_per_clip)
    right = (predicted == true).double()
    class_wise = {int(label): float(right[true == label].mean()) for label in true.unique()}
    weights = patches_per_clip.double()
    return Accuracies(
        clip=float(right.mean()),
        macro=sum(class_wise.values()) / len(class_wise),
        patch_weighted=float((right * weights).sum() / weights.sum()),
        class_wise=class_wise,
    )


def _most_frequent(labels: Tensor, classes: int) -> Tensor:
    """Most frequent label of each row of `[N, votes]`; argmax returns the first, so ties go to the lowest."""
    counts = torch.zeros(len(labels), classes, dtype=torch.int64, device=labels.device)
    return counts.scatter_add_(1, labels, torch.ones_like(labels)).argmax(1)


def _check_lengths(expected: int, **columns: Tensor) -> None:
    for name, column in columns.items():
        if column.shape != (expected,):
            raise ValueError(f"{name} has shape {list(column.shape)}, expected [{expected}]; pass one value per row")
