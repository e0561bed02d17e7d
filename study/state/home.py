"""The results folder, which holds everything that a person may want to keep or delete."""

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from study.errors import StudyError

DEFAULT_HOME = Path("acl-runs")
_SQLITE = "sqlite:///"
_LONGEST_NAME = 200  # bytes of a folder's name; file systems allow 255, encrypted ones fewer
_SIGNS_OF_ADDRESSES = "?#%"


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
        return sqlite_uri(self.root.resolve() / "mlflow.db")

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
        """Report of one or several studies; of many long names the first, and a digest of all.

        >>> Home(Path("/runs")).report(["a", "b"]).name, len(Home(Path("/runs")).report(["a" * 99, "b" * 99, "c" * 99]).name)
        ('a+b', 127)
        """
        name = "+".join(studies)
        if len(name) > _LONGEST_NAME:
            name = f"{studies[0]}+{len(studies) - 1}-more-{hashlib.sha256(name.encode()).hexdigest()[:20]}"
        return self.reports / name


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite file; `sqlite_path` is its inverse.

    >>> sqlite_uri(Path("/data/mlflow.db"))
    'sqlite:////data/mlflow.db'

    Raises:
        StudyError: the path has a sign that means something else in an address.
    """
    if found := [sign for sign in _SIGNS_OF_ADDRESSES if sign in str(path)]:
        raise StudyError(
            f"{path.parent} has {found[0]!r} in its path, which means something else in the address of a database; choose another "
            "folder for --home or --store"
        )
    return f"{_SQLITE}{path}"


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite address; None where it is the address of something else.

    >>> sqlite_path("sqlite:////data/mlflow.db"), sqlite_path("http://server:5000")
    (PosixPath('/data/mlflow.db'), None)
    """
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def invocation(action: str, home: Home) -> str:
    """The command line that does `action` in `home`, the way this process was called."""
    command = Path(sys.argv[0]).name if shutil.which(Path(sys.argv[0]).name) else sys.argv[0]
    return f"{command} {action}" + ("" if home.root == DEFAULT_HOME else f" --home {home.root}")


def state_folder(sweep_folder: Path, trial: str) -> Path:
    """Where a trial keeps its checkpoint, what its numbers came from and, from the last epoch of a stage on, its predictions."""
    return sweep_folder / trial / "state"
