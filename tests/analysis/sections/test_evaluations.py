"""Evaluations of self-supervised encoders: linear, fine-tuned and nearest neighbours."""

import re

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from analysis import published
from analysis.report.page import write_report
from analysis.section import ACL, BASELINE
from analysis.sections.evaluations import evaluation_figure, evaluation_sections
from analysis.settings import comparable_settings
from analysis.stats.intervals import interval_over_seeds
from study import names

SSL = "self-supervised"
NOISY, CLEAN, KNN = names.EVALUATION_FINETUNE_NOISY, names.EVALUATION_FINETUNE_CLEAN, names.EVALUATION_KNN
ALL = [names.EVALUATION_CLASSIFIER, NOISY, CLEAN, KNN]
PATCHES = 1 + np.arange(100) % 3
EFFECTIVE = 199**2 / (34 + 33 * 4 + 33 * 9)


def wilson(share, clips):
    return proportion_confint(share * clips, clips, method="wilson")


def weighted(correct):
    """Patch-weighted accuracy where the first `correct` of the 100 test clips are right."""
    return PATCHES[:correct].sum() / 199


def metrics(evaluation, val, correct):
    test = {"accuracy": correct / 100, "patch_weighted_accuracy": weighted(correct)}
    return {f"val.{evaluation}_accuracy": val} | {f"test.{evaluation}_{name}": value for name, value in test.items()}


def add(fakes, alpha, correct, *, val=0.5, noisy=None, clean=None, knn=None, **settings):
    """A self-supervised trial; `noisy`, `clean` and `knn` are its right test clips of those evaluations."""
    others = {}
    for evaluation, number in ((NOISY, noisy), (CLEAN, clean), (KNN, knn)):
        others |= {} if number is None else metrics(evaluation, val + 0.1, number)
    fakes.add(alpha, val, correct, mode=SSL, **others, **settings)


def sections_of(fakes, of_fine_tuning=None):
    without = {NOISY: fakes.predictions.iloc[:0], CLEAN: fakes.predictions.iloc[:0]}
    return evaluation_sections(fakes.settings(), fakes.trials, fakes.predictions, of_fine_tuning or without)


def table_of(fakes, **parts):
    (section,) = sections_of(fakes, **parts)
    return section.frame


def test_each_setting_and_evaluation_has_its_own_row(fakes):
    add(fakes, 1.0, 50, noisy=55, clean=70, knn=40)
    add(fakes, 0.3, 60, noisy=62, clean=75, knn=45)
    validated = fakes.predictions[fakes.predictions["split"] == "val"]
    table = table_of(
        fakes, of_fine_tuning={NOISY: validated.groupby("run_id").head(30), CLEAN: validated.groupby("run_id").head(6)}
    )
    assert list(zip(table["alpha"], table["evaluation"], strict=True)) == [(a, name) for a in (0.3, 1.0) for name in ALL]
    rows = table.set_index(["alpha", "evaluation"])
    expected = {0.3: (60, 62, 75, 45), 1.0: (50, 55, 70, 40)}
    for alpha, numbers in expected.items():
        for evaluation, correct, val, val_clips in zip(ALL, numbers, (0.5, 0.6, 0.6, 0.6), (40, 30, 6, 40), strict=True):
            row = rows.loc[(alpha, evaluation)]
            assert (row["accuracy"], row["patch_weighted"]) == pytest.approx((correct / 100, weighted(correct)))
            assert (row["low"], row["high"]) == pytest.approx(wilson(correct / 100, 100))
            assert (row["patch_weighted_low"], row["patch_weighted_high"]) == pytest.approx(wilson(weighted(correct), EFFECTIVE))
            assert (row["val_accuracy"], row["val_clips"], row["test_clips"]) == (pytest.approx(val), val_clips, 100)
            assert (row["val_low"], row["val_high"]) == pytest.approx(wilson(val, val_clips))


def test_published_values_stand_beside_ours_with_the_difference(fakes):
    add(fakes, 1.0, 50, noisy=55, clean=70, knn=40)
    add(fakes, 0.3, 60, noisy=62, clean=75, knn=45)
    rows = table_of(fakes).set_index(["alpha", "evaluation"])
    expected = {
        (0.3, ALL[0]): (60, 0.7707),
        (0.3, NOISY): (62, 0.72118),
        (0.3, CLEAN): (75, 0.79856),
        (1.0, ALL[0]): (50, 0.7416),
        (1.0, NOISY): (55, 0.77521),
        (1.0, CLEAN): (70, 0.79111),
    }
    for key, (correct, theirs) in expected.items():
        assert rows.loc[key, "published_patch_weighted"] == pytest.approx(theirs)
        assert rows.loc[key, "minus_published"] == pytest.approx(weighted(correct) - theirs)
    assert rows.xs(KNN, level="evaluation")[["published_patch_weighted", "minus_published"]].isna().all(axis=None)


@pytest.mark.parametrize("setting", [{"loss__temperature": 0.7}, {"data__subset": "noisy_small"}])
def test_no_published_values_at_another_temperature_or_subset(fakes, setting):
    for alpha in (0.3, 1.0):
        add(fakes, alpha, 60, noisy=62, clean=75, **setting)
    assert table_of(fakes)[["published_patch_weighted", "minus_published"]].isna().all(axis=None)


def test_at_another_margin_only_the_baseline_is_published(fakes):
    for alpha in (0.3, 1.0):
        add(fakes, alpha, 60, noisy=62, loss__margin=0.9)
    table = table_of(fakes)
    assert table.loc[table["published_patch_weighted"].notna(), "alpha"].unique().tolist() == [1.0]


def test_means_are_over_the_seeds_that_have_the_evaluation(fakes):
    add(fakes, 0.3, 60, val=0.4, noisy=62, clean=75, knn=45)
    add(fakes, 0.3, 66, val=0.6, noisy=70, seed=1)
    add(fakes, 0.3, 75, val=0.8, seed=2)
    rows = table_of(fakes).set_index("evaluation")
    assert rows["seeds"].to_dict() == {ALL[0]: 3, NOISY: 2, CLEAN: 1, KNN: 1}
    assert rows["accuracy"].to_dict() == pytest.approx({ALL[0]: 0.67, NOISY: 0.66, CLEAN: 0.75, KNN: 0.45})
    assert rows["val_accuracy"].to_dict() == pytest.approx({ALL[0]: 0.6, NOISY: 0.6, CLEAN: 0.5, KNN: 0.5})
    mean = (weighted(62) + weighted(70)) / 2
    assert rows.loc[NOISY, "patch_weighted"] == pytest.approx(mean)
    interval = interval_over_seeds([weighted(62), weighted(70)], EFFECTIVE)
    assert tuple(rows.loc[NOISY, ["patch_weighted_low", "patch_weighted_high"]]) == pytest.approx(interval)
    assert rows.loc[NOISY, "seed_sd"] == pytest.approx(0.08 / 2**0.5)


def test_an_evaluation_that_no_trial_has_is_no_row(fakes):
    add(fakes, 0.3, 60, noisy=62)
    add(fakes, 0.5, 60)
    (section,) = sections_of(fakes)
    assert section.frame[["alpha", "evaluation"]].to_numpy().tolist() == [[0.3, ALL[0]], [0.3, NOISY], [0.5, ALL[0]]]
    assert {trace.name for trace in evaluation_figure(section.frame).data} == {
        f"{whose}{name}" for whose in ("", "published: ") for name in ("linear", "fine-tuned, noisy clips")
    }


def test_there_is_no_section_without_a_finished_fine_tuning(fakes):
    add(fakes, 1.0, 50, knn=40)
    fakes.add(0.5, 0.5, 50)
    add(fakes, 0.3, 60, noisy=62, outcome=names.FAILED)
    assert sections_of(fakes) == []


def test_protocols_without_fine_tuning_hide_no_others(fakes):
    for alpha in (0.3, 0.5, 1.0):
        add(fakes, alpha, 50, **{"finetune.on": "[]"})
    for epochs in (3, 3, 4):
        alpha = 0.3 + 0.1 * len(fakes.trials)
        add(fakes, round(alpha, 1), 60, noisy=62, **{"finetune.on": "['noisy']", "optim.epochs": epochs})
    settings, notes = comparable_settings(fakes.trials, fakes.predictions)
    assert len(notes) == 1
    assert settings["accuracy"].tolist() == [0.5] * 3
    (section,) = evaluation_sections(
        settings, fakes.trials, fakes.predictions, {NOISY: fakes.predictions, CLEAN: fakes.predictions}
    )
    assert section.frame["alpha"].unique().tolist() == [0.6, 0.7]
    other = section.text.splitlines()[-1]
    assert other == (
        "The other self-supervised tables show trials of another protocol, none of which was fine-tuned. "
        "1 self-supervised trials (mine) of another protocol are left out of the tables; those "
        "shown, the largest group, have optim.epochs 3."
    )


def test_the_figure_shows_the_line_with_most_fine_tuned_alphas(fakes):
    add(fakes, 1.0, 50, noisy=55, clean=70, knn=40)
    add(fakes, 0.3, 60, noisy=62, clean=75, knn=45)
    for alpha in (0.2, 0.4, 0.6):
        add(fakes, alpha, 99, loss__margin=0.9)  # more alphas, not fine-tuned
    add(fakes, 0.3, 99, noisy=99, clean=99, knn=99, loss__margin=0.9)
    add(fakes, 0.3, 99, noisy=99, clean=99, knn=99, loss__temperature=0.7)
    table = table_of(fakes)
    figure = evaluation_figure(table)
    assert figure.layout.title.text == "self-supervised, τ 0.2, margin 0.5"
    traces = {trace.name: trace for trace in figure.data}
    labels = ("linear", "fine-tuned, noisy clips", "fine-tuned, clean clips", "kNN")
    assert [trace.name for trace in figure.data if "published" not in trace.name] == list(labels)
    for label, numbers in zip(labels, ((60, 50), (62, 55), (75, 70), (45, 40)), strict=True):
        ours = traces[label]
        assert list(ours.y) == pytest.approx([weighted(number) for number in numbers])
        assert ours.customdata[:, 0].tolist() == [0.3, 1.0]
        assert list(ours.x) == pytest.approx([0.3, 1.0], abs=0.02)
        bounds = [wilson(weighted(number), EFFECTIVE) for number in numbers]
        assert list(ours.y + ours.error_y.array) == pytest.approx([high for _, high in bounds])
        assert list(ours.y - ours.error_y.arrayminus) == pytest.approx([low for low, _ in bounds])
    clean = traces["published: fine-tuned, clean clips"]
    assert (list(clean.x), list(clean.y)) == ([0.3, 1.0], pytest.approx([0.79856, 0.79111]))
    assert (clean.line.dash, clean.marker.symbol[-5:]) == ("dot", "-open")
    assert clean.line.color == traces["fine-tuned, clean clips"].line.color
    assert "published: kNN" not in traces
    colours, marks = ({place(traces[label]) for label in labels} for place in (lambda t: t.line.color, lambda t: t.marker.symbol))
    assert len(colours) == len(marks) == 4
    assert not colours & {BASELINE, ACL}


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        ({"data__validation_fraction": 0.2}, "on a held-out 20 % (rounded for each class) of them"),
        ({}, "on a held-out share of them"),
    ],
)
def test_the_text_names_the_held_out_share_of_the_trials(fakes, recorded, words):
    add(fakes, 0.3, 60, clean=75, **recorded)
    (section,) = sections_of(fakes)
    assert words in section.text
    assert "validated on its own training clips" in section.about_paper
    assert "is a selection on test" in section.text


@pytest.fixture
def fine_tuned(records):
    """A self-supervised study with every evaluation: alpha 1 and 0.3, the latter with two seeds; and one without."""
    study = records.study("fine-tuned")
    ssl = {"mode": SSL, "finetune__on": "['noisy', 'clean']", "data__validation_fraction": 0.15}
    for alpha, seed, correct, *others in ((1.0, 0, 50, 55, 70, 40), (0.3, 0, 60, 62, 75, 45), (0.3, 1, 64, 58, 73, 47)):
        answers = dict(zip((NOISY, CLEAN, KNN), others, strict=True))
        records.trial(study, alpha=alpha, seed=seed, correct=correct, val=0.6, others=answers, **ssl)
    records.trial(records.study("linear"), alpha=1.0, mode=SSL)
    return records


def test_the_section_follows_the_papers_and_needs_trials(fine_tuned, tmp_path):
    html = write_report(fine_tuned.uri, ["fine-tuned"], tmp_path).read_text(encoding="utf-8")
    anchors = re.findall(r'<details class="more" id="([\w-]+)">', html)
    assert anchors[anchors.index("evaluations") - 2 :][:4] == ["alpha", "plane", "evaluations", "published"]
    section = re.sub(' data-sort="[^"]*"', "", html.split('id="evaluations">')[1].split('<details class="more"')[0])
    assert "<summary>Other evaluations of the same encoders</summary>" in section
    assert "on clean clips on a held-out 15 % (rounded for each class) of them" in section
    low, high = (f"{100 * bound:.1f}" for bound in interval_over_seeds([0.75, 0.73], 100))
    assert f">74.0 [{low}, {high}]</td>" in section
    ours = (weighted(75) + weighted(73)) / 2
    assert f'<td class="published">79.9</td><td class="published">−{100 * (0.79856 - ours):.1f}</td>' in section
    written = pd.read_csv(tmp_path / "evaluations.csv").set_index(["alpha", "evaluation"])
    assert written["seeds"].groupby("alpha").unique().map(list).to_dict() == {0.3: [2], 1.0: [1]}
    assert written.loc[(0.3, CLEAN), "patch_weighted"] == pytest.approx(ours)
    assert written.loc[0.3, "val_clips"].to_dict() == {ALL[0]: 40, NOISY: 40, CLEAN: 6, KNN: 40}
    html = write_report(fine_tuned.uri, ["linear"], tmp_path).read_text(encoding="utf-8")
    assert "evaluations of the same encoders" not in html
    assert not (tmp_path / "evaluations.csv").exists()


def test_each_published_evaluation_is_a_line_over_eleven_alphas():
    frame = published.evaluations_by_alpha()
    assert frame.groupby("evaluation")["alpha"].apply(sorted).map(len).to_dict() == {ALL[0]: 11, NOISY: 11, CLEAN: 11}
    spot = frame.set_index(["evaluation", "alpha"])["published_patch_weighted"]
    assert (spot[NOISY, 0.9], spot[CLEAN, 0.4], spot[ALL[0], 0.0]) == pytest.approx((0.77543, 0.79912, 0.71295))
