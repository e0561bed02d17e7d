"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[Path, typer.Option("--home", envvar="ACL_STUDY_HOME", help="Folder of all results.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="MLflow tracking URI; default: the SQLite store in the home folder.")
]
