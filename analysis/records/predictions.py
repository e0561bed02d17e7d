"""The predictions files of runs as one Arrow table. `analysis.records.runs` makes a frame of it."""

import tempfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from acl.system.text import WRITTEN
from analysis.errors import AnalysisError
from analysis.records.cache import States, cached
from analysis.records.sql import End
from analysis.records.store import Store, is_over, local_artifact
from study import names

_FILE = names.PREDICTIONS_FILE
_TEXT = (names.PREDICTION_SPLIT, names.PREDICTION_CLIP, names.PREDICTION_LABEL, names.PREDICTION_PREDICTED)
_READ = (names.PREDICTION_EVALUATION, *_TEXT, names.PREDICTION_PATCHES)  # not the probabilities, most of the file
_RECORDING = names.PREDICTION_RECORDING  # a file may lack it
_KINDS = dict.fromkeys(("run_id", *_TEXT), pa.string()) | {names.PREDICTION_PATCHES: pa.int64(), _RECORDING: pa.string()}
_READING = pa.csv.ReadOptions(use_threads=False)  # the files are small
_PARSING = pa.csv.ParseOptions(newlines_in_values=True)
# Text is never taken for a gap: a class or a clip may be called "NA" or "None".
_CONVERSION = pa.csv.ConvertOptions(
    include_columns=(*_READ, _RECORDING),
    include_missing_columns=True,
    column_types={names.PREDICTION_EVALUATION: pa.string(), **_KINDS},
)


class _LostError(AnalysisError):
    """A run has no predictions."""


def prediction_rows(store: Store, run_ids: list[str], evaluation: str, *, may_lack: bool = False) -> pa.Table:
    """Predictions of an evaluation, of the runs that are over from the cache.

    Columns: run_id, split, clip, label, predicted, patches, recording (where nothing is known, the clip).

    With `may_lack` a run without predictions has no rows.

    Raises:
        AnalysisError: a run has no predictions, or they are not of this version's form.
    """
    ends = store.ends(run_ids)
    for run_id in run_ids:
        if run_id not in ends:
            raise _missing(run_id)

    def states(of: list[str]) -> States:
        return {run_id: _state(end) for run_id, end in (ends if of == run_ids else store.ends(of)).items()}

    def read(of: list[str]) -> pa.Table:
        tables = [pa.schema(_KINDS).empty_table()]
        with tempfile.TemporaryDirectory() as folder:
            for run_id in of:
                try:
                    tables.append(_rows_of_file(store, run_id, ends[run_id], folder, evaluation))
                except _LostError:
                    if not may_lack:
                        raise
        return pa.concat_tables(tables)

    return cached(("predictions", store.uri, evaluation), run_ids, states, read)


def _state(end: End) -> str | None:
    """What changes when the run goes on, and where its file lies on this machine, when that is written anew or deleted."""
    if not is_over(end):
        return None
    local = local_artifact(end.artifact_uri, _FILE)
    if local is None:
        return f"{end.status} {end.end_time}"
    try:
        stat = local.stat()
    except OSError:
        return None
    return f"{end.status} {end.end_time} {stat.st_mtime_ns} {stat.st_size}"


def _rows_of_file(store: Store, run_id: str, end: End, folder: str, evaluation: str) -> pa.Table:
    try:
        rows = pa.csv.read_csv(store.artifact(run_id, end.artifact_uri, _FILE, folder), _READING, _PARSING, _CONVERSION)
        patches = rows[names.PREDICTION_PATCHES]
        if any(rows[name].null_count for name in _READ) or (len(rows) and pc.min(patches).as_py() < 1):
            raise ValueError("a column is missing, or there is no number of patches")
    except OSError:
        raise _missing(run_id) from None
    except (KeyError, ValueError):  # of pyarrow: a column that is not there, an empty file, no text in UTF-8
        raise AnalysisError(
            f"{_FILE} of run {run_id} is damaged or lacks one of the columns {', '.join(_READ)}, as of an older version; "
            "run the trial again, or delete the run"
        ) from None
    own = pc.coalesce(rows[_RECORDING], "")
    own = pc.if_else(pc.equal(own, ""), rows[names.PREDICTION_CLIP], own)
    rows = rows.set_column(rows.column_names.index(_RECORDING), _RECORDING, own)
    for name in (names.PREDICTION_EVALUATION, *_TEXT, _RECORDING):
        texts = pc.replace_substring_regex(rows[name], WRITTEN, r"\1")
        rows = rows.set_column(rows.column_names.index(name), name, texts)
    rows = rows.filter(pc.equal(rows[names.PREDICTION_EVALUATION], evaluation)).drop_columns(names.PREDICTION_EVALUATION)
    clips = rows.select([names.PREDICTION_SPLIT, names.PREDICTION_CLIP])
    if len(clips.group_by(clips.column_names).aggregate([])) < len(clips):
        raise AnalysisError(
            f"{_FILE} of run {run_id} has a clip twice, so that no model's answer counts; delete the run, or restore it"
        )
    return rows.add_column(0, "run_id", pa.repeat(pa.scalar(run_id), len(rows)))


def _missing(run_id: str) -> "_LostError":
    return _LostError(f"run {run_id} has no {_FILE}; delete the run or restore its artifacts")
