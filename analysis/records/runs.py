"""MLflow records as tidy frames; the names come from `study.names`.

Histories and predictions of runs that are over are kept in a cache (`analysis.records.cache`); a run that is resumed is read anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from acl.system.text import close_to
from analysis.errors import AnalysisError
from analysis.records.cache import cached
from analysis.records.predictions import prediction_rows
from analysis.records.sql import RUN_ID, Record, check_known
from analysis.records.store import Store, is_over
from study import names

SUBSETS = ("all", "noisy", "noisy_small", "clean")  # of the training clips of FSDnoisy18k
# What runs of versions did that did not know these settings.
_WITHOUT_SETTING = {"data.test_fold": 0, "noise.rate": 0.0, "noise.kind": "symmetric"}
_COMPLETE = "FINISHED"  # MLflow's status of a study whose trials have all ended
UNFINISHED = "unfinished"  # outcome of a trial that is running, or was when its driver died
_FIXED = (
    "run_id",
    "study",
    "confirms",
    "corpus",
    "sweep",
    "trial_id",
    "outcome",
    "objective",
    "changed_settings",
    "gpu_share",
    "start_time",
    "study_is_open",
)


def load_studies(store_uri: str, studies: Sequence[str]) -> pd.DataFrame:
    """One row per launch (parent run) of the named studies, oldest first.

    Columns: run_id, study, question, paper_found, corpus, corpus_is_synthetic (bool), corpus_subsets (separated by ", "), profile,
    departures, confirms, start_time (UTC), is_open (bool: not all of its trials have ended).

    Raises:
        AnalysisError: there is no store, or no study of that name in it.
    """
    launches = Store(store_uri).search(f"tags.`{names.KIND}` = '{names.KIND_STUDY}'")
    known = sorted({run.data.tags.get(names.STUDY, "") for run in launches})
    check_known(studies, known)
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
            "corpus_subsets": run.data.tags.get(names.CORPUS_SUBSETS, ", ".join(SUBSETS)),
            "profile": run.data.tags.get(names.PROFILE, ""),
            "departures": run.data.tags.get(names.DEPARTURES, ""),
            "confirms": run.data.tags.get(names.CONFIRMS, ""),
            "start_time": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
            "is_open": _is_open(run.info.status, run.data.tags),
        }
        for run in launches
        if run.data.tags.get(names.STUDY) in studies
    ]
    return pd.DataFrame(rows).sort_values(["start_time", "run_id"], ignore_index=True)


def _is_open(status: str, tags: Mapping[str, str]) -> bool:
    """Whether a study has trials left, by the status of its run: a driver that was killed leaves RUNNING."""
    # Other tools, and versions of ours before they said what was launched, leave their runs as they were.
    return status not in (_COMPLETE, "RUNNING") or (status == "RUNNING" and names.STUDY_DIGEST in tags)


def known_studies(store_uri: str) -> list[str]:
    """Names of the studies in the store, sorted.

    Raises:
        AnalysisError: there is no store.
    """
    launches = Store(store_uri).search(f"tags.`{names.KIND}` = '{names.KIND_STUDY}'")
    return sorted({run.data.tags.get(names.STUDY, "") for run in launches})


def confirming_studies(store_uri: str, studies: Sequence[str]) -> dict[str, str]:
    """Studies that have run winners of `studies` again on fresh seeds, each with the study that it confirms.

    Raises:
        AnalysisError: there is no store.
    """
    launches = Store(store_uri).search(f"tags.`{names.KIND}` = '{names.KIND_STUDY}'")
    tags = [run.data.tags for run in launches]
    return {
        own[names.STUDY]: own[names.CONFIRMS]
        for own in tags
        if own.get(names.CONFIRMS) in studies or (own.get(names.STUDY) in studies and names.CONFIRMS in own)
    }


def load_trials(store_uri: str, studies: Sequence[str]) -> pd.DataFrame:
    """One row per trial of all launches of the named studies, oldest first.

    Columns: run_id, study, confirms (the study whose winners it repeats, or empty), corpus, sweep, trial_id, outcome, objective
    (several are separated by ", "), changed_settings (whether they changed while it ran), gpu_share (of a GPU that was its own,
    0..1; where it went on with another share, the largest), start_time (UTC), study_is_open (whether not all
    trials of its study have ended), every parameter under its dotted name (numbers and
    booleans parsed), and the last value of every metric of a trial under its dotted name; what other tools have logged (the load
    of the machine, say) is left out. Trials that were stopped or failed are kept; they have no test metrics.

    Raises:
        AnalysisError: there is no store, or no study of that name in it; or finished trials learned from two states of the same
            features, so that their numbers must not be compared.
    """
    launches = load_studies(store_uri, studies).set_index("run_id", drop=False)
    found = Store(store_uri).records({names.STUDY_RUN: launches["run_id"].tolist(), names.KIND: [names.KIND_TRIAL]})
    if not found:
        raise AnalysisError(f"study {', '.join(studies)} has no trials yet; let it run, or resume it")
    found.sort(key=lambda record: (record.start_time, record.run_id))
    _check_features(found)
    of_launch = {launch["run_id"]: launch for launch in launches.to_dict("records")}
    fixed = []
    for record in found:
        tags, launch = record.tags, of_launch[record.tags[names.STUDY_RUN]]
        fixed.append(
            {
                "run_id": record.run_id,
                "study": launch["study"],
                "confirms": launch["confirms"],
                "corpus": launch["corpus"],
                "sweep": tags.get(names.SWEEP, ""),
                "trial_id": tags.get(names.TRIAL_ID, ""),
                "outcome": tags.get(names.OUTCOME, UNFINISHED),
                "objective": tags.get(names.OBJECTIVE, ""),
                "changed_settings": names.CHANGED_SETTINGS in tags,
                "gpu_share": max(float(share) for share in tags.get(names.GPU_SHARE, "0").split("; ")),
                "start_time": pd.Timestamp(record.start_time, unit="ms", tz="UTC"),
            }
        )
    is_open = launches.groupby("study")["is_open"].last().to_dict()
    going_on = {row["study"] for row in fixed if row["outcome"] == UNFINISHED}
    for row in fixed:
        row["study_is_open"] = row["study"] in going_on or is_open[row["study"]]
    parameters = pd.DataFrame([record.params for record in found])
    metrics = pd.DataFrame([record.metrics for record in found])
    metrics = metrics[[name for name in metrics.columns if name.startswith(names.METRIC_PREFIXES)]]
    parameters = parameters[parameter_names(parameters)].apply(_parsed).fillna(_WITHOUT_SETTING)
    return pd.concat([pd.DataFrame(fixed), parameters, metrics], axis=1)


def _check_features(found: Sequence[Record]) -> None:
    """Refuse finished trials on the same corpus folder, in the same mode, whose features had different bytes."""
    groups: dict[tuple[str | None, str | None], dict[str, list[str]]] = {}
    for record in found:
        digests = record.tags.get(names.FEATURES_SHA256, "")
        if digests and record.tags.get(names.OUTCOME) == names.FINISHED:
            trial = f"{record.tags.get(names.STUDY, '')}/{record.tags.get(names.TRIAL_ID, '')}"
            place = (record.params.get("mode"), record.params.get("data.root"))
            for digest in digests.split("; "):
                groups.setdefault(place, {}).setdefault(digest, []).append(trial)
    for (mode, root), trials in groups.items():
        if len(trials) > 1:
            several = "; ".join(f"{digest[:12]}: {len(of)}, e.g. {of[0]}" for digest, of in trials.items())
            raise AnalysisError(
                f"{mode} trials learned from different features of {root} ({several}) and are never compared; run the study anew "
                "under another --name, or put studies of one corpus on a page"
            )


def load_history(store_uri: str, run_ids: Iterable[str], metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Metrics by epoch, long: run_id, epoch, metric, value.

    Args:
        store_uri: MLflow tracking store.
        run_ids: runs to read.
        metrics: dotted names to read; None reads all.
    """
    store, run_ids = Store(store_uri), [*dict.fromkeys(run_ids)]

    def states(of: list[str]) -> dict[str, str | None]:
        return {run_id: f"{end.status} {end.end_time}" if is_over(end) else None for run_id, end in store.ends(of).items()}

    wanted = ("all",) if metrics is None else ("these", *sorted(set(metrics)))
    rows = cached(("histories", store.uri, *wanted), run_ids, states, lambda of: store.points(of, metrics))
    return _in_order(rows, run_ids)


def load_predictions(
    store_uri: str, run_ids: Iterable[str], evaluation: str = names.EVALUATION_CLASSIFIER, *, may_lack: bool = False
) -> pd.DataFrame:
    """Predictions of the runs, long: run_id, split, clip, label, predicted, patches, recording; one row per run and clip.

    `recording` is what the clip was cut from, the same for all clips of one; where nothing is known, the clip itself.

    Args:
        store_uri: MLflow tracking store.
        run_ids: runs to read.
        evaluation: whose predictions, one of the `EVALUATION_…` of `study.names`; the headline's unless another is named.
            A run without that evaluation has no rows.
        may_lack: whether a run whose file is gone has no rows, and is no error.

    Raises:
        AnalysisError: a run has no predictions, or they are not of this version's form.
    """
    run_ids = [*dict.fromkeys(run_ids)]
    rows = _in_order(prediction_rows(Store(store_uri), run_ids, evaluation, may_lack=may_lack), run_ids)
    # Runs of versions that did not know recordings have those of the other runs.
    known = rows[rows[names.PREDICTION_RECORDING] != rows[names.PREDICTION_CLIP]].drop_duplicates(names.PREDICTION_CLIP)
    if len(known):
        recordings = known.set_index(names.PREDICTION_CLIP)[names.PREDICTION_RECORDING]
        found = rows[names.PREDICTION_CLIP].map(recordings)
        rows[names.PREDICTION_RECORDING] = found.fillna(rows[names.PREDICTION_RECORDING])
    return rows


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

    TRIAL is the trial's id, e.g. `search-0007`. Of a study with one unnamed sweep the number is enough, e.g. `0007`.

    Raises:
        AnalysisError: there is no store, no such trial, or several.
    """
    store = Store(store_uri)
    study, slash, trial = reference.rpartition("/")
    trial_id = names.trial_of(trial)
    if slash and "'" not in reference:
        condition = f"tags.`{names.STUDY}` = '{study}' and tags.`{names.TRIAL_ID}` = '{trial_id}'"
    elif RUN_ID.fullmatch(reference):
        condition = f"attributes.run_id LIKE '{reference}%'"
    else:
        raise AnalysisError(f"{reference!r} names no trial; pass an MLflow run id or its first 6 characters, or STUDY/TRIAL")
    found = store.search(f"tags.`{names.KIND}` = '{names.KIND_TRIAL}' and {condition}")
    if not found:
        raise AnalysisError(f"no trial {reference!r} in this store; {_near(store, study, trial_id)}")
    if len(found) > 1:
        several = ", ".join(run.info.run_id for run in found[:3])
        raise AnalysisError(f"{reference!r} names {len(found)} trials ({several}, …); pass a whole run id")
    (run,), tags = found, found[0].data.tags
    outcome = tags.get(names.OUTCOME, UNFINISHED)
    return FoundTrial(run.info.run_id, tags[names.STUDY], tags[names.SWEEP], tags[names.TRIAL_ID], outcome)


def _near(store: Store, study: str, trial_id: str) -> str:
    """What to pass instead of a trial that is not there."""
    kind = f"tags.`{names.KIND}` = '{names.KIND_TRIAL}'"
    trials = store.search(f"{kind} and tags.`{names.STUDY}` = '{study}'") if study and "'" not in study else []
    known = sorted({run.data.tags.get(names.TRIAL_ID, "") for run in trials})
    if close := close_to(f"{study}/{trial_id}", [f"{study}/{each}" for each in known]):
        return close
    if known:
        return f"{study} has {known[0]} to {known[-1]}"
    return "`acl-study status` lists the studies, `acl-study ui` all trials with their run ids"


def parameter_names(trials: pd.DataFrame) -> list[str]:
    """Columns of a frame of trials that are parameters, in their order."""
    return [name for name in trials.columns if name not in _FIXED and not name.startswith(names.METRIC_PREFIXES)]


def _in_order(rows: pa.Table, run_ids: Sequence[str]) -> pd.DataFrame:
    """The rows by run in the order of the runs, in their own order in each."""
    place = pc.index_in(rows["run_id"], pa.array(run_ids, pa.string())).to_numpy()
    return rows.take(np.argsort(place, kind="stable")).to_pandas()


def _parsed(column: pd.Series) -> pd.Series:
    """Booleans or numbers where every value of the column is one; a run without the setting (the other mode) stays empty."""
    present = column.dropna()
    if present.isin(["True", "False"]).all():
        return column.map({"True": True, "False": False})
    numbers = pd.to_numeric(present, errors="coerce")
    if numbers.isna().any():
        return column
    # 0.15 and 0.15000000000000002 are one setting, computed in two ways: the first that occurs stands for both.
    first: dict[str, float] = {}
    return numbers.map(lambda number: first.setdefault(f"{number:.12g}", number)).reindex(column.index)
