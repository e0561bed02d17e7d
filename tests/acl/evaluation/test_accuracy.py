"""Clip-level predictions and accuracies against loops, scikit-learn and the published code."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from acl.evaluation import accuracy as evaluation
from acl.evaluation.accuracy import accuracies, clip_predictions, clip_probabilities, knn_predict, knn_votes, top_accuracy
from reference import clip_vote_loops


def split(seed: int, clips: int = 15, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings, patch labels and clips of patches; clips have 1 to 5 patches and lie near their class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (clips,), generator=generator)
    clip_of_patch = torch.arange(clips).repeat_interleave(torch.randint(1, 6, (clips,), generator=generator))
    centres = torch.randn(classes, 6, generator=generator, dtype=torch.float64)
    patch_labels = labels[clip_of_patch]
    embeddings = centres[patch_labels] + torch.randn(len(clip_of_patch), 6, generator=generator, dtype=torch.float64)
    return embeddings, patch_labels, clip_of_patch


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 9))
def test_knn_equals_the_definition(seed: int, k: int) -> None:
    embeddings, patch_labels, clip_of_patch = split(seed)
    expected = clip_vote_loops.knn_predict(embeddings.numpy(), patch_labels.tolist(), clip_of_patch.tolist(), k)
    assert knn_predict(embeddings, patch_labels, clip_of_patch, k).tolist() == expected


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 9), n=st.integers(1, 4))
def test_votes_and_top_accuracy_equal_the_definition(seed: int, k: int, n: int) -> None:
    embeddings, patch_labels, clip_of_patch = split(seed)
    expected = clip_vote_loops.knn_votes(embeddings.numpy(), patch_labels.tolist(), clip_of_patch.tolist(), k)
    votes = knn_votes(embeddings, patch_labels, clip_of_patch, k, num_classes=6)
    assert votes.tolist() == [[expected[clip].count(label) for label in range(6)] for clip in sorted(expected)]
    labels = [int(patch_labels[clip_of_patch == clip][0]) for clip in sorted(expected)]
    among = [clip_vote_loops.in_top(expected[clip], label, n) for clip, label in zip(sorted(expected), labels, strict=True)]
    assert top_accuracy(votes, torch.tensor(labels), n) == pytest.approx(np.mean(among))


def test_a_class_without_a_vote_is_never_among_the_top() -> None:
    assert top_accuracy(torch.tensor([[4, 0, 0]]), torch.tensor([1])) == 0
    assert top_accuracy(torch.tensor([[4, 1, 0]]), torch.tensor([1])) == 1
    with pytest.raises(ValueError, match="there are 0 clips"):
        top_accuracy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))


def test_knn_in_chunks_equals_knn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, patch_labels, clip_of_patch = split(1, clips=40)
    at_once = knn_predict(embeddings, patch_labels, clip_of_patch, 5)
    monkeypatch.setattr(evaluation, "SIMILARITIES_AT_ONCE", 7 * len(embeddings))
    assert torch.equal(knn_predict(embeddings, patch_labels, clip_of_patch, 5), at_once)


def test_knn_does_not_depend_on_the_order_of_patches() -> None:
    embeddings, patch_labels, clip_of_patch = split(2)
    order = torch.randperm(len(embeddings), generator=torch.Generator().manual_seed(0))
    expected = knn_predict(embeddings, patch_labels, clip_of_patch, 4)
    assert torch.equal(knn_predict(embeddings[order], patch_labels[order], clip_of_patch[order], 4), expected)
    assert torch.equal(knn_predict(10 * embeddings, patch_labels, 3 * clip_of_patch + 7, 4), expected)


def test_knn_never_asks_the_own_clip() -> None:
    """Two clips with identical patches inside: each patch's nearest neighbours are its own clip's, and must not vote."""
    embeddings = torch.tensor([[1.0, 0.0]] * 5 + [[0.9, 0.1]] * 5)
    clip_of_patch = torch.arange(2).repeat_interleave(5)
    assert knn_predict(embeddings, clip_of_patch, clip_of_patch, 3).tolist() == [1, 0]


def test_knn_reads_the_label_of_the_neighbour_it_found() -> None:
    """Neighbours stored behind the query clip keep their own labels; in the published code these slip by the clip's patches."""
    angle = torch.tensor([0.0, 0.1, 1.0, 1.1, 0.05, 1.05]) * 3
    embeddings = torch.stack([angle.cos(), angle.sin()], 1)
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    assert torch.equal(knn_predict(embeddings, labels, torch.arange(6), 1), labels)


def test_ties_go_to_the_lowest_label() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.01], [1.0, -0.01]])
    assert knn_predict(embeddings, torch.tensor([0, 2, 1]), torch.tensor([0, 1, 2]), 2).tolist() == [1, 0, 0]


def test_knn_needs_enough_other_patches() -> None:
    embeddings, clip_of_patch = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"k is 3, but a clip has only 2 patches .* --set knn\.k=2"):
        knn_predict(embeddings, clip_of_patch, clip_of_patch, 3)
    with pytest.raises(ValueError, match=r"patch_labels has shape \[5\], expected \[6\]"):
        knn_predict(embeddings, clip_of_patch[:5], clip_of_patch, 1)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("pooling", "key", "weighted", "macro"),
    [("mean", "acc_mean", 64.28571428571429, 63.888888888888886), ("gmean", "acc_gmean", None, None)],
)
def test_predictions_equal_the_published_code(golden: dict[str, Any], pooling: Any, key: str, weighted: Any, macro: Any) -> None:
    probabilities, clip_of_patch, labels, expected = (
        torch.from_numpy(golden["arrays"][f"clip/{name}"]) for name in ("patch_probs", "clip_of_patch", "label", f"pred_{pooling}")
    )
    predicted = clip_predictions(probabilities, clip_of_patch, pooling)
    assert torch.equal(predicted, expected)
    score = accuracies(predicted, labels, torch.bincount(clip_of_patch))
    assert 100 * score.clip == pytest.approx(golden["clip"][key])
    if weighted is not None:
        assert 100 * score.patch_weighted == pytest.approx(weighted)
        assert 100 * score.macro == pytest.approx(macro)


def test_pooling_by_hand() -> None:
    """One confident patch outweighs two in the mean; a near zero vetoes in the geometric mean."""
    probabilities = torch.tensor([[0.98, 0.02], [0.3, 0.7], [0.4, 0.6], [0.5, 0.5]])
    clip_of_patch = torch.tensor([0, 0, 0, 1])
    assert clip_predictions(probabilities, clip_of_patch).tolist() == [0, 0]
    vetoed = torch.tensor([[0.999, 0.001], [0.999, 0.001], [0.0, 1.0]])
    assert clip_predictions(vetoed, torch.zeros(3, dtype=torch.int64)).tolist() == [0]
    assert clip_predictions(vetoed, torch.zeros(3, dtype=torch.int64), "gmean").tolist() == [1]


@pytest.mark.parametrize("pooling", ["mean", "gmean"])
def test_pooled_probabilities_are_means_of_patches(pooling: Any) -> None:
    patches = torch.rand(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    patches = patches / patches.sum(1, keepdim=True)
    clip_of_patch = torch.tensor([0, 0, 0, 2, 2, 5, 5])
    pooled = clip_probabilities(patches, clip_of_patch, pooling).numpy()
    assert pooled.sum(1) == pytest.approx(1)
    for row, clip in zip(pooled, (0, 2, 5), strict=True):
        own = patches.numpy()[clip_of_patch.numpy() == clip]
        expected = own.mean(0) if pooling == "mean" else np.exp(np.log(own).mean(0))
        assert row == pytest.approx(expected / expected.sum())


def test_predictions_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="choose mean or gmean"):
        clip_predictions(torch.ones(2, 3), torch.zeros(2, dtype=torch.int64), "median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="clip_of_patch has shape"):
        clip_predictions(torch.ones(2, 3), torch.zeros(3, dtype=torch.int64))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), clips=st.integers(1, 60))
def test_accuracies_equal_scikit_learn(seed: int, clips: int) -> None:
    rng = np.random.default_rng(seed)
    true, patches = rng.integers(0, 4, clips), rng.integers(1, 9, clips)
    predicted = np.where(rng.random(clips) < 0.5, true, rng.choice(np.unique(true), clips))
    score = accuracies(torch.from_numpy(predicted), torch.from_numpy(true), torch.from_numpy(patches))
    assert score.clip == pytest.approx(accuracy_score(true, predicted))
    assert score.patch_weighted == pytest.approx(accuracy_score(true, predicted, sample_weight=patches))
    if len(np.unique(true)) > 1:
        assert score.macro == pytest.approx(balanced_accuracy_score(true, predicted))
    assert sorted(score.class_wise) == np.unique(true).tolist()


def test_accuracies_need_clips_of_equal_number() -> None:
    with pytest.raises(ValueError, match="0 clips"):
        accuracies(torch.zeros(0), torch.zeros(0), torch.zeros(0))
    with pytest.raises(ValueError, match="patches_per_clip has shape"):
        accuracies(torch.zeros(2), torch.zeros(2), torch.ones(3))
