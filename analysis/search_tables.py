"""What a search says about its settings, as frames: maps, importance, every trial with all that varied. Pure functions.

Only validation counts here: a search may be read as a whole, which on test would be picking on test.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis import published
from analysis.importance import TRIALS_PER_TERM, drop_one_importances, terms
from analysis.runs import parameter_names
from analysis.settings import pick
from study import record_names as names

MIN_CELLS = 4  # settings with margin that make a map
_NOT_SEARCHED = ("mode", "seed", "data.root")
_PUBLISHED = {"margin": published.margin, "temperature": published.temperature}


class Search(NamedTuple):
    """The trials of a sweep and mode that can be compared for one objective, and the settings that vary among them."""

    study: str
    sweep: str
    mode: str
    objective: str
    settings: list[str]
    trials: pd.DataFrame  # finished, with the objective


def searches(trials: pd.DataFrame) -> Iterator[Search]:
    """The sweeps that vary at least two settings besides the seed, once for each objective.

    Trials that were stopped are left out: their objective is that of an earlier epoch. So are those that changed their settings,
    and those that repeat winners of another study.

    Args:
        trials: of `analysis.runs.load_trials`.
    """
    fixed = ~trials["changed_settings"].astype(bool) & (trials["confirms"] == "")
    finished = trials[fixed & (trials["outcome"] == names.FINISHED)]
    for (study, sweep, mode), own in finished.groupby(["study", "sweep", "mode"], sort=False):
        varied = [name for name in parameter_names(own) if name not in _NOT_SEARCHED and not name.startswith("compute.")]
        varied = [name for name in varied if own[name].nunique() > 1]
        for objective in own["objective"].iloc[0].split(", "):
            if len(varied) > 1 and objective in own and own[objective].notna().any():
                yield Search(str(study), str(sweep), str(mode), objective, varied, own.dropna(subset=[objective]))


def map_table(settings: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy over alpha and temperature, and over alpha and margin; a row for each setting of a map.

    `axis` names the second axis, `y` is the value on it. `kind` is "grid" where at least half of all pairs of values are there at
    one value of the third setting (that with most pairs; ties: the published one), which are then the rows of the map; else it is
    "drawn", and all settings with alpha < 1 are rows, but those that share their place. A baseline has no margin: in a grid over
    the margin it is at every margin.
    `picked` is the setting with alpha < 1 of the map that validation picks.

    Args:
        settings: of `analysis.settings.comparable_settings`.
    """
    maps = []
    for _, own in settings.groupby(["mode", "subset"], sort=False):
        for axis, third in (("temperature", "margin"), ("margin", "temperature")):
            rows = _grid(own, axis, third)
            rows = _drawn(own, axis) if rows is None else rows
            if rows is not None:
                maps.append(rows)
    columns = ["mode", "subset", "axis", "kind", "alpha", "margin", "temperature", "y", "seeds"]
    columns += ["val_accuracy", "val_low", "val_high", "picked"]
    return pd.concat(maps, ignore_index=True)[columns] if maps else pd.DataFrame(columns=columns)


def importance_table(trials: pd.DataFrame) -> pd.DataFrame:
    """How much each searched setting matters for the objective: a row for each search and setting, most important first.

    `importance` with `low` and `high` (95 %) and `fit` are those of `analysis.importance.drop_one_importances`, over means of the
    seeds; empty where there are fewer than `TRIALS_PER_TERM` different settings for each term (`enough` is False).

    Args:
        trials: of `analysis.runs.load_trials`.
    """
    rows: list[dict[str, Any]] = []
    for search in searches(trials):
        means = search.trials.groupby(search.settings, dropna=False)[search.objective].mean().reset_index()
        blocks = {name: terms(means[name]) for name in search.settings}
        number = sum(block.shape[1] for block in blocks.values())
        enough = len(means) >= TRIALS_PER_TERM * number
        found = drop_one_importances(blocks, means[search.objective].to_numpy(float)) if enough else None
        shared: dict[str, Any] = {"study": search.study, "sweep": search.sweep, "mode": search.mode, "objective": search.objective}
        shared |= {"settings": len(means), "terms": number, "enough": enough, "fit": found.fit if found else np.nan}
        own: list[dict[str, Any]] = []
        for place, name in enumerate(search.settings):
            values = found.of[place] if found else (np.nan, np.nan, np.nan)
            own.append({**shared, "setting": name, **dict(zip(("importance", "low", "high"), values, strict=True))})
        rows += sorted(own, key=lambda row: -row["importance"]) if enough else own
    return pd.DataFrame(rows)


def parallel_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Every finished trial of a search: study, sweep, mode, trial_id, seed, objective, value, and the searched settings by name.

    A setting that its search does not vary is empty.

    Args:
        trials: of `analysis.runs.load_trials`.
    """
    parts = []
    for search in searches(trials):
        part = search.trials[["study", "sweep", "mode", "trial_id", "seed"]].assign(objective=search.objective)
        part = part.assign(value=search.trials[search.objective])
        parts.append(pd.concat([part, search.trials[search.settings]], axis=1))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _grid(own: pd.DataFrame, axis: str, third: str) -> pd.DataFrame | None:
    """The settings at the value of `third` that fills most cells; None where they are no grid."""
    slices: list[tuple[Any, pd.DataFrame]] = []
    numbers = own.loc[own["alpha"] < 1, third].value_counts()
    values = sorted(numbers.index[numbers >= MIN_CELLS]) if len(numbers) else [np.nan]
    for value in values:
        rows = own[own[third].eq(value) | own[third].isna()]
        acl = rows[rows["alpha"] < 1].dropna(subset=[axis])
        cells, possible = len(acl), acl["alpha"].nunique() * acl[axis].nunique()
        if min(acl["alpha"].nunique(), acl[axis].nunique()) > 1 and cells >= max(MIN_CELLS, possible / 2):
            slices.append(((cells, value == _PUBLISHED[third]()), rows))
    if not slices:
        return None
    rows = max(slices, key=lambda entry: entry[0])[1]
    if axis == "margin":
        baseline, acl = rows[rows["alpha"] == 1], rows[rows["alpha"] < 1]
        margins = np.sort(acl["margin"].unique())
        repeated = baseline.loc[baseline.index.repeat(len(margins))].assign(y=np.tile(margins, len(baseline)))
        return _marked(pd.concat([acl.assign(y=acl["margin"]), repeated]), pick(rows).acl, axis, "grid")
    return _marked(rows.assign(y=rows[axis]), pick(rows).acl, axis, "grid")


def _drawn(own: pd.DataFrame, axis: str) -> pd.DataFrame | None:
    acl = own[own["alpha"] < 1].dropna(subset=[axis])
    acl = acl.drop_duplicates(["alpha", axis], keep=False)  # those of a grid over the third setting would lie on each other
    if len(acl) < MIN_CELLS or min(acl["alpha"].nunique(), acl[axis].nunique()) < MIN_CELLS:
        return None
    return _marked(acl.assign(y=acl[axis]), pick(acl).acl, axis, "drawn")


def _marked(rows: pd.DataFrame, picked: pd.Series | None, axis: str, kind: str) -> pd.DataFrame:
    name = None if picked is None else picked.name
    return rows.assign(axis=axis, kind=kind, picked=rows.index == name)
