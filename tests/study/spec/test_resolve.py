"""Study files: how they are resolved, and which are refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from acl.config import build_config, flatten, setting_names
from study.errors import StudyError
from study.spec.files import shipped_studies
from study.spec.resolve import read_study, resolve_study
from study.spec.study import Study


def study(**fields: Any) -> dict[str, Any]:
    """A valid one-sweep study with some fields replaced."""
    content = {
        "name": "trial",
        "question": "Does it?",
        "base": {"mode": "supervised"},
        "space": {"loss.alpha": {"grid": [0.5, 1.0]}},
    }
    return {**content, **fields}


def test_precedence_is_recipe_profile_base_overrides() -> None:
    recipe = build_config({"mode": "supervised", "data.root": "x"})
    assert "optim.epochs" not in resolve_study(study()).sweeps[0].base
    assert resolve_study(study(), "mini").sweeps[0].base["optim.epochs"] < recipe.optim.epochs
    based = resolve_study(study(base={"mode": "supervised", "optim.epochs": 7}), "mini").sweeps[0].base
    assert based["optim.epochs"] == 7
    overridden = resolve_study(study(base={"mode": "supervised", "optim.epochs": 7}), "mini", {"optim.epochs": 3}).sweeps[0].base
    assert overridden["optim.epochs"] == 3


def test_an_override_fixes_a_searched_setting() -> None:
    resolved = resolve_study(
        study(space={"loss.alpha": {"grid": [0.5, 1.0]}, "loss.margin": {"grid": [0.5]}}), None, {"loss.alpha": 0.7}
    )
    assert set(resolved.sweeps[0].space) == {"loss.margin"}
    assert resolved.sweeps[0].base["loss.alpha"] == 0.7


def test_overrides_reach_the_modes_that_know_them() -> None:
    content = study(
        objective="val.macro_accuracy",
        seeds=[1, 2],
        sweeps=[
            {"name": "a", "space": {"loss.alpha": {"grid": [1.0]}}},
            {"name": "b", "base": {"mode": "self-supervised"}, "space": {"loss.alpha": {"grid": [1.0]}}, "seeds": [3]},
        ],
    )
    content.pop("space")
    first, second = resolve_study(content, None, {"loss.temperature": 0.3}).sweeps
    assert (first.objective, first.seeds, second.seeds) == ("val.macro_accuracy", [1, 2], [3])
    assert "loss.temperature" not in first.base
    assert second.base["loss.temperature"] == 0.3


def test_seeds_repeat_every_point() -> None:
    (sweep,) = resolve_study(study(seeds=[3, 4])).sweeps
    assert [(point["loss.alpha"], point["seed"]) for point in sweep.points] == [(0.5, 3), (0.5, 4), (1.0, 3), (1.0, 4)]
    assert sweep.runs == 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objective": "test.accuracy"}, "test results never choose settings"),
        ({"objective": "val.loss"}, "losses of different alphas do not compare"),
        ({"objective": "val.knn_accuracy"}, "self-supervised runs only"),
        ({"space": {"loss.temperature": {"grid": [0.1]}}}, "loss.temperature is not a setting of supervised runs"),
        ({"space": {"loss.alhpa": {"grid": [0.1]}}}, "did you mean loss.alpha"),
        ({"space": {"loss.alpha": {"grid": [0.1, 1.1]}}}, "loss.alpha: must be less than or equal to 1, got 1.1"),
        ({"space": {"loss.alpha": {"uniform": [0, 1]}}}, "loss.alpha is continuous"),
        ({"space": {"loss.alpha": {"uniform": [0, 1]}}, "search": "tpe"}, "needs budget.trials"),
        (
            {"space": {"optim.batch_size": {"uniform": [16, 64]}}, "search": "random", "budget": {"trials": 2}},
            "must be a whole number",
        ),
        ({"space": {"loss.alpha": {"grid": [1, 1.0]}}}, "repeats a value"),
        ({"space": {}, "search": "tpe", "budget": {"trials": 3}}, "needs a space"),
        ({"base": {"mode": "supervised", "seed": 3}}, r"write seeds: \[3\]"),
        ({"space": {"seed": {"grid": [0, 1]}}}, "seeds go into seeds"),
        ({"base": {"mode": "supervised", "loss.alpha": 1.0}}, "loss.alpha is in base and in space"),
        ({"search": "tpe", "budget": {"trials": 3}, "seeds": [0, 1]}, "takes one seed"),
        ({"seeds": [0, 0]}, "repeat"),
        ({"sweeps": [{}, {}]}, "different names"),
        ({"name": "../escape"}, "name"),
        ({"resources": {"gpus": -1}}, "greater than or equal to 0"),
        ({"epochs": 3}, "epochs"),
        ({"base": {}}, "mode must be one of"),
    ],
)
def test_a_wrong_study_is_refused_with_the_field_and_the_rule(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        resolve_study(study(**fields))
    assert "\n" not in str(caught.value)


def test_asha_needs_an_objective_that_every_epoch_has() -> None:
    with pytest.raises(StudyError, match=r"use val\.knn_accuracy"):
        resolve_study(study(base={"mode": "self-supervised"}, scheduler="asha"))
    assert resolve_study(study(base={"mode": "self-supervised"}, scheduler="asha", objective="val.knn_accuracy"))


def test_an_override_that_no_sweep_knows_is_refused() -> None:
    with pytest.raises(StudyError, match="not a setting of any of the study's sweeps"):
        resolve_study(study(), None, {"loss.temperature": 0.3})


def test_reading_refuses_missing_files_and_broken_yaml(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="neither a file nor a shipped study"):
        read_study("no-such-study")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: x\nspace: [")
    with pytest.raises(StudyError, match=r"broken\.yaml:2: "):
        read_study(str(broken))
    broken.write_text("- a list")
    with pytest.raises(StudyError, match="a study file is a mapping"):
        read_study(str(broken))


def test_a_resolved_study_survives_its_own_file() -> None:
    for name in shipped_studies():
        resolved = resolve_study(read_study(name), "mini")
        text = yaml.safe_dump(resolved.model_dump(mode="json", exclude_none=True))
        assert Study.model_validate(yaml.safe_load(text)) == resolved


def test_every_setting_has_one_dotted_name() -> None:
    for mode in ("supervised", "self-supervised"):
        assert list(flatten(build_config({"mode": mode, "data.root": "x"}))) == setting_names(mode)


def test_a_seed_set_on_the_command_line_reaches_every_trial() -> None:
    (grid,) = resolve_study(study(seeds=[1, 2]), None, {"seed": 5}).sweeps
    assert {point["seed"] for point in grid.points} == {5}
    (search,) = resolve_study(study(search="tpe", budget={"trials": 3}), None, {"seed": 5}).sweeps
    assert search.common["seed"] == 5


def test_a_searched_setting_overrides_the_profile() -> None:
    content = study(space={"optim.batch_size": {"grid": [8, 16]}}, resources={"cpus": 4, "gpus": 1})
    (sweep,) = resolve_study(content, "mini").sweeps
    assert "optim.batch_size" not in sweep.base
    assert (sweep.resources.cpus, sweep.resources.gpus) == (1, 0)
    (sweep,) = resolve_study(content, "mini", None, {"gpus": 0.5}).sweeps
    assert (sweep.resources.cpus, sweep.resources.gpus) == (1, 0.5)


def test_a_study_whose_whole_space_is_fixed_is_one_setting() -> None:
    (sweep,) = resolve_study(study(seeds=[1, 2]), None, {"loss.alpha": 0.3}).sweeps
    assert (sweep.space, sweep.runs) == ({}, 2)


def test_departures_are_named_but_not_what_the_paper_varies() -> None:
    assert all(resolve_study(read_study(name)).departures == "" for name in shipped_studies() if name != "quickstart")
    longer = resolve_study(read_study("table2-ssl"), None, {"optim.epochs": 800, "loss.margin": 0.7, "compute.device": "cuda"})
    assert longer.departures == "self-supervised: optim.epochs 800 (recipe: 500)"
    content = study(space={"loss.alpha": {"grid": [1.0]}, "optim.lr": {"grid": [0.001, 0.01]}})
    assert resolve_study(content).departures == "supervised: optim.lr searched (recipe: 0.001)"
    ssl: dict[str, Any] = {"mode": "self-supervised", "data.subset": "noisy_small", "finetune.epochs": 9}
    one_point = {"loss.alpha": {"grid": [0.5, 1.0]}}
    assert resolve_study(study(base=ssl, space=one_point)).departures == "self-supervised: data.subset noisy_small (recipe: noisy)"
    tuned = resolve_study(study(base={**ssl, "finetune.on": ["clean"]}, space=one_point)).departures
    assert tuned.endswith("finetune.epochs 9 (recipe: 200)")
    both = resolve_study(read_study("quickstart")).departures
    assert "optim.epochs 6 (recipe: 99)" in both
    assert "model.width 8 (recipe: 64)" in both


def test_invalid_combinations_are_refused_before_the_launch() -> None:
    space = {"data.subset": {"grid": ["noisy", "all"]}, "data.validation": {"grid": ["holdout", "clean"]}}
    with pytest.raises(StudyError, match="contains the clean validation clips"):
        resolve_study(study(base={"mode": "self-supervised"}, space=space))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base": ["mode"]}, "base is a mapping"),
        ({"space": "loss.alpha"}, "space is a mapping"),
        ({"resources": 2}, "resources is a mapping"),
        ({"sweeps": ["a"]}, "sweeps is a list of mappings"),
        ({"sweeps": 3}, "sweeps is a list of mappings"),
        ({"base": None}, "mode must be one of"),
        ({"serach": "tpe"}, "serach is not a field of a study; did you mean search?"),
        ({"search": "bayes"}, "'tpe'.*got 'bayes'"),
    ],
)
def test_wrong_shapes_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        resolve_study(study(**fields))


def test_empty_fields_are_absent_and_the_corpus_is_absolute() -> None:
    content = study(resources=None, budget=None, base={"mode": "supervised", "data.root": "corpus"})
    (sweep,) = resolve_study(content).sweeps
    assert sweep.base["data.root"] == str(Path("corpus").absolute())
    (alone,) = resolve_study({**content, "space": None}).sweeps
    assert alone.runs == 1
