"""Figures as files; the export itself draws in a real browser."""

import shutil
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from analysis.errors import AnalysisError
from analysis.report.files import WIDTH, write_figures

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


def test_a_browser_that_is_not_there_is_one_line_and_leaves_no_file(quickstart, tmp_path, monkeypatch):
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
