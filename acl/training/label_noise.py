"""Label noise that a run injects into its clips, to study robustness."""

from dataclasses import replace

import numpy as np

from acl.config import NoiseConfig
from acl.store.feature_store import FeatureStore
from acl.system.errors import SplitError
from acl.training.randomness import stream_seed
from acl.training.splits import SPLIT_SEED


def inject_noise(store: FeatureStore, clips: np.ndarray, noise: NoiseConfig) -> FeatureStore:
    """The store with label noise in `round(rate * n)` of `clips`; as it is at rate 0.

    The noise is a property of the corpus, the clips, rate and kind, not of the run: the same for all seeds and settings of a study,
    and what is changed at one rate is changed alike at any higher one.

    symmetric: a clip gets any of the other classes, each as probable; its own is none of them, so the rate is that of wrong labels.
    out-of-vocabulary: a clip keeps its label and gets the sound of a foreign clip; none repeats before all are used.

    Args:
        store: of the run.
        clips: indices `[n]` of those that train, and of those held out from them, which have the same noise.
        noise: rate and kind.

    Raises:
        SplitError: the corpus has no foreign clips.
    """
    random = np.random.default_rng(stream_seed(SPLIT_SEED, "label noise"))
    order = random.permutation(clips)
    steps = random.integers(1, len(store.classes), len(order))
    foreign = np.flatnonzero(store.split == "foreign")
    count = round(noise.rate * len(clips))
    if count == 0:
        return store
    changed = order[:count]
    if noise.kind == "symmetric":
        class_ids, labels = store.class_ids.copy(), store.labels.copy()
        class_ids[changed] = (class_ids[changed] + steps[:count]) % len(store.classes)
        labels[changed] = np.array(store.classes)[class_ids[changed]]
        return replace(store, class_ids=class_ids, labels=labels, noisy_clips=count)
    if len(foreign) == 0:
        raise SplitError(
            "noise.kind is out-of-vocabulary, but the corpus has no foreign clips; list their labels under foreign in its manifest "
            "and import it again, or set noise.kind to symmetric"
        )
    sounds = np.resize(random.permutation(foreign), count)
    start_frame, frame_count = store.start_frame.copy(), store.frame_count.copy()
    start_frame[changed], frame_count[changed] = start_frame[sounds], frame_count[sounds]
    return replace(store, start_frame=start_frame, frame_count=frame_count, noisy_clips=count)
