"""Launches whose training is over, and whose records are not: written by the next launch, without Ray."""

from pathlib import Path

import pytest
import ray

from study.home import Home
from study.launch import Outcome, launch
from study.launched import MIRRORED_FILE
from study.spec import Study
from toy_study import end_study, study_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One store for the file: creating its schema takes seconds."""
    return Home(tmp_path_factory.mktemp("home"))


def ended(home: Home, name: str, corpus: Path) -> Study:
    """A study whose trials have all finished."""
    sweep = {"base": {"data.root": str(corpus)}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}}
    study = study_of(name, sweep)
    end_study(home, study, lambda settings: (20, 50))
    return study


def test_what_the_store_did_not_take_is_written_without_ray(home: Home, tiny_corpus: Path) -> None:
    study = ended(home, "late", tiny_corpus)
    (home.study("late") / MIRRORED_FILE).unlink()
    assert launch(study, home) == Outcome([])
    assert not ray.is_initialized()
    assert (home.study("late") / MIRRORED_FILE).exists()
