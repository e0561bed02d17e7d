"""Tables and figures as files; figures are exported by a real browser."""

import base64
import gzip
import io
import shutil
import sys
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest
from PIL import Image

from analysis.errors import AnalysisError
from analysis.report.files import WIDTH, csv_link, latex_text, markdown_text, write_figures, write_tables
from analysis.section import Column, Section, all_columns


def section_of(frame, **fields):
    return Section("mine", "Table 9: my results", "About 95 % of α_1.", frame, all_columns(frame), "", **fields)


def test_latex_has_booktabs_rules_and_a_full_caption():
    frame = pd.DataFrame({"subset": ["a_b & c"], "accuracy": [0.5], "test_clips": [947], "acl_seeds": [3], "baseline_seeds": [1]})
    lines = latex_text(section_of(frame, latex=True), ["FSDnoisy18k"]).splitlines()
    rules = [line for line in lines if line.endswith("rule")]
    assert rules == ["\\toprule", "\\midrule", "\\bottomrule"]
    assert "a\\_b \\& c & 0.5 & 947 & 3 & 1 \\\\" in lines
    (caption,) = [line for line in lines if line.startswith("\\caption")]
    assert caption == (
        "\\caption{My results. About 95 \\% of $\\alpha$\\_1. Seeds of a setting: 1 to 3; test clips: 947; corpus: FSDnoisy18k.}"
    )


def test_latex_escapes_every_sign_that_it_reads():
    frame = pd.DataFrame({"name": ["\\input{x} $&%#_{}~^"]})
    text = latex_text(section_of(frame, latex=True), ["C"])
    assert r"\textbackslash{}input\{x\} \$\&\%\#\_\{\}\textasciitilde{}\textasciicircum{}" in text


def test_markdown_is_one_table_whatever_the_cells_hold():
    frame = pd.DataFrame({"name": ["a|b", "two\nlines", "<b>"], "value": [0.25, float("nan"), 1.0]})
    lines = markdown_text(section_of(frame)).splitlines()
    assert lines[0] == "# Table 9: my results"
    assert lines[-5:] == ["| name | value |", "| --- | ---: |", "| a\\|b | 0.25 |", "| two<br>lines | – |", "| &lt;b> | 1 |"]


def test_a_large_table_is_compressed_in_its_link_and_complete():
    frame = pd.DataFrame({"number": range(60_000)})
    name, address = csv_link(section_of(frame))
    assert name == "mine.csv.gz"
    content = gzip.decompress(base64.b64decode(address.partition("base64,")[2]))
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(content)), frame)
    assert csv_link(section_of(frame)) == (name, address)  # the same table, the same page
    assert csv_link(section_of(frame.head()))[0] == "mine.csv"


def test_files_are_those_that_have_content(tmp_path):
    full, empty = pd.DataFrame({"a": [1]}), pd.DataFrame({"a": []})
    columns = [Column("a", lambda row: str(row["a"]))]
    sections = [
        Section("full", "Full", "", full, columns, "", latex=True),
        Section("empty", "Empty", "", empty, columns, "none", latex=True),
        Section("hidden", "Hidden", "", full, [], ""),
    ]
    files = write_tables(sections, tmp_path, ["C"])
    assert files == ["full.csv", "full.md", "full.tex", "empty.csv", "hidden.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_latex_breaks_headings_that_are_wider_than_their_cells():
    frame = pd.DataFrame({"name_of_it": ["a"], "could_resolve_points": [12.2]})
    lines = latex_text(section_of(frame, latex=True), ["C"]).splitlines()
    assert r"\shortstack[l]{name \\ of \\ it} & \shortstack[r]{could \\ resolve \\ points} \\" in lines


CHROMIUM = shutil.which("chromium")


@pytest.mark.parametrize(
    ("formats", "named"), [(["gif"], "'gif'; pass"), (["png", "jpg"], r"'jpg'; did you mean png\?"), ([], "''; pass")]
)
def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path, formats, named):
    with pytest.raises(AnalysisError, match=f"one of png, svg, pdf, got {named}"):
        write_figures(f"sqlite:///{tmp_path}/absent.db", ["mine"], tmp_path / "out", formats)
    assert not (tmp_path / "out").exists()


def test_without_kaleido_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(AnalysisError, match=r"needs kaleido: pip install 'acl-study\[export\]'"):
        write_figures(f"sqlite:///{tmp_path}/absent.db", ["mine"], tmp_path / "out")


def test_a_missing_browser_is_one_line_and_leaves_no_file(quickstart, tmp_path, monkeypatch):
    pytest.importorskip("kaleido")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "chrome"))
    with pytest.raises(AnalysisError, match="needs Chrome or Chromium: install one, name it in BROWSER_PATH") as refused:
        write_figures(quickstart.uri, ["quickstart"], tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_study_that_is_not_there_is_named(quickstart, tmp_path):
    pytest.importorskip("kaleido")
    with pytest.raises(AnalysisError, match="no study 'other'"):
        write_figures(quickstart.uri, ["other"], tmp_path / "out")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_every_figure_is_written_whole_in_each_format(quickstart, tmp_path, monkeypatch):
    pytest.importorskip("kaleido")
    monkeypatch.setenv("BROWSER_PATH", str(CHROMIUM))
    folder = tmp_path / "out"
    files = write_figures(quickstart.uri, ["quickstart"], folder, ["png", "svg"])
    anchors = {file.stem for file in files}
    assert {"fig2", "fig3", "alpha", "plane", "confusion", "search", "curves"} <= anchors
    assert (
        sorted(files)
        == sorted(folder.iterdir())
        == sorted(folder / f"{name}.{kind}" for name in anchors for kind in ("png", "svg"))
    )
    for anchor in anchors:
        with Image.open(folder / f"{anchor}.png") as image:
            assert image.width == 3 * WIDTH
            assert len(image.convert("L").resize((200, 200)).getcolors(256) or []) > 10  # not blank
        root = ElementTree.parse(folder / f"{anchor}.svg").getroot()
        assert root.get("width") == str(WIDTH)
        sizes = {
            float(part.split(":")[1].strip().removesuffix("px")) for part in _styles(root) if part.strip().startswith("font-size")
        }
        assert min(sizes) >= 13.3  # px, which are 10 pt


def _styles(root):
    return [part for element in root.iter() for part in element.get("style", "").split(";")]
