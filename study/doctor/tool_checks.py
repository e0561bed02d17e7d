"""Checks beyond the machine: figures as files, the records, a corpus, and whether Ray starts."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from acl.system.text import last_line
from study.doctor.findings import Finding, reason_of
from study.errors import StudyError
from study.machine import ray_folder
from study.state.home import Home

RAY_SECONDS = 90
_SQLITE_SECONDS = 5  # that another process may hold the file
_MAKE_WRITABLE = "make file and folder writable, or name another folder with --home"
_TRY_RAY = "import acl_study; from study.execution.ray_session import try_ray; try_ray()"


def tool_findings(home: Home, store: str | None, data: Path | None, *, with_ray: bool) -> Iterator[Finding]:
    """Everything that studies use; the slowest comes last.

    Args:
        home: folder of the results.
        store: MLflow store to look at; None is that of the home folder.
        data: corpus folder to look at; None for none.
        with_ray: start and end a Ray session, which takes some seconds.
    """
    yield _export()
    yield _records(home, store)
    if data is None:
        yield Finding("note", "corpus", "not looked at", "name its folder with --data DIR")
    else:
        yield from _corpus(data)
    if with_ray:
        yield _ray()


def _export() -> Finding:
    from analysis.errors import AnalysisError
    from analysis.report.files import exporter

    try:
        exporter()
    except AnalysisError as error:
        what, _, remedy = str(error).partition(": ")
        return Finding("warning", "figures", what, remedy)
    return Finding("ok", "figures", "kaleido and a browser for acl-study figures")


def _records(home: Home, store: str | None) -> Finding:
    uri = store or home.store_uri
    if uri.startswith("sqlite:///"):
        return _sqlite(Path(uri.removeprefix("sqlite:///")))
    from study.tracking.uri import check_store

    try:
        check_store(uri)
    except StudyError as error:
        what, _, remedy = str(error).rpartition("; ")
        return Finding("problem", "records", what, remedy) if what else Finding("problem", "records", str(error))
    return Finding("ok", "records", f"{urlsplit(uri).scheme} store {uri} answers")


def _sqlite(file: Path) -> Finding:
    """Whether a write to the file succeeds; it is taken back, and an absent file is not made."""
    if not file.exists():
        return Finding("ok", "records", f"{file}, which the first study makes")
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=_SQLITE_SECONDS, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE doctor (id)")  # of a read-only file, SQLite begins a transaction without a word
            studies = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except sqlite3.Error as error:
        remedy = {
            "locked": "another process writes to it: wait, or end that one",
            "readonly": _MAKE_WRITABLE,
            "unable to open": _MAKE_WRITABLE,
            "not a database": "move it away: acl-study resume NAME writes the records of a study anew from its journals",
            "malformed": "move it away: acl-study resume NAME writes the records of a study anew from its journals",
        }
        known = (advice for sign, advice in remedy.items() if sign in str(error))
        return Finding(
            "problem", "records", f"{file}: {reason_of(error)}", next(known, "move it away, or name another with --store")
        )
    return Finding("ok", "records", f"{file} can be written, {studies} runs")


def _corpus(root: Path) -> Iterator[Finding]:
    from acl.data.corpus import read_corpus
    from acl.front_ends import FRONT_ENDS
    from acl.store.feature_store import FeatureStore
    from acl.system.errors import CorpusError, StoreError

    if not root.is_dir():
        yield Finding("problem", "corpus", f"{root} is no folder", "correct --data, or write a corpus: acl-study data synth DIR")
        return
    clips = None
    try:
        corpus = read_corpus(root)
    except (CorpusError, OSError) as error:
        what, _, remedy = str(error).rpartition("; ")
        yield Finding("problem", "corpus", what or str(error), remedy)
    else:
        clips = len(corpus.clips)
        of_split = Counter(clip.split for clip in corpus.clips)
        counts = f"{', '.join(f'{count} {split}' for split, count in of_split.items())} clips, {len(corpus.classes)} classes"
        yield Finding("ok", "corpus", f"{corpus.description}: {counts}")
    prepare = f"acl-study data prepare {root}"
    for front_end in FRONT_ENDS:
        try:
            store = FeatureStore.open(root, front_end)
            prepared, left_out = len(store.names), len(store.metadata.get("left_out", []))
        except StoreError as error:
            what, _, remedy = str(error).rpartition("; ")
            yield Finding("problem", "features", what or str(error), remedy)
            continue
        without = f", {left_out} left out by --skip-bad" if left_out else ""
        if clips is not None and prepared + left_out != clips:
            yield Finding("warning", "features", f"{front_end}: of {prepared} clips, the corpus has {clips}{without}", prepare)
        else:
            yield Finding("ok", "features", f"{front_end}: of {prepared} clips{without}")


def _ray() -> Finding:
    """A session of its own, in a process that can be ended with all that it has started."""
    began = time.monotonic()
    command = [sys.executable, "-P", "-c", _TRY_RAY]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            _, said = process.communicate(timeout=RAY_SECONDS)
        except subprocess.TimeoutExpired:
            remedy = f"look into {ray_folder()}/session_latest/logs; a firewall or a proxy for local addresses may be in the way"
            return Finding("problem", "Ray", f"has not started within {RAY_SECONDS} s", remedy)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        last = last_line(said, f"exit status {process.returncode}")
        what, _, remedy = last.partition("; ")
        return Finding("problem", "Ray", what, remedy or f"look into {ray_folder()}/session_latest/logs")
    return Finding("ok", "Ray", f"started, ran a task and ended in {time.monotonic() - began:.0f} s")
