"""Settings: the recipe's defaults, legal ranges, dotted names."""

from typing import Any

import pytest

from acl.config import ConfigError, build_config, flatten

MODES = ("supervised", "self-supervised")


@pytest.mark.parametrize("mode", MODES)
def test_flatten_and_build_are_inverse(mode: str) -> None:
    config = build_config({"mode": mode, "data.root": "x", "loss.alpha": 0.25, "seed": 7})
    assert build_config(flatten(config)) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss.alpha": 1.5}, "loss.alpha: must be less than or equal to 1, got 1.5"),
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
        ({"mode": "self-supervised", "finetune.on": ["clean", "clean"]}, "list each part once"),
        ({"mode": "self-supervised", "finetune.on": ["all"]}, "finetune.on"),
        (
            {"mode": "self-supervised", "finetune.on": "clean"},
            "finetune.on: must be a list such as \\[a, b\\], got 'clean'",
        ),
        ({"loss.margin": 30}, r"less than or equal to 3\.14\d+, got 30 \(angular margin \[rad\]\)"),
        ({"mode": "self-supervised", "optim.milestones": [65]}, "shares of the epochs"),
        ({"mode": "self-supervised", "views.blur_sigma_max": 0.05}, r"0 \(off\) or at least 0.1, got 0.05 .*\[pixels\]"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_config({"mode": "supervised", "data.root": "x", **settings})
    assert "\n" not in str(caught.value)


def test_a_missing_corpus_is_named() -> None:
    with pytest.raises(ConfigError, match=r"data\.root is not set"):
        build_config({"mode": "supervised"})
