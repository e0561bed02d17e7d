"""Profiles of the paper: every setting against the recipe, and the lines of `acl-study doctor` about them."""

import re
import sys
from typing import Any

import pytest

from acl.config import build_config, flatten
from acl.deviations import deviations
from study.cli import app as cli
from study.doctor.installation import profile_lines, settings_of_modes
from study.spec.profiles import profile_settings
from study.spec.resolve import resolve_study

PLACE: dict[str, Any] = {"compute.device": "auto", "compute.channels_last": True, "compute.threads": 0}
CORPUS: dict[str, Any] = {"data.root": "x", "data.test_fold": 0, "noise.rate": 0.0, "noise.kind": "symmetric"}  # as it is published
RECIPE: dict[str, dict[str, Any]] = {
    "paper-supervised": {
        "mode": "supervised",
        "seed": 0,
        "data.subset": "all",
        "data.validation_fraction": 0.15,
        "model.dropout": 0.5,
        "loss.alpha": 1.0,  # the paper varies it
        "loss.margin": 0.5,
        "loss.angular_scale": 64 / 50,
        "optim.epochs": 99,
        "optim.batch_size": 64,
        "optim.lr": 1e-3,
        "optim.weight_decay": 1e-3,
        "optim.plateau_factor": 0.5,
        "optim.plateau_patience": 5,
        "compute.precision": "fp32",
    },
    "paper-ssl": {
        "mode": "self-supervised",
        "seed": 271828,
        "data.subset": "noisy",
        "data.pretraining": "subset",
        "data.validation": "clean",
        "data.validation_fraction": 0.15,
        "model.width": 64,
        "loss.alpha": 0.3,  # the paper varies it; the best published one at temperature 0.2
        "loss.margin": 0.5,
        "loss.temperature": 0.2,
        "loss.angular_scale": 256 / 25,
        "views.augmentations": "published-code",
        "views.mix_back_max": 0.05,
        "views.crop_area_min": 0.8,
        "views.compander_min": 0.75,
        "views.masks": 0,
        "views.mask_frames_max": 20,
        "views.mask_bands_max": 20,
        "views.noise_std_max": 0.01,
        "views.blur_sigma_max": 0.0,
        "optim.epochs": 500,
        "optim.batch_size": 128,
        "optim.lr": 0.03,
        "optim.momentum": 0.9,
        "optim.weight_decay": 1e-4,
        "optim.milestones": [325 / 500, 425 / 500],
        "optim.decay": 0.1,
        "probe.protocol": "published",
        "probe.epochs": 200,
        "probe.batch_size": 128,
        "probe.lr": 0.1,
        "probe.momentum": 0.9,
        "probe.weight_decay": 1e-4,
        "probe.milestones": [80 / 200, 160 / 200],
        "probe.decay": 0.1,
        "finetune.on": ["noisy", "clean"],
        "finetune.epochs": 200,
        "finetune.batch_size": 128,
        "finetune.lr": 0.01,
        "finetune.momentum": 0.9,
        "finetune.weight_decay": 1e-4,
        "finetune.milestones": [80 / 200, 160 / 200],
        "finetune.decay": 0.1,
        "knn.k": 200,
        "compute.precision": "fp32",
    },
}


@pytest.mark.parametrize("profile", sorted(RECIPE))
def test_a_profile_of_the_paper_is_the_recipe_field_by_field(profile: str) -> None:
    (mode,) = profile_settings(profile)
    settings = flatten(build_config({"data.root": "x", "mode": mode, **profile_settings(profile)[mode]}))
    assert settings == {**PLACE, **CORPUS, **RECIPE[profile]}


def test_defaults_are_the_recipe_but_for_the_evaluation() -> None:
    for profile, recipe in RECIPE.items():
        defaults = flatten(build_config({"data.root": "x", "mode": recipe["mode"]}))
        differing = {name for name, value in recipe.items() if defaults[name] != value}
        assert differing == ({"seed", "probe.protocol", "finetune.on"} if profile == "paper-ssl" else set())


@pytest.mark.parametrize(("own", "expected"), [({}, [271828]), ({"seeds": [0, 1]}, [0, 1])])
def test_a_profiles_seed_gives_way_to_the_studys_seeds(own: dict[str, Any], expected: list[int]) -> None:
    content = {"name": "s", "question": "?", "base": {"mode": "self-supervised"}, "space": {"loss.alpha": {"grid": [0.5]}}, **own}
    study = resolve_study(content, "paper-ssl")
    assert study.sweeps[0].seeds == expected
    assert study.departures == ""


def test_single_strengths_override_the_papers_augmentations() -> None:
    common = {"mode": "self-supervised", "data.root": "x", "views.augmentations": "paper-text"}
    text = flatten(build_config(common))
    strengths = {"compander_min": 1.0, "noise_std_max": 0.0, "masks": 2, "blur_sigma_max": 2.0, "crop_area_min": 0.8}
    assert {name: text[f"views.{name}"] for name in strengths} == strengths
    assert flatten(build_config({**common, "views.masks": 1}))["views.masks"] == 1
    assert flatten(build_config(text)) == text


def test_doctor_lists_every_setting_and_every_deviation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["acl-study", "doctor", "--profile", "paper-ssl"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for name, value in RECIPE["paper-ssl"].items():
        assert f"  {name} = {value}\n" in shown
    config = build_config({"data.root": "x", "mode": "self-supervised", **profile_settings("paper-ssl")["self-supervised"]})
    topics = [entry.topic for entry in deviations(config)]
    assert re.findall(r"^ *\d+\. (.*)$", shown, flags=re.MULTILINE) == topics
    assert f"{len(topics)} deviations" in shown
    assert "torch" in shown
    assert "(published:" not in shown


def test_doctor_marks_what_a_profile_changes() -> None:
    lines = profile_lines("mini", settings_of_modes("mini"))
    assert "  optim.epochs = 12    (published: 500)" in lines
    assert "  probe.protocol = cached    (published: published)" in lines
    assert "  loss.margin = 0.5" in lines
    assert not any("compute." in line and "published" in line for line in lines)


def test_deviations_follow_the_settings() -> None:
    """The quirks of the published code are there, and choices are listed only where they were made."""

    def topics(mode: str, **settings: Any) -> set[str]:
        return {entry.topic for entry in deviations(build_config({"data.root": "x", "mode": mode, **settings}))}

    plain = topics("self-supervised")
    assert {"margin loss", "arccos at ±1", "kNN labels", "headline accuracy", "linear evaluation"} <= plain
    assert {"standard deviation of the features", "test set during training", "choice of alpha", "class ids"} <= plain
    assert plain - topics("self-supervised", **{"probe.protocol": "published"}) == {"linear evaluation"}
    assert topics("self-supervised", **{"finetune.on": ["clean"]}) - plain == {
        "fine-tuning on clean clips",
        "features of fine-tuning on clean clips",
    }
    assert topics("self-supervised", **{"views.augmentations": "paper-text"}) - plain == {"augmentations"}
    assert topics("self-supervised", **{"data.pretraining": "all"}) - plain == {"clips of pre-training"}
    assert {"margin loss", "validation split", "validation loss"} <= topics("supervised")
