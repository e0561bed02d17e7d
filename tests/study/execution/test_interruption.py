"""The first of several reasons to end a launch."""

import signal

import pytest

from study.execution.interruption import Interruption


def test_the_first_signal_behind_another_reason_is_the_first(capfd: pytest.CaptureFixture[str]) -> None:
    interruption = Interruption("acl-study resume it")
    with interruption.on_signals():
        interruption.request("the budget of 1 hours is used up")
        signal.raise_signal(signal.SIGINT)
    said = "Ctrl-C: stopping already (the budget of 1 hours is used up); Ctrl-C again ends at once"
    assert capfd.readouterr().err.strip() == said
    assert interruption.reason == "the budget of 1 hours is used up"
