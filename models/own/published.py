"""Published networks as rows: the smallest sensible images, and what is set so that they are the network of their paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.own.address import OwnModel

CLASSES = 1000
"""Classes of ImageNet, for which the networks were published."""


@dataclass(frozen=True)
class Published:
    """One network of a package's collection, on `batch` images of `pixels` × `pixels`, built with `options`.

    `of` is the package's class that builds it, where the collection has no name for this size of it.
    """

    package: str
    name: str
    pixels: int = 64
    batch: int = 2
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    source: str = ""
    of: str = ""

    @property
    def id(self) -> str:
        """As a user types it."""
        return f"{self.package}:{self.name}"


NO_AUXILIARY = {"aux_logits": False, "init_weights": False}
VIT_TINY = {"image_size": 32, "patch_size": 16, "num_layers": 12, "num_heads": 3, "hidden_dim": 192, "mlp_dim": 768}
PUBLISHED: tuple[Published, ...] = (
    Published("torchvision", "alexnet", 64, source="Krizhevsky 2012, as in arXiv:1404.5997"),
    Published("torchvision", "convnext_tiny", 64, source="arXiv:2201.03545"),
    Published("torchvision", "swin_t", 64, source="arXiv:2103.14030"),
    Published("torchvision", "resnet50", 64, source="arXiv:1512.03385"),
    Published("torchvision", "resnext50_32x4d", 64, source="arXiv:1611.05431"),
    Published("torchvision", "inception_v3", 75, options=NO_AUXILIARY, source="arXiv:1512.00567"),
    Published("torchvision", "resnet18", 64, source="arXiv:1512.03385"),
    Published("torchvision", "densenet121", 64, source="arXiv:1608.06993"),
    Published("torchvision", "googlenet", 64, options=NO_AUXILIARY, source="arXiv:1409.4842"),
    Published(
        "torchvision", "vit_ti_16", 32, options=VIT_TINY, source="arXiv:2010.11929, of the size of arXiv:2012.12877", of="VisionTransformer"
    ),
    Published("torchvision", "efficientnet_b0", 64, source="arXiv:1905.11946"),
    Published("torchvision", "mobilenet_v2", 64, source="arXiv:1801.04381"),
    Published("torchvision", "mobilenet_v3_small", 64, source="arXiv:1905.02244"),
    Published("torchvision", "mnasnet0_5", 64, source="arXiv:1807.11626"),
    Published("torchvision", "shufflenet_v2_x0_5", 64, source="arXiv:1807.11164"),
    Published("torchvision", "squeezenet1_1", 64, source="arXiv:1602.07360"),
    Published("keras", "MobileNetV3Small", 64, source="arXiv:1905.02244"),
    Published("keras", "MobileNetV2", 64, source="arXiv:1801.04381"),
    Published("keras", "MobileNet", 64, source="arXiv:1704.04861"),
    Published("keras", "NASNetMobile", 64, source="arXiv:1707.07012"),
    Published("keras", "EfficientNetB0", 64, source="arXiv:1905.11946"),
    Published("keras", "InceptionResNetV2", 75, source="arXiv:1602.07261"),
    Published("keras", "VGG16", 32, source="arXiv:1409.1556"),
    Published("keras", "DenseNet121", 64, source="arXiv:1608.06993"),
    Published("keras", "ConvNeXtTiny", 64, source="arXiv:2201.03545"),
    Published("keras", "InceptionV3", 75, source="arXiv:1512.00567"),
    Published("keras", "ResNet50V2", 64, source="arXiv:1603.05027"),
    Published("keras", "Xception", 71, source="arXiv:1610.02357"),
    Published("keras", "ResNet50", 64, source="arXiv:1512.03385"),
)
"""`--cases=published` takes these: PyTorch's large ones beside Keras's small ones, and Keras's largest beside PyTorch's small ones.

Network in Network is in neither collection; torchvision's VGG has 130 million parameters.
"""


def address(row: Published) -> OwnModel:
    """The network as a user names it."""
    return OwnModel(row.id, row.package, row.name, ".")


def settings(package: str, name: str) -> Published:
    """The row of a network, or the usual settings for one that has none."""
    return next((row for row in PUBLISHED if (row.package, row.name) == (package, name)), Published(package, name))
