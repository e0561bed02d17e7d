"""Whether a store has the studies that a command names: asked before MLflow is imported, which takes seconds."""

import re
from collections.abc import Collection, Iterable

from sqlalchemy.exc import SQLAlchemyError

from acl.nearest import close_to
from analysis.database import Database

RUN_ID = re.compile(r"[0-9a-f]{6,32}")  # of MLflow, or its beginning


class AnalysisError(ValueError):
    """The records do not hold what was asked for; the message is one line with rule, value and remedy."""


def check_known(studies: Iterable[str], known: Collection[str]) -> None:
    """Refuse names of studies that are not among the known ones.

    Raises:
        AnalysisError: there is one.
    """
    for name in studies:
        if name not in known:
            remedy = close_to(name, known) or f"known: {', '.join(sorted(known)) or 'none, run one first'}"
            raise AnalysisError(f"no study {name!r} in this store; {remedy}")


def check_recorded(store_uri: str, references: Iterable[str]) -> None:
    """Refuse studies that a SQLite store has not. Other stores are asked when they are read, and so is whether there is a trial.

    Args:
        store_uri: of a file that exists, or of another store.
        references: names of studies, trials as STUDY/TRIAL, MLflow run ids.

    Raises:
        AnalysisError: there is no such study.
    """
    if not store_uri.startswith("sqlite:"):
        return
    try:
        known = Database(store_uri).studies()
    except SQLAlchemyError:  # another schema, locked, or no database: MLflow has the words for it
        return
    check_known([reference.rpartition("/")[0] or reference for reference in references if not RUN_ID.fullmatch(reference)], known)
