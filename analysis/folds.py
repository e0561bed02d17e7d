"""Cross-validation: trials that differ in nothing but the fold that tests are one result, over the clips of all folds."""

import pandas as pd

from analysis.runs import parameter_names
from study import record_names as names

FOLD = "data.test_fold"
_PART = ["study", "sweep"]


def pooled_folds(trials: pd.DataFrame, predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Trials and predictions with one run in place of those that test a setting, with one seed, on each fold; and notes.

    The run has the id of the first of them and fold 0; each test clip is predicted once, by the model that did not train with its
    fold. Its metrics are means over the folds, weighted by their test clips. Finished trials of a setting that has not finished on
    all folds of its sweep are left out; sweeps of a single fold, and other corpora, stay as they are.

    Args:
        trials: of `analysis.runs.load_trials`.
        predictions: of `analysis.runs.load_predictions`, of the finished trials at least.
    """
    if FOLD not in trials or trials.groupby(_PART)[FOLD].nunique().le(1).all():
        return trials, predictions, []
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
        "the model that has not trained with its fold."
    ]
    if len(latest) > len(whole):
        notes.append(
            f"{len(latest) - len(whole)} trials of settings that have not finished on all folds are left out where settings are "
            "compared."
        )
    rows = pd.concat([trials[~crossed], pooled.reindex(columns=trials.columns)])
    ids = dict(zip(whole["run_id"], first, strict=True))
    joined = predictions.assign(run_id=predictions["run_id"].map(lambda run_id: ids.get(run_id, run_id)))
    return rows, joined.drop_duplicates(["run_id", "split", "clip"]), notes
