"""Sections about the records: trials that failed or were stopped, the reproducibility checklist, and all runs in MLflow."""

from collections.abc import Callable

import pandas as pd

from analysis.checklist import checklist_table
from analysis.formats import Row, plain
from analysis.page_tables import Column
from analysis.record_links import run_address, store_in_words
from analysis.runs import parameter_names
from analysis.sections import Section
from study import record_names as names

_ALWAYS = ("data.subset", "loss.alpha", "loss.margin", "loss.temperature", "seed")
_NO_SETTINGS = ("mode", "data.root", "compute.device", "compute.threads")
_TRIAL = [
    Column("Study", lambda row: row["study"], "text"),
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Trial", lambda row: row["trial_id"], "text"),
    Column("Outcome", lambda row: row["outcome"], "text"),
]


def record_sections(
    store_uri: str, launched: pd.DataFrame, trials: pd.DataFrame, provenance: pd.DataFrame, checklist: dict[str, str]
) -> list[Section]:
    """The sections, each an anchor of its own: failed, checklist, runs.

    Args:
        store_uri: MLflow tracking store.
        launched: of `analysis.provenance.load_launched`.
        trials: of `analysis.runs.load_trials`.
        provenance: of `analysis.provenance.load_provenance`.
        checklist: of `analysis.checklist.checklist`.
    """
    failed = failed_table(trials, provenance)
    runs = trials[["study", "sweep", "trial_id", "outcome", "start_time", "run_id"]]
    run = Column("MLflow run", lambda row: row["run_id"], "text", href=_address(store_uri, launched))
    settings, reason = (Column(title, _of(title.lower()), "prose") for title in ("Settings", "Reason"))
    started = Column("Started", lambda row: f"{row['start_time']:%Y-%m-%d %H:%M UTC}", "text")
    return [
        Section(
            "failed",
            "Failed and stopped trials",
            "Trials without test accuracies; `acl-study resume` tries failed ones again.",
            failed,
            [*_TRIAL, settings, reason, run],
            "No trial has failed, and none was stopped early.",
        ),
        Section(
            "checklist",
            "Reproducibility checklist",
            "Filled from the records of the runs; “–” where they do not say.",
            checklist_table(checklist),
            [Column("Item", _of("item"), "text"), Column("From the records", _of("value"), "prose")],
            "",
        ),
        Section("runs", "Runs in MLflow", store_in_words(store_uri), runs, [*_TRIAL, started, run], "", folded=True),
    ]


def failed_table(trials: pd.DataFrame, provenance: pd.DataFrame) -> pd.DataFrame:
    """Trials that failed or were stopped by the scheduler: study, sweep, trial_id, outcome, settings, reason, run_id.

    `settings` are alpha, margin, temperature, subset and seed, and what else differs among the trials of the page.
    """
    own = trials[trials["outcome"].isin([names.FAILED, names.STOPPED])].merge(provenance[["run_id", "reason"]], "left", "run_id")
    named = parameter_names(trials)
    varied = [name for name in named if name not in (*_ALWAYS, *_NO_SETTINGS) and trials[name].nunique(dropna=False) > 1]
    shown = [name for name in (*_ALWAYS, *varied) if name in named]
    own["settings"] = [
        ", ".join(f"{name} {plain(row[name])}" for name in shown if pd.notna(row[name])) or "–" for row in own.to_dict("records")
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
