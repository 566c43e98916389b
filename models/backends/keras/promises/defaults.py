"""Options of layers, losses and optimizers: their documented defaults spelled out, and each moved to another value."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops

from models.arrays import Array
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.ways import Ways

Options = dict[str, object]
KERNEL: Options = {
    "activation": None,
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "bias_initializer": "zeros",
    "kernel_regularizer": None,
    "bias_regularizer": None,
    "activity_regularizer": None,
    "kernel_constraint": None,
    "bias_constraint": None,
}
SCALED: Options = {
    "beta_initializer": "zeros",
    "gamma_initializer": "ones",
    "beta_regularizer": None,
    "gamma_regularizer": None,
    "beta_constraint": None,
    "gamma_constraint": None,
}
RECURRENT: Options = {
    "activation": "tanh", "use_bias": True, "kernel_initializer": "glorot_uniform", "recurrent_initializer": "orthogonal", "bias_initializer": "zeros",
    "dropout": 0.0, "recurrent_dropout": 0.0, "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False, "unroll": False,
}  # fmt: skip
LAYERS: dict[str, tuple[tuple[object, ...], tuple[int, ...], Options, Options]] = {
    "Dense": ((4,), (5, 6), KERNEL, {"activation": "relu", "kernel_initializer": "he_normal", "bias_initializer": "ones"}),
    "Conv1D": ((4, 3), (5, 9, 6), KERNEL | {"strides": 1, "padding": "valid", "data_format": None, "dilation_rate": 1, "groups": 1},
        {"activation": "relu", "strides": 2, "padding": "same", "dilation_rate": 2, "bias_initializer": "ones"}),
    "EinsumDense": (("ab,bc->ac", 4), (5, 6), {"activation": None, "bias_axes": None, "kernel_initializer": "glorot_uniform"}, {"activation": "relu"}),
    "LayerNormalization": ((), (5, 6), SCALED | {"axis": -1, "epsilon": 1e-3, "center": True, "scale": True}, {"epsilon": 0.1, "gamma_initializer": "zeros", "beta_initializer": "ones"}),
    "BatchNormalization": ((), (5, 6), SCALED | {"axis": -1, "momentum": 0.99, "epsilon": 1e-3, "center": True, "scale": True, "moving_mean_initializer": "zeros", "moving_variance_initializer": "ones", "synchronized": False},
        {"epsilon": 0.1, "gamma_initializer": "zeros", "moving_mean_initializer": "ones"}),
    "GroupNormalization": ((), (5, 32), SCALED | {"groups": 32, "axis": -1, "epsilon": 1e-3, "center": True, "scale": True}, {"groups": 4, "beta_initializer": "ones"}),
    "RMSNormalization": ((), (5, 6), {"axis": -1, "epsilon": 1e-6}, {"epsilon": 0.1}),
    "UnitNormalization": ((), (5, 6), {"axis": -1}, {"axis": 0}),
    "Dropout": ((0.5,), (5, 6), {"noise_shape": None}, {}),
    "LeakyReLU": ((), (5, 6), {"negative_slope": 0.3}, {"negative_slope": 0.1}),
    "ELU": ((), (5, 6), {"alpha": 1.0}, {"alpha": 0.5}),
    "ReLU": ((), (5, 6), {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, {"max_value": 0.5, "negative_slope": 0.1, "threshold": 1.0}),
    "PReLU": ((), (5, 6), {"alpha_initializer": "zeros", "shared_axes": None}, {"alpha_initializer": "ones"}),
    "Softmax": ((), (5, 6), {"axis": -1}, {"axis": 0}),
    "Rescaling": ((0.5,), (5, 6), {"offset": 0.0}, {"offset": 1.0}),
    "Flatten": ((), (5, 6, 4), {"data_format": None}, {}),
    "AveragePooling1D": ((2,), (5, 9, 6), {"strides": None, "padding": "valid", "data_format": None}, {"strides": 1, "padding": "same"}),
    "MaxPooling1D": ((2,), (5, 9, 6), {"strides": None, "padding": "valid", "data_format": None}, {"strides": 1, "padding": "same"}),
    "GlobalAveragePooling1D": ((), (5, 9, 6), {"data_format": None, "keepdims": False}, {"keepdims": True}),
    "SimpleRNN": ((4,), (5, 3, 6), RECURRENT, {"activation": "relu", "bias_initializer": "ones", "return_sequences": True, "go_backwards": True}),
    "LSTM": ((4,), (5, 3, 6), RECURRENT | {"recurrent_activation": "sigmoid", "unit_forget_bias": True},
        {"activation": "relu", "recurrent_activation": "tanh", "unit_forget_bias": False, "return_sequences": True, "go_backwards": True}),
    "GRU": ((4,), (5, 3, 6), RECURRENT | {"recurrent_activation": "sigmoid", "reset_after": True}, {"activation": "relu", "recurrent_activation": "tanh", "return_sequences": True, "go_backwards": True}),
}  # fmt: skip
"""By layer: what it must be given, the shape of its input, its documented defaults, and other values that must change its output."""
MEAN: Options = {"reduction": "sum_over_batch_size"}
LOSSES: dict[str, tuple[str, Options, Options]] = {
    "SparseCategoricalCrossentropy": ("classes", {"from_logits": False, "ignore_class": None} | MEAN, {"ignore_class": 1, "reduction": "sum"}),
    "CategoricalCrossentropy": ("chances", {"from_logits": False, "label_smoothing": 0.0, "axis": -1} | MEAN, {"label_smoothing": 0.1}),
    "BinaryCrossentropy": ("marks", {"from_logits": False, "label_smoothing": 0.0, "axis": -1} | MEAN, {"label_smoothing": 0.1}),
    "BinaryFocalCrossentropy": ("marks", {"apply_class_balancing": False, "alpha": 0.25, "gamma": 2.0, "from_logits": False, "label_smoothing": 0.0} | MEAN, {"gamma": 1.0, "apply_class_balancing": True}),
    "CategoricalFocalCrossentropy": ("chances", {"alpha": 0.25, "gamma": 2.0, "from_logits": False, "label_smoothing": 0.0} | MEAN, {"gamma": 1.0, "alpha": 0.5}),
    "MeanSquaredError": ("numbers", MEAN, {"reduction": "sum"}),
    "MeanAbsoluteError": ("numbers", MEAN, {"reduction": "sum"}),
    "MeanAbsolutePercentageError": ("numbers", MEAN, {"reduction": "sum"}),
    "MeanSquaredLogarithmicError": ("chances", MEAN, {"reduction": "sum"}),
    "Huber": ("numbers", {"delta": 1.0} | MEAN, {"delta": 0.3}),
    "LogCosh": ("numbers", MEAN, {"reduction": "sum"}),
    "Poisson": ("chances", MEAN, {"reduction": "sum"}),
    "KLDivergence": ("chances", MEAN, {"reduction": "sum"}),
    "Hinge": ("signs", MEAN, {"reduction": "sum"}),
    "SquaredHinge": ("signs", MEAN, {"reduction": "sum"}),
    "CategoricalHinge": ("one-hot", MEAN, {"reduction": "sum"}),
    "CosineSimilarity": ("numbers", {"axis": -1} | MEAN, {"axis": 0}),
}  # fmt: skip
"""By loss: what kind of target it takes, its documented defaults, and other values that must change it."""
COMMON: Options = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
MOVED: Options = {"weight_decay": 0.1, "clipnorm": 0.1, "clipvalue": 0.01, "global_clipnorm": 0.1, "gradient_accumulation_steps": 2}
OPTIMIZERS: dict[str, tuple[Options, Options]] = {
    "SGD": ({"learning_rate": 0.01, "momentum": 0.0, "nesterov": False} | COMMON, {"momentum": 0.9} | MOVED),
    "RMSprop": ({"learning_rate": 1e-3, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False} | COMMON, {"rho": 0.5, "momentum": 0.9, "epsilon": 0.1, "centered": True} | MOVED),
    "Adam": ({"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False} | COMMON, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "amsgrad": True} | MOVED),
    "AdamW": ({"learning_rate": 1e-3, "weight_decay": 4e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False} | {k: v for k, v in COMMON.items() if k != "weight_decay"}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "amsgrad": True} | MOVED),
    "Nadam": ({"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7} | COMMON, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1} | MOVED),
    "Adamax": ({"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7} | COMMON, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1} | MOVED),
    "Adagrad": ({"learning_rate": 1e-3, "initial_accumulator_value": 0.1, "epsilon": 1e-7} | COMMON, {"initial_accumulator_value": 1.0, "epsilon": 0.1} | MOVED),
    "Adadelta": ({"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-7} | COMMON, {"rho": 0.5, "epsilon": 0.1} | MOVED),
    "Adafactor": ({"learning_rate": 1e-3, "beta_2_decay": -0.8, "epsilon_1": 1e-30, "epsilon_2": 1e-3, "clip_threshold": 1.0, "relative_step": True} | COMMON, {"beta_2_decay": -0.5, "clip_threshold": 0.5, "epsilon_2": 10.0, "weight_decay": 0.1}),
    "Ftrl": ({"learning_rate": 1e-3, "learning_rate_power": -0.5, "initial_accumulator_value": 0.1, "l1_regularization_strength": 0.0, "l2_regularization_strength": 0.0, "l2_shrinkage_regularization_strength": 0.0, "beta": 0.0} | COMMON,
        {"learning_rate_power": -0.3, "initial_accumulator_value": 1.0, "l1_regularization_strength": 0.1, "l2_regularization_strength": 0.1, "beta": 1.0} | MOVED),
    "Lion": ({"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.99} | COMMON, {"beta_1": 0.1, "beta_2": 0.1, "weight_decay": 0.1, "gradient_accumulation_steps": 2}),
    "Lamb": ({"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7} | COMMON, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "weight_decay": 0.1}),
    "Muon": ({
        "learning_rate": 1e-3, "adam_beta_1": 0.9, "adam_beta_2": 0.999, "adam_weight_decay": 4e-3, "epsilon": 1e-7, "weight_decay": 4e-3, "exclude_layers": None,
        "exclude_embeddings": True, "muon_a": 3.4445, "muon_b": -4.775, "muon_c": 2.0315, "adam_lr_ratio": 1, "momentum": 0.95, "ns_steps": 5, "nesterov": True, "rms_rate": 0.2,
    } | {k: v for k, v in COMMON.items() if k != "weight_decay"}, {
        "adam_beta_1": 0.5, "adam_beta_2": 0.9, "adam_weight_decay": 0.1, "epsilon": 0.1, "weight_decay": 0.1, "exclude_layers": ["variable"], "muon_a": 3.4, "muon_b": -4.7,
        "muon_c": 2.0, "adam_lr_ratio": 0.5, "momentum": 0.5, "ns_steps": 3, "nesterov": False, "rms_rate": None, "clipvalue": 0.01, "gradient_accumulation_steps": 2,
    }),
}  # fmt: skip
"""By optimizer: its documented defaults, and other values that must change where eight steps lead."""
STEPS = 8


def drawn(shape: tuple[int, ...], seed: int) -> Array:
    """Standard normal numbers in float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def layer_pass(make: Callable[[], Callable[[Tensor], Tensor]], shape: tuple[int, ...]) -> list[Tensor]:
    """Outputs of a layer made after seed 3 on a fixed input, and the input's gradient of a weighted sum of them."""
    keras.utils.set_random_seed(3)
    layer = make()

    def summed(at: list[Tensor]) -> tuple[Tensor, Tensor]:
        outputs = layer(at[0])
        pull = np.linspace(-1, 1, int(np.prod(outputs.shape)), dtype=np.float32).reshape(tuple(outputs.shape))
        return ops.sum(outputs * ops.convert_to_tensor(pull)), outputs

    if isinstance(layer, keras.layers.Layer):
        layer.build(shape)
    _, outputs, (slopes,) = LIBRARY.gradient(summed, [ops.convert_to_tensor(drawn(shape, 4))])
    return [outputs, slopes]


def loss_pass(loss: Callable[[Tensor, Tensor], Tensor], kind: str) -> list[Tensor]:
    """A loss of fixed outputs and targets of this kind, and its gradient; outputs are probabilities where targets are."""
    x, numbers = drawn((6, 4), 5), drawn((6, 4), 6)
    chances = np.exp(numbers) / np.exp(numbers).sum(1, keepdims=True)
    target = {
        "classes": np.arange(6) % 4, "numbers": numbers, "chances": chances, "signs": np.sign(numbers),
        "marks": (numbers > 0).astype(np.float32), "one-hot": np.eye(4, dtype=np.float32)[np.arange(6) % 4],
    }[kind]  # fmt: skip

    def valued(at: list[Tensor]) -> tuple[Tensor, Tensor]:
        outputs = ops.sigmoid(at[0]) if kind == "marks" else ops.softmax(at[0]) if kind in ("classes", "chances") else at[0]
        value = loss(ops.convert_to_tensor(target), outputs)
        return ops.sum(value), value

    _, value, (slopes,) = LIBRARY.gradient(valued, [ops.convert_to_tensor(x)])
    return [value, slopes]


def stepped(make: Callable[[], keras.optimizers.Optimizer], steps: int = STEPS) -> list[keras.Variable]:
    """Where an optimizer leads two weights whose gradients are drawn: small and large ones, smaller from step to step."""
    variables = [keras.Variable(drawn((4, 3), 7)), keras.Variable(drawn((3,), 8))]
    optimizer = make()
    optimizer.build(variables)
    for number in range(steps):
        gradients = [
            size * 0.4**number * drawn(tuple(v.shape), 10 * number + k)
            for k, (v, size) in enumerate(zip(variables, (0.1, 3.0), strict=True))
        ]
        optimizer.apply([ops.convert_to_tensor(g) for g in gradients], variables)
    return list(variables)


def defaults_spelled_out() -> Iterator[Ways]:
    """Layers, losses and optimizers with nothing said, and with every documented default said."""
    for name, (given, shape, options, _) in LAYERS.items():
        yield Ways(name, _both(lambda said: layer_pass(lambda: getattr(keras.layers, name)(*given, **said), shape), options))
    for name, (target, options, _) in LOSSES.items():
        yield Ways(name, _both(lambda said: loss_pass(getattr(keras.losses, name)(**said), target), options))
    for name, (options, _) in OPTIMIZERS.items():
        yield Ways(name, _both(lambda said: stepped(lambda: getattr(keras.optimizers, name)(**said), 3), options))


def _both(taken: Callable[[Options], object], options: Options) -> dict[str, Callable[[], object]]:
    return {"left out": lambda: taken({}), "spelled out": lambda: taken(options)}


def options_act() -> Iterator[Ways]:
    """Each option at another value than its default, which must change something."""
    for name, (given, shape, _, options) in LAYERS.items():
        if options:
            yield Ways(
                name, _each(lambda said: layer_pass(lambda: getattr(keras.layers, name)(*given, **said), shape), options), apart=True
            )
    for name, (target, _, options) in LOSSES.items():
        yield Ways(name, _each(lambda said: loss_pass(getattr(keras.losses, name)(**said), target), options), apart=True)


def options_of_optimizers_act() -> Iterator[Ways]:
    """Each option of each optimizer at another value than its default, which must change where eight steps lead."""
    for name, (_, options) in OPTIMIZERS.items():
        yield Ways(name, _each(lambda said: stepped(lambda: getattr(keras.optimizers, name)(**said)), options), apart=True)


def _each(taken: Callable[[Options], object], options: Options) -> dict[str, Callable[[], object]]:
    ways = {"default": lambda: taken({})}
    return ways | {f"{option}={value}": lambda said={option: value}: taken(said) for option, value in options.items()}
