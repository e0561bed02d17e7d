"""A study whose journal is on one side and whose MLflow record on the other, for tests of the mirror between them.

Run as a script, it records the study as one of several processes that begin at the same moment, and prints what each store has of
its study then:

    PYTHONPATH=.:tests python tests/support/mirrored_study.py FOLDER STORE ...
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run

from study import names
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.home import Home, state_folder
from study.state.journal import Journal
from study.tracking.mirror import Mirror
from study.tracking.uri import begin_records
from study.tracking.writer import StudyRecord
from support.mlflow_records import new_record

SWEEP = Sweep.model_validate(
    {"name": "s", "base": {"mode": "supervised", "data.root": "corpus"}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}}
)


class Sides:
    """A study's journal on one side, its record on the other."""

    def __init__(self, folder: Path, store_uri: str) -> None:
        self.folder = folder
        self.journal = Journal(folder / "s")
        self.record = new_record(store_uri, folder.name)
        self.said: list[str] = []

    def note(self, mirror: Mirror | None, event: str, **content: Any) -> None:
        entry = self.journal.append(event, **content)
        if mirror is not None:
            mirror.add("s", entry)

    def happen(self, mirror: Mirror | None = None) -> None:
        """A trial that finishes, one that is lost, fails and is taken up again, one that has just begun."""
        self.note(mirror, events.LAUNCH, resources={})
        for number, name in enumerate(("s-0000", "s-0001", "s-0002")):
            folder = state_folder(self.folder / "s", name)
            folder.mkdir(parents=True)
            (folder / names.PREDICTIONS_FILE).write_text(f"clip\n{name}\n")
            self.note(mirror, events.TRIAL, trial=name, number=number, point={"loss.alpha": 0.5, "seed": number})
        for epoch in (1, 2, 3):
            for name in ("s-0000", "s-0001"):
                metrics = {names.TRAIN_LOSS: 1 / epoch, names.EPOCH_SECONDS: 1.0}
                self.note(mirror, events.EPOCH, trial=name, epoch=epoch, is_last=epoch == 3, rung=True, metrics=metrics)
            if epoch == 1:
                self.note(mirror, events.LOST, trial="s-0001", reason="killed")
        self.note(mirror, events.END, trial="s-0000", outcome=names.FINISHED, reason=None)
        self.note(mirror, events.END, trial="s-0001", outcome=names.FAILED, reason="diverged")
        self.journal.close()

    def mirror(self) -> Mirror:
        """What a new launch mirrors with."""
        self.record = StudyRecord(self.record.store_uri, self.record.study, self.record.key)
        return Mirror(self.record, self.folder, {"s": (SWEEP, self.journal)}, self.said.append)

    def wait_for_line(self, start: str, seconds: float = 60) -> None:
        """Until the mirror has said so."""
        deadline = time.monotonic() + seconds
        while not any(line.startswith(start) for line in self.said):
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def runs(self) -> list[Run]:
        client = mlflow.MlflowClient(self.record.store_uri)
        experiment = client.get_experiment_by_name(names.EXPERIMENT)
        assert experiment is not None
        return list(client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{self.record.parent_run_id}'"))

    def recorded(self) -> dict[str, Any]:
        """Everything that the store has of each trial, without times and ids."""
        client = mlflow.MlflowClient(self.record.store_uri)
        found = {}
        for run in self.runs():
            history = client.get_metric_history(run.info.run_id, names.recorded(names.TRAIN_LOSS))
            of_study = (names.STUDY, names.STUDY_RUN)
            tags = {key: value for key, value in run.data.tags.items() if key.startswith("acl_study.") and key not in of_study}
            name = run.data.tags[names.TRIAL_ID]
            assert name not in found, f"{name} is there twice"
            steps = sorted((metric.step, metric.value) for metric in history)
            artifacts = sorted(artifact.path for artifact in client.list_artifacts(run.info.run_id))
            found[name] = (run.info.status, run.data.params, tags, steps, artifacts)
        return found


def main(folder: Path, *stores: str) -> None:
    """Record a study in one store after the other, each when the test has made a file of its number beside the folder."""
    import study.tracking.store as _store  # noqa: F401 (it takes seconds)

    for number, store in enumerate(stores):
        (folder / f"ready{number}").touch()
        while not (folder.parent / str(number)).exists():
            time.sleep(0.002)
        name = f"{folder.name}-{number}"
        begin_records(name, Home(folder), store)
        sides = Sides(folder / name, store)
        mirror = sides.mirror()
        sides.happen(mirror)
        assert mirror.close(complete=False)
        assert sides.said == []
        print(json.dumps(sides.recorded(), sort_keys=True), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
