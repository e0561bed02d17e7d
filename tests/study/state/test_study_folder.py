"""The folder of a launched study: when two studies are the same, and who may launch one."""

from pathlib import Path
from typing import Any

import pytest

from study.errors import StudyError
from study.spec.resolve import resolve_study
from study.spec.study import Study
from study.state.home import Home
from study.state.study_folder import (
    TrackingRef,
    check_unchanged,
    keep_records,
    keep_study,
    load_study,
    load_tracking_ref,
    study_digest,
    study_lock,
)
from support.mlflow_records import with_empty_store

CONTENT: dict[str, Any] = {
    "name": "mine",
    "question": "Does it?",
    "base": {"mode": "supervised", "optim.epochs": 3},
    "space": {"loss.alpha": {"uniform": [0, 1]}, "loss.margin": {"choice": [0.3, 0.5]}},
    "search": "random",
    "budget": {"trials": 4},
}


def study(**fields: Any) -> Study:
    return resolve_study({**CONTENT, **fields})


def test_a_study_is_its_settings_in_any_order_on_any_machine() -> None:
    digest = study_digest(study())
    assert len(digest) == 64
    assert study_digest(study(base={"optim.epochs": 3, "mode": "supervised"})) == digest
    assert study_digest(study(resources={"cpus": 4, "gpus": 1}, budget={"trials": 4, "hours": 2})) == digest
    others = [
        study(budget={"trials": 5}),
        study(question="Does it really?"),
        study(seeds=[1]),
        study(space={"loss.alpha": {"uniform": [0, 0.9]}, "loss.margin": {"choice": [0.3, 0.5]}}),
        study(space=dict(reversed(CONTENT["space"].items()))),  # the same draws go to other settings
    ]
    assert len({digest, *map(study_digest, others)}) == 1 + len(others)


def test_a_study_continues_with_other_resources(tmp_path: Path) -> None:
    home = Home(tmp_path)
    check_unchanged(home, study())
    keep_study(home, study())
    changed = study(resources={"cpus": 4}, budget={"trials": 4, "hours": 1})
    check_unchanged(home, changed)
    keep_study(home, changed)
    assert load_study(home, "mine") == changed


def test_a_changed_study_is_refused_with_all_that_differs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    keep_study(home, study())
    space = {"loss.alpha": {"uniform": [0, 0.9]}, "loss.margin": {"choice": [0.3, 0.5]}}
    changed = study(space=space, base={"mode": "supervised", "optim.lr": 0.1}, scheduler="asha")
    with pytest.raises(StudyError) as caught:
        check_unchanged(home, changed)
    first, *differences = str(caught.value).splitlines()
    assert "give it another --name" in first
    assert study_digest(study())[:12] in first
    assert study_digest(changed)[:12] in first
    assert differences == [
        "- sweeps.sweep.base.optim.epochs 3",
        "+ sweeps.sweep.base.optim.lr 0.1",
        "+ sweeps.sweep.scheduler.grace 0.1",
        "- sweeps.sweep.scheduler.name none",
        "+ sweeps.sweep.scheduler.name asha",
        "+ sweeps.sweep.scheduler.reduction_factor 3.0",
        "- sweeps.sweep.space.loss.alpha.uniform [0.0, 1.0]",
        "+ sweeps.sweep.space.loss.alpha.uniform [0.0, 0.9]",
    ]


def test_a_folder_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    home = Home(tmp_path)
    keep_study(home, study())
    path = home.study("mine") / "study.yaml"
    path.write_text(path.read_text().replace("seeds:", "sedes:"))
    with pytest.raises(StudyError, match="no study of this version \\(") as caught:
        load_study(home, "mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("left", [0.0, 0.3, 0.9])
def test_cut_off_files_are_refused_in_one_line_with_a_remedy(left: float, tmp_path: Path) -> None:
    home = Home(tmp_path)
    keep_study(home, study())
    keep_records(home, "mine", None, "key")
    assert load_tracking_ref(home, "mine") == TrackingRef(home.store_uri, "key")
    for name, read in (
        ("study.yaml", lambda: check_unchanged(home, study())),
        ("study.yaml", lambda: load_study(home, "mine")),
        ("record.json", lambda: load_tracking_ref(home, "mine")),
    ):
        path = home.study("mine") / name
        whole = path.read_text()
        path.write_text(whole[: int(left * len(whole))])
        with pytest.raises(StudyError, match=f"{name} is damaged.*delete it") as caught:
            read()
        assert "\n" not in str(caught.value)
        path.write_text(whole)


def test_a_study_that_is_running_is_not_launched_a_second_time(tmp_path: Path) -> None:
    home = Home(with_empty_store(tmp_path))
    running = pytest.raises(StudyError, match="'one' is running already")
    with study_lock(home, "one"), study_lock(home, "other"), running, study_lock(home, "one"):
        pass
    with study_lock(home, "one"):
        pass
