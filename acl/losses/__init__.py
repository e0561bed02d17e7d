"""The losses of the paper: each a pure function of embeddings, and the two sums that training minimises as modules."""

from acl.losses.acl import AngularContrastiveLoss, AngularContrastiveParts
from acl.losses.angular_margin import angular_margin_classes, angular_margin_pairs
from acl.losses.margin_cross_entropy import MarginCrossEntropy, MarginCrossEntropyParts
from acl.losses.nt_xent import nt_xent

__all__ = [
    "AngularContrastiveLoss",
    "AngularContrastiveParts",
    "MarginCrossEntropy",
    "MarginCrossEntropyParts",
    "angular_margin_classes",
    "angular_margin_pairs",
    "nt_xent",
]
