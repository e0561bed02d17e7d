"""The gate: all of our results that the paper has too, against their intervals."""

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis import published
from analysis.errors import AnalysisError
from analysis.formats import percent, percent_interval
from analysis.records.runs import load_predictions, load_studies, load_trials
from analysis.sections.alpha import alpha_table
from analysis.sections.evaluations import EVALUATION_LABELS, FINE_TUNINGS, evaluation_table, fine_tuned_settings, fine_tuned_trials
from analysis.sections.paper_figures import fig3_table
from analysis.sections.paper_tables import WEIGHTED, table1, table2
from analysis.settings import comparable_settings, without_margin_sweeps
from analysis.stats.intervals import LEVEL
from study import names

Result = tuple[str, float, float, float, float]  # what, ours, low, high, published


def gate_table(store_uri: str, studies: Sequence[str]) -> pd.DataFrame:
    """A row for each of our results with a published counterpart.

    Columns: what, ours, low, high (95 %, over clips and, of several seeds, over seeds), published, inside (whether the published
    value lies within the interval).

    Raises:
        AnalysisError: a study ran on another corpus, or none of its results is published.
    """
    launches = load_studies(store_uri, studies)
    others = sorted(set(launches.loc[(launches["corpus"] != published.CORPUS) | launches["corpus_is_synthetic"], "corpus"]))
    if others:
        raise AnalysisError(
            f"the published numbers are those of {published.CORPUS}, these runs are on {', '.join(others)}: nothing to compare; "
            "leave --gate out"
        )
    trials = load_trials(store_uri, studies)
    finished = trials.loc[trials["outcome"] == names.FINISHED, "run_id"]
    predictions = load_predictions(store_uri, finished)
    settings, _ = comparable_settings(trials, predictions)
    own = without_margin_sweeps(settings)
    results = [
        *_tables(own, predictions),
        *_by_temperature(fig3_table(own)),
        *_by_alpha(alpha_table(own)),
        *_evaluations(store_uri, settings, trials, predictions),
    ]
    frame = pd.DataFrame(results, columns=["what", "ours", "low", "high", "published"]).dropna()
    frame = frame.drop_duplicates(["ours", "published"])  # a baseline of Table 1 is one of the alphas
    if frame.empty:
        raise AnalysisError(f"none of the results of {', '.join(studies)} is published; run table1-supervised or table2-ssl")
    return frame.assign(inside=frame["published"].between(frame["low"], frame["high"])).reset_index(drop=True)


def gate_lines(table: pd.DataFrame) -> list[str]:
    """The gate in words: each published value outside, then how many."""
    outside = table[~table["inside"]]
    lines = [
        f"outside: {row['what']}: published {percent(row['published'])} %, ours {percent_interval(row, 'ours', 'low', 'high')} %"
        for row in outside.to_dict("records")
    ]
    verdict = "the gate holds" if outside.empty else "the gate does not hold"
    by_chance = f"about {(1 - LEVEL) * len(table):.1f} would by chance"
    return [*lines, f"{verdict}: {len(outside)} of {len(table)} published values lie outside our 95 % intervals ({by_chance})"]


def _tables(settings: pd.DataFrame, predictions: pd.DataFrame) -> Iterator[Result]:
    for row in table1(settings, predictions).to_dict("records"):
        for side, what in (("baseline", "cross-entropy"), ("acl", "with margin")):
            values = (row[f"{side}_{name}"] for name in ("accuracy", "low", "high"))
            yield f"Table 1, {row['subset']}, {what}", *values, row[f"published_{side}"]
    for row in table2(settings, predictions).to_dict("records"):
        columns = WEIGHTED if row["compared_measure"] == "patch-weighted" else ("accuracy", "low", "high")
        yield f"Table 2, {row['method']}", *(row[name] for name in columns), row["published"]


def _by_temperature(table: pd.DataFrame) -> Iterator[Result]:
    for row in table.to_dict("records"):
        for side, what in (("baseline", "contrastive"), ("acl", "ACL")):
            values = (row.get(f"{side}_{name}", float("nan")) for name in ("accuracy", "low", "high"))
            yield f"Fig. 3, τ {row['temperature']:g}, {what}", *values, row[f"published_{side}_accuracy"]


def _by_alpha(table: pd.DataFrame) -> Iterator[Result]:
    for row in table.to_dict("records"):
        what = f"{row['mode']}, {row['subset']}, α {row['alpha']:g}"
        yield what, row["accuracy"], row["low"], row["high"], row["published_accuracy"]


def _evaluations(store_uri: str, settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame) -> Iterator[Result]:
    """Fine-tuning; linear evaluation is in `_by_alpha`."""
    fine_tuned = fine_tuned_trials(trials)["run_id"]
    of_fine_tuning = {evaluation: load_predictions(store_uri, fine_tuned, evaluation) for evaluation in FINE_TUNINGS}
    own, _ = fine_tuned_settings(settings, trials, predictions)
    for row in evaluation_table(own, trials, predictions, of_fine_tuning).to_dict("records"):
        if row["evaluation"] in FINE_TUNINGS:
            what = f"{EVALUATION_LABELS[row['evaluation']]}, α {row['alpha']:g}"
            yield what, *(row[name] for name in WEIGHTED), row["published_patch_weighted"]
