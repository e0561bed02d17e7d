"""The feature store: log-mels of every clip of a corpus, prepared once and memory-mapped.

Training opens it, `prepare` makes it. To open one needs no torch, so that commands can check a corpus at once.
"""

from acl.store.feature_store import FeatureStore, store_folder

__all__ = ["FeatureStore", "store_folder"]
