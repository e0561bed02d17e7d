"""What a study's numbers are made of: the same in all its launches, or said."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from acl.store.feature_store import FeatureStore
from acl.system.errors import StoreError
from study import names
from study.errors import StudyError
from study.spec.study import Study
from study.state.home import Home
from study.state.inputs import INPUTS_FILE, check_inputs, current_inputs, keep_inputs
from support.changed_features import flip_a_bit_of_every_number, replace_features
from support.studies_without_training import study_of


@pytest.fixture
def corpus(tiny_corpus: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_corpus, tmp_path / "corpus")


@pytest.fixture
def study(corpus: Path) -> Study:
    return study_of("s", {"base": {"data.root": str(corpus)}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}})


def test_features_that_were_tampered_with_are_refused(study: Study, corpus: Path) -> None:
    current_inputs(study)
    flip_a_bit_of_every_number(corpus / "features" / "supervised" / "logmel.npy")
    with pytest.raises(StoreError, match="have changed since they were prepared"):
        current_inputs(study)


@pytest.mark.parametrize("is_noted", [True, False], ids=["noted", "in the trials' records only"])
def test_another_corpus_at_the_same_place_is_refused(study: Study, corpus: Path, tmp_path: Path, is_noted: bool) -> None:
    home, inputs = Home(tmp_path / "runs"), current_inputs(study)
    state = home.trial_state("s", "sweep", "sweep-0000")
    state.mkdir(parents=True)
    launched = inputs.features["sweep"]
    (state / names.PROVENANCE_FILE).write_text(json.dumps([{"features_sha256": launched}]))
    if is_noted:
        keep_inputs(home, "s", inputs)
    assert check_inputs(home, study, inputs) == []
    replace_features(corpus / "features" / "supervised")
    found = FeatureStore.verify(corpus, "supervised")
    with pytest.raises(StudyError, match=f"are {found[:12]}, study 's' was launched on {launched[:12]}, .* under another --name$"):
        check_inputs(home, study, current_inputs(study))


def test_other_code_and_another_version_are_said(study: Study, tmp_path: Path) -> None:
    home, inputs = Home(tmp_path / "runs"), current_inputs(study)
    (tmp_path / "runs" / "studies" / "s").mkdir(parents=True)
    keep_inputs(home, "s", inputs)
    code = {name: digest for name, digest in inputs.code.items() if name != "acl/losses/nt_xent.py"}
    code |= {"acl/models/mine.py": "1", "acl/models/cnn.py": "2"}
    later = dataclasses.replace(inputs, version="9.9", code=code)
    keep_inputs(home, "s", later)  # those of the first launch stay
    version, changed = check_inputs(home, study, later)
    assert version == f"s was launched by acl-study {inputs.version}, this is 9.9: its trials may differ for that"
    assert changed.startswith(
        "code has changed since s was launched (acl/losses/nt_xent.py, acl/models/cnn.py, acl/models/mine.py): "
    )


def test_a_damaged_note_is_a_line(study: Study, tmp_path: Path) -> None:
    home = Home(tmp_path / "runs")
    home.study("s").mkdir(parents=True)
    (home.study("s") / INPUTS_FILE).write_text("{}")
    with pytest.raises(StudyError, match="is damaged; delete it"):
        check_inputs(home, study, current_inputs(study))
