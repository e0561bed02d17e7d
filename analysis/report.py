"""The report: one offline HTML page that answers the study's question, and a CSV file of every table."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata, resources
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis import published
from analysis.reading import OPTIONAL, read_sections
from analysis.sections import Section
from analysis.summary import control_lines, margin_lines, summary_lines

_LIBRARIES = ("acl-study", "mlflow-skinny", "pandas", "plotly", "scipy", "statsmodels")


def write_report(store_uri: str, studies: Sequence[str], folder: Path) -> Path:
    """Write `index.html` and a CSV file of every table into `folder`; the page opens without a network.

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
    sections = reading.sections
    page = _page(reading.launches, reading.trials, sections, reading.notes)
    folder.mkdir(parents=True, exist_ok=True)
    for anchor in {*OPTIONAL} - {section.anchor for section in sections}:  # of an earlier report that had the section
        (folder / f"{anchor}.csv").unlink(missing_ok=True)
    for section in sections:
        _write_whole(folder / f"{section.anchor}.csv", section.frame.to_csv(index=False))
    return _write_whole(folder / "index.html", page)


def _page(launches: pd.DataFrame, trials: pd.DataFrame, sections: list[Section], notes: list[str]) -> str:
    by_anchor = {section.anchor: section.frame for section in sections}
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((resources.files("analysis") / "report.html").read_text(encoding="utf-8"))
    return template.render(
        title=", ".join(dict.fromkeys(launches["study"])),
        generated=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        corpora=list(dict.fromkeys(launches["corpus"])),
        departures=launches[launches["departures"] != ""].drop_duplicates("study", keep="last").to_dict("records"),
        synthetic=bool(launches["corpus_is_synthetic"].any()),
        questions=launches.drop_duplicates("study", keep="last").to_dict("records"),
        summary=summary_lines(by_anchor["table1"], by_anchor["table2"]) + margin_lines(by_anchor.get("margin")),
        controls=control_lines(by_anchor.get("null")),
        notes=notes,
        sections=sections,
        launches=_launch_rows(launches, trials),
        source=published.source(),
        versions={"Python": platform.python_version()} | {name: metadata.version(name) for name in _LIBRARIES},
        plotly_js=Markup(get_plotlyjs()),
    )


def _launch_rows(launches: pd.DataFrame, trials: pd.DataFrame) -> list[dict[str, object]]:
    runs = trials["study"].value_counts()
    return [
        {
            "study": launch.study,
            "launched": f"{launch.start_time:%Y-%m-%d %H:%M UTC}",
            "profile": launch.profile,
            "corpus": launch.corpus,
            "run_id": launch.run_id,
            "trials": int(runs.get(launch.study, 0)),
        }
        for launch in launches.itertuples()
    ]


def _write_whole(path: Path, text: str) -> Path:
    """Write beside the target and rename: a reader sees the old file or the new one, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path
