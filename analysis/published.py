"""Published numbers of the paper, as frames. Accuracies are shares (0..1); the file holds them in %, as printed."""

import json
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from analysis.question import SELF_SUPERVISED, SUPERVISED
from study import names

CORPUS = "FSDnoisy18k"


@cache
def _content() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((resources.files("analysis") / "published.json").read_text(encoding="utf-8"))
    return content


def source() -> str:
    """Where the numbers come from."""
    return str(_content()["source"])


def margin() -> float:
    """Angular margin of all published runs, rad.

    >>> margin()
    0.5
    """
    return float(_content()["margin"])


def test_clips() -> int:
    """Clips of the test set.

    >>> test_clips()
    947
    """
    return int(_content()["test_clips"])


def temperature() -> float:
    """Temperature of the published Table 2 and of its accuracies by alpha.

    >>> temperature()
    0.2
    """
    return float(_content()["ssl_by_alpha"]["temperature"])


def table1() -> list[dict[str, Any]]:
    """Rows of Table 1, plain clip accuracy: subset, published_baseline, published_acl, published_alpha, published_difference."""
    return [
        {
            "subset": row["subset"],
            "published_baseline": row["baseline"] / 100,
            "published_acl": row["margin"] / 100,
            "published_alpha": row["alpha"],
            "published_difference": (row["margin"] - row["baseline"]) / 100,
        }
        for row in _content()["table1"]
    ]


def table2() -> dict[str, float]:
    """Table 2, row name -> accuracy; the SSL rows weigh each clip by its number of patches."""
    return {row: value / 100 for row, value in _content()["table2"].items()}


def fig2() -> dict[str, int]:
    """How many of the classes improve; the bars themselves are not published as numbers."""
    return dict(_content()["fig2"])


def fig3() -> pd.DataFrame:
    """Fig. 3 by temperature; accuracies are patch-weighted, `published_acl_tolerance` has the erratum corrected.

    The printed value is in `published_acl_tolerance_printed`, which is empty where print and embeddings agree.
    """
    frame = pd.DataFrame(_content()["fig3"])
    frame[["baseline_accuracy", "acl_accuracy"]] /= 100
    frame = frame.rename(columns={name: f"published_{name}" for name in frame.columns if name != "temperature"})
    erratum = _content()["fig3_erratum"]
    frame["published_acl_tolerance_printed"] = float("nan")
    frame.loc[frame["temperature"] == erratum["temperature"], "published_acl_tolerance_printed"] = erratum["acl_tolerance_printed"]
    return frame


def fig3_erratum() -> str:
    """What is wrong in the printed Fig. 3 numbers, in one line."""
    erratum = _content()["fig3_erratum"]
    return (
        f"Published tolerance of ACL at temperature {erratum['temperature']}: {erratum['acl_tolerance_recomputed']}, "
        f"{erratum['why']}."
    )


def by_alpha() -> pd.DataFrame:
    """Accuracy by alpha: mode, subset, alpha, published_accuracy (supervised: plain; self-supervised: patch-weighted)."""
    rows = [
        (SUPERVISED, subset, float(alpha), value / 100)
        for subset, values in _content()["supervised_by_alpha"].items()
        for alpha, value in values.items()
    ]
    rows += [
        (SELF_SUPERVISED, "noisy", float(alpha), value / 100) for alpha, value in _content()["ssl_by_alpha"]["accuracy"].items()
    ]
    return pd.DataFrame(rows, columns=["mode", "subset", "alpha", "published_accuracy"])


def evaluations_by_alpha() -> pd.DataFrame:
    """Patch-weighted accuracy of the self-supervised encoders: subset, evaluation, alpha, published_patch_weighted.

    At the published margin and temperature; evaluations are named as in `study.names`. kNN accuracies are not published.
    """
    sources = {
        names.EVALUATION_CLASSIFIER: "accuracy",
        names.EVALUATION_FINETUNE_NOISY: "finetune_noisy",
        names.EVALUATION_FINETUNE_CLEAN: "finetune_clean",
    }
    rows = [
        ("noisy", evaluation, float(alpha), value / 100)
        for evaluation, source in sources.items()
        for alpha, value in _content()["ssl_by_alpha"][source].items()
    ]
    return pd.DataFrame(rows, columns=["subset", "evaluation", "alpha", "published_patch_weighted"])
