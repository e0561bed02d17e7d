"""MLflow records as tidy frames. The only module of `analysis` that knows MLflow; names come from `study.record_names`."""

import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from study import record_names as names

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # else a bar for every predictions file

UNFINISHED = "unfinished"  # outcome of a trial that is running, or was when its driver died
_SQLITE = "sqlite:///"
_PAGE = 1000
_FIXED = ("run_id", "study", "confirms", "corpus", "sweep", "trial_id", "outcome", "objective", "changed_settings", "start_time")


class AnalysisError(ValueError):
    """The records do not hold what was asked for; the message is one line with rule, value and remedy."""


def load_studies(store_uri: str, studies: Sequence[str]) -> pd.DataFrame:
    """One row per launch (parent run) of the named studies, oldest first.

    Columns: run_id, study, question, paper_found, corpus, corpus_is_synthetic (bool), profile, departures, confirms,
    start_time (UTC).

    Raises:
        AnalysisError: there is no store, or no study of that name in it.
    """
    client, experiment = _open(store_uri)
    launches = _search(client, experiment, f"tags.`{names.KIND}` = '{names.KIND_STUDY}'")
    known = sorted({run.data.tags.get(names.STUDY, "") for run in launches})
    for name in studies:
        if name not in known:
            raise AnalysisError(f"no study {name!r} in this store; known: {', '.join(known) or 'none, run one first'}")
    if not studies:
        raise AnalysisError(f"no study was named; known: {', '.join(known) or 'none, run one first'}")
    rows = [
        {
            "run_id": run.info.run_id,
            "study": run.data.tags[names.STUDY],
            "question": run.data.tags.get(names.QUESTION, ""),
            "paper_found": run.data.tags.get(names.PAPER_FOUND, ""),
            "corpus": run.data.tags.get(names.CORPUS, "unknown corpus"),
            "corpus_is_synthetic": run.data.tags.get(names.CORPUS_IS_SYNTHETIC) == "true",
            "profile": run.data.tags.get(names.PROFILE, ""),
            "departures": run.data.tags.get(names.DEPARTURES, ""),
            "confirms": run.data.tags.get(names.CONFIRMS, ""),
            "start_time": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
        }
        for run in launches
        if run.data.tags.get(names.STUDY) in studies
    ]
    return pd.DataFrame(rows).sort_values(["start_time", "run_id"], ignore_index=True)


def known_studies(store_uri: str) -> list[str]:
    """Names of the studies in the store, sorted.

    Raises:
        AnalysisError: there is no store.
    """
    client, experiment = _open(store_uri)
    launches = _search(client, experiment, f"tags.`{names.KIND}` = '{names.KIND_STUDY}'")
    return sorted({run.data.tags.get(names.STUDY, "") for run in launches})


def load_trials(store_uri: str, studies: Sequence[str]) -> pd.DataFrame:
    """One row per trial of all launches of the named studies, oldest first.

    Columns: run_id, study, confirms (the study whose winners it repeats, or empty), corpus, sweep, trial_id, outcome, objective
    (several are separated by ", "), changed_settings (whether they changed while it ran), start_time (UTC), every parameter under
    its dotted name (numbers and booleans parsed), and the last value of every metric under its dotted name. Trials that were
    stopped or failed are kept; they have no test metrics.

    Raises:
        AnalysisError: there is no store, or no study of that name in it.
    """
    launches = load_studies(store_uri, studies)
    client, experiment = _open(store_uri)
    fixed, parameters, metrics = [], [], []
    for launch in launches.itertuples():
        kind = f"tags.`{names.KIND}` = '{names.KIND_TRIAL}'"
        for run in _search(client, experiment, f"{kind} and tags.`{names.STUDY_RUN}` = '{launch.run_id}'"):
            tags = run.data.tags
            fixed.append(
                {
                    "run_id": run.info.run_id,
                    "study": launch.study,
                    "confirms": launch.confirms,
                    "corpus": launch.corpus,
                    "sweep": tags.get(names.SWEEP, ""),
                    "trial_id": tags.get(names.TRIAL_ID, ""),
                    "outcome": tags.get(names.OUTCOME, UNFINISHED),
                    "objective": tags.get(names.OBJECTIVE, ""),
                    "changed_settings": names.CHANGED_SETTINGS in tags,
                    "start_time": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
                }
            )
            parameters.append(run.data.params)
            metrics.append(run.data.metrics)
    if not fixed:
        raise AnalysisError(f"study {', '.join(studies)} has no trials yet; let it run, or resume it")
    typed = pd.DataFrame(parameters).apply(_parsed)
    frame = pd.concat([pd.DataFrame(fixed), typed, pd.DataFrame(metrics)], axis=1)
    return frame.sort_values(["start_time", "run_id"], ignore_index=True)


def load_history(store_uri: str, run_ids: Iterable[str], metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Metrics by epoch, long: run_id, epoch, metric, value.

    Args:
        store_uri: MLflow tracking store.
        run_ids: runs to read.
        metrics: dotted names to read; None reads all.
    """
    client, _ = _open(store_uri)
    rows = []
    for run_id in run_ids:
        logged = client.get_run(run_id).data.metrics
        for metric in sorted(logged if metrics is None else set(metrics) & set(logged)):
            rows += [(run_id, point.step, metric, point.value) for point in client.get_metric_history(run_id, metric)]
    return pd.DataFrame(rows, columns=["run_id", "epoch", "metric", "value"])


def load_predictions(store_uri: str, run_ids: Iterable[str], evaluation: str = names.EVALUATION_CLASSIFIER) -> pd.DataFrame:
    """Predictions of the runs, long: run_id, split, clip, label, predicted, patches; one row per run and clip.

    Args:
        store_uri: MLflow tracking store.
        run_ids: runs to read.
        evaluation: whose predictions, one of the `EVALUATION_…` of `study.record_names`; the headline's unless another is named.
            A run without that evaluation has no rows.

    Raises:
        AnalysisError: a run has no predictions, or they are not of this version's form.
    """
    client, _ = _open(store_uri)
    text = [names.PREDICTION_SPLIT, names.PREDICTION_CLIP, names.PREDICTION_LABEL, names.PREDICTION_PREDICTED]
    read = [names.PREDICTION_EVALUATION, *text, names.PREDICTION_PATCHES]  # not the probabilities, most of the file
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        for run_id in run_ids:
            try:
                file = client.download_artifacts(run_id, names.PREDICTIONS_FILE, folder)
            except (MlflowException, OSError):
                raise AnalysisError(
                    f"run {run_id} has no {names.PREDICTIONS_FILE}; delete the run or restore its artifacts"
                ) from None
            try:
                # A class or a clip may be called "NA" or "None"; those are names, not gaps.
                frame = pd.read_csv(file, usecols=read, dtype=dict.fromkeys(read[:-1], str), keep_default_na=False)
            except ValueError:  # of pandas: a column that is not there, an empty file
                raise AnalysisError(
                    f"{names.PREDICTIONS_FILE} of run {run_id} lacks one of the columns {', '.join(read)}; "
                    "an older version wrote it: run the trial again, or delete the run"
                ) from None
            frame = frame[frame[names.PREDICTION_EVALUATION] == evaluation]
            frames.append(frame.assign(run_id=run_id))
    columns = ["run_id", *text, names.PREDICTION_PATCHES]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


@dataclass(frozen=True)
class FoundTrial:
    """A trial's run, and how it ended."""

    run_id: str
    study: str
    sweep: str
    trial_id: str
    outcome: str


def find_trial(store_uri: str, reference: str) -> FoundTrial:
    """The trial that `reference` names: an MLflow run id, the beginning of one (6 characters at least), or STUDY/TRIAL.

    Raises:
        AnalysisError: there is no store, no such trial, or several.
    """
    client, experiment = _open(store_uri)
    study, slash, trial_id = reference.rpartition("/")
    if slash and "'" not in reference:
        condition = f"tags.`{names.STUDY}` = '{study}' and tags.`{names.TRIAL_ID}` = '{trial_id}'"
    elif re.fullmatch(r"[0-9a-f]{6,32}", reference):
        condition = f"attributes.run_id LIKE '{reference}%'"
    else:
        raise AnalysisError(f"{reference!r} names no trial; pass an MLflow run id or its first 6 characters, or STUDY/TRIAL")
    found = _search(client, experiment, f"tags.`{names.KIND}` = '{names.KIND_TRIAL}' and {condition}")
    if not found:
        raise AnalysisError(f"no trial {reference!r} in {store_uri}; {_near(client, experiment, study, trial_id)}")
    if len(found) > 1:
        several = ", ".join(run.info.run_id for run in found[:3])
        raise AnalysisError(f"{reference!r} names {len(found)} trials ({several}, …); pass a whole run id")
    (run,), tags = found, found[0].data.tags
    outcome = tags.get(names.OUTCOME, UNFINISHED)
    return FoundTrial(run.info.run_id, tags[names.STUDY], tags[names.SWEEP], tags[names.TRIAL_ID], outcome)


def _near(client: MlflowClient, experiment: str, study: str, trial_id: str) -> str:
    """What to pass instead of a trial that is not there."""
    kind = f"tags.`{names.KIND}` = '{names.KIND_TRIAL}'"
    trials = _search(client, experiment, f"{kind} and tags.`{names.STUDY}` = '{study}'") if study and "'" not in study else []
    known = sorted({run.data.tags.get(names.TRIAL_ID, "") for run in trials})
    close = difflib.get_close_matches(trial_id, known, n=1)
    if close:
        return f"did you mean {study}/{close[0]}?"
    if known:
        return f"{study} has {known[0]} to {known[-1]}"
    return "`acl-study status` lists the studies, `acl-study ui` all trials with their run ids"


def parameter_names(trials: pd.DataFrame) -> list[str]:
    """Columns of a frame of trials that are parameters, in their order."""
    return [name for name in trials.columns if name not in _FIXED and not name.startswith(names.METRIC_PREFIXES)]


def _open(store_uri: str) -> tuple[MlflowClient, str]:
    if store_uri.startswith(_SQLITE) and not Path(store_uri.removeprefix(_SQLITE)).exists():
        raise AnalysisError(f"no store at {store_uri.removeprefix(_SQLITE)}; run a study first, or name its store")
    client = MlflowClient(store_uri)
    experiment = client.get_experiment_by_name(names.EXPERIMENT)
    if experiment is None:
        raise AnalysisError(f"the store has no experiment {names.EXPERIMENT!r}; run a study first, or name its store")
    return client, experiment.experiment_id


def _search(client: MlflowClient, experiment: str, condition: str) -> list[Run]:
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], condition, max_results=_PAGE, order_by=["attributes.start_time"], page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _parsed(column: pd.Series) -> pd.Series:
    """Booleans or numbers where every value of the column is one; a run without the setting (the other mode) stays empty."""
    present = column.dropna()
    if present.isin(["True", "False"]).all():
        return column.map({"True": True, "False": False})
    numbers = pd.to_numeric(present, errors="coerce")
    return column if numbers.isna().any() else numbers.reindex(column.index)
