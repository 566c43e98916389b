"""A small convolutional network in both frameworks, in the place of one of torchvision and keras.applications."""

from typing import Any

from models.backends.torch.own.collections import imported
from models.own import aligned
from models.own.aligned import Aligned, Setting, batch_norm

SMALL = Aligned(
    "small",
    "small_pair",
    "SmallPair",
    16,
    settings=(batch_norm(1e-3, 0.99), Setting("torch", "Dropout", {"p": 0.0})),
    zero=r"first\.bias",
    padded=1,
    activations=("relu", "hard_swish", "relu6"),
    differs="Keras has a bias before the first batch normalization",
)


def of_torch(num_classes: int) -> Any:
    from torch import nn

    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
            self.norm = nn.BatchNorm2d(8)
            self.mix = nn.Conv2d(8, 8, 1)

        def forward(self, x: Any) -> Any:
            return x + self.mix(nn.functional.hardswish(self.norm(self.wide(x))))

    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Branch(), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(12, num_classes),
    )  # fmt: skip


def of_keras(weights: None, input_shape: tuple[int, ...], classes: int, classifier_activation: None) -> Any:
    from keras import Input, Model, layers

    inputs = Input(input_shape)
    x = layers.Conv2D(8, 3, strides=2, name="first")(layers.ZeroPadding2D(1)(inputs))
    x = layers.ReLU()(layers.BatchNormalization(name="first_bn")(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="wide")(x)
    y = layers.Activation("hard_silu")(layers.BatchNormalization(name="wide_bn")(y))
    x = layers.Add()([x, layers.Conv2D(8, 1, name="mix")(y)])
    x = layers.ReLU(6.0)(layers.Conv2D(12, 3, padding="same", name="last")(x))
    return Model(inputs, layers.Dense(classes, name="head")(layers.GlobalAveragePooling2D()(x)))


def register(monkeypatch: Any) -> None:
    """The pair stands among the rows, and in both collections."""
    import keras

    torchvision = imported("torchvision.models")
    get_model = torchvision.get_model

    def given(name: str, **options: Any) -> Any:
        return of_torch(options["num_classes"]) if name == SMALL.torch else get_model(name, **options)

    monkeypatch.setattr(torchvision, "get_model", given)
    monkeypatch.setattr(keras.applications, SMALL.keras, of_keras, raising=False)
    monkeypatch.setattr(aligned, "ALIGNED_NETWORKS", (SMALL, *aligned.ALIGNED_NETWORKS))
