"""Predictions of a run as a file."""

import csv
import io

from acl.system.text import no_formula
from acl.training import EpochResult
from study import names


def predictions_csv(result: EpochResult) -> str:
    """Predictions of a run's last epoch as CSV text, one row per evaluation and clip; no name is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    has_recordings = any(row.recording for row in result.predictions)
    writer.writerow(
        [
            names.PREDICTION_EVALUATION,
            names.PREDICTION_SPLIT,
            names.PREDICTION_CLIP,
            names.PREDICTION_LABEL,
            names.PREDICTION_PREDICTED,
            names.PREDICTION_PATCHES,
            *([names.PREDICTION_RECORDING] if has_recordings else []),
            *(names.PREDICTION_PROBABILITY_PREFIX + name for name in result.classes),
        ]
    )
    for row in result.predictions:
        shares = [f"{share:.7g}" for share in row.probabilities]
        texts = map(no_formula, (row.evaluation, row.split, row.clip, row.label, row.predicted))
        recording = [no_formula(row.recording)] if has_recordings else []
        writer.writerow([*texts, row.patches, *recording, *shares])
    return text.getvalue()
