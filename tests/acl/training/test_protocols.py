"""Linear evaluation by both protocols, fine-tuning, and pre-training without labels."""

import csv
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from acl import metric_names as names
from acl.config import SelfSupervisedConfig
from acl.models import ResNet18
from acl.training import EpochResult, fit
from acl.training.classifier import ClassifierStage
from acl.training.loop import Course
from acl.training.pretraining import PretrainingStage
from acl.training.self_supervised import SelfSupervisedSetup
from acl.training.stage import Weights
from support.training_runs import config, without_times

ALL_PROTOCOLS: dict[str, Any] = {
    "optim__epochs": 2,
    "probe__protocol": "published",
    "probe__epochs": 2,
    "finetune__on": ["noisy", "clean"],
    "finetune__epochs": 1,
}


def setup(root: Path, **settings: Any) -> SelfSupervisedSetup:
    settings_of_run = config("self-supervised", root, **settings)
    assert isinstance(settings_of_run, SelfSupervisedConfig)
    return SelfSupervisedSetup(settings_of_run)


def pretrained(of: SelfSupervisedSetup) -> Weights:
    """Weights as pre-training starts with; none of these tests needs better ones."""
    return {name: weight.clone() for name, weight in PretrainingStage(of).model.state_dict().items()}


@pytest.fixture(scope="module")
def course(tiny_corpus: Path) -> tuple[Course, list[EpochResult]]:
    """A run with every protocol."""
    run = Course(config("self-supervised", tiny_corpus, **ALL_PROTOCOLS))
    return run, [run.run_epoch() for _ in range(run.epochs)]


def test_every_stage_reports_its_epochs(course: tuple[Course, list[EpochResult]]) -> None:
    run, records = course
    assert run.epochs == 2 + 2 + 1 + 1
    assert [result.epoch for result in records] == list(range(1, 7))
    stages = ["pretraining", "pretraining", "linear", "linear", "finetune_noisy", "finetune_clean"]
    assert [result.stage for result in records] == stages
    stage_of_epoch = ["train.loss", "train.loss", "train.linear_loss", "train.linear_loss"]
    stage_of_epoch += ["train.finetune_noisy_loss", "train.finetune_clean_loss"]
    for result, loss in zip(records, stage_of_epoch, strict=True):
        assert {name for name in result.metrics if name.startswith("train.") and name.endswith("loss")} == {loss}
        rates = {loss.replace("loss", "learning_rate"), loss.replace("loss", "clips_per_second")}
        assert {names.VAL_KNN_ACCURACY, names.EPOCH_SECONDS, *rates} <= result.metrics.keys()
        assert (names.VAL_ACCURACY in result.metrics) == (result.epoch > 2)
        stage_ends = result.epoch in (2, 4, 5, 6)  # what is measured is reported at once: a later stage may fail
        assert any(name.startswith("test.") for name in result.metrics) == stage_ends
        assert bool(result.predictions) == stage_ends
    so_far = [records[epoch - 1] for epoch in (2, 4, 5, 6)]
    for earlier, later in itertools.pairwise(so_far):
        final = {name: value for name, value in earlier.metrics.items() if name.startswith(("test.", "best_epoch"))}
        assert final.items() < later.metrics.items()
        assert later.predictions[: len(earlier.predictions)] == earlier.predictions
    last = records[-1].metrics
    for evaluation in ("", "knn_", "finetune_noisy_", "finetune_clean_"):
        for split in ("val", "test"):
            for measure in ("accuracy", "macro_accuracy", "patch_weighted_accuracy", "class_accuracy.Rain"):
                assert f"{split}.{evaluation}{measure}" in last
    assert {"best_epoch", "best_epoch.linear", "best_epoch.finetune_noisy", "best_epoch.finetune_clean"} <= last.keys()
    assert {row.evaluation for row in records[-1].predictions} == {"classifier", "knn", "finetune_noisy", "finetune_clean"}


def test_fine_tuning_predicts_its_own_validation_clips(course: tuple[Course, list[EpochResult]]) -> None:
    run, records = course
    store, rows = run.store, records[-1].predictions
    clean = set(store.names[store.select("clean")].tolist())
    for evaluation, held_out in (("classifier", clean), ("knn", clean), ("finetune_noisy", clean), ("finetune_clean", None)):
        clips = {
            split: [row.clip for row in rows if (row.evaluation, row.split) == (evaluation, split)] for split in ("val", "test")
        }
        assert clips["test"] == store.names[store.test_clips()].tolist()
        assert set(clips["val"]) == held_out if held_out else set(clips["val"]) < clean
    shares = [row for row in rows if row.evaluation == "finetune_clean" and row.split == "test"]
    right = sum(row.label == row.predicted for row in shares) / len(shares)
    assert records[-1].metrics["test.finetune_clean_accuracy"] == pytest.approx(right)


def test_linear_evaluation_changes_statistics_but_no_weight(
    course: tuple[Course, list[EpochResult]],
) -> None:
    run, _ = course
    assert list(run.finished) == ["pretraining", "linear", "finetune_noisy", "finetune_clean"]
    before = {name.removeprefix("encoder."): weight for name, weight in run.finished["pretraining"].weights.items()}
    for stage in ("linear", "finetune_noisy", "finetune_clean"):
        after = {name.removeprefix("0."): weight for name, weight in run.finished[stage].weights.items() if name.startswith("0.")}
        assert after.keys() <= before.keys()
        moved = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
        is_statistic = {name: "running_" in name or "num_batches" in name for name in after}
        if stage == "linear":
            assert moved == {name for name in after if is_statistic[name]}
        else:
            assert moved == set(after)


def test_a_linear_evaluation_epoch_equals_a_plain_loop(tiny_corpus: Path) -> None:
    of = setup(tiny_corpus, probe__protocol="published", probe__weight_decay=0.01, compute__channels_last=False)
    weights = pretrained(of)
    stage = ClassifierStage(of, "linear", weights)
    encoder = ResNet18(of.config.model.width, generator=torch.Generator())
    encoder.load_state_dict({name[8:]: weight for name, weight in weights.items() if name.startswith("encoder.")})
    first = stage.classifier.weight.detach().clone(), stage.classifier.bias.detach().clone()
    drawn = []
    draw = stage.starts.draw
    stage.starts.draw = lambda clips, generator: drawn.append((clips, draw(clips, generator))) or drawn[-1][1]  # type: ignore
    stage.epoch = 1
    list(stage.train_steps())
    ((order, starts),) = drawn
    assert sorted(order.tolist()) == list(range(len(of.splits.train)))
    size = of.config.probe.batch_size
    batches = [(part, of.reader.read(start)) for part, start in zip(order.split(size), starts.split(size), strict=True)]

    classifier = nn.Linear(encoder.embedding_dim, 20)
    classifier.load_state_dict({"weight": first[0], "bias": first[1]})
    velocity = [torch.zeros_like(part) for part in classifier.parameters()]
    encoder.train()
    for positions, patches in batches:
        h = encoder(of.standardise(patches)).detach()
        labels = torch.from_numpy(of.store.class_ids[of.splits.train])[positions]
        loss = -classifier(h).log_softmax(1)[torch.arange(len(labels)), labels].mean()
        gradients = torch.autograd.grad(loss, list(classifier.parameters()))
        with torch.no_grad():
            for part, gradient, speed in zip(classifier.parameters(), gradients, velocity, strict=True):
                speed.mul_(0.9).add_(gradient + 0.01 * part)
                part.sub_(0.1 * speed)
    torch.testing.assert_close(stage.classifier.weight, classifier.weight, rtol=0, atol=1e-5)
    for name, statistic in encoder.state_dict().items():
        torch.testing.assert_close(stage.encoder.state_dict()[name], statistic, rtol=1e-5, atol=1e-6)


def test_the_cached_protocol_leaves_the_encoder_as_it_is(tiny_corpus: Path) -> None:
    run = Course(config("self-supervised", tiny_corpus, optim__epochs=1))
    stage = run._stage
    assert stage is not None
    run.run_epoch()
    for name, weight in stage.model.state_dict().items():
        assert torch.equal(weight, run.finished["pretraining"].weights[name]), name


@pytest.mark.parametrize("pretraining", ["subset", "all"])
def test_pre_training_does_not_look_at_labels(pretraining: str, tiny_corpus: Path, tmp_path: Path) -> None:
    """The labels of all clips are exchanged: what pre-training learns stays the same, what evaluates it does not."""
    other = tmp_path / "relabelled"
    shutil.copytree(tiny_corpus / "features", other / "features")
    table = other / "features" / "self-supervised" / "clips.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        for index, row in enumerate(rows):
            writer.writerow(row | {key: rows[index * 7 % len(rows)][key] for key in ("label", "class_id")})
    settings = {"optim__epochs": 2, "data__pretraining": pretraining}
    true, exchanged = (without_times(list(fit(config("self-supervised", root, **settings)))) for root in (tiny_corpus, other))
    for one, two in zip(true, exchanged, strict=True):
        learned = [{name: value for name, value in result.metrics.items() if name.startswith("train.")} for result in (one, two)]
        assert learned[0] == learned[1]
    assert true[-1].predictions != exchanged[-1].predictions


def test_pre_training_on_all_learns_from_more_clips(tiny_corpus: Path) -> None:
    of_subset, of_all = (setup(tiny_corpus, data__pretraining=choice) for choice in ("subset", "all"))
    assert len(of_all.pretraining_clips) == len(of_subset.pretraining_clips) + len(of_all.store.select("clean"))
    assert not torch.equal(of_all.standardise.mean, of_subset.standardise.mean)
    assert of_all.splits.train.tolist() == of_subset.splits.train.tolist()
