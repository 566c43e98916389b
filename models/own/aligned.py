"""Published networks that torchvision and keras.applications both have, as rows: what must be set equal, and what stays different."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.own.address import ALIGNED, OwnModel
from models.own.gauge import OwnError

BOTH = "torch", "keras"
"""The two frameworks, as backends."""
CLASSES = 10
"""Few, so that the last layer is small beside what is compared."""
IMAGES = 2
"""Images in the batch."""


@dataclass(frozen=True)
class Setting:
    """What is set in layers of one framework: `layers` is a pattern of whole names, or of kinds, and `values` their attributes."""

    framework: str
    layers: str
    values: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Aligned:
    """One network in both collections, on images of `pixels` × `pixels`, with the options that each is built with.

    Layers with weights correspond in order: PyTorch's as they are defined, Keras's as they are executed. Keras's layers with `last` in
    their names come behind the rest of their block, and its biases that match `zero` are 0, since PyTorch has none there. `flatten` is
    Keras's first layer behind a flattened image, with the image's side. PyTorch's layers in `replaced` are linear ones of another size, or
    nothing. Keras is given images times `scale`, by which it divides itself, and pads the image of a maximum pool by `padded` pixels.
    `activations` are those between layers. `differs` says what else is not the same as in the collections. What is not `usual`
    has more than nine million parameters, takes up to 7 GB, and is judged where it is named.
    """

    name: str
    torch: str
    keras: str
    pixels: int = 64
    torch_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    keras_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    settings: tuple[Setting, ...] = ()
    last: str = ""
    zero: str = ""
    flatten: tuple[str, int] = ("", 1)
    replaced: Mapping[str, tuple[int, ...]] = field(default_factory=dict, hash=False)
    scale: float = 1.0
    padded: int = 0
    activations: tuple[str, ...] = ("relu",)
    usual: bool = True
    differs: str = ""

    @property
    def epsilon(self) -> float:
        """The epsilon of batch normalization in both."""
        return next((float(setting.values["eps"]) for setting in self.settings if "eps" in setting.values), 0.0)


def batch_norm(eps: float, momentum: float) -> Setting:
    """PyTorch's batch normalization as Keras's: `momentum` is Keras's weight of the old statistics."""
    return Setting("torch", "BatchNorm2d", {"eps": eps, "momentum": 1 - momentum})


def _resnet(name: str, keras: str) -> Aligned:
    return Aligned(
        name, name, keras, 64,
        settings=(
            batch_norm(1.001e-5, 0.99),
            Setting("torch", r"layer[234]\.0\.conv1", {"stride": (2, 2)}),
            Setting("torch", r"layer[234]\.0\.conv2", {"stride": (1, 1)}),
        ),
        last="_0_", zero=r".*_conv\.bias", padded=1, usual=False,
        differs="Keras strides a block's first convolution (v1), torchvision its second (v1.5)",
    )  # fmt: skip


def _densenet(name: str, keras: str, usual: bool = False) -> Aligned:
    return Aligned(name, name, keras, 64, settings=(batch_norm(1.001e-5, 0.99),), padded=1, usual=usual)


NO_DROPOUT = Setting("torch", "Dropout", {"p": 0.0})
NO_DEPTH = {"stochastic_depth_prob": 0.0}
NO_SCALING = {"include_preprocessing": False}
SCALED_INSIDE = "Keras divides images by 255 itself"
ALIGNED_NETWORKS: tuple[Aligned, ...] = (
    Aligned(
        "vgg16", "vgg16", "VGG16", 64, {"init_weights": False}, settings=(NO_DROPOUT,), flatten=("fc1", 2),
        replaced={"avgpool": (), "classifier.0": (4 * 512, 4096)}, usual=False,
        differs="torchvision pools to 7 × 7 before it flattens, which 64 pixels do not have",
    ),
    _resnet("resnet50", "ResNet50"),
    _resnet("resnet101", "ResNet101"),
    _resnet("resnet152", "ResNet152"),
    _densenet("densenet121", "DenseNet121", usual=True),
    _densenet("densenet169", "DenseNet169"),
    _densenet("densenet201", "DenseNet201"),
    Aligned("mobilenet_v2", "mobilenet_v2", "MobileNetV2", 65, settings=(NO_DROPOUT, batch_norm(1e-3, 0.999)), activations=("relu6",)),
    Aligned(
        "mobilenet_v3_small", "mobilenet_v3_small", "MobileNetV3Small", 65, {"dropout": 0.0}, {"dropout_rate": 0.0, **NO_SCALING},
        settings=(batch_norm(1e-3, 0.999),), activations=("relu", "hard_swish"),
    ),
    Aligned(
        "mobilenet_v3_large", "mobilenet_v3_large", "MobileNetV3Large", 65, {"dropout": 0.0}, {"dropout_rate": 0.0, **NO_SCALING},
        settings=(batch_norm(1e-3, 0.999),), activations=("relu", "hard_swish"),
    ),
    Aligned(
        "efficientnet_b0", "efficientnet_b0", "EfficientNetB0", 65, {"dropout": 0.0, **NO_DEPTH},
        settings=(batch_norm(1e-3, 0.99), Setting("keras", "Dropout", {"rate": 0.0})), scale=255.0, activations=("silu",),
        differs=SCALED_INSIDE,
    ),
    Aligned(
        "efficientnet_v2_s", "efficientnet_v2_s", "EfficientNetV2S", 65, {"dropout": 0.0, **NO_DEPTH}, NO_SCALING,
        settings=(batch_norm(1e-3, 0.9), Setting("keras", "Dropout", {"rate": 0.0})), activations=("silu",), usual=False,
    ),
    Aligned("convnext_tiny", "convnext_tiny", "ConvNeXtTiny", 32, NO_DEPTH, NO_SCALING, activations=("gelu",), usual=False),
)  # fmt: skip
"""`--cases=published` takes the usual ones besides `models.own.published`, and `--model=aligned:NAME` one of them.

Sizes are 32m + 1 where Keras pads by `same`, since its padding is symmetric there alone. InceptionV3 is left out: torchvision's average
pools count the padding, by a call that no attribute changes.
"""


def aligned_address(row: Aligned) -> OwnModel:
    """The pair as a user names it."""
    return OwnModel(f"{ALIGNED}:{row.name}", ALIGNED, row.name, ".")


def known_row(name: str) -> Aligned:
    """The row of a name. Raises OwnError for one that has none."""
    found = next((row for row in ALIGNED_NETWORKS if row.name == name), None)
    if found is None:
        names = ", ".join(row.name for row in ALIGNED_NETWORKS)
        raise OwnError(f"--model={ALIGNED}:{name}: no network of this name is held by both frameworks; there are {names}.")
    return found
