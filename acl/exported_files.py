"""The files of an exported model, see `acl.exported`."""

from pathlib import Path

from acl.system.errors import ExportedError

ENCODER_FILE = "encoder.safetensors"
CLASSIFIER_FILE = "classifier.safetensors"
CONFIG_FILE = "config.json"
LABELS_FILE = "labels.json"


def check_there(folder: Path, *names: str) -> None:
    """Refuse a folder in which one of the files is missing; without names, one of those that every model has.

    Raises:
        ExportedError: it is.
    """
    for name in names or (CONFIG_FILE, LABELS_FILE, ENCODER_FILE):
        if not (folder / name).is_file():
            raise ExportedError(f"{folder} has no {name}; name a folder that `acl-study export` wrote")
