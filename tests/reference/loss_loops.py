"""The paper's losses as loops over anchors and pairs, straight from the equations, in float64."""

import math

import numpy as np


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (math.sqrt(a @ a) * math.sqrt(b @ b)))


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return math.acos(max(-1.0, min(1.0, cosine(a, b))))


def contrastive_of_pair(views: list[np.ndarray], i: int, j: int, temperature: float) -> float:
    """Eq. 1, L_C(i, j)."""
    numerator = math.exp(cosine(views[i], views[j]) / temperature)
    denominator = sum(math.exp(cosine(views[i], view) / temperature) for k, view in enumerate(views) if k != i)
    return -math.log(numerator / denominator)


def margin_of_pair(first: np.ndarray, second: np.ndarray, positive: bool, margin: float) -> float:
    """Eq. 2, L_A(i, j)."""
    theta = angle(first, second)
    return theta**2 if positive else max(0.0, margin - theta) ** 2


def nt_xent(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Eq. 1, mean over the anchors."""
    views, clips = [*first, *second], len(first)
    return sum(contrastive_of_pair(views, i, (i + clips) % (2 * clips), temperature) for i in range(2 * clips)) / (2 * clips)


def angular_margin(rows: np.ndarray, groups: list[int], margin: float) -> float:
    """Eq. 2, summed over the pairs of an anchor, mean over the anchors: positives are the pairs of one group."""
    total = 0.0
    for i, anchor in enumerate(rows):
        for k, other in enumerate(rows):
            if k != i:
                total += margin_of_pair(anchor, other, groups[i] == groups[k], margin)
    return total / len(rows)


def angular_margin_pairs(first: np.ndarray, second: np.ndarray, margin: float) -> float:
    return angular_margin(np.concatenate([first, second]), [*range(len(first))] * 2, margin)


def angular_contrastive(
    h: tuple[np.ndarray, np.ndarray],
    z: tuple[np.ndarray, np.ndarray],
    alpha: float,
    margin: float,
    temperature: float,
    scale: float,
) -> float:
    """Eq. 3, anchor by anchor: alpha * L_C + (1 - alpha) * scale * L_A."""
    h_views, z_views, clips = [*h[0], *h[1]], [*z[0], *z[1]], len(h[0])
    total = 0.0
    for i in range(2 * clips):
        total += alpha * contrastive_of_pair(z_views, i, (i + clips) % (2 * clips), temperature)
        for k in range(2 * clips):
            if k != i:
                total += (1 - alpha) * scale * margin_of_pair(h_views[i], h_views[k], k % clips == i % clips, margin)
    return total / (2 * clips)


def cross_entropy(logits: np.ndarray, labels: list[int]) -> float:
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        total += math.log(sum(math.exp(value) for value in row)) - row[label]
    return total / len(labels)
