"""Records: trials that failed or were stopped, the reproducibility checklist, and all runs in MLflow."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from analysis.formats import Row, duration, plain
from analysis.question import symbol
from analysis.records.runs import UNFINISHED, parameter_names
from analysis.section import Column, Section
from analysis.stats.clips import TEST, VAL, clips_of_runs
from study import names

_ALWAYS = ("data.subset", "loss.alpha", "loss.margin", "loss.temperature", "seed")
_NO_SETTINGS = ("mode", *names.PLACE_SETTINGS)
_TRIAL = [
    Column("Study", lambda row: row["study"], "text"),
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Trial", lambda row: row["trial_id"], "text"),
    Column("Outcome", lambda row: row["outcome"], "text"),
]


def record_sections(
    store_uri: str,
    launches: pd.DataFrame,
    launched: pd.DataFrame,
    trials: pd.DataFrame,
    provenance: pd.DataFrame,
    checklist: dict[str, str],
) -> list[Section]:
    """The sections, each an anchor of its own: failed, provenance, checklist, runs.

    Args:
        store_uri: MLflow tracking store.
        launches: of `analysis.records.runs.load_studies`.
        launched: of `analysis.records.provenance.load_launched`.
        trials: of `analysis.records.runs.load_trials`.
        provenance: of `analysis.records.provenance.load_provenance`.
        checklist: of `analysis.sections.records.checklist`.
    """
    runs = trials[["study", "sweep", "trial_id", "outcome", "start_time", "run_id"]]
    run = Column("MLflow run", lambda row: row["run_id"], "text", href=_address(store_uri, launched))
    settings, reason = (Column(title, _of(title.lower()), "prose") for title in ("Settings", "Reason"))
    started = Column("Started", lambda row: f"{row['start_time']:%Y-%m-%d %H:%M UTC}", "text")
    profile, corpus = (Column(title, _of(title.lower()), "text") for title in ("Profile", "Corpus"))
    of_study = [_TRIAL[0], started, profile, corpus, run, Column("Trials", lambda row: str(row["trials"]))]
    return [
        Section(
            "failed",
            "Failed and stopped trials",
            "These trials have no test accuracy. `acl-study resume` tries failed trials again.",
            failed_table(trials, provenance),
            [*_TRIAL, settings, reason, run],
            "",
        ),
        Section("provenance", "Provenance", store_in_words(store_uri), _launch_table(launches, trials), of_study, ""),
        Section(
            "checklist",
            "Reproducibility checklist",
            "Filled from the records of the runs; “–” where the records do not say.",
            checklist_table(checklist),
            [Column("Item", _of("item"), "text"), Column("From the records", _of("value"), "prose")],
            "",
        ),
        Section("runs", "Runs in MLflow", "", runs, [*_TRIAL, started, run], ""),
    ]


def _launch_table(launches: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row for each launch: study, profile, corpus, start_time, run_id, trials (of the study)."""
    table = launches[["study", "profile", "corpus", "start_time", "run_id"]]
    runs = trials["study"].value_counts()
    return table.assign(trials=[int(runs.get(study, 0)) for study in table["study"]])


def failed_table(trials: pd.DataFrame, provenance: pd.DataFrame) -> pd.DataFrame:
    """Trials that failed or were stopped by the scheduler: study, sweep, trial_id, outcome, settings, reason, run_id.

    `settings` are alpha, margin, temperature, subset and seed, and what else differs among the trials of the sweep.
    """
    own = trials[trials["outcome"].isin([names.FAILED, names.STOPPED])].merge(provenance[["run_id", "reason"]], "left", "run_id")
    named = [name for name in parameter_names(trials) if name not in _NO_SETTINGS]
    sweeps = trials.groupby(["study", "sweep", "mode"])
    varied = {place: [name for name in named if group[name].nunique(dropna=False) > 1] for place, group in sweeps}
    own["settings"] = [
        ", ".join(
            f"{symbol(name)} {plain(row[name])}"
            for name in dict.fromkeys([*_ALWAYS, *varied[row["study"], row["sweep"], row["mode"]]])
            if name in named and pd.notna(row[name])
        )
        or "–"
        for row in own.to_dict("records")
    ]
    stopped = own["reason"].where(own["outcome"] != names.STOPPED, "stopped by the scheduler")
    own["reason"] = stopped.fillna("").replace("", "not recorded")
    columns = ["study", "sweep", "trial_id", "outcome", "settings", "reason", "run_id"]
    return own.sort_values(["outcome", "study", "sweep", "trial_id"], ignore_index=True)[columns]


def _of(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


def _address(store_uri: str, launched: pd.DataFrame) -> Callable[[Row], str]:
    experiment = str(launched["experiment_id"].iloc[0])
    return lambda row: run_address(store_uri, experiment, row["run_id"])


_SERVER = ("http", "https")


def run_address(store_uri: str, experiment_id: str, run_id: str) -> str:
    """Page of a run on its tracking server; empty where the store is no server.

    >>> run_address("https://me:secret@mlflow.example:5000/base/", "3", "ab12")
    'https://mlflow.example:5000/base/#/experiments/3/runs/ab12'
    >>> run_address("sqlite:////home/me/mlflow.db", "3", "ab12")
    ''
    """
    store = urlsplit(store_uri)
    if store.scheme not in _SERVER:
        return ""
    return f"{_without_password(store_uri)}/#/experiments/{experiment_id}/runs/{run_id}"


def store_in_words(store_uri: str) -> str:
    """What the store is, and how its runs are opened.

    >>> store_in_words("http://me:secret@mlflow.example")
    'The records are on the MLflow server http://mlflow.example; run ids are links.'
    >>> store_in_words("postgresql://me:secret@host/db")
    'The records are in a postgresql store; browse them with `acl-study ui`, where a run is found by its id.'
    """
    scheme = urlsplit(store_uri).scheme
    if scheme in _SERVER:
        return f"The records are on the MLflow server {_without_password(store_uri)}; run ids are links."
    kind = "a SQLite file" if scheme == "sqlite" else f"a {scheme or 'file'} store"
    return f"The records are in {kind}; browse them with `acl-study ui`, where a run is found by its id."


def _without_password(store_uri: str) -> str:
    """The store's address; user, password, query and fragment, which may hold a token, are left out.

    >>> _without_password("postgresql://me:secret@host/db"), _without_password("sqlite:////home/me/mlflow.db")
    ('postgresql://host/db', 'sqlite:////home/me/mlflow.db')
    """
    store = urlsplit(store_uri)
    return f"{store.scheme}://{store.netloc.rpartition('@')[2]}{store.path.rstrip('/')}"


_UNKNOWN = "–"
_RULE = f"{names.VAL_ACCURACY}: mean validation accuracy over seeds, ties to the larger α; test accuracies choose nothing"
_ERROR_BARS = (
    "95 %; with one seed over the choice of clips (Wilson; paired differences: Newcombe's method 10), with several seeds over "
    "seeds and clips; see Methods"
)


def checklist(
    launches: pd.DataFrame,
    launched: pd.DataFrame,
    trials: pd.DataFrame,
    provenance: pd.DataFrame,
    predictions: pd.DataFrame,
    seconds: pd.Series,
) -> dict[str, str]:
    """Item -> what the records say, lines separated by "\\n".

    Args:
        launches: of `analysis.records.runs.load_studies`.
        launched: of `analysis.records.provenance.load_launched`.
        trials: of `analysis.records.runs.load_trials`.
        provenance: of `analysis.records.provenance.load_provenance`.
        predictions: of `analysis.records.runs.load_predictions`, of the finished trials.
        seconds: of training, one value for each epoch of each trial.
    """
    runs = launched.merge(launches[["run_id", "study"]], on="run_id").to_dict("records")
    digests = [f"{run['study']}: {run['digest']}" for run in runs if run["digest"]]
    return {
        "Search spaces and bounds": "\n".join(_spaces(runs, trials)),
        "Runs by outcome": _counts(trials["outcome"]),
        "Searched for": _values(trials["objective"]),
        "Selection rule": _RULE,
        "Seeds": _values(sorted(int(seed) for seed in trials["seed"].dropna().unique())) if "seed" in trials else _UNKNOWN,
        "Compute": f"{duration(seconds.sum() / 3600)} of training, summed over {len(trials)} trials" if len(seconds) else _UNKNOWN,
        "Hardware": _several(provenance["hardware"]),
        "Versions": _several(provenance["versions"]),
        "Code (git commit)": _several(provenance["git_commit"]),
        "Uncommitted changes": _dirty(provenance["git_dirty"]),
        "Corpus": _values(launches["corpus"]),
        "Corpus SHA-256": _several(provenance["corpus_sha256"]),
        "Features SHA-256": _several(provenance["features_sha256"]),
        "Study SHA-256": "\n".join(digests) or _UNKNOWN,
        "Splits": "\n".join(_splits(trials, predictions)) or _UNKNOWN,
        "Error bars": _ERROR_BARS,
        "Departures from the recipe": _several(launches["departures"], "none: the published recipe"),
    }


def checklist_table(items: Mapping[str, str]) -> pd.DataFrame:
    """The checklist as a frame: item, value."""
    return pd.DataFrame(list(items.items()), columns=["item", "value"])


def _spaces(runs: Iterable[Mapping[Any, Any]], trials: pd.DataFrame) -> list[str]:
    """A line for each sweep; where the study's file is gone, the values that its trials had."""
    lines = []
    for run in runs:
        lines += [f"{run['study']}, {_sweep(sweep)}" for sweep in run["sweeps"]]
        if run["sweeps"]:
            continue
        for sweep, own in trials[trials["study"] == run["study"]].groupby("sweep", sort=False):
            tried = (
                f"{name.partition('.')[2]} {_extent(own[name])}" for name in own if _is_searched(name) and own[name].notna().any()
            )
            lines.append(f"{run['study']}, {sweep}: tried {'; '.join(tried)}")
    return lines


def _sweep(sweep: Mapping[str, Any]) -> str:
    space = "; ".join(f"{name} {_dimension(values)}" for name, values in sweep.get("space", {}).items()) or "one setting"
    scheduler, budget = sweep.get("scheduler", {}).get("name", "none"), sweep.get("budget", {})
    how = [f"search {sweep.get('search', _UNKNOWN)}", f"seeds {_values(sweep.get('seeds', []))}"]
    how += [f"scheduler {scheduler}"] if scheduler != "none" else []
    ends_early = [f"{name} {budget[name]:g}" for name in ("patience", "target") if budget.get(name) is not None]
    how += [f"{'at most ' if ends_early else ''}{budget['trials']} trials"] if budget.get("trials") is not None else []
    how += ends_early
    return f"{sweep.get('name', 'sweep')}: {space} ({', '.join(how)})"


def _dimension(values: Mapping[str, Any]) -> str:
    """One dimension of a space.

    >>> _dimension({"loguniform": [0.05, 1.0], "when": {"mode": ["self-supervised"]}}), _dimension({"grid": [1.0, 0.5]})
    ('loguniform [0.05, 1.0] when mode self-supervised', 'grid {1.0, 0.5}')
    """
    (kind, given), *_ = ((kind, given) for kind, given in values.items() if kind != "when")
    listed = ", ".join(str(value) for value in given)
    bounds = f"[{listed}]" if kind.endswith("uniform") else f"{{{listed}}}"
    when = " and ".join(f"{name} {_values(allowed)}" for name, allowed in values.get("when", {}).items())
    return f"{kind} {bounds}" + (f" when {when}" if when else "")


def _is_searched(name: object) -> bool:
    return name in ("data.subset", "loss.alpha", "loss.margin", "loss.temperature")


def _extent(values: pd.Series) -> str:
    different = sorted(values.dropna().unique())
    if len(different) > 6 and pd.api.types.is_numeric_dtype(values):
        return f"{plain(float(different[0]))} to {plain(float(different[-1]))}"
    return _values(plain(value) for value in different)


def _splits(trials: pd.DataFrame, predictions: pd.DataFrame) -> list[str]:
    """A line for each mode and number of clips."""
    clips = trials[["run_id", "mode"]].assign(
        **{split: trials["run_id"].map(clips_of_runs(predictions, split)) for split in (VAL, TEST)}
    )
    groups = clips.dropna().groupby(["mode", VAL, TEST], sort=False).size().reset_index(name="trials").to_dict("records")
    return [
        f"{each['mode']}: {each[VAL]:.0f} validation clips, {each[TEST]:.0f} test clips ({each['trials']} trials)"
        for each in groups
    ]


def _counts(outcomes: pd.Series) -> str:
    counts = outcomes.value_counts()
    known = [*names.OUTCOMES, UNFINISHED]
    return ", ".join(f"{counts.get(name, 0)} {name}" for name in known) + f"; {len(outcomes)} in all"


def _dirty(tags: pd.Series) -> str:
    """How many trials ran with sources that differ from the commit."""
    words = {"false": "none", "true": "sources differed from the commit", "unknown": "unknown", "": "not recorded"}
    counts = tags.str.split("; ").explode().value_counts()
    return "; ".join(f"{text} ({counts[value]} trials)" for value, text in words.items() if value in counts) or _UNKNOWN


def _several(values: pd.Series, nothing: str = _UNKNOWN) -> str:
    """Different values, a line each, with the number of trials where there are several."""
    given = values[values != ""].value_counts(sort=False)
    return "\n".join(f"{value} ({count}×)" if len(given) > 1 else str(value) for value, count in given.items()) or nothing


def _values(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values)) or _UNKNOWN
