"""Uniformity, tolerance and alignment against loops and the published embeddings."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from acl import embedding_quality
from acl.embedding_quality import alignment, tolerance, uniformity
from reference import clip_vote_loops
from reference.folder import REFERENCE


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
@pytest.mark.parametrize("temperature", ["0.1", "0.2", "0.5", "1.0"])
@pytest.mark.parametrize("method", ["contrastive", "acl"])
def test_published_embeddings_give_the_published_figure(golden: dict[str, Any], temperature: str, method: str) -> None:
    """Fig. 3: uniformity of the first view, tolerance over both; four decimals, from embeddings stored in float16."""
    row = json.loads((REFERENCE / "published.json").read_text())["fig3"][temperature]
    name = f"t{temperature}" if method == "contrastive" else f"t{temperature}a{row['acl_alpha']}"
    arrays = np.load(REFERENCE / "embeddings" / f"{name}.npz")
    first, second, labels = (torch.from_numpy(arrays[key]) for key in ("z0", "z1", "labels"))
    assert -uniformity(first).item() == pytest.approx(row["minus_uniformity"][method], abs=1e-4)
    both = tolerance(torch.cat([first, second]), torch.cat([labels, labels]))
    assert both.item() == pytest.approx(row["tolerance"][method], abs=1e-4)


def test_refuse_what_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="N of at least 2"):
        uniformity(torch.ones(1, 3))
    with pytest.raises(ValueError, match="no two of 3 rows share a label"):
        tolerance(torch.eye(3), torch.arange(3))
    with pytest.raises(ValueError, match="one class id per row"):
        tolerance(torch.eye(3), torch.arange(2))
    with pytest.raises(ValueError, match="two views of the same clips"):
        alignment(torch.eye(3), torch.eye(4))
