"""Linear probe on frozen embeddings."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from acl.config import ProbeConfig
from acl.evaluation.probe import probe_probabilities, train_linear_probe


def clips(count: int = 120, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings of 3 overlapping classes, 1 to 3 patches a clip."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    clip_of_patch = torch.arange(count).repeat_interleave(torch.randint(1, 4, (count,), generator=generator))
    centres = 1.5 * torch.eye(3, 8)
    embeddings = centres[labels[clip_of_patch]] + torch.randn(len(clip_of_patch), 8, generator=generator)
    return embeddings, clip_of_patch, labels


def train(
    embeddings: torch.Tensor, clip_of_patch: torch.Tensor, labels: torch.Tensor, seed: int = 0, **settings: object
) -> torch.nn.Linear:
    config = ProbeConfig.model_validate(settings)
    return train_linear_probe(embeddings, clip_of_patch, labels, 3, config, torch.Generator().manual_seed(seed))


def test_reaches_what_logistic_regression_reaches() -> None:
    embeddings, clip_of_patch, labels = clips()
    unseen, unseen_clip, unseen_labels = clips(400, seed=1)
    probe = train(embeddings, clip_of_patch, labels, epochs=60)
    predicted = probe_probabilities(probe, unseen).argmax(1)
    accuracy = (predicted == unseen_labels[unseen_clip]).double().mean().item()
    oracle = LogisticRegression().fit(embeddings.numpy(), labels[clip_of_patch].numpy())
    assert accuracy == pytest.approx(oracle.score(unseen.numpy(), unseen_labels[unseen_clip].numpy()), abs=0.04)


def test_one_step_is_one_step_of_gradient_descent() -> None:
    """A single epoch in one batch: weights move by lr times the gradient of cross-entropy + wd / 2 · weights²."""
    embeddings, _, labels = clips()
    embeddings = embeddings[:40]
    clip_of_patch, labels = torch.arange(40), labels[:40]
    before = train(embeddings, clip_of_patch, labels, epochs=1, batch_size=40, lr=1e-30)
    after = train(embeddings, clip_of_patch, labels, epochs=1, batch_size=40, lr=0.1, weight_decay=0.01)
    weight, bias, x = before.weight.double().numpy(), before.bias.double().numpy(), embeddings.double().numpy()
    scores = np.exp(x @ weight.T + bias)
    error = scores / scores.sum(1, keepdims=True) - np.eye(3)[labels.numpy()]
    np.testing.assert_allclose(after.weight.numpy(), weight - 0.1 * (error.T @ x / 40 + 0.01 * weight), rtol=0, atol=1e-6)
    np.testing.assert_allclose(after.bias.numpy(), bias - 0.1 * (error.mean(0) + 0.01 * bias), rtol=0, atol=1e-6)


def test_the_rate_falls_at_the_milestones() -> None:
    """With a decay to almost nothing the weights stay where they were at the first milestone."""
    embeddings, clip_of_patch, labels = clips()
    stopped = train(embeddings, clip_of_patch, labels, epochs=10, milestones=(0.4,), decay=1e-30, momentum=0.0)
    short = train(embeddings, clip_of_patch, labels, epochs=4, milestones=(), momentum=0.0)
    assert torch.equal(stopped.weight, short.weight)


def test_a_single_epoch_runs_at_the_full_rate() -> None:
    embeddings, clip_of_patch, labels = clips()
    with_milestones = train(embeddings, clip_of_patch, labels, epochs=1)
    without = train(embeddings, clip_of_patch, labels, epochs=1, milestones=())
    assert torch.equal(with_milestones.weight, without.weight)


def test_follows_from_the_generator_alone() -> None:
    data = clips()
    before = torch.random.get_rng_state()
    first = train(*data, epochs=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.weight, train(*data, epochs=3).weight)
    assert not torch.equal(first.weight, train(*data, seed=1, epochs=3).weight)


def test_clips_count_equally_however_many_patches_they_have() -> None:
    """99 patches of one clip against one of another, identical inputs: each clip is drawn once an epoch, so neither wins."""
    clip_of_patch = torch.cat([torch.zeros(99, dtype=torch.int64), torch.ones(1, dtype=torch.int64)])
    probe = train(torch.ones(100, 4), clip_of_patch, torch.tensor([0, 1]), epochs=100)
    probabilities = probe_probabilities(probe, torch.ones(1, 4))[0]
    assert probabilities[:2].tolist() == pytest.approx([0.5, 0.5], abs=0.05)


def test_all_patches_of_a_clip_are_drawn() -> None:
    """Each patch of a clip feeds its own input; after training every input's weight has moved."""
    clip_of_patch = torch.tensor([1, 0, 1, 0, 1, 0, 1, 0])
    start = train(torch.eye(8), clip_of_patch, torch.tensor([0, 1]), epochs=1, lr=1e-30)
    probe = train(torch.eye(8), clip_of_patch, torch.tensor([0, 1]), epochs=60, weight_decay=0.0)
    assert ((probe.weight - start.weight).abs().amax(0) > 0.01).all()
    predicted = probe_probabilities(probe, torch.eye(8)).argmax(1)
    assert predicted.tolist() == torch.tensor([0, 1])[clip_of_patch].tolist()


def test_validation_selects_the_first_epoch_with_the_best_score() -> None:
    """Weights of the epoch are those of a run that ends with it, without decay of the rate."""
    embeddings, clip_of_patch, labels = clips()
    scores = iter([0.1, 0.5, 0.3, 0.5, 0.2])
    seen = []

    def validate(probe: torch.nn.Linear) -> float:
        seen.append(probe.weight.clone())
        return next(scores)

    config = ProbeConfig(epochs=5, milestones=())
    generator = torch.Generator().manual_seed(0)
    selected = train_linear_probe(embeddings, clip_of_patch, labels, 3, config, generator, validate)
    assert torch.equal(selected.weight, seen[1])
    assert torch.equal(selected.weight, train(embeddings, clip_of_patch, labels, epochs=2, milestones=()).weight)


def test_probabilities_sum_to_one() -> None:
    embeddings, clip_of_patch, labels = clips()
    probabilities = probe_probabilities(train(embeddings, clip_of_patch, labels, epochs=1), embeddings)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(embeddings)))
    assert not probabilities.requires_grad


def test_refuses_clips_without_patches_and_patches_without_clips() -> None:
    embeddings = torch.ones(3, 4)
    with pytest.raises(ValueError, match="clip 1 has 0 patches"):
        train(embeddings, torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="names clip 2 of 2"):
        train(embeddings, torch.tensor([0, 1, 2]), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"pass \[P, D\] and \[P\]"):
        train(embeddings, torch.tensor([0, 1]), torch.tensor([0, 1]))
