"""Reports of records with hostile names: they are text on pages, in LaTeX and in spreadsheets."""

import csv
import html.parser
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selenium import webdriver

from acl.system.text import no_formula, read_back
from analysis.compare import compare, write_comparison
from analysis.records.runs import load_predictions
from analysis.report.files import csv_text, latex_text, markdown_text
from analysis.report.index import write_index
from analysis.report.page import write_report
from analysis.section import Column, Section
from study import names
from support.fabricated_trials import FakeRecords
from support.hostile_inputs import NASTY, examples
from support.offline_browser import needs_chromium, offline_browser

ATTACK = '"\'><img src=x onerror="window.ran=1"><script>window.ran=1</script><a href="javascript:window.ran=1">{{7*7}}</a>'
CLASSES = tuple(f"={number}{ATTACK}" for number in range(4))
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of everything that has a figure, its index and a comparison beside it."""
    folder = tmp_path_factory.mktemp("attacked")
    records = FakeRecords(folder)
    study = records.study(ATTACK, corpus=ATTACK, departures=ATTACK, question=ATTACK)
    common = {"classes": CLASSES, "sweep": f"sweep {ATTACK}"}
    records.trial(study, alpha=1.0, val=0.5, correct=50, compute__device=ATTACK, **common)
    records.trial(study, alpha=0.5, val=0.6, correct=60, compute__device=ATTACK + "2", **common)
    ssl = {"mode": "self-supervised", "loss__temperature": 0.2, **common}
    records.trial(study, alpha=1.0, val=0.6, correct=55, **ssl)
    records.trial(study, alpha=0.3, val=0.62, correct=58, **ssl)
    records.trial(study, alpha=0.41, val=0.5, outcome=names.STOPPED, **common)
    failed = records.trial(study, alpha=0.42, val=0.5, outcome=names.FAILED, **common)
    records.client.set_tag(failed, names.REASON, ATTACK)
    written = write_report(records.uri, [ATTACK], folder / "reports" / "attack")
    write_index(folder / "reports")
    write_comparison(records.uri, compare(records.uri, ATTACK, ATTACK), folder / "reports" / "compared.html")
    return written


class Elements(html.parser.HTMLParser):
    """Counts elements and attributes of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        self.found.update(f"@{name}" for name, _ in attributes)
        self.found.update("javascript:" for _, value in attributes if (value or "").strip().lower().startswith("javascript:"))


def pages(page: Path) -> list[Path]:
    return [page, page.parents[1] / "index.html", page.parents[1] / "compared.html"]


def test_no_name_is_an_element_or_an_attribute(page: Path) -> None:
    for each in pages(page):
        found = Elements(each).found
        assert found["img"] == found["@onerror"] == found["javascript:"] == 0
        assert not {name for name in found if name.startswith("@on")}
    text = page.read_text(encoding="utf-8")
    scripts = re.findall(r"<script[^>]*>", text)
    assert len(scripts) == text.count("</script>")
    assert "49</a>" not in text, "templates read no names"


@pytest.fixture(scope="module")
def browser(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with offline_browser(page, tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.mark.browser
@needs_chromium
def test_no_name_runs_in_a_browser(browser: webdriver.Chrome, page: Path) -> None:
    for each in pages(page):
        browser.get(each.as_uri())
        browser.execute_script("""
            for (const fold of document.querySelectorAll('details')) fold.open = true
            for (const figure of document.querySelectorAll('.js-plotly-plot'))
                for (let trace = 0; trace < figure.data.length; trace++)
                    try { Plotly.Fx.hover(figure, [{curveNumber: trace, pointNumber: 0}]) } catch (error) {}
        """)
        assert browser.execute_script("return window.ran") is None
        assert "hare" not in browser.execute_script(
            "return [...document.querySelectorAll('.modebar-btn')].map((button) => button.dataset.title).join(' ')"
        ), "plotly.js would send the chart to its maker's server"
        injected = "return document.querySelectorAll('img, a[href^=javascript i], *[onerror]').length"
        assert browser.execute_script(injected) == 0
        figures = browser.execute_script("return document.querySelectorAll('.js-plotly-plot').length")
        assert figures == (0 if each.parent.name == "reports" and each.name == "index.html" else figures)
        assert "onerror" in browser.find_element("tag name", "body").text, "names are there, as text"


def test_tables_beside_the_page_hold_no_formula(page: Path) -> None:
    files = sorted(page.parent.glob("*.csv"))
    assert len(files) > 5
    for file in files:
        for row in csv.reader(io.StringIO(file.read_text(encoding="utf-8"))):
            for cell in row:
                assert cell[:1] not in ("=", "+", "@", "\t", "\r"), (file.name, cell)
                assert cell[:1] != "-" or float(cell) < 0


TEXTS = st.sampled_from(
    [*filter(str.isascii, NASTY), *FORMULAS, "'=1", "''", "'a", ATTACK, "\\input{/etc/passwd}", "[1]", "*", "?`", "a--b---c"]
) | st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@examples(60)
@given(text=TEXTS)
def test_cells_of_spreadsheets_are_found_again_as_they_were(text: str) -> None:
    assert not re.match("[=+\\-@\t\r]", no_formula(text))
    assert read_back(no_formula(text)) == text


def section(first: str, second: str) -> Section:
    frame = pd.DataFrame({"text": [first, "last"], "other": [second, "end"]})
    columns = [Column("First", lambda row: row["text"], "text"), Column("Second", lambda row: row["other"], "text")]
    return Section("x", "Title: it", "Text.", frame, columns, "", latex=True)


@examples(40)
@given(first=TEXTS, second=TEXTS)
def test_csv_gives_back_every_text(first: str, second: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text(section(first, second).frame), newline="")))
    assert len(rows) == 3
    assert [read_back(cell) for cell in rows[1]] == [text.replace("\r", " ") for text in (first, second)]


LATEX = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textasciigrave{}": "`",
    r"$\alpha$": "α",
    r"$\tau$": "τ",
    r"$\pm$": "±",
    r"$\times$": "×",
    "$-$": "−",
    "--": "–",
    "``": "“",
    "''": "”",
    "{}": "",
}


def typeset(latex: str) -> str:
    """What LaTeX prints, of the few commands that a cell may have; any other one is an error."""
    printed = ""
    while latex:
        known = next((written for written in LATEX if latex.startswith(written)), None)
        if known is not None:
            printed, latex = printed + LATEX[known], latex[len(known) :]
        elif latex[0] == "\\":
            assert latex[1] in "&%$#_{}", latex
            printed, latex = printed + latex[1], latex[2:]
        else:
            assert latex[0] not in "&%$#_{}~^`", latex
            printed, latex = printed + latex[0], latex[1:]
    return printed


@examples(40)
@given(first=TEXTS, second=TEXTS)
def test_latex_prints_every_text_and_runs_none(first: str, second: str) -> None:
    lines = latex_text(section(first, second), ["C"]).split("\n")
    (row,) = [lines[place - 1] for place, line in enumerate(lines) if line.startswith("last & end")]
    assert row.endswith(r" \\")
    cells = re.split(r"(?<!\\) & ", f" {row.removesuffix(' ' + chr(92) * 2)}")
    assert not re.match(r"\s*[\[*]", row), "an argument of the line break above"
    shown = [cell.text for cell in section(first, second).rows[0]]
    expected = ["".join(sign if sign.isprintable() else " " for sign in text) for text in shown]
    assert "".join(typeset(" & ".join(cells).replace(" & ", "\0")).split()) == "".join("\0".join(expected).split())


@examples(40)
@given(first=TEXTS, second=TEXTS)
def test_markdown_shows_every_text_in_its_cell(first: str, second: str) -> None:
    shown = [cell.text for cell in section(first, second).rows[0]]
    lines = markdown_text(section(first, second)).split("\n")
    row = lines[lines.index("| last | end |") - 1]
    cells = re.split(r"(?<!\\)(?:\\\\)*\|", row)
    assert len(cells) == 4
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]~$]", row)
    assert not re.search(r"<(?!br>)", row)
    literal = re.sub(r"\\([\\|*_\[\]~$`])", r"\1", row.removeprefix("| ").removesuffix(" |").replace("<br>", "\n"))
    literal = literal.replace("&lt;", "<").replace("&amp;", "&")
    assert literal == " | ".join("\n".join(text.splitlines()) for text in shown)


def test_predictions_are_read_as_they_were(tmp_path: Path) -> None:
    records = FakeRecords(tmp_path)
    study = records.study("s")
    classes = ("=1+1", "'=1", "-a", "'tis")
    run = records.trial(study, alpha=1.0, classes=[no_formula(name) for name in classes])
    assert set(load_predictions(records.uri, [run])["label"]) == set(classes)
