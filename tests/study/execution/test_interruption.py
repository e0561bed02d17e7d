"""Who may launch a study, and the first of several reasons to end a launch."""

import signal
from pathlib import Path

import pytest

from study.errors import StudyError
from study.execution.interruption import Interruption
from study.state.home import Home
from study.state.study_folder import study_lock
from support.mlflow_records import with_empty_store


def test_a_study_that_is_running_is_not_launched_a_second_time(tmp_path: Path) -> None:
    home = Home(with_empty_store(tmp_path))
    running = pytest.raises(StudyError, match="'one' is running already")
    with study_lock(home, "one"), study_lock(home, "other"), running, study_lock(home, "one"):
        pass
    with study_lock(home, "one"):
        pass


def test_the_first_signal_behind_another_reason_is_the_first(capfd: pytest.CaptureFixture[str]) -> None:
    interruption = Interruption("acl-study resume it")
    with interruption.on_signals():
        interruption.request("the budget of 1 hours is used up")
        signal.raise_signal(signal.SIGINT)
    said = "Ctrl-C: stopping already (the budget of 1 hours is used up); Ctrl-C again ends at once"
    assert capfd.readouterr().err.strip() == said
    assert interruption.reason == "the budget of 1 hours is used up"
