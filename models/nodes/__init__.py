"""The kinds of nodes of a network: any network's, those of sequences, and those of images."""

from models.nodes.images import Conv, Flatten, Image, InSpace, NormalizeInSpace, Pool, Windowed
from models.nodes.node import BACKWARD, INPUT, SECOND, Activate, Dense, Mirror, Multiply, Node, Normalize, Shape, Sum
from models.nodes.sequences import InTime, NormalizeInTime, Read, ReadEach, Recurrent, Steps

__all__ = [
    "BACKWARD", "INPUT", "SECOND", "WATCHED", "Activate", "Conv", "Dense", "Flatten", "Image", "InSpace", "InTime", "Mirror", "Multiply",
    "Node", "Normalize", "NormalizeInSpace", "NormalizeInTime", "Pool", "Read", "ReadEach", "Recurrent", "Shape", "Steps", "Sum",
    "Windowed",
]  # fmt: skip

WATCHED = Dense, InTime, Image, Conv, Pool
"""Kinds of nodes whose results are signals: dense nodes, sequences, and images but for their normalizations."""
