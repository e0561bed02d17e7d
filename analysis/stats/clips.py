"""Test clips of runs by their predictions: which are right, and how many independent clips they are worth."""

from collections.abc import Sequence

import pandas as pd

from analysis.formats import counted
from analysis.stats.clusters import CLIP, FOLD, RECORDING, clusters_of, independent_clips

VAL, TEST = "val", "test"  # splits of the predictions


def clips_of_runs(predictions: pd.DataFrame, split: str) -> pd.Series:
    """Number of clips of the split, `VAL` or `TEST`, by run_id."""
    return predictions[predictions["split"] == split].groupby("run_id").size()


def independent_clips_of_runs(
    predictions: pd.DataFrame, split: str, groups: pd.Series | None = None, *, by_patches: bool = False
) -> pd.Series:
    """How many independent clips tell the accuracy as well, by run_id or by group: `analysis.stats.clusters.independent_clips`.

    Args:
        predictions: of `analysis.records.runs.load_predictions`.
        split: `VAL` or `TEST`.
        groups: by run_id, e.g. the setting; of the runs of a group the clips' means count. None: each run is its own.
        by_patches: whether each clip is weighted by its patches.
    """
    rows = predictions[predictions["split"] == split]
    keys = rows["run_id"] if groups is None else rows["run_id"].map(groups)
    rows = rows.assign(
        key=keys,
        weight=rows["patches"].astype(float) if by_patches else 1.0,
        correct=rows["label"].eq(rows["predicted"]).astype(float),
    )
    found = {}
    for key, own in rows.dropna(subset=["key"]).groupby("key"):
        clips = own
        if own[CLIP].duplicated().any():  # several runs
            clips = own.drop_duplicates(CLIP).assign(correct=own.groupby(CLIP, sort=False)["correct"].mean().to_numpy())
        clusters = clusters_of(_index(clips), by_fold=True)
        found[key] = independent_clips(clips["correct"].to_numpy(), clusters, clips["weight"].to_numpy())
    return pd.Series(found, dtype=float)


def sample_notes(predictions: pd.DataFrame) -> list[str]:
    """A note on test clips that were cut from fewer recordings; none where each clip is of its own."""
    rows = predictions[predictions["split"] == TEST] if RECORDING in predictions else predictions.iloc[:0]
    clips = rows.drop_duplicates(CLIP)
    if clips.empty or clips[RECORDING].nunique() == len(clips):
        return []
    recordings = counted(clips[RECORDING].nunique(), "recording")
    return [
        f"The {len(clips)} test clips are of {recordings}. Clips of one recording tend to be right or wrong together, so intervals "
        "and tests take the recordings as the sample."
    ]


def correct_clips(predictions: pd.DataFrame, run_ids: tuple[str, ...]) -> pd.DataFrame:
    """Whether each test clip was classified correctly: clips as index, a column per run.

    The index has levels for fold and recording, too, where several clips are of one: `analysis.stats.clusters.clusters_of`.
    """
    rows = predictions[predictions["run_id"].isin(run_ids) & (predictions["split"] == TEST)]
    table = rows.assign(correct=rows["label"] == rows["predicted"]).pivot(index=CLIP, columns="run_id", values="correct")
    return table.set_axis(_index(rows.drop_duplicates(CLIP).set_index(CLIP).loc[table.index].reset_index()))


def _index(clips: pd.DataFrame) -> pd.Index:
    """Index of clips, with levels for fold and recording where several clips are of one."""
    folds = [FOLD] if FOLD in clips and clips[FOLD].nunique() > 1 else []
    recordings = [RECORDING] if RECORDING in clips and clips[RECORDING].nunique() < len(clips) else []
    levels = [*folds, *recordings]
    return pd.MultiIndex.from_frame(clips[[*levels, CLIP]]) if levels else pd.Index(clips[CLIP])


def correct_of_settings(predictions: pd.DataFrame, settings: Sequence[tuple[str, ...]]) -> list[pd.DataFrame]:
    """`correct_clips` of the runs of each setting, by one pass over the predictions."""
    whole = correct_clips(predictions, tuple(run_id for run_ids in settings for run_id in run_ids))
    known = set(whole.columns)
    columns = [sorted(known.intersection(run_ids)) for run_ids in settings]
    if not whole.isna().any(axis=None):
        return [whole[own] for own in columns]
    # Runs that were tested on other clips have gaps here, which are not theirs.
    sides = (whole[own].dropna(how="all") for own in columns)
    return [side if side.isna().any(axis=None) else side.astype(bool) for side in sides]
