"""The gate: published numbers against our intervals, on the published corpus only."""

import re

import numpy as np
import pandas as pd
import pytest

from analysis.errors import AnalysisError
from analysis.gate import gate_lines, gate_table, judged
from analysis.sections.claims import assumed_table, published_sentences, published_table
from support.command_line import call


def test_published_values_outside_our_intervals_are_listed(records) -> None:
    study = records.study("real", corpus="FSDnoisy18k")
    for alpha, correct in ((1.0, 70), (0.7, 99)):  # published: 70.1 % and 73.6 %
        records.trial(study, alpha=alpha, val=0.5 + alpha / 10, correct=correct)
    table = gate_table(records.uri, ["real"])
    assert table.set_index("what")["inside"].to_dict() == {
        "Table 1, all, cross-entropy": True,
        "Table 1, all, with margin": False,
    }
    *outside, verdict, scatter = gate_lines(table)
    low = 100 * table["low"].iloc[1]
    assert outside == [
        f"outside: Table 1, all, with margin: published 73.6 %, ours 99.0 %, a replication would lie within [{low:.1f}, 100.0] %"
    ]
    assert verdict.startswith("the gate does not hold: 1 of 2 published values lie outside the intervals of a replication")
    assert scatter.startswith("seeds scatter by 4.0 points, assumed, where we have too few seeds (SD); a deviation of ")


def test_self_supervised_values_are_compared_patch_weighted(records) -> None:
    study = records.study("real", corpus="FSDnoisy18k")
    for alpha in (1.0, 0.3):
        others = {"finetune_noisy": 74, "finetune_clean": 80}
        records.trial(study, alpha=alpha, correct=75, mode="self-supervised", others=others, finetune__on="['noisy', 'clean']")
    table = gate_table(records.uri, ["real"]).set_index("what")
    assert {"Table 2, SSL baseline", "fine-tuned, noisy clips, α 0.3", "fine-tuned, clean clips, α 1"} <= set(table.index)
    assert table.loc["Table 2, SSL baseline", "ours"] != 0.75  # weighted
    assert gate_lines(table.reset_index())[-2].startswith("the gate holds: 0 of ")


@pytest.mark.parametrize(("rows", "seeds", "sd"), [(1, 3, 0.01), (1, 10, 0.03), (8, 3, 0.03), (8, 10, 0.01), (20, 5, 0.03)])
def test_a_replication_passes_and_a_deviation_is_found(rows: int, seeds: int, sd: float) -> None:
    """Rows of which every second one is published as the best of nine equal settings."""
    random, studies, failed, caught = np.random.default_rng(rows * seeds), 300, 0, 0
    for _ in range(studies):
        runs = 0.7 + sd * random.standard_normal((rows, seeds))
        best_of = np.where(np.arange(rows) % 2, 9, 1)
        theirs = np.array([0.7 + sd * random.standard_normal(number).max() for number in best_of])
        frame = pd.DataFrame({"what": "row", "mode": "supervised", "subset": "all", "ours": runs.mean(axis=1), "seeds": seeds})
        frame["evaluation"] = ""
        settings = frame.assign(seed_sd=runs.std(axis=1, ddof=1))
        table = judged(frame.assign(published=theirs, best_of=best_of), settings)
        failed += not table["inside"].all()
        first = table.iloc[0]
        caught += first["published"] + first["detectable"] > first["high"]
    assert failed / studies <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)
    assert caught / studies >= 0.75


@pytest.mark.parametrize("corpus", ["synthetic corpus, small, seed 0", "somebody's own"])
def test_another_corpus_is_not_compared(records, corpus: str, monkeypatch, capsys) -> None:
    study = records.study("other", corpus=corpus, synthetic=corpus.startswith("synthetic"))
    records.trial(study, alpha=1.0)
    with pytest.raises(AnalysisError, match=re.escape(corpus)):
        gate_table(records.uri, ["other"])
    home = str(records.uri).removeprefix("sqlite:///").rsplit("/", 1)[0]
    assert call(monkeypatch, "report", "other", "--gate", "--home", home, "--store", records.uri) == 1
    said = capsys.readouterr()
    assert "report: " in said.out  # the report itself is written
    assert "nothing to compare; leave --gate out" in said.err


def test_a_study_without_published_counterparts_is_refused(records) -> None:
    records.trial(records.study("real", corpus="FSDnoisy18k"), alpha=1.0, outcome="failed")
    with pytest.raises(AnalysisError, match="none of the results of real is published"):
        gate_table(records.uri, ["real"])


def test_published_gains_are_tested_as_the_best_of_those_tried() -> None:
    """By hand for Table 1, noisy_small: 319 and 378 of 947 clips."""
    table = published_table().set_index("comparison")
    row = table.loc["supervised, noisy small"]
    first, second, clips = 319, 378, 947
    pooled = (first + second) / (2 * clips)
    z = (second - first) / clips / (pooled * (1 - pooled) * 2 / clips) ** 0.5
    assert row["p_value"] == pytest.approx(0.0048, abs=0.0003)
    assert z == pytest.approx(2.82, abs=0.01)
    assert row["p_corrected"] == pytest.approx(9 * row["p_value"])
    assert (len(table), table.loc["self-supervised, τ 0.2", "settings_tried"]) == (14, 10)
    assert table.index[table["finding"] == "better"].tolist() == ["supervised, noisy small"]
    assert (table["p_corrected"] >= table["p_value"]).all()
    assert (table["low"] < table["difference"]).all()
    first_sentence, second_sentence = published_sentences()
    assert first_sentence.startswith("Of the 14 published gains 2 are significant on 947 clips when each is tested alone")
    assert "could detect 2.9 to 4.5 points" in second_sentence
    assert "2 to 6 gains would be significant (paired test), and none if seeds scatter by 2 points" in second_sentence


def test_each_evaluation_has_the_scatter_of_its_own_seeds() -> None:
    frame = pd.DataFrame({"what": ["linear", "tuned"], "evaluation": ["", "finetune_clean"], "best_of": 1, "published": 0.7})
    frame = frame.assign(mode="self-supervised", subset="noisy", ours=0.7, seeds=5)
    table = judged(frame, frame.assign(seed_sd=[0.0, 0.1])).set_index("what")
    assert table.loc["tuned", "sd"] == pytest.approx(0.1)
    assert 0 < table.loc["linear", "sd"] < 0.01  # chance of single clips at least


def test_how_many_gains_are_significant_rests_on_assumptions() -> None:
    table = assumed_table().set_index("discordance")
    assert table.loc[0.10, "seed_sd_0"] == 6
    assert table.loc[0.25, "seed_sd_0"] == 2
    assert table["seed_sd_2"].eq(0).all()
    assert table[table.index.isna()]["seed_sd_0"].tolist() == [1]  # the unpaired test's count
