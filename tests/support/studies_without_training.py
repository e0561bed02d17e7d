"""Finished studies without any training: real journals, mirrored into a real MLflow store, with known numbers."""

import csv
import io
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from study import names
from study.spec.study import Study
from study.state import journal as events
from study.state.home import Home, state_folder
from study.state.journal import Journal
from study.state.study_folder import keep_records, keep_study, study_text
from study.tracking.mirror import Mirror
from study.tracking.writer import StudyRecord
from support.mlflow_records import new_record, reopened

BASE = {"mode": "supervised", "data.root": "/corpus", "data.subset": "clean", "optim.epochs": 1}
CLIPS = {"val": 40, "test": 100}

# Correct validation clips and test clips of a trial, by its settings; None: the trial failed
Right = Callable[[Mapping[str, Any]], tuple[int, int] | None]


def study_of(name: str, *sweeps: dict[str, Any], **fields: Any) -> Study:
    """A study whose sweeps take `BASE` for what they do not say."""
    listed = [{"name": "sweep", **sweep} for sweep in sweeps]
    for sweep in listed:
        base = {key: value for key, value in BASE.items() if key not in sweep.get("space", {})}
        sweep["base"] = {**base, **sweep.get("base", {})}
    return Study.model_validate({"name": name, "question": "Does it help?", "sweeps": listed, **fields})


def end_study(home: Home, study: Study, right: Right, trials: int | None = None) -> StudyRecord:
    """Write what a launch of the study's grids would, with `right` numbers; of each sweep all trials, or the first few."""
    keep_study(home, study)
    tags = {names.QUESTION: study.question} | ({names.CONFIRMS: study.confirms} if study.confirms else {})
    record = new_record(home.store_uri, study.name, tags, study_text(study))
    keep_records(home, study.name, None, record.key)
    journals = {sweep.name: Journal(home.study(study.name) / sweep.name) for sweep in study.sweeps}
    for sweep in study.sweeps:
        for number, point in itertools.islice(enumerate(sweep.points), trials):
            _end_trial(home, study.name, sweep, journals[sweep.name], number, point, right)
    mirror(home, study, record, journals, complete=trials is None)
    return record


def go_on(home: Home, study: Study, record: StudyRecord, right: Right, begin: int) -> None:
    """What a later launch of it writes: each sweep from one trial on to its end."""
    journals = {sweep.name: Journal(home.study(study.name) / sweep.name) for sweep in study.sweeps}
    for sweep in study.sweeps:
        for number, point in itertools.islice(enumerate(sweep.points), begin, None):
            _end_trial(home, study.name, sweep, journals[sweep.name], number, point, right)
    mirror(home, study, reopened(record), journals, complete=True)


def mirror(home: Home, study: Study, record: StudyRecord, journals: dict[str, Journal], *, complete: bool) -> None:
    """Bring MLflow up to date with the journals."""
    said: list[str] = []
    pairs = {sweep.name: (sweep, journals[sweep.name]) for sweep in study.sweeps}
    assert Mirror(record, home.study(study.name), pairs, said.append).close(complete=complete)
    assert said == []
    for journal in journals.values():
        journal.close()


def _end_trial(home: Home, study: str, sweep: Any, journal: Journal, number: int, point: dict[str, Any], right: Right) -> None:
    trial = sweep.trial_name(number)
    journal.append(events.TRIAL, trial=trial, number=number, point=point)
    found = right({**sweep.common, **point})
    if found is None:
        journal.append(events.END, trial=trial, outcome=names.FAILED, reason="OSError: gone")
        return
    val, test = found
    metrics = {names.VAL_ACCURACY: val / CLIPS["val"], names.TEST_ACCURACY: test / CLIPS["test"], names.EPOCH_SECONDS: 1.0}
    metrics |= {names.VAL_MACRO_ACCURACY: 1 - val / CLIPS["val"], "test.class_accuracy.Rain": 0.5}
    folder = state_folder(home.study(study) / sweep.name, trial)
    folder.mkdir(parents=True)
    (folder / names.PREDICTIONS_FILE).write_text(_predictions({"val": val, "test": test}))
    journal.append(events.EPOCH, trial=trial, epoch=1, is_last=True, rung=False, metrics=metrics)
    journal.append(events.END, trial=trial, outcome=names.FINISHED, reason=None)


def _predictions(right: Mapping[str, int]) -> str:
    """The first clips of each split are right."""
    text = io.StringIO()
    table = csv.writer(text)
    columns = (names.PREDICTION_EVALUATION, names.PREDICTION_SPLIT, names.PREDICTION_CLIP, names.PREDICTION_LABEL)
    table.writerow([*columns, names.PREDICTION_PREDICTED, names.PREDICTION_PATCHES])
    for split, clips in CLIPS.items():
        for clip in range(clips):
            predicted = "Rain" if clip < right[split] else "Wind"
            table.writerow([names.EVALUATION_CLASSIFIER, split, f"{split}{clip}.wav", "Rain", predicted, 3])
    return text.getvalue()
