"""The index of all reports in a home's folder: one offline page that links to each of them."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from analysis.report.files import write_whole

FACTS_FILE = "report.json"  # beside each report: what the index shows of it
_SHOWN = ("title", "question", "answer", "corpus", "generated")


def write_index(folder: Path) -> Path:
    """Write `index.html` over all reports in folders of `folder`, latest first; those without readable facts are left out.

    Args:
        folder: e.g. `reports/` of the home; made if absent.

    Returns:
        Path of the page.
    """
    found = (_facts(path) for path in sorted(folder.glob(f"*/{FACTS_FILE}")))
    reports = sorted((facts for facts in found if facts), key=lambda facts: facts["generated"], reverse=True)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "."), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    folder.mkdir(parents=True, exist_ok=True)
    return write_whole(folder / "index.html", environment.get_template("index.html").render(reports=reports))


def _facts(path: Path) -> dict[str, Any] | None:
    """Facts of a report with its address; None where they are damaged or the page is gone."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        shown = {name: str(facts[name]) for name in _SHOWN} | {"trials": int(facts["trials"])}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    page = path.with_name("index.html")
    return {**shown, "href": f"{quote(os.fsencode(path.parent.name))}/{page.name}"} if page.exists() else None
