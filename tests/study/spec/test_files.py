"""Study files that include others."""

from pathlib import Path

import pytest

from study.errors import StudyError
from study.spec.resolve import read_study, resolve_study

BASE = """\
name: common
question: Does it?
base: {mode: supervised, optim.epochs: 9, data.subset: clean}
space:
  loss.alpha: {choice: [0.5, 1.0]}
  loss.margin: {choice: [0.5]}
search: random
scheduler: {name: asha, reduction_factor: 2}
seeds: [3]
budget: {trials: 4, hours: 2}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "common.yaml").write_text(BASE)
    return tmp_path


def write(folder: Path, text: str, name: str = "own.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_file_stands_above_what_it_includes(folder: Path) -> None:
    own = """\
include: parts/common.yaml
name: own
base: {optim.epochs: 5, data.subset: }
space:
  loss.margin:
  optim.lr: {choice: [1e-3]}
  loss.alpha: {choice: [0.1, 0.2]}
scheduler: {grace: 0.5}
seeds: [1]
budget: {trials: 2}
"""
    study = resolve_study(read_study(write(folder, own)))
    (sweep,) = study.sweeps
    assert (study.name, study.question) == ("own", "Does it?")
    assert sweep.base == {"mode": "supervised", "optim.epochs": 5}
    assert {name: dimension.values for name, dimension in sweep.space.items()} == {"loss.alpha": [0.1, 0.2], "optim.lr": [0.001]}
    assert sweep.scheduler.model_dump() == {"name": "asha", "grace": 0.5, "reduction_factor": 2}
    assert (sweep.seeds, sweep.budget.trials, sweep.budget.hours) == ([1], 2, 2)


def test_a_later_include_wins_and_replaces_the_scheduler(folder: Path) -> None:
    write(folder, "name: more\nbudget: {trials: 8}\nscheduler: {name: median, grace: 0.3}\n", "more.yaml")
    (sweep,) = resolve_study(read_study(write(folder, "include: [parts/common.yaml, more.yaml]\n"))).sweeps
    assert (sweep.budget.trials, sweep.budget.hours) == (8, 2)
    assert sweep.scheduler.model_dump() == {"name": "median", "grace": 0.3}


def test_includes_are_relative_paths_or_shipped_names(folder: Path) -> None:
    write(folder, "include: common.yaml\nbase: {optim.epochs: 2}\n", "parts/short.yaml")
    assert resolve_study(read_study(write(folder, "include: parts/short.yaml\n"))).sweeps[0].base["optim.epochs"] == 2
    shipped = resolve_study(read_study("search-ssl")).sweeps[0]
    (own,) = resolve_study(read_study(write(folder, "include: search-ssl\nname: own\nbudget: {trials: 9}\n"))).sweeps
    assert own.budget.trials == 9
    assert own.space == shipped.space
    assert own.enqueue == shipped.enqueue


def test_mistakes_point_to_the_file_where_they_were_written(folder: Path) -> None:
    own = read_study(write(folder, "include: parts/common.yaml\nname: own\nspace:\n  loss.alpha: {choice: [2]}\n"))
    with pytest.raises(StudyError, match=r"own\.yaml:4: space\.loss\.alpha: must be"):
        resolve_study(own)
    write(folder, BASE.replace("1.0]", "1.5]"), "parts/common.yaml")
    inherited = read_study(write(folder, "include: parts/common.yaml\nbudget: {trials: 9}\n"))
    with pytest.raises(StudyError, match=r"/parts/common\.yaml:5: space\.loss\.alpha: must be"):
        resolve_study(inherited)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("name: own\ninclude: parts/none.yaml\n", r"own\.yaml:2: include: no study 'parts/none.yaml'"),
        ("name: own\n\ninclude: parts\n", r"own\.yaml:3: include: no study 'parts'"),
        ("include: {file: parts/common.yaml}\n", r"own\.yaml:1: include: "),
        ("include: own.yaml\n", r"own\.yaml:1: include: .*own\.yaml includes .*own\.yaml; take one of them out"),
        ("include: parts/back.yaml\n", r"parts/back\.yaml:2: include: .*own\.yaml includes .*back\.yaml includes .*own\.yaml"),
    ],
)
def test_files_that_cannot_be_included_are_refused_by_line(folder: Path, own: str, message: str) -> None:
    write(folder, "name: back\ninclude: ../own.yaml\n", "parts/back.yaml")
    with pytest.raises(StudyError, match=message) as caught:
        read_study(write(folder, own))
    assert "\n" not in str(caught.value)
