"""Audio files with odd names: the names are never parsed, and reach the predictions unchanged."""

import csv
from pathlib import Path

import pytest

from acl.store.feature_store import FeatureStore
from study import names
from support.command_line import call
from support.corpora import write_small_corpus

ODD = (
    "a b.wav",
    "\u00e9.wav",  # one character
    "e\u0301.wav",  # the same letter as two
    "音 🎵.wav",
    "a,b.wav",
    "\"a\" 'b'.wav",
    "[red]a[bold].wav",
    "<b>a&b.wav",
    "-x.wav",
    "--help",
    "#1 %s {0} $HOME `a` \\n.wav",
    "NA",
    " a.wav ",
    "name without suffix",
)


def test_odd_names_reach_the_predictions_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of = {"train": ODD, "test": tuple(f"test {name}" for name in ODD)}
    root = write_small_corpus(tmp_path / "[bold]corpus, é", of)
    assert call(monkeypatch, "data", "prepare", str(root), "--workers", "1") == 0
    store = FeatureStore.open(root, "supervised")
    assert tuple(store.names) == of["train"] + of["test"]

    settings = ["optim.epochs=1", "data.subset=clean", "compute.threads=1"]
    options = [option for setting in settings for option in ("--set", setting)]
    state = tmp_path / "state"
    arguments = ["train", "--profile", "mini", "--mode", "supervised", "--data", str(root), "--checkpoints", str(state), *options]
    assert call(monkeypatch, *arguments) == 0, capsys.readouterr().err
    with (state / names.PREDICTIONS_FILE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    predicted: dict[str, set[str]] = {"val": set(), "test": set()}
    for row in rows:  # an apostrophe may stand before a name that a spreadsheet would take for a formula
        predicted[row[names.PREDICTION_SPLIT]].add(row[names.PREDICTION_CLIP].removeprefix("'"))
    assert predicted["test"] == set(of["test"])
    assert predicted["val"]
    assert predicted["val"] < set(ODD)
