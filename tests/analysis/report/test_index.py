"""The index page of all reports."""

import json

from analysis.report.index import FACTS_FILE, write_index
from analysis.report.page import write_report
from study.cli.results import report

FACTS = {"title": "a", "question": "Q?", "answer": "Yes.", "corpus": "C", "generated": "2026-01-01 00:00 UTC", "trials": 3}


def put(folder, name, **facts):
    (folder / name).mkdir(parents=True)
    (folder / name / "index.html").write_text("page")
    (folder / name / FACTS_FILE).write_text(json.dumps({**FACTS, **facts}))


def test_it_lists_the_reports_latest_first(quickstart, tmp_path):
    put(tmp_path, "old")
    write_report(quickstart.uri, ["quickstart"], tmp_path / "quickstart")
    html = write_index(tmp_path).read_text(encoding="utf-8")
    assert html.index('<a href="quickstart/index.html">quickstart</a>') < html.index('<a href="old/index.html">a</a>')
    assert "better than the baseline for “supervised, all” (+10.0 points)" in html
    assert "20 trials on synthetic corpus, small, seed 0" in html


def test_names_are_escaped(tmp_path):
    attack = "</script><script>alert(1)</script>"
    put(tmp_path, 'a"b&c+d', title=attack, question=attack, answer=attack, corpus=attack, generated=attack)
    html = write_index(tmp_path).read_text(encoding="utf-8")
    assert "<script" not in html
    assert 'href="a%22b%26c%2Bd/index.html"' in html


def test_what_is_no_report_is_left_out(tmp_path):
    put(tmp_path, "gone")
    (tmp_path / "gone" / "index.html").unlink()
    put(tmp_path, "damaged")
    (tmp_path / "damaged" / FACTS_FILE).write_text("{")
    put(tmp_path, "other", trials=None)
    assert "There is no report yet" in write_index(tmp_path).read_text(encoding="utf-8")


def test_the_report_command_keeps_the_index(records, tmp_path, capsys):
    for name in ("one", "two"):
        records.trial(records.study(name), alpha=1.0)
        report([name], home=tmp_path)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"report: {tmp_path}/reports/two/index.html",
        f"all reports: {tmp_path}/reports/index.html",
    ]
    html = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert all(f'<a href="{name}/index.html">{name}</a>' in html for name in ("one", "two"))
