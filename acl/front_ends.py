"""What both front ends share and how the feature store is laid out: numbers only, so that a store opens without torch."""

from acl.config import SELF_SUPERVISED, SUPERVISED, Mode

FRONT_ENDS: tuple[Mode, ...] = (SELF_SUPERVISED, SUPERVISED)
BANDS = 96  # of a log-mel
FORMAT_VERSION = 4  # of the feature store
