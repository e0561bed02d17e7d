"""An exported model as MLflow's `pyfunc` calls it; nothing of MLflow is imported.

MLflow reads the name of this module from the model's file and calls `_load_pyfunc`, so no pickled code is stored with a model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from acl.data.audio import read_mono
from acl.exported import Exported, load_exported
from acl.system.errors import AudioError


class Embedder:
    """Paths of audio files → embeddings.

    Args:
        model: what embeds them.
    """

    def __init__(self, model: Exported) -> None:
        self.model = model

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> np.ndarray:
        """Embeddings `[N, D]` float32 of the files in the first column of `model_input`, a pandas frame, in their order.

        Raises:
            AudioError: a file cannot be read.
        """
        embeddings = []
        for path in model_input.iloc[:, 0]:
            try:
                embeddings.append(self.model.embed(*read_mono(Path(path))).numpy())
            except AudioError as error:
                raise AudioError(f"{path} {error}; leave it out") from None
        return np.stack(embeddings) if embeddings else np.empty((0, self.model.embedding_dim), dtype=np.float32)


def _load_pyfunc(data_path: str) -> Embedder:
    """What MLflow calls with the folder of the exported model."""
    return Embedder(load_exported(data_path))
