"""Do faster steps learn the same? Validation accuracies of pre-training by precision, over seeds.

    python -c "from acl.data.synthetic.corpus import write_synthetic_corpus as write; write('CORPUS', 'small', 0)"
    acl-study data prepare CORPUS && PYTHONPATH=. python benchmarks/precision_agreement.py CORPUS [SEEDS] [EPOCHS]

On a GPU the float32 runs launch their steps one by one, the others replay them.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from acl import optim
from acl.config import build_config
from acl.training import fit

GPU = torch.cuda.is_available()
VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {"compute.precision": "fp32", "compute.channels_last": False},
    "bf16, channels_last": {"compute.precision": "bf16"},
}
SHOWN = ("val.knn_accuracy", "val.accuracy", "train.loss")


def main(corpus: Path, seeds: int, epochs: int) -> None:
    size = {} if GPU else {"model.width": 8, "optim.batch_size": 64}
    settings = {
        "mode": "self-supervised",
        "data.root": str(corpus),
        "optim.epochs": epochs,
        "probe.epochs": 60,
        "knn.k": 10,
        **size,
    }
    captured_from = optim.WARM_UP_STEPS
    for name, compute in VARIANTS.items():
        optim.WARM_UP_STEPS = captured_from if compute.get("compute.channels_last", True) else sys.maxsize
        started = time.perf_counter()
        last = []
        for seed in range(seeds):
            *_, result = fit(build_config({**settings, **size, **compute, "seed": seed}))
            last.append(result.metrics)
        figures = (
            f"{shown} {statistics.mean(each[shown] for each in last):.4f} ± {statistics.stdev(each[shown] for each in last):.4f}"
            for shown in SHOWN
        )
        print(f"{name}: {', '.join(figures)} ({seeds} seeds, {time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int((sys.argv[2:] or ["5"])[0]), int((sys.argv[3:] or ["30"])[0]))
