"""Patches on the device that uses them."""

from pathlib import Path

import pytest
import torch

from acl.patches.reader import PatchReader
from acl.store.feature_store import FeatureStore

DEVICES = [
    ("cpu", None),
    pytest.param("cuda", True, marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
    pytest.param("cuda", False, marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]


@pytest.mark.parametrize(("device", "resident"), DEVICES)
def test_batches_are_the_patches_in_their_order(device: str, resident: bool | None, tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "self-supervised")
    first_frame = torch.randint(len(store.frames) - 101, (2, 2, 45), generator=torch.Generator().manual_seed(0))
    reader = PatchReader(store, 101, torch.device(device, 0), resident)
    batches = list(reader.batches(first_frame, 8))
    assert [batch.shape for batch in batches] == [(2, 2, 8, 101, 96)] * 5 + [(2, 2, 5, 101, 96)]
    assert all(batch.dtype == torch.float32 and batch.device.type == device for batch in batches)
    expected = torch.stack([torch.from_numpy(store.frames[start : start + 101].copy()) for start in first_frame.flatten()])
    found = torch.cat(batches, dim=2).flatten(0, 2).cpu()
    torch.testing.assert_close(found, expected, rtol=0 if device == "cpu" else 5e-4, atol=0 if device == "cpu" else 1e-4)
    assert torch.equal(reader.read(first_frame).flatten(0, 2).cpu(), found)


def test_reading_can_stop_early(tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "self-supervised")
    batches = PatchReader(store, 101, torch.device("cpu")).batches(torch.zeros(40, dtype=torch.int64), 4)
    assert next(batches).shape == (4, 101, 96)
    batches.close()  # type: ignore[attr-defined]
