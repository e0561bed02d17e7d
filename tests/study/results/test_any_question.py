"""Studies of other settings than the paper's, on records with known numbers: page, `best` and `confirm` give the same answer."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.compare import compare, compared_lines
from analysis.records.runs import load_predictions, load_trials
from analysis.report.assemble import Reading, read_sections, tables_of
from analysis.report.page import write_report
from analysis.stats.claims import claim
from analysis.stats.clips import correct_clips
from study.results.best import print_best
from study.results.confirm import confirmation_study
from study.spec.study import Study
from study.state.home import Home
from study.state.study_folder import load_study
from support.command_line import call
from support.documentation import documented_fields, field_paths
from support.mlflow_records import with_empty_store
from support.studies_without_training import end_study, study_of

SSL = {"mode": "self-supervised", "data.subset": "noisy", "loss.alpha": 0.3}
SEEDS = [0, 1, 2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(with_empty_store(tmp_path_factory.mktemp("home")))


def end(home: Home, name: str, space: Mapping[str, Any], good: Mapping[str, Any], **fields: Any) -> Study:
    """End a study of a grid in which the setting `good` is best on validation, and 20 points better on test."""
    sweep = {"space": {setting: {"grid": values} for setting, values in space.items()}, "seeds": fields.pop("seeds", SEEDS)}
    study = study_of(name, {**sweep, "base": fields.pop("base", {})}, **fields)

    def right(settings: Mapping[str, Any]) -> tuple[int, int]:
        is_good = all(settings[setting] == value for setting, value in good.items())
        return 20 + 8 * is_good + settings["seed"], 50 + 20 * is_good + 2 * settings["seed"]

    end_study(home, study, right)
    return study


def read(home: Home, name: str) -> Reading:
    return read_sections(home.store_uri, [name])


def best(home: Home, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_best(load_study(home, name), home, home.store_uri)
    return capsys.readouterr().out


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], tuple[int, int]]] = {
    "rates": ({"optim.lr": [0.1, 0.001]}, {"optim.lr": 0.001}, {}, (1, 1)),
    "batches": (
        {"optim.batch_size": [64, 16], "optim.weight_decay": [0.0, 1e-3]},
        {"optim.batch_size": 16, "optim.weight_decay": 1e-3},
        {"baseline": {"optim.batch_size": 64}},
        (2, 2),
    ),
    "encoders": ({"model.width": [4, 8], "optim.lr": [0.03, 0.1]}, {"model.width": 8, "optim.lr": 0.1}, {"base": SSL}, (1, 3)),
    "views": (
        {"views.augmentations": ["published-code", "paper-text"]},
        {"views.augmentations": "paper-text"},
        {"base": SSL},
        (1, 1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_selected_setting_is_better_on_page_and_screen(home: Home, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    space, good, fields, (baselines, candidates) = CASES[name]
    study = end(home, name, space, good, **fields)
    reading = read(home, name)
    (row,) = reading.comparisons.to_dict("records")
    question = study.question_in(study.modes[0])
    trials = load_trials(home.store_uri, [name])
    predictions = load_predictions(home.store_uri, trials["run_id"])

    def correct(**values: Any) -> pd.DataFrame:
        own = trials[np.logical_and.reduce([trials[setting] == value for setting, value in values.items()])]
        return correct_clips(predictions, tuple(own["run_id"]))

    assert (row["baselines"], row["candidates"]) == (baselines, candidates)
    assert row["difference"] == pytest.approx(0.2)
    assert row["claim"] == "settings"
    assert row["finding"] == "better"
    first = {setting: question.baseline.get(setting, values[0]) for setting, values in space.items()}
    if candidates == 1:
        again = claim(correct(**first), [correct(**good)], 0)
        assert (row["p_value"], row["difference_low"]) == (again.p_value, again.interval[0])
    assert "better than the baseline for" in reading.answer
    assert "+20.0 points" in reading.answer
    printed = best(home, name, capsys)
    assert row["verdict"] in printed
    tables = tables_of(reading.sections)
    for setting in space:
        table = tables[f"by-{setting.replace('.', '-').replace('_', '-')}"]
        assert set(table["value"]) == set(space[setting])
        assert table.loc[table["picked"], "value"].tolist() == [good[setting]]
    assert not {"table1", "table2", "fig2", "fig3", "alpha", "published"} & {section.anchor for section in reading.sections}


def test_a_page_of_another_question_has_nothing_published(home: Home, tmp_path: Path) -> None:
    end(home, "plain", {"optim.lr": [0.1, 0.001]}, {"optim.lr": 0.001})
    page = write_report(home.store_uri, ["plain"], tmp_path).read_text(encoding="utf-8")
    visible = page.partition("</style>")[2].rpartition("<script>")[0].partition("<body")[2]
    assert "Baseline: optim.lr 0.1 (the first value of each list;" in visible
    assert "α" not in visible.partition('id="checklist"')[0]
    assert 'class="published"' not in visible


def test_each_value_within_is_a_comparison_of_its_own(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    space = {"optim.batch_size": [64, 16], "optim.lr": [0.1, 0.001]}
    end(home, "within", space, {"optim.batch_size": 16, "optim.lr": 0.001}, within=["optim.batch_size"])
    rows = read(home, "within").comparisons.set_index("optim.batch_size")
    assert rows["finding"].to_dict() == {64: "not distinguishable", 16: "better"}
    assert rows["label"].to_dict() == {64: "supervised, clean, optim.batch_size 64", 16: "supervised, clean, optim.batch_size 16"}
    printed = best(home, "within", capsys)
    assert "sweep, batch_size-16: best of 2 finished settings" in printed
    assert all(verdict in printed for verdict in rows["verdict"][[16]])


def test_a_baseline_of_another_comparison_is_none(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    space = {"loss.alpha": {"grid": [1.0, 0.5]}, "loss.margin": {"grid": [0.3, 0.5], "when": {"loss.alpha": [0.5]}}}
    end_study(home, study_of("apart", {"space": space}, within=["loss.margin"]), lambda settings: (20, 50))
    assert read(home, "apart").comparisons["verdict"].tolist() == [""] * 3
    assert best(home, "apart", capsys).count("no comparison: no trial of the baseline (alpha 1) has finished") == 2


def test_settings_within_the_bounds_are_equivalent(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    space = {"optim.lr": [0.1, 0.001]}
    end(home, "equal", space, {"optim.lr": 5.0}, seeds=list(range(8)), equivalence=0.2)
    (row,) = read(home, "equal").comparisons.to_dict("records")
    assert row["verdict"].startswith("equivalent to the baseline within ±20 points over 8 seeds and 100 test clips; ")
    assert "equivalent to the baseline within ±20 points for “supervised, clean”." in read(home, "equal").answer
    narrow = end(home, "narrow", space, {"optim.lr": 5.0}, seeds=list(range(8)), equivalence=0.001)
    assert read(home, narrow.name).comparisons["verdict"][0].startswith("not distinguishable from the baseline over 8 seeds")


def test_fewer_chances_of_the_baseline_are_pointed_out(home: Home) -> None:
    end(home, "unequal", {"optim.lr": [0.1, 0.01, 0.001]}, {"optim.lr": 0.001})
    reading = read(home, "unequal")
    assert reading.comparisons["budget"].tolist() == ["baseline 1 setting with 3 seeds, others 2 settings with 3 seeds"]
    end(home, "equal-budget", {"optim.lr": [0.1, 0.001]}, {"optim.lr": 0.001})
    assert read(home, "equal-budget").comparisons["budget"].tolist() == [""]


def test_a_search_without_lists_has_no_baseline_until_one_is_named(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = {"space": {"optim.lr": {"loguniform": [0.001, 0.1]}}, "search": "random", "budget": {"trials": 4}}
    study = study_of("drawn", drawn)
    end_study(home, study, lambda settings: (20, 50))
    assert read(home, "drawn").answer.startswith("The study names no baseline, so")
    assert "add `baseline` to its file" in best(home, "drawn", capsys)
    named = study_of("named", {**drawn, "enqueue": [{"optim.lr": 0.01}]}, baseline={"optim.lr": 0.01})
    end_study(home, named, lambda settings: (20 + 4 * (settings["optim.lr"] < 0.01), 50))
    (row,) = read(home, "named").comparisons.to_dict("records")
    assert (row["baselines"], row["candidates"], row["baseline_setting"]) == (1, 3, "optim.lr 0.01")


def test_names_that_say_published_stay_whole_where_nothing_published_is_shown(home: Home) -> None:
    end(home, "names", {"views.augmentations": ["published-code", "paper-text"]}, {"views.augmentations": "paper-text"}, base=SSL)
    text = next(section.text for section in read(home, "names").sections if section.anchor == "comparisons")
    assert text.startswith("Baseline: views.augmentations published-code (the first value of each list;")


def test_without_paper_found_every_sentence_is_whole(home: Home) -> None:
    sweeps = [
        {"name": "ssl", "base": SSL | {"loss.alpha": 1.0}},
        {
            "name": "grid",
            "base": {k: v for k, v in SSL.items() if k != "loss.alpha"},
            "space": {"loss.alpha": {"grid": [0.3, 0.6]}},
        },
        {"name": "margins", "base": {"loss.alpha": 0.5}, "space": {"loss.margin": {"grid": [0.3, 0.5, 0.7]}}},
        {"name": "baseline", "base": {"loss.alpha": 1.0}},
    ]
    end_study(home, study_of("papers", *sweeps), lambda settings: (30, 60 + 30 * (settings["loss.alpha"] < 1)))
    for section in read(home, "papers").sections:
        assert "ublished" not in section.text
        assert "The paper" not in section.text
        for line in section.text.splitlines():
            assert not re.search(r"[;:]\S|[a-z]\.[A-Z0-9]", line), line


def test_other_margins_are_named_where_a_table_fixes_the_margin(home: Home) -> None:
    reading = read(home, "papers")
    assert "supervised, clean, margin 0.5 rad" in reading.answer
    assert not reading.comparisons["label"].str.startswith("supervised").any()  # the section of the margin has them


def test_a_comparison_that_lacks_its_baseline_is_named(home: Home) -> None:
    space = {"optim.lr": {"grid": [0.1, 0.001]}, "optim.batch_size": {"grid": [16, 64]}}
    study = study_of("half", {"space": space, "seeds": SEEDS}, within=["optim.batch_size"])
    lost = {"optim.lr": 0.1, "optim.batch_size": 64}
    end_study(home, study, lambda settings: None if lost.items() <= settings.items() else (20, 50 + settings["seed"]))
    lines = {line.label: line for line in read(home, "half").outcomes}
    line = lines["Supervised, clean, optim.batch_size 64, optim.lr 0.001"]
    assert line.finding == "no comparison; no baseline has finished with all its seeds"


def test_page_and_screen_say_where_validation_prefers_the_baseline(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    end(home, "prefers", {"optim.lr": [0.1, 0.001]}, {"optim.lr": 0.1})
    assert "the only candidate, but validation would select the baseline; " in read(home, "prefers").comparisons["verdict"][0]
    assert "no gain: no other setting beats the baseline" in best(home, "prefers", capsys)


def test_each_mode_has_its_own_settings_read_off_the_test(home: Home) -> None:
    space = {"space": {"optim.lr": {"grid": [0.1, 0.001]}}, "seeds": SEEDS}
    study = study_of("modes", {"name": "first", **space}, {"name": "second", "base": SSL, **space})
    end_study(home, study, lambda settings: (20, 50 + settings["seed"]))
    tables = tables_of(read(home, "modes").sections)
    assert tables["on-test"]["mode"].unique().tolist() == ["supervised"]
    assert tables["on-test-2"]["mode"].unique().tolist() == ["self-supervised"]


def test_two_questions_on_a_page_stay_apart(home: Home) -> None:
    end(home, "first", {"optim.lr": [0.1, 0.001]}, {"optim.lr": 0.001})
    end(home, "second", {"loss.alpha": [1.0, 0.5]}, {"loss.alpha": 0.5})
    reading = read_sections(home.store_uri, ["first", "second"])
    anchors = [section.anchor for section in reading.sections]
    assert {"table1", "comparisons-2", "by-optim-lr-2"} <= set(anchors)
    assert len(set(anchors)) == len(anchors)
    assert "“supervised, clean” (+20.0 points)" in reading.answer
    assert "“supervised, clean, study first” (optim.lr 0.001, +20.0 points)" in reading.answer


@pytest.mark.parametrize(("fresh", "answer"), [((50, 70), "yes"), ((50, 50), "cannot be told"), ((70, 50), "no")])
def test_fresh_seeds_head_the_page(home: Home, fresh: tuple[int, int], answer: str) -> None:
    name = f"held-{answer.split()[0]}"
    end(home, name, {"optim.lr": [0.1, 0.001], "optim.batch_size": [16, 64]}, {"optim.lr": 0.001, "optim.batch_size": 64})
    again = confirmation_study(load_study(home, name), home, home.store_uri, 3, {})
    assert again.baseline == {"optim.lr": 0.1, "optim.batch_size": 16}

    def right(settings: Mapping[str, Any]) -> tuple[int, int]:
        return 20, fresh[settings["optim.lr"] == 0.001] + settings["seed"] % 2

    end_study(home, again, right)
    for page in (name, again.name):
        reading = read(home, page)
        assert reading.answer.startswith(f"Confirmed on fresh seeds: {answer} for the winner of sweep (")
        (row,) = tables_of(reading.sections)["confirmed"].to_dict("records")
        assert (row["study"], row["seeds"], row["baseline_setting"]) == (name, 3, "optim.lr 0.1, optim.batch_size 16")
        assert row["difference"] == pytest.approx((fresh[1] - fresh[0]) / 100)
    alone = read(home, again.name)
    assert alone.comparisons.empty
    assert alone.answer.count(".") == reading.answer.partition(" Before that: ")[0].count(".")


def test_a_confirmation_that_lacks_seeds_is_incomplete(home: Home) -> None:
    end(home, "lacking", {"optim.lr": [0.1, 0.001]}, {"optim.lr": 0.001})
    again = confirmation_study(load_study(home, "lacking"), home, home.store_uri, 3, {})
    end_study(home, again, lambda settings: None if settings["seed"] == 3 and settings["optim.lr"] == 0.1 else (20, 60))
    reading = read(home, "lacking")
    assert reading.answer.startswith("Confirmed on fresh seeds: incomplete for the winner of sweep (")
    assert tables_of(reading.sections)["confirmed"]["missing"].tolist() == ["1 seed failed on the baseline's side"]


def test_two_studies_are_paired_by_all_that_they_search(home: Home) -> None:
    space = {"optim.lr": [0.1, 0.001], "optim.batch_size": [16, 64]}
    end(home, "one", space, {"optim.lr": 0.001})
    end(home, "two", space, {"optim.batch_size": 64})
    compared = compare(home.store_uri, "one", "two")
    differences = {row["setting"]: round(row["difference"], 2) for row in compared.pairs.to_dict("records")}
    assert differences == {
        f"supervised, clean, α 1, optim.lr {lr}, optim.batch_size {size}": 0.2 * ((size == 64) - (lr == 0.001))
        for lr in (0.1, 0.001)
        for size in (16, 64)
    }
    assert sum("optim.batch_size 64" in line for line in compared_lines(compared)) == 2


def test_json_has_the_numbers_of_page_and_screen(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"optim.lr": [0.1, 0.001], "optim.batch_size": [16, 64]}
    for name, good in (("json-one", {"optim.lr": 0.001}), ("json-two", {"optim.lr": 0.1})):
        end(home, name, space, good, baseline={"optim.lr": 0.1}, equivalence=0.01)
    again = confirmation_study(load_study(home, "json-one"), home, home.store_uri, 3, {})
    end_study(home, again, lambda settings: None if settings["seed"] == 5 else (20, 50 + 20 * (settings["optim.lr"] < 0.1)))

    def said(*arguments: str) -> dict[str, Any]:
        capsys.readouterr()
        assert call(monkeypatch, *arguments, "--home", str(home.root), "--json") == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    found = said("best", "json-one")
    (row,) = read(home, "json-one").comparisons.to_dict("records")
    (choice,) = found["sweeps"][0]["choices"]
    assert choice["claim"]["p_value"] == row["p_value"]
    assert (choice["claim"]["low"], choice["claim"]["high"]) == (row["difference_low"], row["difference_high"])
    assert choice["verdict"] == row["verdict"]
    written = set(field_paths({**found, "schema": 1})) - {"schema", "pairs[]"}
    assert documented_fields("best") - {"sweeps[].choices[].lacking_seeds[].*"} == written
    compared = said("compare", "json-one", "json-two")
    assert {round(pair["difference"], 2) for pair in compared["pairs"]} == {0.2, -0.2}
    assert documented_fields("compare") - {"notes[]"} == set(field_paths(compared)) - {"schema"} | {
        "differing[].setting",
        "differing[].first",
        "differing[].second",
    }
    held = said("best", again.name)
    assert documented_fields("confirm") == set(field_paths(held)) - {"schema"}
    assert (held["confirms"], held["pairs"][0]["confirmed"]) == ("json-one", "incomplete")


def test_equivalence_counts_for_the_papers_question_too(home: Home) -> None:
    end(home, "equal-alpha", {"loss.alpha": [1.0, 0.5]}, {"loss.alpha": 5.0}, seeds=list(range(8)), equivalence=0.2)
    (row,) = tables_of(read(home, "equal-alpha").sections)["table1"].query("verdict != ''").to_dict("records")
    assert row["verdict"].startswith("equivalent to the baseline within ±20 points")


def test_a_confirmation_stays_out_of_the_papers_tables(home: Home) -> None:
    """Winner and baseline differ in alpha alone, so that the study on fresh seeds looks like one of the paper's."""
    end(home, "crossed", {"loss.alpha": [1.0, 0.5], "optim.lr": [0.1, 0.001]}, {"loss.alpha": 0.5, "optim.lr": 0.1})
    again = confirmation_study(load_study(home, "crossed"), home, home.store_uri, 3, {})
    end_study(home, again, lambda settings: (20, 50 + 20 * (settings["loss.alpha"] == 0.5)))
    reading = read_sections(home.store_uri, ["crossed", again.name])
    tables = tables_of(reading.sections)
    assert tables["table1"].empty or tables["table1"]["verdict"].eq("").all()
    assert tables["forest"]["about"].tolist() == ["confirmed on fresh seeds", "settings"]


def test_alpha_one_is_a_baseline_whatever_its_margin(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    space = {"loss.alpha": [1.0, 0.5], "loss.margin": [0.3, 0.5]}
    end(home, "margins", space, {"loss.alpha": 0.5, "loss.margin": 0.5}, within=["loss.margin"])
    assert read(home, "margins").comparisons["verdict"].tolist() == [""] * 3
    assert "better than the baseline" not in best(home, "margins", capsys)
