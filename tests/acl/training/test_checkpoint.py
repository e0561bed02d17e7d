"""Checkpoints on a disk that is full."""

import errno
from pathlib import Path

import pytest
import torch

from acl.training.checkpoint import Checkpoints
from acl.training.checkpoint_files import CHECKPOINT_FILE
from support.file_systems import fill, small_disk
from support.training_runs import config


@pytest.mark.parametrize("numbers", [200_000, 800_000], ids=["fails while the file is closed", "fails while tensors are written"])
def test_a_full_disk_leaves_the_last_checkpoint_intact(numbers: int, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        files = Checkpoints(disk / "run", config("supervised", tmp_path), "digest")
        files.save({"epoch": 1, "weights": torch.zeros(200_000)})
        fill(disk / "filler")
        with (disk / "filler").open("r+b") as filler:
            filler.truncate(filler.seek(0, 2) - 400_000)
        with pytest.raises(OSError, match="No space left on device") as failure:
            files.save({"epoch": 2, "weights": torch.zeros(numbers)})
        assert failure.value.errno == errno.ENOSPC
        assert [path.name for path in (disk / "run").iterdir()] == [CHECKPOINT_FILE]
        assert files.load()["epoch"] == 1
        (disk / "filler").unlink()
        files.save({"epoch": 2, "weights": torch.zeros(200_000)})
        assert files.load()["epoch"] == 2
