"""Tables and figures as files: CSV, Markdown and LaTeX; SVG, PDF and PNG through kaleido and a browser without a window."""

import base64
import gzip
import logging
import os
import re
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from acl.system.text import close_to, first_line, no_formula
from analysis.errors import AnalysisError
from analysis.report.assemble import read_sections
from analysis.section import Section

_MOST_PLAIN = 200_000  # bytes of CSV in a link; more are compressed
_IN_COLUMN = {"text": "l", "prose": "p{10em}"}  # of LaTeX, by the kind of a column; all others are numbers
_IN_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "`": r"\textasciigrave{}",
        "\0": "{}",  # nothing, and yet it parts
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
    | {"α": r"$\alpha$", "τ": r"$\tau$", "−": "$-$", "–": "--", "±": r"$\pm$", "×": r"$\times$", "“": "``", "”": "''"}
)
_JOINED = re.compile(r"(?<=-)(?=-)|(?<=')(?=')|^\s*(?=[\[*])")  # two signs that LaTeX makes one of, or an argument
_IN_MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in "\\|*_[]~$"} | {"<": "&lt;", "&": "&amp;"})


def write_tables(sections: Sequence[Section], folder: Path, corpora: Sequence[str]) -> list[str]:
    """Write each section's table as `<anchor>.csv`, `.md`, and `.tex` where it is one for a paper; names of the files.

    Args:
        sections: of the report; one without columns on the page has no Markdown.
        folder: exists; files of these names are replaced.
        corpora: named in the captions of the LaTeX tables.
    """
    texts: dict[str, str] = {}
    for section in sections:
        texts[f"{section.anchor}.csv"] = csv_text(section.frame)
        if section.frame.empty or not section.columns:
            continue
        texts[f"{section.anchor}.md"] = markdown_text(section)
        if section.latex:
            texts[f"{section.anchor}.tex"] = latex_text(section, corpora)
    for name, text in texts.items():
        write_whole(folder / name, text)
    return list(texts)


def csv_text(frame: pd.DataFrame) -> str:
    """A whole table, numbers as they are, accuracies as shares, texts so that a spreadsheet takes none for a formula."""
    written = frame.copy(deep=False)
    for name in written.select_dtypes(exclude="number"):
        written[name] = written[name].map(_as_cell)
    return written.rename(columns=_as_cell).to_csv(index=False)


def csv_link(section: Section) -> tuple[str, str]:
    """File name and `data:` address of the table, or of its rows that are drawn.

    A large one is a compressed file, which pandas, R and Excel's query read.
    """
    is_whole = section.drawn is None or len(section.drawn) == len(section.frame)
    content = csv_text(section.frame if section.drawn is None or is_whole else section.drawn).encode()
    name, media = f"{section.anchor}{'' if is_whole else '-drawn'}.csv", "text/csv;charset=utf-8"
    if len(content) > _MOST_PLAIN:
        content, name, media = gzip.compress(content, mtime=0), f"{name}.gz", "application/gzip"
    return name, f"data:{media};base64,{base64.b64encode(content).decode()}"


def markdown_text(section: Section) -> str:
    """The table as it is on the page, as a pipe table of GitHub's Markdown below its title and text."""
    align = ["---" if column.kind in ("text", "prose") else "---:" for column in section.columns]
    titles = [_in_markdown(column.title) for column in section.columns]
    rows = [titles, align, *([_in_markdown(cell.text) for cell in row] for row in section.rows)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    head = [f"# {_in_markdown(section.title)}", *(_in_markdown(line, is_code=True) for line in section.text.splitlines())]
    return "\n\n".join([*head, "\n".join(lines)]) + "\n"


def latex_text(section: Section, corpora: Sequence[str]) -> str:
    """The table as it is on the page, with rules of booktabs and a caption; as wide as the text."""
    texts = pd.DataFrame([[cell.text for cell in row] for row in section.rows])
    headings = [
        _heading(column.title, 0 if column.kind == "prose" else int(cells.str.len().max()), _IN_COLUMN.get(column.kind, "r"))
        for column, (_, cells) in zip(section.columns, texts.items(), strict=True)
    ]
    literal = [heading.replace("{", "{{").replace("}", "}}") for heading in headings]  # pandas takes them for format strings
    styler = texts.map(_in_latex).style.hide(axis="index").relabel_index(literal, axis=1)
    tabular = styler.to_latex(hrules=True, column_format="".join(_IN_COLUMN.get(column.kind, "r") for column in section.columns))
    return "\n".join(
        [
            "% \\usepackage{booktabs, graphicx}",
            "\\begin{table*}",
            "\\centering",
            "\\setlength{\\tabcolsep}{3pt}",
            f"\\caption{{{_in_latex(caption(section, corpora))}}}",
            f"\\label{{tab:{section.anchor}}}",
            f"\\resizebox{{\\textwidth}}{{!}}{{%\n{tabular.rstrip()}}}",
            "\\end{table*}\n",
        ]
    )


def caption(section: Section, corpora: Sequence[str]) -> str:
    """Title and text of the section, then how many seeds and test clips there are and of which corpus."""
    title = section.title.rpartition(": ")[2]
    clips = _range(section.frame, ["test_clips"])
    seeds = _range(section.frame, [name for name in section.frame.columns if name == "seeds" or name.endswith("_seeds")])
    facts = f"Seeds of a setting: {seeds}; test clips: {clips}; corpus: {', '.join(corpora)}."
    return " ".join([f"{title[0].upper()}{title[1:]}.", *section.text.splitlines(), facts])


def write_whole(path: Path, text: str) -> Path:
    """Write beside the target and rename: a reader sees the old file or the new one, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path


def _as_cell(value: Any) -> Any:
    return no_formula(value.replace("\r", " ")) if isinstance(value, str) else value  # which pandas would not quote


def _range(frame: pd.DataFrame, columns: list[str]) -> str:
    numbers = sorted({int(value) for name in columns if name in frame for value in frame[name].dropna()})
    if not numbers:
        return "–"
    return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _heading(title: str, width: int, align: str) -> str:
    """The title in lines that are no longer than the cells below, as far as its words allow; the last line stands on the rule."""
    lines = textwrap.wrap(title, max(width, *(len(word) for word in title.split())), break_long_words=False)
    inside = r" \\ ".join(_in_latex(line) for line in lines)
    return inside if len(lines) == 1 else f"\\shortstack[{align[0] if align in 'lr' else 'l'}]{{{inside}}}"


def _in_markdown(text: str, is_code: bool = False) -> str:
    """The text with every sign escaped that Markdown reads; with `is_code`, what stands between backticks is code."""
    written = text.translate(_IN_MARKDOWN)
    return "<br>".join((written if is_code else written.replace("`", "\\`")).splitlines())


def _in_latex(text: str) -> str:
    """On one line, and nothing in it a command, a ligature, or an argument of the line break before it."""
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    return _JOINED.sub("\0", printable).translate(_IN_LATEX)


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
        said = first_line(str(next(iter(error.args), "")), type(error).__name__).rstrip(".")
        raise AnalysisError(f"the browser does not work ({said}); name another one in BROWSER_PATH") from None
