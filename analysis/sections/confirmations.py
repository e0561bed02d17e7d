"""Confirmations: winners and their baselines, run again on fresh seeds by a study of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.formats import count, percent, points, points_interval
from analysis.question import words
from analysis.section import Column, Section, difference
from analysis.stats.clips import correct_clips
from analysis.stats.confirmation import CONFIRMED, NOT_CONFIRMED, Confirmation, confirm, seeds_text
from study import names

YES, NO, UNDECIDED, INCOMPLETE = "yes", "no", "cannot be told", "incomplete"


@dataclass(frozen=True)
class ConfirmedPair:
    """A winner and its baseline on fresh seeds.

    Attributes:
        label: the sweep that the winner is of, and what else tells it from other winners.
        winner: the settings in which the winner differs, by dotted name.
        baseline: those of the baseline.
        found: the comparison; None where no seed has finished on both sides.
        missing: which seeds have no result, a few words for each side and reason.
    """

    label: str
    winner: dict[str, Any]
    baseline: dict[str, Any]
    found: Confirmation | None
    missing: list[str]

    @property
    def answer(self) -> str:
        """Whether the difference holds: yes, no, cannot be told, or incomplete."""
        if self.found is None or self.missing:
            return INCOMPLETE
        return {CONFIRMED: YES, NOT_CONFIRMED: NO}.get(self.found.finding, UNDECIDED)


def confirmed_pairs(
    trials: pd.DataFrame, predictions: pd.DataFrame, sweeps: Sequence[Mapping[str, Any]], worthwhile: float | None = None
) -> list[ConfirmedPair]:
    """What the runs of a confirming study say of each pair.

    Args:
        trials: of `analysis.records.runs.load_trials`, of that study alone.
        predictions: of `analysis.records.runs.load_predictions`, of its finished trials.
        sweeps: of its file as launched; two of them make a pair, by the ends of their names.
        worthwhile: smallest gain worth having, share: the study's `equivalence`.
    """
    by_name = {sweep["name"]: sweep for sweep in sweeps}
    pairs = []
    for name, sweep in by_name.items():
        label = name.removesuffix(names.WINNER_SWEEP)
        other = by_name.get(f"{label}{names.BASELINE_SWEEP}")
        if label == name or other is None:
            continue
        planned = [int(seed) for seed in sweep["seeds"]]
        sides = [_side(trials, predictions, each["name"]) for each in (other, sweep)]
        shared = sorted(set(sides[0].columns) & set(sides[1].columns))
        missing = [
            words
            for each, end in ((sweep, "winner"), (other, "baseline"))
            for words in _missing(trials, each["name"], planned, end)
        ]
        found = confirm(sides[0][shared], sides[1][shared], len(planned), missing, worthwhile or 0.0) if shared else None
        differing = [setting for setting in sweep["base"] if sweep["base"][setting] != other["base"].get(setting)]
        winner, baseline = ({key: each["base"][key] for key in differing if key in each["base"]} for each in (sweep, other))
        pairs.append(ConfirmedPair(label, winner, baseline, found, missing))
    return pairs


def _side(trials: pd.DataFrame, predictions: pd.DataFrame, sweep: str) -> pd.DataFrame:
    """Whether each test clip was right: clips as index, a column for each finished seed."""
    own = trials[(trials["sweep"] == sweep) & (trials["outcome"] == names.FINISHED)]
    seeds = dict(zip(own["run_id"], own["seed"].astype(int), strict=True)) if len(own) else {}
    return correct_clips(predictions, tuple(seeds)).rename(columns=seeds)


def _missing(trials: pd.DataFrame, sweep: str, planned: list[int], side: str) -> list[str]:
    own = trials[trials["sweep"] == sweep]
    seeds = {outcome: set(own.loc[own["outcome"] == outcome, "seed"].astype(int)) for outcome in (names.FINISHED, names.FAILED)}
    failed = (seeds[names.FAILED] & set(planned)) - seeds[names.FINISHED]
    reasons = {"failed": failed, "not finished": set(planned) - seeds[names.FINISHED] - failed}
    return [f"{seeds_text(len(found))} {reason} on the {side}'s side" for reason, found in reasons.items() if found]


def confirmation_table(pairs: Mapping[str, Sequence[ConfirmedPair]]) -> pd.DataFrame:
    """A row for each pair of each confirmed study.

    Columns: study (that is confirmed), label, winner_setting and baseline_setting (in words), answer, seeds, planned, winner and
    baseline (accuracies), difference with difference_low and difference_high (95 %), verdict, missing.

    Args:
        pairs: by the study that they confirm.
    """
    rows = []
    for study, own in pairs.items():
        for pair in own:
            found = pair.found
            rows.append(
                {
                    "study": study,
                    "label": pair.label,
                    "winner_setting": words(pair.winner),
                    "baseline_setting": words(pair.baseline),
                    "answer": pair.answer,
                    "seeds": found.seeds if found else 0,
                    "planned": found.planned if found else float("nan"),
                    "winner": found.winner if found else float("nan"),
                    "baseline": found.baseline if found else float("nan"),
                    "difference": found.difference if found else float("nan"),
                    "difference_low": found.low if found and found.comparison else float("nan"),
                    "difference_high": found.high if found and found.comparison else float("nan"),
                    "verdict": found.verdict if found else "no seed has finished on both sides",
                    "missing": ", ".join(pair.missing),
                }
            )
    return pd.DataFrame(rows)


_COLUMNS = [
    Column("Study", lambda row: row["study"], "text"),
    Column("Winner of", lambda row: row["label"], "text"),
    Column("Winner", lambda row: row["winner_setting"] or "–", "prose"),
    Column("Baseline", lambda row: row["baseline_setting"] or "–", "prose"),
    Column("Confirmed", lambda row: row["answer"], "text"),
    Column("Seeds", lambda row: count(row["seeds"])),
    Column("Winner, %", lambda row: percent(row["winner"])),
    Column("Baseline, %", lambda row: percent(row["baseline"])),
    Column("Difference, points", difference, "number", "difference"),
    Column("Missing", lambda row: row["missing"] or "–", "prose"),
]


def confirmation_sections(table: pd.DataFrame) -> list[Section]:
    """The section, where winners were run again."""
    text = (
        "The winners and their baselines ran again on seeds that the study had not used. Seeds and settings were fixed before, so "
        "nothing is left to correct for; intervals are 95 %, over seeds and test clips. Only these runs say whether a difference "
        "holds."
    )
    section = Section("confirmed", "Confirmation on fresh seeds", text, table, _COLUMNS, "")
    return [] if table.empty else [section]


def confirmation_sentence(table: pd.DataFrame) -> str:
    """Whether the winners hold on fresh seeds, in one sentence; empty where nobody has run them again."""
    several = len(table) and table["study"].nunique() > 1

    def where(row: Mapping[Any, Any]) -> str:
        return f"{row['study']}, {row['label']}" if several else str(row["label"])

    parts = []
    for answer in (YES, NO, UNDECIDED, INCOMPLETE):
        own = table[table["answer"] == answer] if len(table) else table
        if len(own):
            named = [where(row) + ("" if pd.isna(row["difference"]) else f" ({_points(row)})") for row in own.to_dict("records")]
            parts.append(f"{answer} for the winner of {', '.join(named)}")
    return f"Confirmed on fresh seeds: {'; '.join(parts)}." if parts else ""


def _points(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["difference_low"]):
        return f"{points(row['difference'])} points, 1 seed"
    found = points_interval(*(row[f"difference{end}"] for end in ("", "_low", "_high")))
    return f"{found}, {seeds_text(int(row['seeds']))}"
