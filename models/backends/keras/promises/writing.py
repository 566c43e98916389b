"""One layer in all the ways in which users write it: object, function, operator, operation, name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import layers, ops

from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.promises.defaults import drawn, layer_pass
from models.backends.ways import Ways

SUMS = 16
"""How many roundings may part sums of a handful of products that are taken in another order."""
SHAPE = (5, 6)
Act = Callable[[Tensor], Tensor]
Merge = Callable[[Tensor, Tensor], Tensor]


def _op(name: str) -> Act:
    """An operation that an old release may lack."""
    return lambda x: getattr(ops, name)(x)


ACTIVATIONS: dict[str, dict[str, Act]] = {
    "relu": {"layer ReLU": lambda x: layers.ReLU()(x), "ops": _op("relu"), "maximum": lambda x: ops.maximum(x, 0.0)},
    "relu6": {"ops": _op("relu6"), "layer ReLU": lambda x: layers.ReLU(max_value=6.0)(x)},
    "leaky_relu": {"ops": _op("leaky_relu"), "layer LeakyReLU": lambda x: layers.LeakyReLU(0.2)(x)},
    "elu": {"ops": _op("elu"), "layer ELU": lambda x: layers.ELU()(x)},
    "selu": {"ops": _op("selu")},
    "celu": {"ops": _op("celu")},
    "gelu": {"ops": lambda x: ops.gelu(x, approximate=False)},
    "silu": {"ops": _op("silu"), "swish": lambda x: layers.Activation("swish")(x), "formula": lambda x: x * ops.sigmoid(x)},
    "mish": {"formula": lambda x: x * ops.tanh(ops.softplus(x))},
    "tanh": {"ops": _op("tanh")},
    "sigmoid": {"ops": _op("sigmoid")},
    "log_sigmoid": {"ops": _op("log_sigmoid"), "formula": lambda x: -ops.softplus(-x)},
    "softplus": {"ops": _op("softplus")},
    "softsign": {"ops": _op("softsign"), "formula": lambda x: x / (1 + ops.abs(x))},
    "hard_sigmoid": {"ops": _op("hard_sigmoid")},
    "hard_silu": {"ops": _op("hard_silu")},
    "hard_tanh": {"ops": _op("hard_tanh"), "clip": lambda x: ops.clip(x, -1.0, 1.0)},
    "hard_shrink": {"ops": _op("hard_shrink")},
    "soft_shrink": {"ops": _op("soft_shrink")},
    "tanh_shrink": {"ops": _op("tanh_shrink"), "formula": lambda x: x - ops.tanh(x)},
    "squareplus": {"ops": _op("squareplus"), "formula": lambda x: (x + ops.sqrt(x * x + 4.0)) / 2},
    "softmax": {"ops": _op("softmax"), "layer Softmax": lambda x: layers.Softmax()(x)},
    "log_softmax": {"ops": _op("log_softmax"), "formula": lambda x: x - ops.logsumexp(x, axis=-1, keepdims=True)},
    "exponential": {"ops": _op("exp")},
    "linear": {"itself": lambda x: x, "layer Identity": lambda x: layers.Identity()(x)},
    "glu": {"ops": _op("glu")},
    "sparsemax": {"ops": _op("sparsemax")},
}
MERGES: dict[str, tuple[str, dict[str, Merge]]] = {
    "Add": ("add", {"+": lambda x, y: x + y, "ops.add": ops.add, "sum": lambda x, y: ops.sum(ops.stack([x, y]), axis=0)}),
    "Subtract": ("subtract", {"-": lambda x, y: x - y, "ops.subtract": ops.subtract}),
    "Multiply": ("multiply", {"*": lambda x, y: x * y, "ops.multiply": ops.multiply}),
    "Average": ("average", {"/": lambda x, y: (x + y) / 2, "mean": lambda x, y: ops.mean(ops.stack([x, y]), axis=0)}),
    "Maximum": ("maximum", {"ops.maximum": ops.maximum}),
    "Minimum": ("minimum", {"ops.minimum": ops.minimum}),
    "Concatenate": ("concatenate", {"ops.concatenate": lambda x, y: ops.concatenate([x, y], axis=-1)}),
}
SHAPED: dict[str, tuple[Callable[[], keras.layers.Layer], tuple[int, ...], dict[str, Act]]] = {
    "Flatten": (lambda: layers.Flatten(), (5, 6, 4), {"reshape": lambda x: ops.reshape(x, (5, 24)), "Reshape": lambda x: layers.Reshape((24,))(x)}),
    "Permute": (lambda: layers.Permute((2, 1)), (5, 6, 4), {"transpose": lambda x: ops.transpose(x, (0, 2, 1))}),
    "RepeatVector": (lambda: layers.RepeatVector(3), (5, 6), {"repeat": lambda x: ops.repeat(x[:, None], 3, axis=1)}),
    "Rescaling": (lambda: layers.Rescaling(0.5, 1.0), (5, 6), {"formula": lambda x: x * 0.5 + 1.0}),
    "ZeroPadding1D": (lambda: layers.ZeroPadding1D(2), (5, 9, 6), {"pad": lambda x: ops.pad(x, ((0, 0), (2, 2), (0, 0)))}),
    "Cropping1D": (lambda: layers.Cropping1D(2), (5, 9, 6), {"slice": lambda x: x[:, 2:-2]}),
    "UpSampling1D": (lambda: layers.UpSampling1D(2), (5, 9, 6), {"repeat": lambda x: ops.repeat(x, 2, axis=1)}),
    "AveragePooling1D": (lambda: layers.AveragePooling1D(3), (5, 9, 6), {"ops": lambda x: ops.average_pool(x, 3, 3), "mean": lambda x: ops.mean(ops.reshape(x, (5, 3, 3, 6)), axis=2)}),
    "MaxPooling1D": (lambda: layers.MaxPooling1D(3), (5, 9, 6), {"ops": lambda x: ops.max_pool(x, 3, 3), "max": lambda x: ops.max(ops.reshape(x, (5, 3, 3, 6)), axis=2)}),
    "GlobalAveragePooling1D": (lambda: layers.GlobalAveragePooling1D(), (5, 9, 6), {"mean": lambda x: ops.mean(x, axis=1)}),
    "GlobalMaxPooling1D": (lambda: layers.GlobalMaxPooling1D(), (5, 9, 6), {"max": lambda x: ops.max(x, axis=1)}),
    "Lambda": (lambda: layers.Lambda(lambda x: 2 * x), (5, 6), {"formula": lambda x: 2 * x}),
    "UnitNormalization": (lambda: layers.UnitNormalization(), (5, 6), {"normalize": _op("normalize")}),
    "Masking": (lambda: layers.Masking(0.0), (5, 9, 6), {"itself": lambda x: x}),
    "ActivityRegularization": (lambda: layers.ActivityRegularization(0.1, 0.1), (5, 6), {"itself": lambda x: x}),
    "Dropout in inference": (lambda: layers.Dropout(0.5), (5, 6), {"itself": lambda x: x}),
    "GaussianNoise in inference": (lambda: layers.GaussianNoise(0.5), (5, 6), {"itself": lambda x: x}),
    "GaussianDropout in inference": (lambda: layers.GaussianDropout(0.5), (5, 6), {"itself": lambda x: x}),
    "AlphaDropout in inference": (lambda: layers.AlphaDropout(0.5), (5, 6), {"itself": lambda x: x}),
    "SpatialDropout1D in inference": (lambda: layers.SpatialDropout1D(0.5), (5, 9, 6), {"itself": lambda x: x}),
}  # fmt: skip


def _pair(merge: Merge) -> list[Tensor]:
    """A merge of two fixed inputs, and both gradients of a weighted sum of it."""

    def summed(at: list[Tensor]) -> tuple[Tensor, Tensor]:
        outputs = merge(at[0], at[1])
        pull = np.linspace(-1, 1, int(np.prod(outputs.shape)), dtype=np.float32).reshape(tuple(outputs.shape))
        return ops.sum(outputs * ops.convert_to_tensor(pull)), outputs

    _, outputs, slopes = LIBRARY.gradient(summed, [ops.convert_to_tensor(drawn(SHAPE, n)) for n in (4, 5)])
    return [outputs, *slopes]


def _symbolic(merge: Merge) -> list[Tensor]:
    inputs = [keras.Input((6,)), keras.Input((6,))]
    model = keras.Model(inputs, merge(*inputs))
    return _pair(lambda x, y: model([x, y]))


def ways_of_writing_layers() -> Iterator[Ways]:
    """Merges, activations, shapes and weighted layers, each in every form: outputs and gradients."""
    for name, (function, others) in MERGES.items():
        layer = lambda x, y: getattr(layers, name)()([x, y])  # noqa: E731
        forms: dict[str, Merge] = {"layer": layer, "function": lambda x, y: getattr(layers, function)([x, y])} | others
        ways: dict[str, Callable[[], object]] = {form: lambda merge=merge: _pair(merge) for form, merge in forms.items()}
        ways |= {
            f"{form} in a model": lambda merge=merge: _symbolic(merge) for form, merge in (("layer", layer), *list(others.items())[:1])
        }
        yield Ways(name, ways, 2)
    dots = {
        "layer": lambda x, y: layers.Dot(1)([x, y]),
        "function": lambda x, y: layers.dot([x, y], 1),
        "formula": lambda x, y: ops.sum(x * y, axis=1, keepdims=True),
    }
    yield Ways("Dot", {form: lambda merge=merge: _pair(merge) for form, merge in dots.items()}, SUMS)
    for name, functions in ACTIVATIONS.items():
        forms = {"activation": getattr(keras.activations, name, None) or (lambda x: keras.activations.get(name)(x))}
        forms |= {
            "by its name": lambda x: layers.Activation(name)(x),
            "by its function": lambda x: layers.Activation(getattr(keras.activations, name))(x),
        }
        yield Ways(name, {form: lambda use=use: layer_pass(lambda: use, SHAPE) for form, use in (forms | functions).items()}, SUMS)
    for name, (make, shape, functions) in SHAPED.items():
        ways = {"layer": lambda: layer_pass(make, shape), "in a Sequential": lambda: layer_pass(lambda: keras.Sequential([make()]), shape)}
        yield Ways(name, ways | {form: lambda use=use: layer_pass(lambda: use, shape) for form, use in functions.items()}, SUMS)
    yield from _weighted()


def _weighted() -> Iterator[Ways]:
    kernel = {"kernel_initializer": keras.initializers.GlorotUniform(seed=1), "bias_initializer": keras.initializers.RandomNormal(seed=2)}

    def of(
        function: Callable[[keras.layers.Layer, Tensor], Tensor], make: Callable[[], keras.layers.Layer], shape: tuple[int, ...] = SHAPE
    ) -> Callable[[], list[Tensor]]:
        def passed() -> list[Tensor]:
            layer = make()
            layer.build(shape)
            return layer_pass(lambda: lambda x: function(layer, x), shape)

        return passed

    dense = lambda: layers.Dense(4, **kernel)  # noqa: E731
    yield Ways("Dense", {
        "layer": of(lambda m, x: m(x), dense),
        "matmul": of(lambda m, x: ops.matmul(x, m.kernel) + m.bias, dense),
        "operator": of(lambda m, x: x @ ops.convert_to_tensor(m.kernel) + m.bias, dense),
        "einsum": of(lambda m, x: ops.einsum("bi,io->bo", x, m.kernel) + m.bias, dense),
        "EinsumDense": lambda: layer_pass(lambda: layers.EinsumDense("ab,bc->ac", 4, bias_axes="c", **kernel), SHAPE),
        "stateless_call": of(lambda m, x: m.stateless_call([v.value for v in m.trainable_variables], [], x)[0], dense),
        "in a Sequential": lambda: layer_pass(lambda: keras.Sequential([dense()]), SHAPE),
        "TimeDistributed": of(lambda m, x: layers.TimeDistributed(m)(x[:, None])[:, 0], dense),
    }, 4 * SUMS)  # fmt: skip
    for act in ("relu", "tanh", "sigmoid", "softmax", "gelu", "elu"):
        yield Ways(f"Dense with {act}", {
            "argument": lambda: layer_pass(lambda: layers.Dense(4, act, **kernel), SHAPE),
            "function": lambda: layer_pass(lambda: layers.Dense(4, getattr(keras.activations, act), **kernel), SHAPE),
            "Activation after": lambda: layer_pass(lambda: keras.Sequential([dense(), layers.Activation(act)]), SHAPE),
            "object": lambda: layer_pass(lambda: layers.Dense(4, layers.Activation(act), **kernel), SHAPE),
        }, 4 * SUMS)  # fmt: skip
    conv = lambda: layers.Conv1D(4, 3, **kernel)  # noqa: E731
    yield Ways(
        "Conv1D",
        {"layer": of(lambda m, x: m(x), conv, (5, 9, 6)), "ops": of(lambda m, x: ops.conv(x, m.kernel) + m.bias, conv, (5, 9, 6))},
        8 * SUMS,
    )
    table = keras.initializers.RandomNormal(seed=3)
    codes = np.array([3, 0, 6, 3])

    def embedded(use: Callable[[keras.layers.Layer], Tensor]) -> Tensor:
        layer = layers.Embedding(7, 4, embeddings_initializer=table)
        layer.build((None,))
        return use(layer)

    yield Ways("Embedding", {
        "layer": lambda: embedded(lambda m: m(codes)), "take": lambda: embedded(lambda m: ops.take(m.embeddings, codes, axis=0)),
        "one-hot": lambda: embedded(lambda m: ops.one_hot(codes, 7) @ ops.convert_to_tensor(m.embeddings)),
    })  # fmt: skip
    for name, formula in {
        "LayerNormalization": lambda x: (x - ops.mean(x, -1, True)) / ops.sqrt(ops.var(x, -1, True) + 1e-3),
        "RMSNormalization": lambda x: x / ops.sqrt(ops.mean(ops.square(x), -1, True) + 1e-6),
    }.items():
        made = getattr(layers, name, None)
        if made:
            yield Ways(name, {"layer": lambda: layer_pass(made, SHAPE), "formula": lambda: layer_pass(lambda: formula, SHAPE)}, 4 * SUMS)
    grouped = {
        "one group": lambda: layer_pass(lambda: layers.GroupNormalization(1), SHAPE),
        "LayerNormalization": lambda: layer_pass(lambda: layers.LayerNormalization(), SHAPE),
    }
    yield Ways("GroupNormalization", grouped, 4 * SUMS)
    batch = lambda x: (x - ops.mean(x, 0, True)) / ops.sqrt(ops.var(x, 0, True) + 1e-3)  # noqa: E731
    training = lambda x: layers.BatchNormalization()(x, training=True)  # noqa: E731
    yield Ways(
        "BatchNormalization",
        {"formula": lambda: layer_pass(lambda: batch, SHAPE), "layer": lambda: layer_pass(lambda: training, SHAPE)},
        8 * SUMS,
    )
