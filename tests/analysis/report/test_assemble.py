"""Sections of a report: those that the studies cannot fill are absent, those that wait for trials say so."""

import pandas as pd
import pytest
import yaml

from analysis.records.runs import load_trials
from analysis.report.assemble import read_sections, unfillable_sections
from analysis.report.page import write_report
from analysis.settings import FOLD
from study import names
from support.fabricated_trials import FakeRecords

ALL = {"table1", "table2", "fig2", "fig3", "on-test"}


NO_TRIALS = pd.DataFrame({"run_id": []})


def sweep(mode="supervised", alphas=None, subset=None, enqueue=(), **base):
    space = {} if alphas is None else {"loss.alpha": alphas}
    subsets = {} if subset is None else {"data.subset": subset}
    return {"base": {"mode": mode, **subsets, **base}, "space": space, "enqueue": list(enqueue)}


def left_out(*sweeps, trials=NO_TRIALS):
    return unfillable_sections(pd.DataFrame({"sweeps": [list(sweeps)]}), trials)


GRID = {"grid": [1.0, 0.5]}


RANGE = {"uniform": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("sweeps", "expected"),
    [
        ([sweep(alphas=GRID)], {"fig3"}),
        ([sweep(alphas=GRID, subset="clean")], {"fig3", "table2"}),
        ([sweep("self-supervised", GRID, "noisy")], {"table1"}),
        ([sweep(alphas=GRID), sweep("self-supervised", GRID)], set()),
        # the negative control has nothing to compare, and a range no baseline but one that is tried first
        ([sweep(**{"loss.alpha": 1.0})], {"fig2", "fig3", "on-test"}),
        ([sweep("self-supervised", RANGE)], {"table1", "fig2", "fig3", "on-test"}),
        ([sweep("self-supervised", RANGE, enqueue=[{"loss.alpha": 1.0}])], {"table1"}),
        # baseline and margin: in two sweeps, and of two modes
        ([sweep(**{"loss.alpha": 1.0}), sweep(**{"loss.alpha": 0.7})], {"fig3"}),
        ([sweep(**{"loss.alpha": 1.0}), sweep("self-supervised", **{"loss.alpha": 0.7})], {"fig2", "fig3", "on-test"}),
        ([sweep()], {"fig3"}),  # the recipe's alpha may be either
    ],
)
def test_what_the_sweeps_can_fill(sweeps, expected):
    assert left_out(*sweeps) == expected


def test_trials_count_where_the_file_of_the_study_is_gone(fakes):
    assert left_out(trials=NO_TRIALS) == ALL
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(0.5, val=0.5, correct=50, outcome=names.FAILED)
    assert left_out(trials=fakes.trials) == {"fig3"}


def report_of(records, tmp_path, mode, *sweeps):
    study = records.study("mine", departures="")
    records.client.log_text(study, yaml.safe_dump({"sweeps": sweeps}), names.STUDY_FILE)
    for alpha in (1.0, 0.5):
        records.trial(study, alpha=alpha, mode=mode, data__subset="clean")
    return write_report(records.uri, ["mine"], tmp_path / "report").read_text(encoding="utf-8")


@pytest.mark.parametrize(("mode", "absent"), [("supervised", {"table2", "fig3"}), ("self-supervised", {"table1"})])
def test_the_page_of_one_mode_has_no_sections_of_the_other(records, tmp_path, mode, absent):
    html = report_of(records, tmp_path, mode, sweep(mode, GRID, "clean"))
    for anchor in ALL:
        there = anchor not in absent
        assert (f' id="{anchor}">' in html) == there
        assert (tmp_path / "report" / f"{anchor}.csv").exists() == there
    assert '<p class="missing">' not in html


def test_a_section_that_waits_for_a_later_sweep_says_so(records, tmp_path):
    html = report_of(records, tmp_path, "supervised", sweep(alphas=GRID, subset="clean"), sweep("self-supervised", GRID))
    assert "No self-supervised trial has finished, and no supervised one on all training clips." in html
    assert "No temperature has both a finished baseline and a finished ACL trial." in html


def test_a_corpus_without_parts_has_one_row_in_table_1(records: FakeRecords) -> None:
    study = records.study("pets", corpus="ESC-50", departures="", subsets="all")
    for alpha, correct in ((1.0, 50), (0.5, 60)):
        records.trial(study, alpha=alpha, correct=correct, **{"data.subset": "all"})
    reading = read_sections(records.uri, ["pets"])
    table1 = next(section for section in reading.sections if section.anchor == "table1")
    assert table1.frame["subset"].tolist() == ["all"]
    assert table1.text.startswith("This corpus has no clean and noisy parts, so there is one row, of all training clips.")
    assert not any("ours − published" in column.title for column in table1.columns)


def test_records_from_before_label_noise_share_the_protocol(records: FakeRecords) -> None:
    study = records.study("mine")
    records.trial(study, alpha=1.0)
    records.trial(study, alpha=0.5, **{"noise.rate": 0.0, "noise.kind": "symmetric", FOLD: 0})
    trials = load_trials(records.uri, ["mine"])
    assert trials[["noise.rate", "noise.kind", FOLD]].drop_duplicates().values.tolist() == [[0.0, "symmetric", 0]]
    assert read_sections(records.uri, ["mine"]).notes == []
