"""The JSON schema for editors: it accepts what resolves, and refuses mistyped fields."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from acl.config import setting_names
from study.cli import app as cli
from study.errors import StudyError
from study.spec.files import shipped_studies
from study.spec.json_schema import study_schema
from study.spec.resolve import resolve_study

jsonschema = pytest.importorskip("jsonschema")

SMOKE = Path(__file__).parents[1] / "smoke.yaml"
RIGHT = """\
name: mine
question: Does it?
base: {mode: self-supervised, data.subset: noisy, finetune.on: [clean], optim.milestones: [0.5]}
space:
  loss.alpha: {uniform: [0, 1]}
  loss.temperature: {loguniform: [0.05, 1], when: {mode: self-supervised}}
  optim.batch_size: {choice: [64, 128]}
search: random
enqueue: [{loss.alpha: 0.7, loss.temperature: 0.1, optim.batch_size: 64}]
scheduler: {name: hyperband, reduction_factor: 4}
objective: [val.knn_accuracy]
seeds: [0]
resources: {cpus: 2, gpus: 0.25}
budget: {trials: 3, hours: 1}
"""
WARM = """\
include: search-ssl
warm_start: [earlier]
budget: {patience: 3, target: 0.8}
"""


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = study_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", [*shipped_studies(), "smoke", "own", "including", "warm"])
def test_right_files_are_valid(validator: Any, name: str) -> None:
    own = {"smoke": SMOKE.read_text(), "own": RIGHT, "including": "include: search-ssl\nspace: {loss.margin: }\n", "warm": WARM}
    content = yaml.safe_load({**shipped_studies(), **own}[name])
    validator.validate(content)
    assert "include" in content or resolve_study(content)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("question: Does it?\n", ""),
        ("question: Does it?", "question:"),
        ("name: mine", "name: ../mine"),
        ("search: random", "serach: random"),
        ("search: random", "search: bayes"),
        ("data.subset: noisy", "data.subset: noisey"),
        ("data.subset: noisy", "data.subste: noisy"),
        ("data.subset: noisy", "seed: 3"),
        ("optim.milestones: [0.5]", "optim.milestones: [50]"),
        ("uniform: [0, 1]", "uniform: [0, 2]"),
        ("uniform: [0, 1]", "uniform: [0]"),
        ("uniform: [0, 1]", "normal: [0, 1]"),
        ("uniform: [0, 1]", "uniform: [0, 1], grid: [0.5]"),
        ("{uniform: [0, 1]}", "0.5"),
        ("loss.alpha: {", "loss.alhpa: {"),
        ("choice: [64, 128]", "choice: [64, 0.5]"),
        ("choice: [64, 128]", "uniform: [64, 128]"),
        ("loss.alpha: 0.7", "loss.alpha: 7"),
        ("reduction_factor: 4", "grace: 0.2"),
        ("name: hyperband", "name: hyperbend"),
        ("{name: hyperband, reduction_factor: 4}", "hyperbend"),
        ("val.knn_accuracy", "test.accuracy"),
        ("seeds: [0]", "seeds: [0, 0]"),
        ("seeds: [0]", "seeds: 0"),
        ("cpus: 2", "cpus: 0"),
        ("trials: 3", "trials: many"),
        ("hours: 1", "days: 1"),
    ],
)
def test_what_the_schema_refuses_no_run_would_take(validator: Any, old: str, new: str) -> None:
    assert old in RIGHT
    wrong = yaml.safe_load(RIGHT.replace(old, new, 1))
    assert not validator.is_valid(wrong)
    with pytest.raises(StudyError):
        resolve_study(wrong)


def test_every_setting_is_offered() -> None:
    parts = study_schema()["$defs"]
    offered = set(parts["base"]["properties"])
    assert offered == (set(setting_names("supervised")) | set(setting_names("self-supervised"))) - {"seed"}
    assert set(parts["space"]["properties"]) == offered - {"mode", "data.root"}


def test_the_command_prints_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["acl-study", "schema"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert json.loads(capsys.readouterr().out) == study_schema()
