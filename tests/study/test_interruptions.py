"""Studies that are killed, stopped or out of time, and resumed."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
import torch
import yaml

from acl.training.checkpoint import CHECKPOINT_FILE
from command_line import SMOKE, acl_study, epochs_logged, runs
from study import record_names as names

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["kill -9", "ctrl-c", "sigterm"])
def test_an_interrupted_study_resumes_without_duplicates_or_losses(how: str, tiny_corpus: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    content = yaml.safe_load(SMOKE.read_text())
    content["sweeps"] = [content["sweeps"][0]]
    content["sweeps"][0]["base"]["optim.epochs"] = 60
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(content))
    process = acl_study("run", study, "--data", tiny_corpus, "--home", home, wait=False)
    deadline = time.monotonic() + 90
    while not any(
        torch.load(path, weights_only=True)["epoch"] >= 2
        for path in home.glob(f"studies/smoke/supervised/*/state/{CHECKPOINT_FILE}")
    ):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    second = acl_study("resume", "smoke", "--home", home)
    assert second.returncode == 1
    assert "is running already" in second.err  # type: ignore[attr-defined]
    if how == "kill -9":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.send_signal(signal.SIGINT if how == "ctrl-c" else signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    if how != "kill -9":
        assert process.returncode == 130, (out, err)
        assert "resume smoke" in out
    resumed = acl_study("resume", "smoke", "--home", home)
    assert resumed.returncode == 0, resumed.err  # type: ignore[attr-defined]
    trials = runs(home, names.KIND_TRIAL)
    assert [epochs_logged(home, trial) for trial in trials] == [list(range(1, 61))] * 2
    assert {trial.data.tags[names.OUTCOME] for trial in trials} == {names.FINISHED}
    assert {trial.info.status for trial in trials} == {"FINISHED"}


@pytest.mark.parametrize(
    ("seconds", "epochs"),
    [
        pytest.param(0.2, 2, id="before the first trial runs"),  # a worker alone takes longer to start
        pytest.param(6, 100, id="while trials run"),
    ],
)
def test_a_study_whose_time_is_over_resumes(seconds: float, epochs: int, tiny_corpus: Path, tmp_path: Path) -> None:
    home, budget = tmp_path / "home", seconds / 3600
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
