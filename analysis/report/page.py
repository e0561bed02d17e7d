"""The report: one offline HTML page that answers the study's question, and every table as files."""

import json
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from analysis import published
from analysis.report.answer import comparison_lines, control_lines, margin_lines, summary_lines
from analysis.report.assemble import read_sections, tables_of
from analysis.report.files import csv_link, write_tables, write_whole
from analysis.report.index import FACTS_FILE
from analysis.report.shown import is_of_paper, shows_published
from analysis.section import Section
from analysis.sections.forest import FOREST
from analysis.sections.records import run_address

_LIBRARIES = ("acl-study", "mlflow-skinny", "pandas", "plotly", "scipy", "statsmodels")
_OUR_FILES = re.compile(r"[a-z0-9-]+\.(csv|md|tex)")


def write_report(store_uri: str, studies: Sequence[str], folder: Path) -> Path:
    """Write `index.html` into `folder`, its facts (`report.json`) and every table as files; the page opens without a network.

    Args:
        store_uri: MLflow tracking store, e.g. `sqlite:////home/me/acl/mlflow.db`.
        studies: names under which the studies were launched.
        folder: made if absent; files of an earlier report are replaced.

    Returns:
        Path of the page.

    Raises:
        AnalysisError: there is no store, no study of that name, or it has no trials.
    """
    reading = read_sections(store_uri, studies)
    launches, sections = reading.launches, reading.sections
    generated = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows = _launch_rows(store_uri, launches.merge(reading.launched, on="run_id"), reading.trials)
    page = _page(
        launches,
        sections,
        reading.comparisons,
        {"answer": reading.answer, "generated": generated, "launches": rows, "notes": reading.notes},
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = write_tables(sections, folder, list(dict.fromkeys(launches["corpus"])))
    _replace_facts(folder, _facts(launches, reading.trials, reading.answer, generated, files))
    return write_whole(folder / "index.html", page)


def _page(launches: pd.DataFrame, sections: list[Section], comparisons: pd.DataFrame, texts: dict[str, Any]) -> str:
    tables = tables_of(sections)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["code"] = _with_code
    return environment.get_template("report.html").render(
        title=", ".join(dict.fromkeys(launches["study"])),
        corpora=list(dict.fromkeys(launches["corpus"])),
        departures=launches[launches["departures"] != ""].drop_duplicates("study", keep="last").to_dict("records"),
        synthetic=bool(launches["corpus_is_synthetic"].any()),
        of_paper=is_of_paper(launches),
        shows_published=shows_published(launches),
        questions=launches.drop_duplicates("study", keep="last").to_dict("records"),
        summary=[
            *summary_lines(tables["table1"], tables["table2"], tables["margin"]),
            *margin_lines(tables["margin"]),
            *comparison_lines(comparisons),
        ],
        controls=control_lines(tables["null"]),
        sections=sections,
        contents=_contents(sections),
        forest=FOREST,
        csv_link=csv_link,
        source=published.source(),
        versions={"Python": platform.python_version()} | {name: metadata.version(name) for name in _LIBRARIES},
        plotly_js=Markup(get_plotlyjs()),
        css=_own("report.css"),
        js=_own("report.js"),
        **texts,
    )


def _contents(sections: Sequence[Section]) -> list[tuple[str, str]]:
    """Anchor and title of each section: the title up to its colon, unless another section has the same."""
    short = [section.title.split(":")[0] for section in sections]
    return [
        (section.anchor, title if short.count(title) == 1 else section.title)
        for section, title in zip(sections, short, strict=True)
    ]


def _with_code(text: str) -> Markup:
    """The text escaped, what is between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _own(name: str) -> Markup:
    return Markup((resources.files("analysis.report") / name).read_text(encoding="utf-8"))


def _facts(launches: pd.DataFrame, trials: pd.DataFrame, short: str, generated: str, files: list[str]) -> dict[str, Any]:
    """What the index of all reports shows of this one, and the names of its tables' files."""
    return {
        "title": ", ".join(dict.fromkeys(launches["study"])),
        "question": " ".join(dict.fromkeys(launches["question"])),
        "answer": short,
        "corpus": "; ".join(dict.fromkeys(launches["corpus"])),
        "generated": generated,
        "trials": len(trials),
        "files": files,
    }


def _replace_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write the report's facts, and delete tables of an earlier report that this one lacks."""
    path = folder / FACTS_FILE
    for name in _earlier_files(path):
        if name not in facts["files"] and _OUR_FILES.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
    write_whole(path, json.dumps(facts, ensure_ascii=False, indent=1))


def _earlier_files(path: Path) -> Iterable[str]:
    try:
        return [str(name) for name in json.loads(path.read_text(encoding="utf-8"))["files"]]
    except (OSError, ValueError, KeyError, TypeError):  # none, or not ours
        return []


def _launch_rows(store_uri: str, launches: pd.DataFrame, trials: pd.DataFrame) -> list[dict[str, object]]:
    runs = trials["study"].value_counts()
    return [
        {
            "study": launch["study"],
            "launched": f"{launch['start_time']:%Y-%m-%d %H:%M UTC}",
            "profile": launch["profile"],
            "corpus": launch["corpus"],
            "run_id": launch["run_id"],
            "href": run_address(store_uri, launch["experiment_id"], launch["run_id"]),
            "trials": int(runs.get(launch["study"], 0)),
        }
        for launch in launches.to_dict("records")
    ]
