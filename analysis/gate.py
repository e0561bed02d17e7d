"""The gate: all of our results that the paper has too, against intervals that would hold a replication."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from analysis import published
from analysis.errors import AnalysisError
from analysis.formats import percent, points
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.records.runs import load_predictions, load_studies, load_trials
from analysis.sections.alpha import alpha_table
from analysis.sections.claims import published_table
from analysis.sections.evaluations import EVALUATION_LABELS, FINE_TUNINGS, evaluation_table, fine_tuned_settings, fine_tuned_trials
from analysis.sections.paper_figures import fig3_table
from analysis.sections.paper_tables import WEIGHTED, table1, table2
from analysis.settings import comparable_settings, without_margin_sweeps
from analysis.stats.power import DISCORDANCE, LEVEL, OF_RUNS, POWER, SEED_SD
from study import names

_LEAST_SD = math.sqrt(OF_RUNS * DISCORDANCE[0] / 2 / published.test_clips())  # chance of a run at a clip
_LEAST_FREEDOM = 4  # degrees of freedom of a scatter over seeds that is estimated; with fewer it is assumed


@dataclass(frozen=True)
class Result:
    """One of our results with its published counterpart.

    Attributes:
        what: names it.
        mode: of training.
        subset: of training.
        ours: mean accuracy over our seeds, share.
        seeds: ours.
        published: accuracy of the one published run, share.
        best_of: settings of which the published one is the best on test; 1: it is one setting.
        evaluation: "" for the accuracy that the tables have, else another evaluation, whose seeds scatter otherwise.
    """

    what: str
    mode: str
    subset: str
    ours: float
    seeds: float
    published: float
    best_of: int = 1
    evaluation: str = ""


def gate_table(store_uri: str, studies: Sequence[str]) -> pd.DataFrame:
    """A row for each of our results with a published counterpart.

    The published value y is that of one run; ours, ȳ, is the mean over n seeds on the same test clips. In a replication y − ȳ has
    the variance s²(1 + 1/n), with the variance s² of a run over seeds: of our runs, pooled over the settings of the mode and
    subset, or of the mode; where that has fewer than `_LEAST_FREEDOM` degrees of freedom, s is assumed to be the upper end of
    `SEED_SD`. The intervals ȳ ± t s √(1 + 1/n) hold for all m rows at once (Šidák). A published value that is the best of k on
    test is compared with the largest of k runs, whichever way it differs.

    Columns: those of `Result`, sd (s), freedom (of s; infinite: assumed), low, high, inside, detectable (deviation that would be
    outside with a power of 80 %).

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
    subset = next(iter(own.loc[own["mode"] == SELF_SUPERVISED, "subset"]), "noisy")
    results = [
        *_tables(own, predictions, subset),
        *_by_temperature(fig3_table(own), subset),
        *_by_alpha(alpha_table(own)),
    ]
    evaluated = _evaluation_table(store_uri, settings, trials, predictions)
    results += _evaluations(evaluated)
    frame = pd.DataFrame([asdict(each) for each in results], columns=list(Result.__dataclass_fields__)).dropna()
    frame = frame.drop_duplicates(["ours", "published"], ignore_index=True)  # a baseline of Table 1 is one of the alphas
    if frame.empty:
        raise AnalysisError(f"none of the results of {', '.join(studies)} is published; run table1-supervised or table2-ssl")
    scatter = settings.assign(evaluation="")
    if len(evaluated):
        scatter = pd.concat([scatter, evaluated.assign(mode=SELF_SUPERVISED)], ignore_index=True)
    return judged(frame, scatter)


def judged(frame: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """The results with their intervals; `settings` has mode, subset, evaluation, seeds and seed_sd."""
    level = 1 - (1 - LEVEL) ** (1 / len(frame))
    rows = []
    for row in frame.to_dict("records"):
        own = settings[settings["evaluation"] == row["evaluation"]]
        sd, freedom = _scatter(own, row["mode"], row["subset"])
        spread = sd * math.sqrt(1 + 1 / row["seeds"])
        half = float(t.ppf((1 - level / 2) ** (1 / row["best_of"]), freedom)) * spread
        rows.append(
            {
                **row,
                "sd": sd,
                "freedom": freedom,
                "low": max(0.0, row["ours"] - half),
                "high": min(1.0, row["ours"] + half),
                "inside": abs(row["published"] - row["ours"]) <= half,
                "detectable": half + float(norm.ppf(POWER)) * spread,
            }
        )
    return pd.DataFrame(rows)


def _scatter(settings: pd.DataFrame, mode: str, subset: str) -> tuple[float, float]:
    """Standard deviation of a run over seeds, and its degrees of freedom."""
    of_mode = settings[(settings["mode"] == mode) & (settings["seeds"] > 1)]
    for own in (of_mode[of_mode["subset"] == subset], of_mode):
        freedom = float((own["seeds"] - 1).sum())
        if freedom >= _LEAST_FREEDOM:
            found = float(np.sqrt((own["seed_sd"] ** 2 * (own["seeds"] - 1)).sum() / freedom))
            return max(found, _LEAST_SD), freedom
    return SEED_SD[1], math.inf


def gate_lines(table: pd.DataFrame) -> list[str]:
    """The gate in words: each published value outside, then how many, and what the gate could have found."""
    outside = table[~table["inside"]]
    lines = [
        f"outside: {row['what']}: published {percent(row['published'])} %, ours {percent(row['ours'])} %, a replication would lie "
        f"within [{percent(row['low'])}, {percent(row['high'])}] %"
        for row in outside.to_dict("records")
    ]
    verdict = "the gate holds" if outside.empty else "the gate does not hold"
    assumed = np.isinf(table["freedom"])
    scatter = []
    if not assumed.all():
        scatter.append(f"{_range(table.loc[~assumed, 'sd'])} points, from our runs")
    if assumed.any():
        scatter.append(f"{_range(table.loc[assumed, 'sd'])} points, assumed, where we have too few seeds")
    return [
        *lines,
        f"{verdict}: {len(outside)} of {len(table)} published values lie outside the intervals of a replication (95 % for all "
        "together)",
        f"seeds scatter by {' and by '.join(scatter)} (SD); a deviation of {_range(table['detectable'])} points would be found "
        "(power 80 %), a smaller one may not be",
    ]


def _range(shares: pd.Series) -> str:
    low, high = (points(value).lstrip("+") for value in (shares.min(), shares.max()))
    return low if low == high else f"{low} to {high}"


def _tables(settings: pd.DataFrame, predictions: pd.DataFrame, ssl_subset: str) -> Iterator[Result]:
    tried = published_table().set_index("comparison")["settings_tried"]
    for row in table1(settings, predictions).to_dict("records"):
        best_of = int(tried[f"supervised, {row['subset'].replace('_', ' ')}"])
        for side, what, number in (("baseline", "cross-entropy", 1), ("acl", "with margin", best_of)):
            yield Result(
                f"Table 1, {row['subset']}, {what}",
                SUPERVISED,
                row["subset"],
                row[f"{side}_accuracy"],
                row[f"{side}_seeds"],
                row[f"published_{side}"],
                number,
            )
    for row in table2(settings, predictions).to_dict("records"):
        ours = row[WEIGHTED[0]] if row["compared_measure"] == "patch-weighted" else row["accuracy"]
        is_ssl = row["method"].startswith("SSL")
        place = (SELF_SUPERVISED, ssl_subset) if is_ssl else (SUPERVISED, "all")
        number = int(tried[_PLACES[is_ssl]]) if "ACL" in row["method"] else 1
        yield Result(f"Table 2, {row['method']}", *place, ours, row["seeds"], row["published"], number)


_PLACES = {True: f"self-supervised, τ {published.temperature():g}", False: "supervised, all"}  # of Table 2


def _by_temperature(table: pd.DataFrame, subset: str) -> Iterator[Result]:
    tried = published_table().set_index("comparison")["settings_tried"]
    for row in table.to_dict("records"):
        for side, what in (("baseline", "contrastive"), ("acl", "ACL")):
            ours, seeds = (row.get(f"{side}_{name}", float("nan")) for name in ("accuracy", "seeds"))
            number = int(tried.get(f"self-supervised, τ {row['temperature']:g}", 1)) if side == "acl" else 1
            label = f"Fig. 3, τ {row['temperature']:g}, {what}"
            yield Result(label, SELF_SUPERVISED, subset, ours, seeds, row[f"published_{side}_accuracy"], number)


def _by_alpha(table: pd.DataFrame) -> Iterator[Result]:
    for row in table.to_dict("records"):
        what = f"{row['mode']}, {row['subset']}, α {row['alpha']:g}"
        yield Result(what, row["mode"], row["subset"], row["accuracy"], row["seeds"], row["published_accuracy"])


def _evaluation_table(store_uri: str, settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Results of fine-tuning; those of linear evaluation are in `_by_alpha`."""
    fine_tuned = fine_tuned_trials(trials)["run_id"]
    of_fine_tuning = {evaluation: load_predictions(store_uri, fine_tuned, evaluation) for evaluation in FINE_TUNINGS}
    own, _ = fine_tuned_settings(settings, trials, predictions)
    table = evaluation_table(own, trials, predictions, of_fine_tuning)
    return table[table["evaluation"].isin(FINE_TUNINGS)] if len(table) else table


def _evaluations(table: pd.DataFrame) -> list[Result]:
    return [
        Result(
            f"{EVALUATION_LABELS[row['evaluation']]}, α {row['alpha']:g}",
            SELF_SUPERVISED,
            row["subset"],
            row[WEIGHTED[0]],
            row["seeds"],
            row["published_patch_weighted"],
            evaluation=row["evaluation"],
        )
        for row in table.to_dict("records")
    ]
