"""Studies of a learning rate and of an encoder's width, from the launch to the page and to fresh seeds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.records.runs import load_predictions, load_trials
from analysis.stats.claims import claim
from analysis.stats.clips import correct_clips
from study.state.home import Home
from support.command_line import call
from support.mlflow_records import with_empty_store
from support.shared_ray import join_here

pytestmark = pytest.mark.slow

STUDY: dict[str, Any] = {
    "name": "ours",
    "question": "Does another learning rate, or a wider encoder, help?",
    "profile": "mini",
    "seeds": [0, 1],
    "sweeps": [
        {
            "name": "rates",
            "base": {"mode": "supervised", "data.subset": "clean", "optim.epochs": 2},
            "space": {"optim.lr": {"grid": [1e-6, 1e-3]}},
        },
        {
            "name": "widths",
            "base": {"mode": "self-supervised", "optim.epochs": 1, "probe.epochs": 1},
            "space": {"model.width": {"grid": [4, 8]}},
        },
    ],
}


def test_both_modes_are_answered_and_confirmed(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], shared_ray: str
) -> None:
    join_here(shared_ray, monkeypatch)
    home = Home(with_empty_store(tmp_path / "home"))
    at = ("--home", str(home.root))
    path = tmp_path / "ours.yaml"
    path.write_text(yaml.safe_dump(STUDY, sort_keys=False))
    assert call(monkeypatch, "run", str(path), "--data", str(tiny_corpus), *at) == 0, capfd.readouterr().err
    assert call(monkeypatch, "report", "ours", *at) == 0
    tables = {mode: pd.read_csv(home.report(["ours"]) / f"comparisons{end}.csv") for mode, end in PARTS.items()}
    trials = load_trials(home.store_uri, ["ours"])
    predictions = load_predictions(home.store_uri, trials["run_id"])
    page = (home.report(["ours"]) / "index.html").read_text(encoding="utf-8")
    for mode, setting, (first, second) in (
        ("supervised", "optim.lr", (1e-6, 1e-3)),
        ("self-supervised", "model.width", (4, 8)),
    ):
        sides = [
            correct_clips(predictions, tuple(trials.loc[trials["mode"].eq(mode) & trials[setting].eq(value), "run_id"]))
            for value in (first, second)
        ]
        expected = claim(sides[0], [sides[1]], 0)
        (row,) = tables[mode].to_dict("records")
        found = [row["difference"], row["p_value"], row["difference_low"], row["difference_high"]]
        np.testing.assert_allclose(found, [expected.difference, expected.p_value, *expected.interval], rtol=1e-9)
        assert row["verdict"].split(";")[0] == expected.verdict.split(";")[0]
        assert f"Baseline: {setting} {first:.3g} (the first value of each list;" in page
    capfd.readouterr()
    status = call(monkeypatch, "confirm", "ours", "--seeds", "3", "--json", *at)
    said = capfd.readouterr()
    assert status == 0, said.err
    pairs = json.loads(said.out)["pairs"]
    assert pairs
    assert all(pair["seeds"] == 3 and pair["confirmed"] != "incomplete" for pair in pairs)
    assert call(monkeypatch, "report", "ours", *at) == 0
    facts = json.loads((home.report(["ours"]) / "report.json").read_text())
    assert facts["answer"].startswith("Confirmed on fresh seeds: ")


PARTS = {"supervised": "", "self-supervised": "-2"}  # ends of the names of their tables
