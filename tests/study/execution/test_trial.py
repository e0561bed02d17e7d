"""A trial as a worker runs it, without Ray."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from acl.config import flatten
from study import names
from study.execution import trial as trial_module
from study.execution.trial import run_trial
from study.search.keys import POINT, RECEIVED
from study.state.home import state_folder
from support.training_runs import config


def test_predictions_are_whole_or_absent(tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that has predictions counts as finished when its driver was killed."""
    reported: list[dict[str, Any]] = []
    context = SimpleNamespace(get_trial_id=lambda: "sweep-0000")
    monkeypatch.setattr(trial_module, "tune", SimpleNamespace(get_context=lambda: context, report=reported.append))
    settings = {key: value for key, value in flatten(config("supervised", tiny_corpus)).items() if value is not None}
    arguments = ({POINT: {}, RECEIVED: 0}, settings, str(tmp_path), 0.0, 0)
    predictions = state_folder(tmp_path, "sweep-0000") / names.PREDICTIONS_FILE
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if names.PREDICTIONS_FILE in os.readlink(f"/proc/self/fd/{descriptor}"):
            os.ftruncate(descriptor, 100)
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            run_trial(*arguments)
    assert not predictions.exists()
    run_trial(*arguments)
    assert len(predictions.read_text().splitlines()) == 1 + 20 + 60  # of each class one validation and three test clips
    assert [result["epoch"] for result in reported] == [1, 2]
