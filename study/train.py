"""One run without Ray, on the screen."""

from pathlib import Path

from acl.config import Config
from acl.durable import write_durably
from acl.heap import keep_freed_memory
from acl.training import EpochResult, fit
from study import record_names as names
from study.predictions import predictions_csv

_CLASS_WISE = "class_accuracy."


def train_one(config: Config, checkpoints: Path | None) -> None:
    """Train and print a line for each epoch, then the final figures; errors as `acl.training.fit`."""
    keep_freed_memory()
    epoch = 0
    try:
        for result in fit(config, checkpoints):
            epoch = result.epoch
            figures = {name: value for name, value in result.metrics.items() if not _is_final(name)}
            shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(f"epoch {result.epoch}/{result.epochs} {result.stage}  {shown}", flush=True)
            if result.is_last:
                _print_final(result, checkpoints)
    except KeyboardInterrupt:
        remedy = "the same command continues" if checkpoints is not None else "nothing is kept without --checkpoints"
        print(f"interrupted after epoch {epoch}; {remedy}", flush=True)
        raise


def _is_final(name: str) -> bool:
    """Figures that come with the last epoch only."""
    return name.startswith(("test.", names.BEST_EPOCH)) or _CLASS_WISE in name


def _print_final(result: EpochResult, checkpoints: Path | None) -> None:
    print("final figures, of the epochs that validation selected:")
    for name, value in result.metrics.items():
        if _is_final(name) and _CLASS_WISE not in name:
            print(f"  {name} {value:.4g}")
    if checkpoints is not None:
        path = checkpoints / names.PREDICTIONS_FILE
        write_durably(path, predictions_csv(result))
        print(f"predictions of every clip: {path}")
