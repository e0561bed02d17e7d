"""Settings: the recipe's defaults, legal ranges, dotted names."""

from typing import Any

import pytest

from acl.config import ConfigError, build_config, flatten

# The published hyperparameters, typed from the paper's recipe and not from the code under test.
RECIPE = {
    "supervised": {
        "data.validation_fraction": 0.15,
        "model.dropout": 0.5,
        "loss.margin": 0.5,
        "loss.angular_scale": 1.28,
        "optim.epochs": 99,
        "optim.batch_size": 64,
        "optim.lr": 1e-3,
        "optim.weight_decay": 1e-3,
        "optim.plateau_factor": 0.5,
        "optim.plateau_patience": 5,
        "compute.precision": "fp32",
    },
    "self-supervised": {
        "data.subset": "noisy",
        "data.validation": "clean",
        "model.width": 64,
        "loss.margin": 0.5,
        "loss.temperature": 0.2,
        "loss.angular_scale": 10.24,
        "views.mix_back_max": 0.05,
        "views.crop_area_min": 0.8,
        "views.compander_min": 0.75,
        "views.noise_std_max": 0.01,
        "optim.epochs": 500,
        "optim.batch_size": 128,
        "optim.lr": 0.03,
        "optim.momentum": 0.9,
        "optim.weight_decay": 1e-4,
        "optim.decay": 0.1,
        "probe.epochs": 200,
        "probe.lr": 0.1,
        "knn.k": 200,
        "compute.precision": "fp32",
    },
}


@pytest.mark.parametrize("mode", sorted(RECIPE))
def test_defaults_are_the_published_recipe(mode: str) -> None:
    settings = flatten(build_config({"mode": mode, "data.root": "x"}))
    for name, value in RECIPE[mode].items():
        assert settings[name] == pytest.approx(value) if isinstance(value, float) else settings[name] == value, name


def test_milestones_fall_on_the_published_epochs() -> None:
    settings = flatten(build_config({"mode": "self-supervised", "data.root": "x"}))
    assert [share * 500 for share in settings["optim.milestones"]] == [325, 425]
    assert [share * 200 for share in settings["probe.milestones"]] == [80, 160]


@pytest.mark.parametrize("mode", sorted(RECIPE))
def test_flatten_and_build_are_inverse(mode: str) -> None:
    config = build_config({"mode": mode, "data.root": "x", "loss.alpha": 0.25, "seed": 7})
    assert build_config(flatten(config)) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss.alpha": 1.5}, "loss.alpha: Input should be less than or equal to 1, got 1.5"),
        ({"loss.alpha": float("nan")}, "loss.alpha"),
        ({"loss.margin": -0.1}, "loss.margin"),
        ({"optim.epochs": 0}, "optim.epochs"),
        ({"optim.epochs": "many"}, "optim.epochs"),
        ({"data.subset": "dirty"}, "data.subset"),
        ({"loss.tau": 0.1}, "loss.tau is not a setting of supervised runs"),
        ({"views.masks": 1}, "views.masks is not a setting of supervised runs"),
        ({"mode": "semi-supervised"}, "mode must be one of"),
        ({"mode": "self-supervised", "data.subset": "all"}, "set data.validation to holdout"),
        ({"mode": "self-supervised", "loss.temperature": 0}, "loss.temperature"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_config({"mode": "supervised", "data.root": "x", **settings})
    assert "\n" not in str(caught.value)


def test_a_missing_corpus_is_named() -> None:
    with pytest.raises(ConfigError, match=r"data\.root is not set"):
        build_config({"mode": "supervised"})
