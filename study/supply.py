"""What travels to the workers of a cluster, so that each sees whether its machine is fit for a trial and has the features."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from acl.store import FeatureStore
from study.node import Features, NodeError, copied_root, seen_root, why_not
from study.storage import Storage


class FeatureFeed:
    """Gives features to machines that do not see them; an actor on the machine that launched the study."""

    def __init__(self) -> None:
        self._sent = 0

    def read(self, features: Features, name: str, first: int, count: int) -> bytes:
        """A part of a file of a feature store."""
        part = features.read(name, first, count)
        self._sent += len(part)
        return part

    def sent(self) -> int:
        """Bytes that were given so far."""
        return self._sent


@dataclass(frozen=True)
class Supply:
    """What trials need of a machine.

    Attributes:
        features: by sweep.
        feed: a `FeatureFeed`.
        mark: file in the study's folder, by which a machine knows that it sees that folder; None where it need not.
        storage: that it must reach instead.
    """

    features: Mapping[str, Features]
    feed: Any
    mark: Path | None
    storage: Storage | None

    def make_ready(self, sweep: str) -> None:
        """Have this process find the sweep's features on its machine; copies them here first, if need be.

        Raises:
            NodeError: no trial can run here.
        """
        node = ray.get_runtime_context().get_node_id()
        if wrong := why_not(self.mark, self.storage):
            raise NodeError(node, wrong)
        features = self.features[sweep]
        FeatureStore.use_copy(features.root, features.front_end, self.copied(features, node))

    def copied(self, features: Features, node: str) -> str:
        """Corpus folder under which this machine, `node`, has the features, copied if need be; errors as `make_ready`."""
        return seen_root(features) or copied_root(features, self._reader(features), node)

    def _reader(self, features: Features) -> Callable[[str, int, int], bytes]:
        def read(name: str, first: int, count: int) -> bytes:
            try:
                part: bytes = ray.get(self.feed.read.remote(features, name, first, count))
            except RayError as error:
                raise OSError(f"the machine that has them does not answer: {str(error).splitlines()[0]}") from None
            return part

        return read
