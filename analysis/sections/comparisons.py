"""Comparisons: for each of them the selected setting against the selected baseline, whatever the study varies."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from analysis.formats import count, counted, listed, plain
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.question import MARGIN, PAPER, SUBSET, Question, symbol, words
from analysis.section import CLAIM_COLUMNS, ONLY, Column, Heading, Section, difference, side_column, text_column
from analysis.sections.paper_tables import pair_columns
from analysis.settings import Pair, column_of, pick


class Comparison(NamedTuple):
    """Settings that are compared with each other.

    Attributes:
        mode: training mode.
        label: what all of them have in common, in words.
        place: the same as values by column.
        varied: settings that distinguish them, by dotted name.
        settings: rows of `analysis.settings.comparable_settings`.
        pair: what validation selects among them.
    """

    mode: str
    label: str
    place: dict[str, Any]
    varied: list[str]
    settings: pd.DataFrame
    pair: Pair

    def setting_text(self, setting: pd.Series | None) -> str:
        """What distinguishes a setting, in words."""
        if setting is None:
            return ""
        values = {name: setting[column_of(name)] for name in self.varied}
        return words({name: value for name, value in values.items() if pd.notna(value)})


def comparisons_of(settings: pd.DataFrame, question: Question) -> Iterator[Comparison]:
    """The comparisons of a question, supervised ones first, in the order in which they began."""
    within = dict.fromkeys(["subset", *(column_of(name) for name in question.within if column_of(name) in settings)])
    for mode in (SUPERVISED, SELF_SUPERVISED):
        own = settings[settings["mode"] == mode]
        for _, group in own.sort_values("first").groupby([*within], dropna=False, sort=False) if len(own) else ():
            place = {"mode": mode, **{column: group[column].iloc[0] for column in within}}
            known = [name for name in question.dimensions if column_of(name) in group]
            varied = [name for name in known if group[column_of(name)].nunique(dropna=False) > 1]
            yield Comparison(mode, _label(group, place, known, varied, question), place, varied, group, pick(group))


def comparison_table(settings: pd.DataFrame, predictions: pd.DataFrame, question: Question) -> pd.DataFrame:
    """A row for each comparison.

    Columns: label, mode, those of `Question.within`, varied (what has several values, in words), baselines and candidates (settings
    that validation selected among), baseline_setting and acl_setting (in words), baseline_runs and acl_runs (run ids), budget (what
    the two sides had to win with, where it differs), and those of `analysis.sections.paper_tables.pair_columns`.

    Args:
        settings: of `analysis.settings.comparable_settings`, for the question.
        predictions: of `analysis.records.runs.load_predictions`.
        question: of the study.
    """
    rows = []
    for each in comparisons_of(settings, question):
        pair = each.pair
        rows.append(
            {
                "label": each.label,
                **each.place,
                "varied": listed([symbol(name) for name in each.varied if each.settings[column_of(name)].nunique() > 1]),
                "baselines": len(pair.baselines),
                "candidates": len(pair.others),
                "baseline_setting": each.setting_text(pair.baseline),
                "acl_setting": each.setting_text(pair.acl),
                "baseline_runs": () if pair.baseline is None else pair.baseline["run_ids"],
                "acl_runs": () if pair.acl is None else pair.acl["run_ids"],
                "budget": _budget(pair),
                **pair_columns(pair, predictions),
            }
        )
    return pd.DataFrame(rows)


def not_in(table: pd.DataFrame, *papers: pd.DataFrame) -> pd.DataFrame:
    """The comparisons that no table of the paper shows already: another pair, or one selected among others."""
    shown = {_what_it_shows(row) for paper in papers for row in paper.to_dict("records")}
    is_new = [
        _what_it_shows(row) not in shown and _what_it_shows({**row, "subset": None}) not in shown
        for row in table.to_dict("records")
    ]
    return table[is_new].reset_index(drop=True) if len(table) else table


def _what_it_shows(row: dict[Any, Any]) -> tuple[object, ...]:
    """A comparison by its place and numbers. Table 1 has supervised rows only; Table 2 has the mode in `method`, and no subset."""
    is_supervised = not str(row.get("method", "")).startswith("SSL")
    mode = row.get("mode") or (SUPERVISED if is_supervised else SELF_SUPERVISED)
    return mode, row.get("subset"), round(row["difference"], 12), row["settings_tried"], row["test_clips"], row["p_value"]


def _label(group: pd.DataFrame, place: dict[str, Any], known: list[str], varied: list[str], question: Question) -> str:
    mode = str(place["mode"])
    others = {name: place[column_of(name)] for name in question.within if name != SUBSET and column_of(name) in place}
    fixed = {name: group[column_of(name)].iloc[0] for name in known if name not in varied and name != MARGIN}
    named = {name: value for name, value in {**others, **fixed}.items() if pd.notna(value)}
    parts = [mode, str(place["subset"]).replace("_", " "), words(named)]
    return ", ".join(part for part in parts if part)


def _budget(pair: Pair) -> str:
    """What the two sides had to win with, where the baseline had less; empty where it had as much."""
    if pair.baseline is None or pair.acl is None:
        return ""
    sides = [(len(pair.baselines), pair.baseline["seeds"]), (len(pair.others), pair.acl["seeds"])]
    if sides[0][0] >= sides[1][0] and sides[0][1] >= sides[1][1]:
        return ""
    baseline, other = (f"{counted(settings, 'setting')} with {counted(seeds, 'seed')}" for settings, seeds in sides)
    return f"baseline {baseline}, others {other}"


COMPARISON_COLUMNS = [
    Column("Comparison", lambda row: row["label"], "text"),
    Column("Baseline", lambda row: row["baseline_setting"] or "–", "prose"),
    side_column("Baseline, %", "baseline_"),
    Column("Selected setting", lambda row: row["acl_setting"] or "–", "prose"),
    side_column("Selected setting, %", "acl_"),
    Column("Difference, points", difference, "number", "difference"),
    *CLAIM_COLUMNS,
    Column("Seeds", lambda row: f"{count(row['baseline_seeds'])} / {count(row['acl_seeds'])}", "number", "baseline_seeds"),
    Column("Selected among", lambda row: f"{row['baselines']} / {row['candidates']}", "number", "candidates"),
    text_column("Unequal tuning budget", "budget"),
]


def comparison_section(table: pd.DataFrame, question: Question, of: Heading = ONLY) -> Section:
    """The section of the comparisons of one question."""
    return Section(
        f"comparisons{of.anchor}",
        f"Comparisons with the baseline{of.title}",
        _text(table, question),
        table.drop(columns=["baseline_runs", "acl_runs", "with_margin", "names_baseline"], errors="ignore"),
        COMPARISON_COLUMNS,
        "No trial has finished.",
        latex=True,
    )


def _text(table: pd.DataFrame, question: Question) -> str:
    paragraphs = [
        f"{baseline_text(question)}. The baseline and the setting beside it are selected by validation accuracy. The numbers are "
        "test accuracies with 95 % intervals. Where each side has several seeds, the difference is over seeds and test clips. "
        "Otherwise it is about the trained models, paired over test clips. Seeds and “selected among”: baselines / other settings."
    ]
    if len(table) and (table["claim"].eq("settings") & (table["baselines"] * table["candidates"] > 1)).any():
        paragraphs.append(
            "Over seeds, p-value and interval are corrected for the number of pairs of a baseline and a setting that validation "
            "selected among."
        )
    if len(table) and table["budget"].ne("").any():
        paragraphs.append(
            "Unequal tuning budget: the baseline had fewer settings or seeds to win with than the others. The correction covers "
            "the selection among the settings, but not what the same tuning would have gained for the baseline."
        )
    if question.equivalence is not None:
        paragraphs.append(
            f"Equivalent within ±{plain(question.equivalence * 100)} points: two one-sided tests at 5 %, over seeds and test clips "
            "(the 90 % interval of the difference lies within these bounds). This takes several seeds of each setting."
        )
    return "\n".join(paragraphs)


def baseline_text(question: Question) -> str:
    """What the baseline is, and who says so.

    >>> baseline_text(Question({"model.encoder": "resnet18"}))
    'Baseline: model.encoder resnet18 (the first value of each list; `baseline` in the study file names another)'
    >>> baseline_text(Question({"loss.alpha": 1}, dimensions=("loss.alpha", "optim.lr")))
    'Baseline: α 1 (the default where α varies; `baseline` in the study file names another)'
    """
    if not question.baseline:
        listed = ", ".join(symbol(name) for name in question.dimensions)
        have = "has" if len(question.dimensions) == 1 else "have"
        return f"The study names no baseline, and {listed} {have} no list of values; add `baseline` to the study file"
    text = f"Baseline: {words(question.baseline)}"
    if question.is_named or question.is_of_paper:
        return text
    why = "the default where α varies" if question.baseline == PAPER.baseline else "the first value of each list"
    return f"{text} ({why}; `baseline` in the study file names another)"
