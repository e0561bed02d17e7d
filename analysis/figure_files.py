"""The report's figures as files, for a paper or slides. Plotly draws them in a browser without a window, through kaleido."""

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acl.nearest import close_to
from analysis.reading import read_sections
from analysis.runs import AnalysisError

FORMATS = ("png", "svg", "pdf")
WIDTH = 960  # px at 96 to the inch: 25.4 cm, so that a letter of 14 px has 10.5 pt
_PIXELS = 3  # of a bitmap, for each px of the figure: 288 to the inch
_HEIGHT = 480
_NO_KALEIDO = "writing figures as files needs kaleido: pip install 'acl-study[export]' (or pip install 'kaleido>=1.5')"
_NO_BROWSER = "writing figures as files needs Chrome or Chromium: install one, name it in BROWSER_PATH, or run kaleido_get_chrome"


def write_figures(store_uri: str, studies: Sequence[str], folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write every figure of the report of the studies into `folder`, `<anchor>.<format>` each.

    Args:
        store_uri: MLflow tracking store, e.g. `sqlite:////home/me/acl/mlflow.db`.
        studies: names under which the studies were launched.
        folder: made if absent; files of the same names are replaced.
        formats: some of `FORMATS`.

    Returns:
        Paths of the files, in the order of the report.

    Raises:
        AnalysisError: an unknown format; no kaleido, or no browser; no such study, or nothing in it to draw.
    """
    for name in formats or [""]:
        if name not in FORMATS:
            remedy = close_to(name, FORMATS) or "pass e.g. --format png,pdf"
            raise AnalysisError(f"a figure's format must be one of {', '.join(FORMATS)}, got {name!r}; {remedy}")
    kaleido = exporter()
    figures = {section.anchor: section.plot for section in read_sections(store_uri, studies).sections}
    drawn = {anchor: figure for anchor, figure in figures.items() if figure is not None}
    if not drawn:
        raise AnalysisError(f"study {', '.join(studies)} has nothing to draw yet; let a trial finish")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".figures-", dir=folder) as partial:  # whole files, or none
        specs = [
            {"fig": figure, "path": Path(partial) / f"{anchor}.{name}", "opts": _options(figure, name)}
            for anchor, figure in drawn.items()
            for name in formats
        ]
        _write(kaleido, specs)
        for spec in specs:
            os.replace(spec["path"], folder / spec["path"].name)
    return [folder / spec["path"].name for spec in specs]


def exporter() -> Any:
    """The module kaleido, with a browser for it.

    Raises:
        AnalysisError: one of them is missing.
    """
    try:
        import kaleido
        from choreographer.browsers.chromium import Chromium
    except ImportError:
        raise AnalysisError(_NO_KALEIDO) from None
    browser = Chromium.find_browser(skip_local=False)
    if browser is None or not Path(browser).exists():  # it believes whatever BROWSER_PATH says
        raise AnalysisError(_NO_BROWSER)
    return kaleido


def _options(figure: Any, name: str) -> dict[str, Any]:
    height = figure.layout.height or _HEIGHT
    return {"format": name, "width": WIDTH, "height": height, "scale": _PIXELS if name == "png" else 1}


def _write(kaleido: Any, specs: list[dict[str, Any]]) -> None:
    from choreographer import errors

    logging.getLogger("choreographer").setLevel(logging.CRITICAL)  # what fails is said in one line below
    try:
        # MathJax would be fetched from the network, and no text here needs it.
        kaleido.write_fig_from_object_sync(specs, cancel_on_error=True, kopts={"mathjax": False})
    except errors.ChromeNotFoundError:
        raise AnalysisError(_NO_BROWSER) from None
    except (errors.BrowserFailedError, errors.BrowserClosedError, errors.ChannelClosedError) as error:
        first_line = str(next(iter(error.args), type(error).__name__)).splitlines()[0].rstrip(".")
        raise AnalysisError(f"the browser does not work ({first_line}); name another one in BROWSER_PATH") from None
