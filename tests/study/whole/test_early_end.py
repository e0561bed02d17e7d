"""A whole study whose searches begin with earlier results, repeat settings and end early."""

import re
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from study import names
from study.search.optuna import STORAGE_FILE
from study.state.home import Home
from study.state.journal import Journal
from support.command_line import call
from support.mlflow_records import runs, with_empty_store
from support.shared_ray import join_here

pytestmark = pytest.mark.slow

COMMON = {"question": "Does it?", "profile": "mini", "base": {"mode": "supervised", "data.subset": "clean", "optim.epochs": 1}}
EARLIER = {**COMMON, "name": "earlier", "space": {"loss.alpha": {"grid": [0.5]}}}
LATER = {
    **COMMON,
    "name": "later",
    "warm_start": ["earlier"],
    "search": "tpe",
    "space": {"loss.alpha": {"choice": [0.5, 1.0]}},
    "sweeps": [{"name": "small", "budget": {"trials": 5}}, {"name": "quick", "budget": {"trials": 6, "target": 0.001}}],
}


def test_a_study_that_ends_early_is_complete_everywhere(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], shared_ray: str
) -> None:
    join_here(shared_ray, monkeypatch)
    home = Home(with_empty_store(tmp_path / "home"))
    at = ("--home", str(home.root))
    for content in (EARLIER, LATER):
        path = tmp_path / f"{content['name']}.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        status = call(monkeypatch, "run", str(path), "--data", str(tiny_corpus), "--cpus", "2", *at)
        shown = capfd.readouterr()
        assert status == 0, shown.err
    journals = {name: Journal(home.study("later") / name) for name in ("small", "quick")}
    small, quick = journals.values()
    assert len(small.trials) + len(small.repeats) == 5
    assert len(small.trials) <= 2
    assert len(quick.trials) == 1
    ended = "quick: ended after 1 of 6 trials: val.accuracy"
    assert ended in shown.err
    assert re.search(rf"{re.escape(ended)} [\d.]+ % reaches the target 0.1 %", shown.out)
    assert f"small: {len(small.repeats)} of 5 trials repeated an earlier setting and were not trained" in shown.out

    storage = JournalStorage(JournalFileBackend(str(home.study("later") / "small" / STORAGE_FILE)))
    first, *own = optuna.load_study(study_name="later/small", storage=storage).trials
    assert first.user_attrs == {"warm_start": "earlier/sweep-0000"}
    assert len(own) == 5
    recorded = [run for run in runs(home.root, names.KIND_TRIAL) if run.data.tags[names.STUDY] == "later"]
    assert {run.data.tags[names.TRIAL_ID] for run in recorded} == {*small.trials, *quick.trials}
    (parent,) = [run for run in runs(home.root, names.KIND_STUDY) if run.data.tags[names.STUDY] == "later"]
    assert parent.info.status == "FINISHED"

    for command, line in (
        ("resume", "later is complete: nothing was left to run"),
        ("status", "later: complete"),
        ("best", "quick"),
    ):
        assert call(monkeypatch, command, "later", *at) == 0
        out = capfd.readouterr().out
        assert line in out
        assert "MLflow is up to date" in out or command != "status"
        assert "left" not in out.replace("time left", "").replace("nothing was left", "")
