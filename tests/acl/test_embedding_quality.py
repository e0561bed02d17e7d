"""Uniformity, tolerance and alignment against loops and the published embeddings."""

from typing import Any

import numpy as np
import pytest
import torch

from acl import embedding_quality
from acl.embedding_quality import alignment, tolerance, uniformity
from reference import clip_vote_loops
from reference.folder import REFERENCE

# File of the embeddings, -U and T of the published table; T of t0.3a0.4 is the recomputed one, its printed 0.9437 repeats t0.2a0.3.
PUBLISHED = [
    ("t0.1", 0.3976, 0.9113),
    ("t0.2", 0.3719, 0.9189),
    ("t0.3", 0.2954, 0.9357),
    ("t0.4", 0.3126, 0.9328),
    ("t0.5", 0.3377, 0.9269),
    ("t0.6", 0.3106, 0.9339),
    ("t0.7", 0.3166, 0.9301),
    ("t0.8", 0.3129, 0.9329),
    ("t0.9", 0.2680, 0.9440),
    ("t1.0", 0.3560, 0.9271),
    ("t0.1a0.7", 0.2447, 0.9471),
    ("t0.2a0.3", 0.2605, 0.9437),
    ("t0.3a0.4", 0.1874, 0.9595),
    ("t0.4a0.8", 0.1733, 0.9632),
    ("t0.5a0.3", 0.1944, 0.9589),
    ("t0.6a0.7", 0.1839, 0.9601),
    ("t0.7a0.2", 0.2118, 0.9532),
    ("t0.8a0.9", 0.1512, 0.9684),
    ("t0.9a0.3", 0.2052, 0.9595),
    ("t1.0a0.9", 0.1530, 0.9676),
]


def embeddings(seed: int = 0, count: int = 12) -> torch.Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LABELS = torch.tensor([0, 1, 0, 2, 0, 1, 1, 0, 3, 0, 1, 2])


@pytest.mark.parametrize("t", [0.5, 2.0])
def test_uniformity_equals_the_definition(t: float) -> None:
    z = embeddings()
    assert uniformity(z, t).item() == pytest.approx(clip_vote_loops.uniformity(z.numpy(), t), rel=1e-12)


def test_uniformity_in_blocks_equals_uniformity_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = uniformity(embeddings())
    monkeypatch.setattr(embedding_quality, "ROWS_AT_ONCE", 5)
    assert uniformity(embeddings()).item() == pytest.approx(at_once.item(), rel=1e-12)


def test_tolerance_equals_the_definition() -> None:
    z = embeddings()
    assert tolerance(z, LABELS).item() == pytest.approx(clip_vote_loops.tolerance(z.numpy(), LABELS.tolist()), rel=1e-12)


def test_neither_depends_on_rotation_or_length() -> None:
    z = embeddings()
    rotation, _ = torch.linalg.qr(embeddings(1, count=5))
    moved = 3 * z @ rotation
    assert uniformity(moved).item() == pytest.approx(uniformity(z).item())
    assert tolerance(moved, LABELS).item() == pytest.approx(tolerance(z, LABELS).item())
    assert alignment(moved, 2 * moved).item() == pytest.approx(0, abs=1e-12)


def test_collapsed_embeddings_are_the_extreme() -> None:
    same = torch.ones(4, 3)
    assert uniformity(same).item() == pytest.approx(0)
    assert tolerance(same, torch.zeros(4)).item() == pytest.approx(1)


def test_alignment_by_hand() -> None:
    assert alignment(torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, -1.0]])).item() == pytest.approx(2)  # (0 + 4) / 2


@pytest.mark.reference
def test_equal_the_published_code(golden: dict[str, Any]) -> None:
    z, labels = (torch.from_numpy(golden["arrays"][f"ut/{name}"]) for name in ("emb", "label"))
    assert uniformity(z).item() == pytest.approx(golden["uniformity_tolerance"]["U"], abs=1e-6)
    assert tolerance(z, labels).item() == pytest.approx(golden["uniformity_tolerance"]["tolerance"], abs=1e-6)


@pytest.mark.reference
@pytest.mark.parametrize(("name", "minus_uniformity", "published_tolerance"), PUBLISHED)
def test_published_embeddings_give_the_published_figure(name: str, minus_uniformity: float, published_tolerance: float) -> None:
    """Fig. 3 to its four decimals: uniformity of the first view, tolerance over both."""
    path = REFERENCE / "embeddings" / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"the reference folder has no {path.name}")
    arrays = np.load(path)
    first, second, labels = (torch.from_numpy(arrays[key]) for key in ("z0", "z1", "labels"))
    assert len(labels) == 947
    both = tolerance(torch.cat([first, second]), torch.cat([labels, labels]))
    assert round(-uniformity(first).item(), 4) == minus_uniformity
    assert round(both.item(), 4) == published_tolerance
    assert 0 < alignment(first, second).item() < 4


def test_refuse_what_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="N of at least 2"):
        uniformity(torch.ones(1, 3))
    with pytest.raises(ValueError, match="no two of 3 rows share a label"):
        tolerance(torch.eye(3), torch.arange(3))
    with pytest.raises(ValueError, match="one class id per row"):
        tolerance(torch.eye(3), torch.arange(2))
    with pytest.raises(ValueError, match="two views of the same clips"):
        alignment(torch.eye(3), torch.eye(4))
