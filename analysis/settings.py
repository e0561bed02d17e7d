"""From trials to settings that may be compared: one row per setting, means over its seeds; folds are pooled first.

A setting is (mode, subset, alpha, margin, temperature) and what else the question distinguishes. Everything else but the seed is
the protocol (epochs, width, corpus, …), and settings of different protocols are never pooled: the protocol with the most trials is
used, the others are named in a note.

Where validation selects, `analysis.selection_rule` says which settings are candidates and which one wins.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.formats import counted
from analysis.published import SELF_SUPERVISED, SUPERVISED, margin, temperature
from analysis.question import ALPHA, FOLD, MARGIN, PAPER, SUBSET, TEMPERATURE, Question
from analysis.records.runs import parameter_names
from analysis.selection_rule import Rank, has_all_seeds, rank
from analysis.stats.claims import GROWN, INTERIM, PLANNED, Claim, Look, claim
from analysis.stats.clips import TEST, VAL, clips_of_runs, correct_of_settings, independent_clips_of_runs
from analysis.stats.clusters import FOLD as FOLD_LEVEL
from analysis.stats.intervals import intervals_of_means, intervals_over_seeds
from analysis.stats.power import MIN_SEEDS
from study import names

_PART = ["study", "sweep"]
MIN_MARGINS = 3  # margins at one alpha and temperature that make a sweep of the margin
# Settings that every question distinguishes, and their columns; further ones have their dotted names.
_SETTING = {SUBSET: "subset", ALPHA: "alpha", MARGIN: "margin", TEMPERATURE: "temperature"}
PAPER_KEYS = ("mode", *_SETTING.values())  # columns that distinguish settings in every question
_MEANS = {
    names.VAL_ACCURACY: "val_accuracy",
    names.TEST_ACCURACY: "accuracy",
    names.TEST_MACRO_ACCURACY: "macro_accuracy",
    names.TEST_PATCH_WEIGHTED_ACCURACY: "patch_weighted",
    names.TEST_UNIFORMITY: "uniformity",
    names.TEST_TOLERANCE: "tolerance",
}


def comparable_settings(
    trials: pd.DataFrame, predictions: pd.DataFrame, question: Question = PAPER
) -> tuple[pd.DataFrame, list[str]]:
    """Settings with test results, and a note on each group of trials that was left out.

    Columns: mode, subset, alpha, margin (rad; empty at alpha 1, where it has no effect), temperature, what else the question
    distinguishes (dotted names), baseline (bool), equivalence (share, that of the question; empty: not asked), seeds, candidate
    (bool: it lacks no seeds, so that validation may pick it), first (place of its first trial), run_ids, studies and places of its
    runs (tuples; places in the order in which trials began), is_open (whether one of these studies is not complete), test_clips,
    linear_evaluation (self-supervised: by which protocol), val_accuracy with val_low and val_high (95 %, validation clips),
    accuracy with low and high (95 %, test clips), seed_sd, macro_accuracy, patch_weighted with patch_weighted_low and _high,
    uniformity and tolerance with _low and _high (95 %, over seeds; empty with one). Accuracies are those of the test set unless
    their name says val.

    Args:
        trials: of `analysis.records.runs.load_trials`.
        predictions: of `analysis.records.runs.load_predictions`, of the finished trials at least.
        question: which settings are distinguished, and which of them are baselines.
    """
    trials, notes = _of_fixed_settings(trials)
    keys = key_columns(trials, question)
    columns = [*trials.columns, *[name for name in [*_SETTING, *_MEANS] if name not in trials.columns]]
    finished = trials.reindex(columns=columns)[trials["outcome"] == names.FINISHED]
    is_baseline = [
        question.is_baseline(row) for row in finished.reindex(columns=[*{ALPHA: 1, **question.baseline}]).to_dict("records")
    ]
    finished = finished.assign(baseline=np.array(is_baseline, bool), first=np.arange(len(finished))).rename(columns=_SETTING)
    finished = finished.dropna(subset=[names.VAL_ACCURACY, names.TEST_ACCURACY])
    finished["margin"] = finished["margin"].where(finished["alpha"] < 1)
    kept = []
    for mode in (SUPERVISED, SELF_SUPERVISED):
        one_protocol, mode_notes = _one_protocol(finished[finished["mode"] == mode], mode, keys, question)
        kept.append(one_protocol)
        notes += mode_notes
    settings = _means_over_seeds(pd.concat(kept), predictions, keys)
    return settings.assign(equivalence=np.nan if question.equivalence is None else question.equivalence), notes


def column_of(name: str) -> str:
    """Column of a setting, by its dotted name.

    >>> column_of("loss.alpha"), column_of("model.width")
    ('alpha', 'model.width')
    """
    return _SETTING.get(name, name)


def name_of(column: str) -> str:
    """Dotted name of a setting, by its column."""
    return next((name for name, own in _SETTING.items() if own == column), column)


def key_columns(trials: pd.DataFrame, question: Question) -> list[str]:
    """Columns that distinguish settings: those of every question, and what else this one distinguishes."""
    own = () if question.is_of_paper else (*question.within, *question.dimensions)
    others = [name for name in own if name not in _SETTING and name in trials and trials[name].notna().any()]
    return [*PAPER_KEYS, *others]


def is_repeat(trials: pd.DataFrame) -> pd.Series:
    """Which trials repeat winners of another study of the frame on fresh seeds."""
    return trials["confirms"].isin(trials["study"])


def _of_fixed_settings(trials: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Trials whose settings are what they were picked as, and notes on the others."""
    changed, repeats = trials["changed_settings"].astype(bool), is_repeat(trials)
    why = {
        "changed their settings while they ran (population-based training) and are left out where settings are compared": changed,
        "repeat winners of another study on this page on fresh seeds and are left out of its tables: see `acl-study best`": repeats,
    }
    notes = [
        f"{left_out.sum()} trials ({', '.join(sorted(trials.loc[left_out, 'study'].unique()))}) {reason}."
        for reason, left_out in why.items()
        if left_out.any()
    ]
    return trials[~changed & ~repeats], notes


def _one_protocol(trials: pd.DataFrame, mode: str, keys: Sequence[str], question: Question) -> tuple[pd.DataFrame, list[str]]:
    varied = {*keys, "seed", "baseline", "first"}
    if mode == SELF_SUPERVISED and question.is_of_paper:  # which pre-trains on one subset
        varied -= {"subset"}
    settings = [name for name in parameter_names(trials) if name not in varied and name not in names.PLACE_SETTINGS]
    protocol = ["corpus", *[name for name in settings if trials[name].notna().any() and not _follows(trials, name, question)]]
    notes = []
    if len(trials) and trials.groupby(protocol, dropna=False).ngroups > 1:
        sizes = trials.groupby(protocol, dropna=False, sort=True).size()
        number = trials.groupby(protocol, dropna=False, sort=True).ngroup()
        used = int(sizes.to_numpy().argmax())
        left_out = trials[number != used]
        differing = [name for name in protocol if trials[name].nunique(dropna=False) > 1]
        chosen = trials[number == used].iloc[0]
        values = ", ".join(f"{name} {chosen[name]}" for name in differing)
        trials = trials[number == used]
        notes.append(
            f"{len(left_out)} {mode} trials ({', '.join(sorted(left_out['study'].unique()))}) of another protocol are left out of "
            f"the tables; those shown, the largest group, have {values}."
        )
    trials = trials.assign(candidate=_has_all_seeds(trials, keys, question))
    if len(trials) and not trials["candidate"].all():
        lacking = trials[~trials["candidate"]]
        lost = int(lacking.groupby(list(keys), dropna=False).ngroups)
        them = "it" if lost == 1 else "them"
        notes.append(
            f"{counted(lost, f'{mode} setting')} ({', '.join(sorted(lacking['study'].unique()))}) finished with fewer seeds than "
            f"others of the same sweep. Tables show {them}, but validation does not select {them}."
        )
    unique = trials.drop_duplicates([*keys, "seed"], keep="last")
    if len(unique) < len(trials):
        notes.append(f"{len(trials) - len(unique)} {mode} trials repeat a setting with the same seed; the latest of each counts.")
    return unique, [*notes, *_unlike_best(unique, mode, question)]


def _unlike_best(trials: pd.DataFrame, mode: str, question: Question) -> list[str]:
    """Where this selects otherwise than `acl-study best`, which selects in each sweep, by the sweep's objective."""
    notes = []
    places = ["mode", *(column_of(name) for name in question.within if column_of(name) in trials)]
    sweeps = trials[~trials["baseline"]].drop_duplicates([*places, *_PART])
    if len(sweeps) > len(sweeps.drop_duplicates(places)):
        notes.append(
            f"Settings of several {mode} sweeps are compared together here. `acl-study best` selects in each sweep of a study."
        )
    others = sorted(set(trials["objective"]) - {names.VAL_ACCURACY})
    if others:
        notes.append(
            f"Settings are selected by {names.VAL_ACCURACY} here. Some {mode} sweeps have another objective "
            f"({'; '.join(others)}), by which `acl-study best` selects."
        )
    return notes


def _follows(trials: pd.DataFrame, name: str, question: Question) -> bool:
    """Whether a setting differs only with one that is compared, and that decides on it."""
    of = question.follows(name)
    return of is not None and bool(trials.groupby(of, dropna=False)[name].nunique(dropna=False).le(1).all())


def _has_all_seeds(trials: pd.DataFrame, keys: Sequence[str], question: Question) -> pd.Series:
    """Whether the setting of each trial has finished with as many seeds as any other of its comparison, in each of its sweeps."""
    within = [column_of(name) for name in question.within if column_of(name) in keys]
    setting, sweep = list(keys), ["study", "sweep", *dict.fromkeys(["mode", "subset", *within])]
    own = trials.groupby([*setting, "study", "sweep"], dropna=False)["seed"].transform("nunique")
    complete = own.groupby([trials[name] for name in sweep], dropna=False).transform(lambda seeds: has_all_seeds(list(seeds)))
    return complete.groupby([trials[name] for name in setting], dropna=False).transform("all")


def _means_over_seeds(trials: pd.DataFrame, predictions: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    setting = list(keys)
    if trials.empty:
        return pd.DataFrame(columns=[*setting, "candidate", "baseline"])
    of_setting = pd.Series(trials.groupby(setting, dropna=False).ngroup().to_numpy(), index=trials["run_id"])
    clips = {
        "test_clips": clips_of_runs(predictions, TEST),
        "independent": independent_clips_of_runs(predictions, TEST, of_setting),
        "effective": independent_clips_of_runs(predictions, TEST, of_setting, by_patches=True),
        "val_clips": independent_clips_of_runs(predictions, VAL, of_setting),
    }
    own = trials.assign(linear_evaluation=trials.get("probe.protocol"))
    columns = ["run_id", "study", "study_is_open", "candidate", "baseline", "first", "linear_evaluation"]
    own = own.reindex(columns=[*setting, *columns, *_MEANS])
    own["study_is_open"] = own["study_is_open"].eq(True)
    whose = {name: own["run_id"] if name == "test_clips" else own["run_id"].map(of_setting) for name in clips}
    own = own.assign(**{name: whose[name].map(number) for name, number in clips.items()})
    # A run whose predictions are lost was tested on the clips of the others of its mode: those have one corpus.
    own[[*clips]] = own[[*clips]].fillna(own.groupby("mode")[[*clips]].transform("max"))
    groups = own.dropna(subset=["test_clips"]).groupby(setting, dropna=False, sort=True)
    table = groups.agg(
        run_ids=("run_id", tuple),
        studies=("study", tuple),
        places=("first", tuple),
        is_open=("study_is_open", "any"),
        seeds=("run_id", "size"),
        candidate=("candidate", "all"),
        baseline=("baseline", "all"),
        first=("first", "min"),
        linear_evaluation=("linear_evaluation", "first"),
        **{name: (name, "max") for name in clips},
        **{name: (metric, "mean") for metric, name in _MEANS.items()},
    ).reset_index()
    variances = groups[list(_MEANS)].var(ddof=1).reset_index(drop=True).rename(columns=_MEANS)
    for mean, prefix, number in (
        ("accuracy", "", "independent"),
        ("val_accuracy", "val_", "val_clips"),
        ("patch_weighted", "patch_weighted_", "effective"),
    ):
        numbers = (table[mean], variances[mean], table["seeds"], table[number])
        bounds = intervals_over_seeds(*(column.to_numpy(float) for column in numbers))
        table[f"{prefix}low"], table[f"{prefix}high"] = bounds
    table["test_clips"] = table["test_clips"].astype(int)
    for name in ("uniformity", "tolerance"):
        table[f"{name}_low"], table[f"{name}_high"] = intervals_of_means(table[name], variances[name], table["seeds"])
    return table.assign(seed_sd=np.sqrt(variances["accuracy"])).drop(columns=["independent", "effective", "val_clips"])


class Pair(NamedTuple):
    """A baseline and the setting that validation selected beside it; None where there is no candidate of that kind."""

    baseline: pd.Series | None
    acl: pd.Series | None
    baselines: pd.DataFrame  # settings that the baseline was picked from
    others: pd.DataFrame  # settings that the winner was picked from

    @property
    def is_complete(self) -> bool:
        """Whether there are two sides to compare."""
        return self.baseline is not None and self.acl is not None

    @property
    def prefers_baseline(self) -> bool:
        """Whether validation, asked for the best of all, selects the baseline."""
        return self.baseline is not None and self.acl is not None and _rank(self.baseline) > _rank(self.acl)

    @property
    def place(self) -> int:
        """Of the winner, among the others."""
        assert self.acl is not None
        return list(self.others.index).index(self.acl.name)

    def correct(self, predictions: pd.DataFrame) -> tuple[pd.DataFrame, list[pd.DataFrame], list[pd.DataFrame]]:
        """`correct_clips` of the baseline, of the other baselines, and of the other settings; of a complete pair."""
        assert self.baseline is not None
        rivals = self.baselines.drop(index=self.baseline.name)
        runs = [self.baseline["run_ids"], *rivals["run_ids"], *self.others["run_ids"]]
        baseline, *sides = correct_of_settings(predictions, runs)
        return baseline, sides[: len(rivals)], sides[len(rivals) :]

    def claim(self, predictions: pd.DataFrame) -> Claim | None:
        """What may be said about the winner on the test clips; None where one side is missing."""
        if self.baseline is None or self.acl is None:
            return None
        baseline, rivals, others = self.correct(predictions)
        asked = self.acl["equivalence"]
        return claim(
            baseline,
            others,
            self.place,
            rivals=rivals,
            equivalence=None if pd.isna(asked) else float(asked),
            prefers_baseline=self.prefers_baseline,
            look=look_at(self.baselines, self.others),
        )


def look_at(baselines: pd.DataFrame, others: pd.DataFrame) -> Look:
    """Whether this is the planned look at these settings; `analysis.stats.claims.Look` says why it matters.

    They are looked at again where a study has added runs after earlier studies had `MIN_SEEDS` seeds of a baseline and of another
    setting.
    """
    sides = (baselines, others)
    if any(side["is_open"].any() for side in sides):
        return INTERIM
    runs = sorted(
        (place, study, side, setting)
        for side, table in enumerate(sides)
        for setting, row in enumerate(table[["studies", "places"]].to_dict("records"))
        for study, place in zip(row["studies"], row["places"], strict=True)
    )
    seeds: Counter[tuple[int, int]] = Counter()
    for study in dict.fromkeys(study for _, study, _, _ in runs):  # in the order in which they began
        most = [max((number for (of, _), number in seeds.items() if of == side), default=0) for side in (0, 1)]
        if min(most) >= MIN_SEEDS:
            return GROWN
        seeds.update((side, setting) for _, own, side, setting in runs if own == study)
    return PLANNED


NO_PAIR = Pair(None, None, pd.DataFrame(), pd.DataFrame())


def pick(settings: pd.DataFrame) -> Pair:
    """Best baseline and best other setting among the candidates of `settings`, both by validation accuracy, never by test.

    `analysis.selection_rule.rank` decides.
    """
    order = settings[settings["candidate"].astype(bool)].sort_values(
        ["alpha", "margin", "temperature"], ascending=[False, True, True], kind="stable"
    )
    is_baseline = order["baseline"].astype(bool)
    baselines, others = order[is_baseline], order[~is_baseline]
    return Pair(best_on_validation(baselines), best_on_validation(others), baselines, others)


def best_on_validation(settings: pd.DataFrame) -> pd.Series | None:
    """The setting with the highest place by `analysis.selection_rule.rank`; None of none."""
    if settings.empty:
        return None
    ranks = [_rank(row) for row in settings.to_dict("records")]
    return settings.iloc[ranks.index(max(ranks))]


def _rank(setting: Mapping[Any, Any] | pd.Series) -> Rank:
    return rank(*(setting[name] for name in ("val_accuracy", "alpha", "margin", "temperature", "first")))


def without_margin_sweeps(settings: pd.DataFrame) -> pd.DataFrame:
    """The settings without the other margins of each sweep of the margin that has the published one, for the paper's own tables.

    A sweep of the margin is at least `MIN_MARGINS` margins at the same mode, subset, alpha and temperature. A search that draws
    alpha and margin together repeats no alpha and keeps all its settings.
    """
    lines = settings[settings["alpha"] < 1].groupby(["mode", "subset", "alpha", "temperature"], dropna=False)
    sweeps = [line for _, line in lines["margin"] if line.nunique() >= MIN_MARGINS and line.eq(margin()).any()]
    return settings.drop(index=[index for line in sweeps for index in line.index[line.ne(margin())]])


def pick_self_supervised(settings: pd.DataFrame) -> Pair:
    """The self-supervised pair of Table 2: one temperature for both sides.

    The temperature is the published 0.2 where both sides have it; else the baseline's best on validation among those that both
    sides have; else each side is picked alone.
    """
    own = settings[settings["mode"] == SELF_SUPERVISED]
    shared = temperatures_of_both(own)
    if temperature() in shared:
        return pick(own[own["temperature"] == temperature()])
    baseline = pick(own[own["temperature"].isin(shared)]).baseline
    return pick(own) if baseline is None else pick(own[own["temperature"] == baseline["temperature"]])


def temperatures_of_both(settings: pd.DataFrame) -> list[float]:
    """Temperatures at which there is a baseline and a setting with alpha < 1, ascending."""
    baseline = set(settings.loc[settings["alpha"] == 1, "temperature"])
    return sorted(baseline & set(settings.loc[settings["alpha"] < 1, "temperature"]))


FAR_APART = 0.1  # share


def gap_notes(settings: pd.DataFrame) -> list[str]:
    """A note where validation accuracy lies far above test accuracy, beyond both intervals; none where it does not.

    Args:
        settings: of `comparable_settings`.
    """
    if settings.empty:
        return []
    gaps = (settings["val_accuracy"] - settings["accuracy"]).where(settings["val_low"] > settings["high"])
    far = settings.assign(gap=gaps)[gaps > FAR_APART].sort_values("gap").to_dict("records")
    if not far:
        return []
    row = far[-1]
    return [
        f"Validation accuracy lies far above test accuracy in {counted(len(far), 'setting')}, e.g. {100 * row['val_accuracy']:.1f} "
        f"against {100 * row['accuracy']:.1f} %. Perhaps validation clips are of the same recordings as training clips (name the "
        "recordings in a column `group`), or test clips are of other sources or conditions."
    ]


@dataclass(frozen=True)
class PooledResults:
    """Trials and predictions in which the folds of a cross-validation are one run, and what was done to them, in notes."""

    trials: pd.DataFrame
    predictions: pd.DataFrame
    notes: list[str]


def pooled_folds(trials: pd.DataFrame, predictions: pd.DataFrame) -> PooledResults:
    """Put one run in place of those that test a setting, with one seed, on each fold.

    The run has the id of the first of them and fold 0; each test clip is predicted once, by the model that did not train with its
    fold. Its metrics are means over the folds, weighted by their test clips. Finished trials of a setting that has not finished on
    all folds of its sweep are left out; sweeps of a single fold, and other corpora, stay as they are.

    Args:
        trials: of `analysis.records.runs.load_trials`.
        predictions: of `analysis.records.runs.load_predictions`, of the finished trials at least.
    """
    if FOLD not in trials or trials.groupby(_PART)[FOLD].nunique().le(1).all():
        return PooledResults(trials, predictions, [])
    of_sweep = trials.groupby(_PART)[FOLD].transform("nunique")
    crossed = of_sweep.gt(1) & trials["outcome"].eq(names.FINISHED)
    setting = [*_PART, *(name for name in parameter_names(trials) if name != FOLD)]
    number = trials[crossed].groupby(setting, dropna=False, sort=False).ngroup()
    latest = trials[crossed].assign(setting=number, folds=of_sweep[crossed]).drop_duplicates(["setting", FOLD], keep="last")
    is_whole = latest.groupby("setting")[FOLD].transform("size").eq(latest["folds"])
    whole = latest[is_whole]
    first = whole.groupby("setting")["run_id"].transform("first")
    clips = predictions[predictions["split"] == "test"].groupby("run_id").size()
    metrics = [name for name in trials.columns if name.startswith(names.METRIC_PREFIXES)]
    weights = whole["run_id"].map(clips)
    weights = weights / weights.groupby(whole["setting"]).transform("sum")
    means = whole[metrics].mul(weights, axis=0).groupby(whole["setting"]).sum(min_count=1)
    pooled = whole.drop_duplicates("setting").drop(columns=metrics).join(means, on="setting").assign(**{FOLD: 0})
    notes = [
        f"{len(whole)} trials that test one fold each count as {len(pooled)} over the clips of all folds: every clip is tested by "
        "the model that has not trained with its fold. Claims about settings rest on the scatter between the folds. "
        "`acl-study best` shows each fold alone."
    ]
    if len(latest) > len(whole):
        notes.append(
            f"{len(latest) - len(whole)} trials of settings that have not finished on all folds are left out where settings are "
            "compared."
        )
    rows = pd.concat([trials[~crossed], pooled.reindex(columns=trials.columns)])
    ids = dict(zip(whole["run_id"], first, strict=True))
    folds = dict(zip(whole["run_id"], whole[FOLD], strict=True))
    joined = predictions.assign(
        run_id=predictions["run_id"].map(lambda run_id: ids.get(run_id, run_id)),
        **{FOLD_LEVEL: predictions["run_id"].map(folds)},  # which model a clip was predicted by
    )
    return PooledResults(rows, joined.drop_duplicates(["run_id", "split", "clip"]), notes)
