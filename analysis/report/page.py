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
from analysis.formats import capitalised
from analysis.report.assemble import Reading, read_sections, tables_of
from analysis.report.files import csv_link, write_tables, write_whole
from analysis.report.index import FACTS_FILE
from analysis.report.picture import PICTURE_FILE, write_picture
from analysis.report.shown import is_of_paper, shows_published
from analysis.section import Chapter
from analysis.sections.forest import FOREST

_LIBRARIES = ("acl-study", "mlflow-skinny", "pandas", "plotly", "scipy", "statsmodels")
_OUR_FILES = re.compile(r"[a-z0-9-]+\.(csv|md|tex|png)")


def write_report(store_uri: str, studies: Sequence[str], folder: Path) -> Path:
    """Write `index.html` into `folder`, with its facts (`report.json`), picture and tables as files; the page needs no network.

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
    launches = reading.launches
    generated = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = render_page(
        reading.chapters,
        **_first_screen(reading),
        made=f"report of {generated}",
        notes=reading.notes,
        has_methods=True,
        source=f"{published.source()}." if shows_published(launches) else "",
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = write_tables(reading.sections, folder, list(dict.fromkeys(launches["corpus"])))
    compared = tables_of(reading.sections)[FOREST]
    if len(compared):
        question = " ".join(dict.fromkeys(launches["question"]))
        files.append(write_picture(compared, question, folder / PICTURE_FILE).name)
    _replace_facts(folder, _facts(launches, reading.trials, reading.answer, generated, files))
    return write_whole(folder / "index.html", page)


def _first_screen(reading: Reading) -> dict[str, Any]:
    """Question, corpus and answer."""
    launches = reading.launches.drop_duplicates("study", keep="last")
    studies, questions = list(dict.fromkeys(launches["study"])), list(dict.fromkeys(launches["question"]))
    is_one = len(questions) == 1
    title = ", ".join(studies)
    return {
        "title": title,
        "heading": questions[0] if is_one else title,
        "questions": [] if is_one else [f"{row['study']}: {row['question']}" for row in launches.to_dict("records")],
        "paper_found": [
            ("" if len(studies) == 1 else f", on the question of {row['study']}", row["paper_found"])
            for row in launches.to_dict("records")
            if row["paper_found"]
        ],
        "answer": reading.answer,
        "outcomes": reading.outcomes,
        **_context(reading.launches),
    }


def _context(launches: pd.DataFrame) -> dict[str, Any]:
    """What the numbers may be compared with: corpora and departures from the recipe, as one line and what unfolds below it."""
    corpora = "; ".join(dict.fromkeys(launches["corpus"]))
    departures = launches[launches["departures"] != ""].drop_duplicates("study", keep="last").to_dict("records")
    of_paper, has_published = is_of_paper(launches), shows_published(launches)
    line = capitalised(corpora)
    lines = []
    if departures:
        line += "; departs from the published recipe"
        lines += [f"{study['study']} departs from the published recipe: {study['departures']}" for study in departures]
    if has_published and (departures or not of_paper):
        line += "; not comparable with the paper"
        if not of_paper:
            lines.insert(0, "The paper's corpus is FSDnoisy18k. Published numbers are shown in grey for reference only.")
    return {"context": line, "context_lines": lines, "is_not_comparable": bool(lines)}


def render_page(
    chapters: Sequence[Chapter],
    *,
    title: str,
    heading: str,
    made: str,
    answer: str,
    questions: Sequence[str] = (),
    outcomes: Sequence[Any] = (),
    context: str = "",
    context_lines: Sequence[str] = (),
    is_not_comparable: bool = False,
    paper_found: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    has_methods: bool = False,
    source: str = "",
) -> str:
    """HTML of a page that needs nothing else.

    Args:
        chapters: the first one has the answer.
        title: of the window, and above the heading.
        heading: the question.
        made: when the page was made.
        answer: a few sentences.
        questions: of each study, where there are several.
        outcomes: of `analysis.report.answer.outcomes`.
        context: what the numbers may be compared with, one line.
        context_lines: what unfolds below it.
        is_not_comparable: whether published numbers are for reference only.
        paper_found: which question (empty where there is one), and what the paper found.
        notes: what was left out.
        has_methods: whether the last chapter explains the methods of a report.
        source: of the published numbers, where the page shows these.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["code"] = _with_code
    return environment.get_template("page.html").render(
        chapters=chapters,
        title=title,
        heading=heading,
        made=made,
        answer=answer,
        questions=questions,
        outcomes=outcomes,
        context=context,
        context_lines=context_lines,
        is_not_comparable=is_not_comparable,
        paper_found=paper_found,
        notes=notes,
        methods=has_methods,
        source=source,
        forest=FOREST,
        csv_link=csv_link,
        versions={"Python": platform.python_version()} | {name: metadata.version(name) for name in _LIBRARIES},
        plotly_js=Markup(get_plotlyjs()),
        css=_own("page.css"),
        js=_own("page.js"),
    )


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
