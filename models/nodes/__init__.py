"""The kinds of nodes of a network: any network's, and those of sequences, of images and of discretised dynamics."""

from models.nodes.dynamics import Antisymmetric, Join, Part, Transposed
from models.nodes.images import Conv, Flatten, Image, InSpace, NormalizeInSpace, Pool, Windowed
from models.nodes.node import BACKWARD, INPUT, SECOND, Activate, Dense, Mirror, Multiply, Node, Normalize, Shape, Sum
from models.nodes.sequences import InTime, NormalizeInTime, Read, ReadEach, Recurrent, Steps

__all__ = [
    "BACKWARD", "INPUT", "SECOND", "WATCHED", "WIRED", "Activate", "Antisymmetric", "Conv", "Dense", "Flatten", "Image", "InSpace",
    "InTime", "Join", "Mirror", "Multiply", "Node", "Normalize", "NormalizeInSpace", "NormalizeInTime", "Part", "Pool", "Read",
    "ReadEach", "Recurrent", "Shape", "Steps", "Sum", "Transposed", "Windowed",
]  # fmt: skip

WATCHED = Dense, InTime, Image, Conv, Pool, Transposed
"""Kinds of nodes whose results are signals: dense nodes, sequences, and images but for their normalizations."""
WIRED = Sum, Join
"""Kinds of nodes that read two results, as functions of a framework and not as layers of it."""
