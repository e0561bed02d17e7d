"""Which trials of earlier studies a search begins with, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from acl.store.feature_store import FeatureStore
from study import names
from study.errors import StudyError
from study.search.warm_start import earlier_results
from study.spec.resolve import resolve_study
from study.spec.study import Study
from study.state import journal as events
from study.state.home import Home, state_folder
from study.state.journal import Journal
from study.state.study_folder import keep_study

SPACE = {"loss.alpha": {"uniform": [0.2, 0.9]}, "optim.batch_size": {"choice": [16, 64]}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def study(name: str, corpus: Path, base: dict[str, Any] | None = None, **fields: Any) -> Study:
    base = {"mode": "supervised", "data.root": str(corpus), "optim.epochs": 4, **(base or {})}
    search = {"search": "tpe", "space": SPACE, "budget": {"trials": 9}}
    return resolve_study({"name": name, "question": "Does it?", "base": base, **search, **fields})


def end_trials(home: Home, earlier: Study, points: list[dict[str, Any]], features: str | None = None) -> None:
    """Finished trials at these points, and a failed one."""
    keep_study(home, earlier)
    (sweep,) = earlier.sweeps
    folder = home.study(earlier.name) / sweep.name
    digest = FeatureStore.digest_at(sweep.base["data.root"], sweep.base["mode"])
    journal = Journal(folder)
    for number, point in enumerate([*points, points[0]]):
        name = sweep.trial_name(number)
        journal.append(events.TRIAL, trial=name, number=number, point=point)
        metrics = {names.VAL_ACCURACY: number / 10}
        journal.append(events.EPOCH, trial=name, epoch=4, is_last=True, rung=False, metrics=metrics)
        journal.append(events.END, trial=name, outcome=names.FINISHED if number < len(points) else names.FAILED, reason=None)
        state = state_folder(folder, name)
        state.mkdir(parents=True)
        (state / names.PROVENANCE_FILE).write_text(json.dumps([{"features_sha256": features or digest}]))
    journal.close()


def point(alpha: float, batch: int = 16, **more: Any) -> dict[str, Any]:
    return {"loss.alpha": alpha, "optim.batch_size": batch, **more}


def test_fitting_trials_of_any_seed_and_device_are_taken(home: Home, tiny_corpus: Path) -> None:
    base = {"compute.threads": 3, "optim.lr": 0.05}
    grid = {"loss.alpha": {"grid": [0.5, 1.0]}, "optim.batch_size": {"grid": [16, 64, 128]}, "loss.margin": {"grid": [0.5, 0.7]}}
    earlier = study("earlier", tiny_corpus, base, search="grid", space=grid, budget={}, seeds=[3, 4])
    margin = {"loss.margin": 0.5, "seed": 4}
    points = [
        point(0.5, 64, **margin),
        point(1.0, 64, **margin),
        point(0.5, 128, **margin),
        point(0.5, **{**margin, "loss.margin": 0.7}),
    ]
    end_trials(home, earlier, points)
    later = study("later", tiny_corpus, {"optim.lr": 0.05, "loss.margin": 0.5}, warm_start=["earlier"])
    found, (line,) = earlier_results(later, home)
    (result,) = found["sweep"]
    assert (result.study, result.trial, result.point, result.values) == ("earlier", "sweep-0000", point(0.5, 64), [0.0])
    assert line.startswith("searches begin with 1 result of earlier; others do not fit, e.g. sweep sweep: its ")


def test_what_was_noted_is_not_looked_up_again(home: Home, tiny_corpus: Path) -> None:
    later = study("later", tiny_corpus, warm_start=["gone"])
    journal = Journal(home.study("later") / "sweep")
    journal.append(events.WARM_START, results=[])
    journal.close()
    assert earlier_results(later, home) == ({}, [])


@pytest.mark.parametrize(
    ("fields", "features", "reason"),
    [
        ({"base": {"optim.epochs": 2}}, None, "its optim.epochs is 2, here it is 4"),
        ({"objective": names.VAL_MACRO_ACCURACY}, None, "it searched for val.macro_accuracy, here it is val.accuracy"),
        ({"base": {"mode": "self-supervised", "optim.epochs": 4}}, None, "its mode is self-supervised, here it is supervised"),
        ({}, "0" * 64, "its features are not those of this corpus"),
        ({"points": [point(0.1)], "space": {**SPACE, "loss.alpha": {"uniform": [0, 1]}}}, None, "its loss.alpha 0.1 lies outside"),
    ],
)
def test_where_no_trial_fits_the_reason_is_one_line(
    fields: dict[str, Any], features: str | None, reason: str, home: Home, tiny_corpus: Path
) -> None:
    points = fields.pop("points", [point(0.5)])
    end_trials(home, study("earlier", tiny_corpus, **fields), points, features)
    with pytest.raises(StudyError, match=reason) as caught:
        earlier_results(study("later", tiny_corpus, warm_start=["earlier"]), home)
    assert str(caught.value).startswith("warm_start: none of the 1 finished trials of earlier fits, e.g. sweep sweep: it")
    assert str(caught.value).endswith("; name another study, or leave warm_start out")
    assert "\n" not in str(caught.value)


def test_unknown_studies_are_refused_with_near_names(home: Home, tiny_corpus: Path) -> None:
    end_trials(home, study("earlier", tiny_corpus), [point(0.5)])
    with pytest.raises(StudyError, match=r"^warm_start: no study 'earlyer' in .*earlier"):
        earlier_results(study("later", tiny_corpus, warm_start=["earlyer"]), home)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"warm_start": ["later"]}, "later is this study itself"),
        ({"warm_start": ["a", "a"]}, "a is listed twice"),
        ({"warm_start": ["a"], "search": "qmc"}, "needs a sweep with search: tpe or gp, got qmc"),
        ({"warm_start": "a"}, r"warm_start: must be a list of earlier studies, e.g. \[search-ssl\], got 'a'"),
    ],
)
def test_a_warm_start_without_use_is_refused(fields: dict[str, Any], message: str, tiny_corpus: Path) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        study("later", tiny_corpus, **fields)
    assert "\n" not in str(caught.value)
