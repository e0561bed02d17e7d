"""Hostile study files, profiles and --set: each is a study, or refused in readable lines."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from acl.config import ConfigError, setting_names
from study.cli.app import printable
from study.cli.resolve import parse_settings
from study.errors import StudyError
from study.spec.files import shipped_studies
from study.spec.resolve import read_study, replaced_fields, resolve_study
from study.spec.study import Study
from study.state.home import Home
from study.state.study_folder import STUDY_FILE, check_unchanged, load_study, study_text
from support.hostile_inputs import VALUES, changed, damaged, examples, readable, replaced

RICH = """\
name: my
question: Does it?
paper_found: Yes.
base: {mode: supervised, optim.epochs: 3}
search: random
budget: {trials: 4, hours: 2}
resources: {cpus: 1, gpus: 0}
sweeps:
  - name: first
    space:
      loss.alpha: {choice: [0.5, 1.0]}
      loss.margin: {uniform: [0.1, 1.0], when: {loss.alpha: 0.5}}
    enqueue: [{loss.alpha: 1.0}]
    objective: val.accuracy
  - name: second
    base: {mode: self-supervised}
    space: {loss.alpha: {choice: [0.5, 1.0]}}
    scheduler: {name: asha, grace: 0.2}
    objective: val.knn_accuracy
  - {name: third, search: grid, seeds: [0, 1], space: {loss.alpha: {grid: [0, 1]}}}
"""
STUDIES = [RICH, *shipped_studies().values()]
SETTINGS = [
    *setting_names("supervised"),
    *setting_names("self-supervised"),
    "search",
    "scheduler",
    "budget.trials",
    "seeds",
    "resources.cpus",
]


def resolved(text: bytes, folder: Path, **options: Any) -> Study | None:
    """The study in a file, which must survive what a launch does with it first; None where it is refused as it should be."""
    path = folder / "my.yaml"
    path.write_bytes(text)
    try:
        content = read_study(str(path))
        study = resolve_study(content, **options)
        replaced_fields(content, "recipe", options.get("overrides") or {})
    except (StudyError, ConfigError) as error:
        readable(printable(str(error)))
        return None
    replaced(Home(folder).study(study.name) / STUDY_FILE, study_text(study).encode())
    assert load_study(Home(folder), study.name) == study
    check_unchanged(Home(folder), study)
    assert all(len(sweep.points) == sweep.runs for sweep in study.sweeps if not sweep.uses_optuna)
    return study


@pytest.mark.parametrize("text", STUDIES)
def test_they_are_right_as_they_are(text: str, tmp_path: Path) -> None:
    assert resolved(text.encode(), tmp_path) is not None


@examples(30)
@given(content=st.sampled_from([yaml.safe_load(text) for text in STUDIES]).flatmap(changed))
def test_parts_of_a_study_that_are_something_else(tmp_path: Path, content: dict[str, Any]) -> None:
    resolved(yaml.safe_dump(content, sort_keys=False).encode(), tmp_path)


@examples(30)
@given(text=st.sampled_from([text.encode() for text in STUDIES]).flatmap(damaged))
def test_a_damaged_file(tmp_path: Path, text: bytes) -> None:
    resolved(text, tmp_path)


@examples(30)
@given(
    names=st.lists(st.sampled_from(SETTINGS) | st.text(max_size=5), min_size=1, max_size=3),
    value=VALUES.map(yaml.safe_dump) | st.text(max_size=12),
    profile=st.sampled_from((None, "mini", "paper-ssl", "paper-supervised")) | st.text(max_size=5),
    text=st.sampled_from(STUDIES),
)
def test_options_of_the_command_line(tmp_path: Path, names: list[str], value: str, profile: str | None, text: str) -> None:
    try:
        overrides = parse_settings([f"{name}={value}" for name in names], None)
    except ConfigError as error:
        readable(printable(str(error)))
    else:
        resolved(text.encode(), tmp_path, overrides=overrides, profile=profile)
