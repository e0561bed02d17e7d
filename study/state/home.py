"""The results folder, which holds everything that a person may want to keep or delete."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

DEFAULT_HOME = Path("acl-runs")


@dataclass(frozen=True)
class Home:
    """Folder of all results.

    `mlflow.db` and `artifacts/` are the MLflow store, `studies/NAME/` the state of a study (its file, journals, trials), `locks/`
    who runs it, `server/` what `acl-study server` keeps, `corpora/` synthetic corpora, `reports/NAME/` reports. The records name
    their artifacts by absolute paths, so the folder stays where it is; reports can be moved and sent.
    """

    root: Path

    @property
    def store_uri(self) -> str:
        """The embedded MLflow store."""
        return f"sqlite:///{self.root.resolve() / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Files of records in databases."""
        return self.root.resolve() / "artifacts"

    @property
    def server(self) -> Path:
        """What the command `server` keeps."""
        return self.root.resolve() / "server"

    def study(self, name: str) -> Path:
        """State of a study."""
        return self.root.resolve() / "studies" / name

    def trial_state(self, study: str, sweep: str, trial: str) -> Path:
        """Checkpoints and provenance of a trial."""
        return state_folder(self.study(study) / sweep, trial)

    def corpus(self, size: str, seed: int) -> Path:
        """A synthetic corpus."""
        return self.root.resolve() / "corpora" / f"synthetic-{size}-seed{seed}"

    @property
    def reports(self) -> Path:
        """All reports, and their index."""
        return self.root.resolve() / "reports"

    def report(self, studies: list[str]) -> Path:
        """Report of one or several studies."""
        return self.reports / "+".join(studies)


def invocation(action: str, home: Home) -> str:
    """The command line that does `action` in `home`, the way this process was called."""
    command = Path(sys.argv[0]).name if shutil.which(Path(sys.argv[0]).name) else sys.argv[0]
    return f"{command} {action}" + ("" if home.root == DEFAULT_HOME else f" --home {home.root}")


def state_folder(sweep_folder: Path, trial: str) -> Path:
    """Where a trial keeps its checkpoint, what its numbers came from and, from the last epoch of a stage on, its predictions."""
    return sweep_folder / trial / "state"
