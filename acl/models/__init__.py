"""Networks of the paper: ResNet-18 encoder with its projection head, and the supervised CNN baseline."""

from acl.models.cnn import BaselineCnn
from acl.models.encoders import encoder_of
from acl.models.folding import folded
from acl.models.projection_head import ProjectionHead
from acl.models.resnet import ResNet18

__all__ = ["BaselineCnn", "ProjectionHead", "ResNet18", "encoder_of", "folded"]
