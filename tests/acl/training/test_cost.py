"""The measured cost of a run, against the run itself."""

import multiprocessing
import time
from pathlib import Path

import pytest

from acl.config import flatten
from acl.system.errors import StoreError
from acl.training import fit
from acl.training.checkpoint_files import CHECKPOINT_FILE, stage_file
from acl.training.cost import settings_that_cost
from acl.training.loop import Course
from acl.training.timing import measure_run
from support.training_runs import MODES, config

PROTOCOLS = {"probe__protocol": "published", "probe__epochs": 1, "finetune__on": ["noisy", "clean"], "finetune__epochs": 1}


@pytest.mark.parametrize("batch_size", [53, 64])
@pytest.mark.parametrize("mode", MODES)
def test_an_epoch_has_as_many_steps_as_the_stage_says(mode: str, batch_size: int, tiny_corpus: Path) -> None:
    settings = config(mode, tiny_corpus, optim__batch_size=batch_size, **(PROTOCOLS if mode == "self-supervised" else {}))
    for stage in Course(settings).untrained_stages():
        assert sum(1 for _ in stage.train_steps()) == stage.steps > 0


def test_a_measured_run_has_the_stages_sizes_and_time_of_a_run(tiny_corpus: Path, tmp_path: Path) -> None:
    settings = config("self-supervised", tiny_corpus, finetune__on=["clean"], finetune__epochs=2, compute__threads=1)
    cost = measure_run(flatten(settings), cores=1, sees_gpu=False, beside=1, seconds=2)
    assert not multiprocessing.active_children()
    started = time.perf_counter()
    *_, last = fit(settings, tmp_path)
    actual = time.perf_counter() - started
    assert [(stage.name, stage.epochs) for stage in cost.stages] == [("pretraining", 2), ("probe", 5), ("finetune_clean", 2)]
    assert cost.prediction_rows == len(last.predictions)
    assert (cost.val_clips, cost.test_clips, cost.classes) == (40, 60, 20)
    kept = sum((tmp_path / stage_file(name)).stat().st_size for name in ("pretraining", "finetune_clean"))
    assert cost.kept_bytes == pytest.approx(kept, rel=0.05)
    assert cost.checkpoint_bytes > (tmp_path / CHECKPOINT_FILE).stat().st_size  # the last one holds no weights any more
    assert 0.2 < cost.seconds / actual < 5  # beside other work on the machine; benchmarks/plan_accuracy.py measures it well
    assert 100e6 < cost.memory_bytes < 2e9
    assert cost.gpu_reserved_bytes == 0
    assert cost.seconds_stopped_after(1) < cost.seconds


def test_what_a_run_fails_with_is_said_as_by_the_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="acl-study data prepare"):
        measure_run(flatten(config("supervised", tmp_path)), cores=1, sees_gpu=False)


def test_cost_depends_on_batches_but_not_on_weights(tiny_corpus: Path) -> None:
    cost = settings_that_cost(config("supervised", tiny_corpus))
    assert settings_that_cost(config("supervised", tiny_corpus, loss__alpha=0.1, seed=3, optim__lr=0.1)) == cost
    for changed in ({"optim__batch_size": 8}, {"data__subset": "all"}, {"compute__precision": "bf16"}, {"optim__epochs": 3}):
        assert settings_that_cost(config("supervised", tiny_corpus, **changed)) != cost
