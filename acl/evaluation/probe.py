"""Linear probe: a linear classifier trained on frozen embeddings."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acl.config import ProbeConfig
from acl.models.initialisation import weights_from
from acl.optim import TrainingStep, sgd_with_step_decay


def train_linear_probe(
    embeddings: Tensor,
    clip_of_patch: Tensor,
    clip_labels: Tensor,
    num_classes: int,
    config: ProbeConfig,
    generator: torch.Generator,
    validate: Callable[[nn.Linear], float] | None = None,
) -> nn.Linear:
    """Linear layer trained with cross-entropy on embeddings that were computed once, with the encoder in evaluation mode.

    An epoch sees one random patch of each clip, in batches of `config.batch_size`. SGD; the rate is cut at
    `config.milestones`. The embeddings enter as they are, as in the recipe.

    Args:
        embeddings: `[P, D]`, one row per patch; the probe is trained where they are.
        clip_of_patch: `[P]` int64, index of the patch's clip in `clip_labels`.
        clip_labels: `[C]` int64 class ids; each clip has at least one patch.
        num_classes: size of the output.
        config: settings of the optimiser.
        generator: draws initial weights, patches and the order of clips.
        validate: score of the probe after an epoch; the weights of the first epoch with the highest score are returned. None
            returns those of the last epoch.

    Raises:
        ValueError: lengths differ, a patch names no clip, or a clip has no patch.
    """
    patch_order, first_patch, patch_count = _patches_by_clip(embeddings, clip_of_patch, clip_labels)
    with weights_from(generator):
        probe = nn.Linear(embeddings.shape[1], num_classes)
    probe.to(embeddings.device)
    inputs = embeddings.detach().float()
    optimiser, scheduler = sgd_with_step_decay(probe.parameters(), config)
    step = TrainingStep(optimiser, inputs.device)
    best_score, best_weights = -math.inf, probe.state_dict()

    def losses(batch: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(probe(batch), labels)[None]

    for _ in range(config.epochs):
        draws = torch.rand(len(clip_labels), generator=generator, device=generator.device, dtype=torch.float64)
        clip_order = torch.randperm(len(clip_labels), generator=generator, device=generator.device).to(inputs.device)
        drawn_patch = patch_order[first_patch + (draws.to(inputs.device) * patch_count).long()]
        batches = inputs[drawn_patch[clip_order]].split(config.batch_size)
        for batch, labels in zip(batches, clip_labels[clip_order].split(config.batch_size), strict=True):
            step(losses, batch, labels)
        scheduler.step()
        if validate is not None and (score := validate(probe)) > best_score:
            best_score, best_weights = score, {name: weight.clone() for name, weight in probe.state_dict().items()}
    probe.load_state_dict(best_weights)
    return probe.requires_grad_(False)


@torch.no_grad()
def probe_probabilities(probe: nn.Linear, embeddings: Tensor) -> Tensor:
    """Class probabilities `[P, classes]` of embeddings `[P, D]`."""
    return probe(embeddings.float()).softmax(1)


def _patches_by_clip(embeddings: Tensor, clip_of_patch: Tensor, clip_labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patch indices sorted by clip, and per clip where its patches begin in them and how many they are."""
    if embeddings.ndim != 2 or clip_of_patch.shape != embeddings.shape[:1]:
        raise ValueError(
            f"embeddings have shape {list(embeddings.shape)} and clip_of_patch {list(clip_of_patch.shape)}; pass [P, D] and [P]"
        )
    patch_count = torch.bincount(clip_of_patch, minlength=len(clip_labels))
    if len(patch_count) != len(clip_labels):
        raise ValueError(f"clip_of_patch names clip {len(patch_count) - 1} of {len(clip_labels)}; pass a label for every clip")
    if not patch_count.all():
        raise ValueError(f"clip {int(patch_count.argmin())} has 0 patches; leave it out or extract its features again")
    return clip_of_patch.argsort(stable=True), patch_count.cumsum(0) - patch_count, patch_count
