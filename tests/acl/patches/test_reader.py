"""Patches from a feature store, their normalisation, and reading them on the device that uses them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from acl.features import training_patch_starts
from acl.patches.reader import PatchReader
from acl.patches.standardise import standardise_bands, standardise_globally
from acl.patches.table import tabulate_patches
from acl.store.feature_store import FeatureStore

CPU = torch.device("cpu")


def test_patches_are_the_rows_of_their_clip(tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "supervised")
    clips = store.select("clean")
    table = tabulate_patches(store, clips, training_patch_starts, "supervised")
    patches = PatchReader(store, 100, CPU).read(table.starts)
    assert patches.shape == (len(table), 100, 96)
    for position in (0, len(clips) // 2, len(clips) - 1):
        clip = clips[position]
        of_clip = store.frames[store.start_frame[clip] : store.start_frame[clip] + store.frame_count[clip]]
        starts = training_patch_starts(int(store.frame_count[clip]), "supervised")
        assert table.patches_per_clip[position] == len(starts)
        for start, patch in zip(starts, patches[table.clip == position], strict=True):
            assert np.array_equal(of_clip[start : start + 100], patch.numpy())


def test_band_statistics_are_those_of_the_stacked_patches(tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "supervised")
    table = tabulate_patches(store, store.select("clean"), training_patch_starts, "supervised")
    stacked = PatchReader(store, 100, CPU).read(table.starts).double().flatten(0, 1)
    standardise = standardise_bands(store, table, 100)
    torch.testing.assert_close(standardise.mean.double(), stacked.mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(standardise.std.double(), stacked.std(0, correction=0), rtol=1e-5, atol=1e-5)


def test_global_statistics_are_those_of_all_frames(tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "self-supervised")
    clips = store.select("noisy")
    frames = [store.frames[store.start_frame[clip] : store.start_frame[clip] + store.frame_count[clip]] for clip in clips]
    values = np.concatenate(frames).astype(np.float64)
    standardise = standardise_globally(store, clips)
    assert abs(float(standardise.mean) - values.mean()) < 1e-5
    assert abs(float(standardise.std) - values.std()) < 1e-5


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
