"""Where patches lie, in training and in testing, against the published code."""

from typing import Any

import pytest
import torch

from acl import features  # whose testing_patch_starts pytest would take for a test
from acl.config import SELF_SUPERVISED, SUPERVISED, Mode
from acl.features import PATCH_FRAMES, LogMel, training_patch_starts

# Of the published code. Samples at 22.05 kHz → frames, patches, last start.
SELF_SUPERVISED_PATCHES = {
    100: (101, 1, 0),
    13230: (101, 1, 0),
    22050: (101, 1, 0),
    22219: (101, 1, 0),
    22220: (102, 1, 0),
    33000: (151, 2, 50),
    33050: (151, 2, 50),
    44100: (201, 3, 100),
    50715: (231, 3, 100),
    110250: (502, 9, 400),
    661500: (3007, 59, 2900),
}
# Samples at 44.1 kHz → frames, patches and last start in training, patches and last start in testing.
SUPERVISED_PATCHES = {
    100: (101, 1, 0, 1, 0),
    44100: (101, 1, 0, 1, 0),
    88200: (101, 1, 0, 1, 0),
    89082: (102, 1, 0, 1, 0),
    132300: (151, 2, 50, 1, 0),
    136710: (156, 2, 50, 1, 0),
    220500: (251, 4, 150, 2, 100),
    441000: (501, 9, 400, 5, 400),
    1323000: (1501, 29, 1400, 15, 1400),
}


def patches(extract: LogMel, samples: int) -> tuple[int, ...]:
    """Frames of a waveform of so many samples, then number and last start of its patches in training and in testing."""
    frames = len(extract(torch.randn(samples, generator=torch.Generator().manual_seed(0)), extract.sample_rate))
    training, testing = (starts(frames, extract.mode) for starts in (training_patch_starts, features.testing_patch_starts))
    assert training == [*range(0, training[-1] + 1, 50)]
    assert testing == [*range(0, testing[-1] + 1, 50 if extract.mode == SELF_SUPERVISED else 100)]
    return frames, len(training), training[-1], len(testing), testing[-1]


@pytest.mark.parametrize(("samples", "expected"), [*SELF_SUPERVISED_PATCHES.items(), (1, (101, 1, 0)), (32780, (150, 1, 0))])
def test_self_supervised_patches(samples: int, expected: tuple[int, int, int]) -> None:
    assert patches(LogMel.ssl(), samples) == (*expected, *expected[1:])


@pytest.mark.parametrize(("samples", "expected"), [*SUPERVISED_PATCHES.items(), (1, (101, 1, 0, 1, 0)), (88199, (101, 1, 0, 1, 0))])
def test_supervised_patches(samples: int, expected: tuple[int, ...]) -> None:
    assert patches(LogMel.supervised(), samples) == expected


@pytest.mark.reference
def test_patch_tables_are_those_of_the_published_code(golden: dict[str, Any]) -> None:
    ssl, supervised = (
        golden["patches"][f"{kind} after replication)"] for kind in ("ssl (n = samples at 22050", "sup (n = samples at 44100")
    )
    names = ("frames", "train_val_patches", "train_last_start", "test_patches", "test_last_start")
    assert {int(n): (row["frames"], row["eval_patches"], row["last_start"]) for n, row in ssl.items()} == SELF_SUPERVISED_PATCHES
    assert {int(n): tuple(row[name] for name in names) for n, row in supervised.items()} == SUPERVISED_PATCHES


@pytest.mark.parametrize("mode", [SELF_SUPERVISED, SUPERVISED])
def test_patches_lie_within_the_clip(mode: Mode) -> None:
    for frames in range(PATCH_FRAMES[mode], 400):
        for starts in (training_patch_starts(frames, mode), features.testing_patch_starts(frames, mode)):
            assert starts[0] == 0
            assert starts[-1] + PATCH_FRAMES[mode] <= frames


@pytest.mark.parametrize("mode", [SELF_SUPERVISED, SUPERVISED])
def test_refuses_clips_shorter_than_a_patch(mode: Mode) -> None:
    for starts in (training_patch_starts, features.testing_patch_starts):
        with pytest.raises(ValueError, match="extract its features with LogMel"):
            starts(99, mode)
