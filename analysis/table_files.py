"""The tables as files: CSV (all columns, unformatted), Markdown, and LaTeX for a paper; and as a link that holds the CSV."""

import base64
import gzip
import os
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from acl.spreadsheets import no_formula
from analysis.sections import Section

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
