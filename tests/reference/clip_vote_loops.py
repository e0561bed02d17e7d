"""kNN vote and embedding quality as loops, straight from their definitions."""

import math
from collections import Counter

import numpy as np

from reference.loss_loops import cosine


def most_frequent(labels: list[int]) -> int:
    counts = Counter(labels)
    return min(label for label in counts if counts[label] == max(counts.values()))


def knn_votes(embeddings: np.ndarray, patch_labels: list[int], clip_of_patch: list[int], k: int) -> dict[int, list[int]]:
    """Clip -> the label that each of its patches votes for."""
    votes: dict[int, list[int]] = {}
    for query, clip in enumerate(clip_of_patch):
        others = [patch for patch in range(len(embeddings)) if clip_of_patch[patch] != clip]
        others.sort(key=lambda patch: -cosine(embeddings[query], embeddings[patch]))
        votes.setdefault(clip, []).append(most_frequent([patch_labels[patch] for patch in others[:k]]))
    return votes


def knn_predict(embeddings: np.ndarray, patch_labels: list[int], clip_of_patch: list[int], k: int) -> list[int]:
    votes = knn_votes(embeddings, patch_labels, clip_of_patch, k)
    return [most_frequent(votes[clip]) for clip in sorted(votes)]


def in_top(votes: list[int], label: int, n: int) -> bool:
    """Whether a label is among the n most voted, ties to the lowest."""
    counts = Counter(votes)
    return label in sorted(counts, key=lambda voted: (-counts[voted], voted))[:n]


def uniformity(z: np.ndarray, t: float) -> float:
    unit = [row / math.sqrt(row @ row) for row in z]
    potentials = [math.exp(-t * float(np.sum((unit[i] - unit[j]) ** 2))) for i in range(len(z)) for j in range(i + 1, len(z))]
    return math.log(sum(potentials) / len(potentials))


def tolerance(z: np.ndarray, labels: list[int]) -> float:
    pairs = [cosine(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j and labels[i] == labels[j]]
    return sum(pairs) / len(pairs)
