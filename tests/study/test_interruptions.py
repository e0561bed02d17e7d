"""Studies whose time is over, and that are resumed."""

import signal
from pathlib import Path

import pytest
import yaml

from command_line import SMOKE, acl_study, epochs_logged, runs
from empty_store import with_store
from study import record_names as names
from study.home import Home
from study.interruption import Interruption
from study.launched import only_launch
from study.spec import StudyError


def test_a_study_that_is_running_is_not_launched_a_second_time(tmp_path: Path) -> None:
    home = Home(with_store(tmp_path))
    running = pytest.raises(StudyError, match="'one' is running already")
    with only_launch(home, "one"), only_launch(home, "other"), running, only_launch(home, "one"):
        pass
    with only_launch(home, "one"):
        pass


def test_the_first_signal_behind_another_reason_is_the_first(capfd: pytest.CaptureFixture[str]) -> None:
    interruption = Interruption("acl-study resume it")
    with interruption.on_signals():
        interruption.request("the budget of 1 hours is used up")
        signal.raise_signal(signal.SIGINT)
    said = "Ctrl-C: stopping already (the budget of 1 hours is used up); Ctrl-C again ends at once"
    assert capfd.readouterr().err.strip() == said
    assert interruption.reason == "the budget of 1 hours is used up"


@pytest.mark.slow
def test_a_study_whose_time_is_over_resumes(tiny_corpus: Path, tmp_path: Path) -> None:
    home, budget, epochs = with_store(tmp_path / "home"), 6 / 3600, 45
    content = yaml.safe_load(SMOKE.read_text())
    content["sweeps"] = [content["sweeps"][0] | {"budget": {"hours": budget}}]
    content["sweeps"][0]["base"]["optim.epochs"] = epochs
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(content))
    process = acl_study("run", study, "--data", tiny_corpus, "--home", home)
    assert process.returncode == 130, process.err  # type: ignore[attr-defined]
    assert "2 trials are left" in process.out  # type: ignore[attr-defined]
    launched = home / "studies" / "smoke" / "study.yaml"  # a longer budget, so that one resume is enough
    launched.write_text(launched.read_text().replace(str(budget), "1.0"))
    process = acl_study("resume", "smoke", "--home", home)
    assert process.returncode == 0, process.err  # type: ignore[attr-defined]
    trials = runs(home, names.KIND_TRIAL)
    assert [epochs_logged(home, trial) for trial in trials] == [list(range(1, epochs + 1))] * 2
    assert {trial.data.tags[names.OUTCOME] for trial in trials} == {names.FINISHED}
