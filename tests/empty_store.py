"""An MLflow store that has its schema already: to make one takes seconds, and every test of whole studies needs one."""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from mlflow import MlflowClient


def with_store(home: Path) -> Path:
    """The folder, made if absent, with an empty store in it."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_empty_store(), home / "mlflow.db")
    return home


@cache
def _empty_store() -> Path:
    path = Path(tempfile.gettempdir(), f"acl-study-tests-{os.getpid()}.db")
    path.unlink(missing_ok=True)  # of an earlier process of this number
    atexit.register(path.unlink, missing_ok=True)
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path
