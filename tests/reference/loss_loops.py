"""The paper's losses as loops over anchors and pairs, straight from the equations, in float64."""

import math

import numpy as np


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (math.sqrt(a @ a) * math.sqrt(b @ b)))


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return math.acos(max(-1.0, min(1.0, cosine(a, b))))


def nt_xent(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Eq. 1."""
    views = [*first, *second]
    clips = len(first)
    total = 0.0
    for i, anchor in enumerate(views):
        other_view = (i + clips) % (2 * clips)
        numerator = math.exp(cosine(anchor, views[other_view]) / temperature)
        denominator = sum(math.exp(cosine(anchor, view) / temperature) for k, view in enumerate(views) if k != i)
        total += -math.log(numerator / denominator)
    return total / (2 * clips)


def angular_margin(rows: np.ndarray, groups: list[int], margin: float) -> float:
    """Eq. 2: positives are the pairs of one group."""
    total = 0.0
    for i, anchor in enumerate(rows):
        for k, other in enumerate(rows):
            if k == i:
                continue
            theta = angle(anchor, other)
            total += theta**2 if groups[i] == groups[k] else max(0.0, margin - theta) ** 2
    return total / len(rows)


def angular_margin_pairs(first: np.ndarray, second: np.ndarray, margin: float) -> float:
    return angular_margin(np.concatenate([first, second]), [*range(len(first))] * 2, margin)


def cross_entropy(logits: np.ndarray, labels: list[int]) -> float:
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        total += math.log(sum(math.exp(value) for value in row)) - row[label]
    return total / len(labels)
