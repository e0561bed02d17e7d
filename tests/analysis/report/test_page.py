"""Whole reports: their tables, sentences and files, also where results are missing."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from analysis.errors import AnalysisError
from analysis.records.runs import load_predictions, load_trials
from analysis.report.page import write_report
from analysis.sections.alpha import alpha_table
from analysis.sections.paper_figures import fig2_table, fig3_table
from analysis.sections.paper_tables import table1, table2
from analysis.sections.trials import search_table
from analysis.settings import comparable_settings
from analysis.stats.intervals import wilson_interval
from study import names
from support.fabricated_trials import FIGURES

CHAPTERS = {
    "answer": ["forest"],
    "results": [
        "table1",
        "table2",
        "fig2",
        "fig3",
        "checks",
        "comparisons",
        "alpha",
        "plane",
        "confusion",
        "on-test",
        "published",
        "assumed",
    ],
    "searching": ["search", "parallel", "importance"],
    "training": ["curves", "stopped", "counts", "failed"],
    "reproducibility": ["provenance", "checklist", "runs"],
}
SECTIONS = [section for sections in CHAPTERS.values() for section in sections]
ON_NO_PAGE = ("curves", "confusion", "parallel", "stopped")  # tables
FILES = [
    *(f"{name}.csv" for name in SECTIONS),
    "table1.tex",
    "table2.tex",
    "comparisons.tex",
    "report.json",
    "index.html",
    "answer.png",
]
FILES += [f"{name}.md" for name in SECTIONS if name not in ON_NO_PAGE]


class Page(HTMLParser):
    """Links, ids and the visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href") and value]
        self.ids += [value for name, value in attributes if name == "id" and value]

    def handle_data(self, data):
        if self.tags[-1:] not in (["script"], ["style"]):
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def report(quickstart, tmp_path_factory):
    return write_report(quickstart.uri, ["quickstart"], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text(encoding="utf-8"))


def test_the_page_loads_nothing_but_itself(page):
    assert all(link.startswith(("#", "data:")) for link in page.loads)
    assert not {"iframe", "img"} & set(page.tags)


def test_sections_come_in_order_and_contents_point_at_them(page):
    anchors = [name for name in page.ids if not name.startswith("figure-") and name not in ("theme", "unfold")]
    assert anchors == [*(each for chapter, own in CHAPTERS.items() for each in (chapter, *own)), "methods"]
    assert [link[1:] for link in page.loads if link.startswith("#")] == ["answer", *CHAPTERS]  # the first skips the contents
    assert [name for name in page.ids if name.startswith("figure-")] == [f"figure-{section}" for section in FIGURES]


def test_banner_summary_and_provenance(page):
    assert "Synthetic corpus, small, seed 0; departs from the published recipe; not comparable with the paper" in page.text
    # alpha 0.3 is better on test, alpha 0.5 on validation
    assert (
        "(1 seed: trained models only) α 0.5, margin 0.5 rad: 60.0 % [50.2, 69.1] on test; baseline: 50.0 % [40.4, 59.6] on test "
        "(100 test clips). Best of 2 other settings on validation; one seed, so nothing is known about the settings: to detect "
        "such a difference (power 80 %) takes about 3 to "
    ) in page.text
    assert "Supervised, all: better, +10.0 points [" in page.text
    assert "Self-supervised, τ 0.2: no significant difference, +3.0 points [" in page.text
    assert "Self-supervised, noisy, any α and τ: no significant difference, +3.0 points [" in page.text
    assert "Selected among 3 baselines and 3 settings" in page.text
    assert "SSL rows are at the published temperature 0.2." in page.text
    assert "Linear evaluation keeps the encoder in evaluation mode. Published SSL accuracies weigh each clip" in page.text
    assert "quickstart grid 12 0 0 12" in page.text
    assert re.search(r"Page made with Python 3\.\d+", page.text)


def test_linear_evaluation_by_the_published_protocol_is_said(records, tmp_path):
    parent = records.study("paper")
    for alpha in (1.0, 0.3):
        records.trial(parent, alpha=alpha, mode="self-supervised", probe__protocol="published")
    text = Page(write_report(records.uri, ["paper"], tmp_path).read_text(encoding="utf-8")).text
    assert "Linear evaluation is by the published protocol." in text
    assert "keeps the encoder in evaluation mode" not in text


def test_another_recipe_is_said_also_on_the_real_corpus(records, tmp_path):
    for name, departures in (("toy", "supervised: optim.epochs 3 (recipe: 99)"), ("full", "")):
        records.trial(records.study(name, departures=departures), alpha=1.0, outcome=names.STOPPED)
    html = write_report(records.uri, ["toy", "full"], tmp_path / "both").read_text(encoding="utf-8")
    assert (
        "FSDnoisy18k; departs from the published recipe; not comparable with the paper "
        "toy departs from the published recipe: supervised: optim.epochs 3 (recipe: 99)"
    ) in Page(html).text
    assert "full departs" not in Page(html).text
    assert "Synthetic corpus" not in Page(html).text
    assert '<body class="not-comparable">' in html
    html = write_report(records.uri, ["full"], tmp_path / "full").read_text(encoding="utf-8")
    assert "not comparable with the paper" not in Page(html).text
    assert '<body class="">' in html


def test_methods_admit_that_all_finished_trials_are_tested(page):
    assert "The test accuracies of all finished trials are shown, but none selects a setting" in page.text
    assert "used once" not in page.text


def test_validation_accuracies_on_the_page_have_intervals(report):
    low, high = (f"{100 * bound:.1f}" for bound in wilson_interval(0.62, 40))
    html = report.read_text(encoding="utf-8")
    for section in ("alpha", "search"):
        assert f">62.0 [{low}, {high}]</td>" in html.split(f' id="{section}">')[1].split("</table>")[0]


def test_csv_files_are_the_tables(report, quickstart):
    trials = load_trials(quickstart.uri, ["quickstart"])
    predictions = load_predictions(quickstart.uri, trials.loc[trials["outcome"] == names.FINISHED, "run_id"])
    settings, _ = comparable_settings(trials, predictions)
    expected = {
        "table1": table1(settings, predictions),
        "table2": table2(settings, predictions),
        "fig2": fig2_table(settings, predictions),
        "fig3": fig3_table(settings),
        "alpha": alpha_table(settings),
        "search": search_table(trials, predictions),
    }
    for name, table in expected.items():
        written = pd.read_csv(report.parent / f"{name}.csv", keep_default_na=True)
        pd.testing.assert_frame_equal(written, table.replace("", float("nan")), check_dtype=False, check_exact=False)
    assert sorted(file.name for file in report.parent.iterdir()) == sorted(FILES)


def test_the_same_records_give_the_same_page(report, quickstart, tmp_path):
    def undated(path: Path) -> str:
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", path.read_text(encoding="utf-8"), count=1)

    again = write_report(quickstart.uri, ["quickstart"], tmp_path)
    assert undated(again) == undated(report)
    write_report(quickstart.uri, ["quickstart"], tmp_path)  # replaces its own files
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(FILES)


def test_the_page_itself_holds_the_csv_files(report, page):
    held = {link.partition("base64,")[2] for link in page.loads if link.startswith("data:text/csv")}
    assert {base64.b64decode(text).decode() for text in held} == {
        (report.parent / f"{name}.csv").read_text(encoding="utf-8") for name in SECTIONS
    }


def test_cells_are_sorted_by_what_is_behind_them(report):
    html = report.read_text(encoding="utf-8").split(' id="table1">')[1].split("</table>")[0]
    assert '<td class="number" data-sort="0.1">+10.0 [' in html
    assert '<td class="text">noisy small</td>' in html


def test_a_synthetic_corpus_hides_comparisons_with_the_paper(page, records, tmp_path):
    assert "ours − published" not in page.text
    records.trial(records.study("real", departures=""), alpha=1.0)
    assert "ours − published" in Page(write_report(records.uri, ["real"], tmp_path).read_text(encoding="utf-8")).text


def test_failed_and_stopped_trials_are_listed_with_the_reason(records, tmp_path):
    study = records.study("mine")
    records.trial(study, alpha=1.0)
    failed = records.trial(study, alpha=0.4, outcome=names.FAILED, epochs=0)
    records.client.set_tag(failed, names.REASON, "out of memory")
    records.trial(study, alpha=0.3, outcome=names.STOPPED)
    write_report(records.uri, ["mine"], tmp_path)
    table = pd.read_csv(tmp_path / "failed.csv").set_index("outcome")
    assert table["reason"].to_dict() == {names.FAILED: "out of memory", names.STOPPED: "stopped by the scheduler"}
    assert "α 0.4" in table.loc[names.FAILED, "settings"]
    assert table.loc[names.FAILED, "run_id"] == failed


def test_everything_from_the_records_is_escaped(records, tmp_path):
    attack = "</script><script>alert(1)</script>"
    study = records.study("<b>mine</b>", corpus=attack, question=attack)
    for alpha in (1.0, 0.5):
        records.trial(study, alpha=alpha, sweep=attack, classes=(attack, "b", "c", "d"), data__root=attack)
    html = write_report(records.uri, ["<b>mine</b>"], tmp_path / "report").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in html
    assert "<b>mine" not in html
    # one for each of the forest plot, figure 2, alpha, confusion, published, search and curves, and the page's own
    assert html.split("<body", 1)[1].count("<script") == 8
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_study_without_results_says_so_in_each_table(records, tmp_path):
    study = records.study("mine", departures="")
    records.trial(study, alpha=1.0, outcome=names.FAILED)
    page = Page(write_report(records.uri, ["mine"], tmp_path / "report").read_text(encoding="utf-8"))
    assert "there is nothing to compare" in page.text
    assert "Table 1: supervised, by training subset No supervised trial has finished." in page.text
    assert "No self-supervised trial has finished, and no supervised one on all training clips." in page.text
    assert "Accuracy by α" not in page.text  # a detail that has nothing to say
    assert "FSDnoisy18k Only" not in page.text
    assert "not comparable with the paper" not in page.text
    assert "mine grid 0 0 1 1" in page.text


def test_a_study_that_failed_before_any_epoch_has_a_report(records, tmp_path):
    records.trial(records.study("mine"), alpha=1.0, outcome=names.FAILED, epochs=0)
    page = Page(write_report(records.uri, ["mine"], tmp_path / "report").read_text(encoding="utf-8"))
    assert "No trial has reported an epoch yet." in page.text


def test_left_out_protocols_are_named_on_the_page(records, tmp_path):
    study = records.study("mine")
    records.trial(study, alpha=1.0)
    records.trial(study, alpha=0.5)
    records.trial(study, alpha=0.5, epochs=4)
    page = Page(write_report(records.uri, ["mine"], tmp_path / "report").read_text(encoding="utf-8"))
    assert (
        "1 supervised trials (mine) of another protocol are left out of the tables; those "
        "shown, the largest group, have optim.epochs 3" in page.text
    )


def test_unknown_study_writes_nothing(quickstart, tmp_path):
    with pytest.raises(AnalysisError, match="known: quickstart"):
        write_report(quickstart.uri, ["absent"], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_trial_without_predictions_leaves_the_others_complete(records, tmp_path):
    study = records.study("mine")
    kept = [records.trial(study, alpha=alpha, val=0.6, correct=60) for alpha in (1.0, 0.5)]
    lost = records.trial(study, alpha=0.3, val=0.9, correct=90)
    uri = records.client.get_run(lost).info.artifact_uri
    Path(uri.removeprefix("file://"), names.PREDICTIONS_FILE).unlink()
    text = Page(write_report(records.uri, ["mine"], tmp_path).read_text(encoding="utf-8")).text
    assert "1 finished trials (mine) have lost predictions.csv: they are left out of comparisons over clips" in text
    table = pd.read_csv(tmp_path / "table1.csv").set_index("subset")
    assert table.loc["all", "alpha"] == 0.5  # the lost one was best on validation
    assert pd.read_csv(tmp_path / "on-test.csv")["alpha"].tolist() == [0.3, 0.5]  # where its accuracy counts
    assert "their accuracies are compared unpaired, with p-values corrected by Holm" in text
    assert ", unpaired)." in text
    assert set(pd.read_csv(tmp_path / "runs.csv")["run_id"]) >= {*kept, lost}
