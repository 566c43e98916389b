"""Faults of Keras and TensorFlow, each patched into its real symbol, never into our code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Fault, Patch, one, scaled, with_arguments, with_attribute, with_first_entry


def gradient(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Change the weight gradient of a layer where the trainer takes it from TensorFlow's tape (weights and biases alternate)."""

    def wrap(gradient: Any) -> Any:
        def taken(self: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            gradients = gradient(self, target, sources, *args, **kwargs)
            if sources and hasattr(sources[0], "trainable"):
                gradients[2 * (layer - 1)] = change(gradients[2 * (layer - 1)])
            return gradients

        return taken

    return one("tensorflow.GradientTape.gradient", wrap)


def _slope_one_at_zero(relu: Any) -> Any:
    import tensorflow as tf

    return lambda x: tf.where(x >= 0, x, 0 * x)


def _square_weights_transposed(matmul: Any) -> Any:
    import tensorflow as tf

    def product(x: Any, w: Any) -> Any:
        return matmul(x, tf.transpose(w) if len(w.shape) == 2 and w.shape[0] == w.shape[1] else w)

    return product


def _in_any_order(matmul: Any) -> Any:
    """The product of rows in a random order, put back: only its gradient's sum over the batch rounds otherwise."""
    import tensorflow as tf

    def product(x: Any, w: Any) -> Any:
        order = tf.random.shuffle(tf.range(tf.shape(x)[0]))
        return tf.gather(matmul(tf.gather(x, order), w), tf.argsort(order))

    return product


def _in_bfloat16(which: Callable[[Any, Any], bool]) -> Callable[[Any], Any]:
    """Round the factors of those products of x and w that `which` names."""

    def rounded(x: Any) -> Any:
        import tensorflow as tf

        return tf.cast(tf.cast(x, "bfloat16"), x.dtype)

    return lambda matmul: lambda x, w: matmul(rounded(x), rounded(w)) if which(x, w) else matmul(x, w)


def _moments(change: Callable[[Any, Any, Any, Any], Any]) -> Callable[[Any], Any]:
    """Change the variance that every normalization takes: `change(x, mean, variance, axes)`."""

    def wrap(moments: Any) -> Any:
        def taken(x: Any, axes: Any, keepdims: bool = False, **kwargs: Any) -> Any:
            mean, variance = moments(x, axes, keepdims=True, **kwargs)
            variance = change(x, mean, variance, axes)
            if keepdims:
                return mean, variance
            import tensorflow as tf

            return tf.squeeze(mean, axes), tf.squeeze(variance, axes)

        return taken

    return wrap


def _mean_held(x: Any, mean: Any, variance: Any, axes: Any) -> Any:
    """E[x²] − E[x]² with no gradient through the mean."""
    import tensorflow as tf

    return tf.reduce_mean(tf.square(x), axes, keepdims=True) - tf.square(tf.stop_gradient(mean))


def _unbiased(x: Any, mean: Any, variance: Any, axes: Any) -> Any:
    return variance * (64 / 63)


def _residual(change: Callable[[Any, Any, Any], Any]) -> Callable[[Patch], None]:
    """Change x + f(x) of two activations: of two tensors with a batch and units."""

    def wrap(add: Any) -> Any:
        return lambda x, y: change(add, x, y) if len(getattr(x, "shape", ())) == len(getattr(y, "shape", ())) == 2 else add(x, y)

    return one("keras.src.backend.numpy.add", wrap)


def _logits_scaled(loss: Any) -> Any:
    return lambda target, output, from_logits=False, axis=-1: loss(target, 1.01 * output, from_logits=from_logits, axis=axis)


def _flat_beyond_20(silu: Any) -> Any:
    import tensorflow as tf

    return lambda x: silu(tf.minimum(x, tf.constant(20.0, x.dtype)))


def _dropout(relu: Any) -> Any:
    import tensorflow as tf

    return lambda x: tf.nn.dropout(relu(x), 0.1)


def _rate(factor: float) -> Callable[[Any], Any]:
    """An update step that takes another learning rate."""
    return lambda step: functools.wraps(step)(lambda self, gradient, variable, rate: step(self, gradient, variable, rate * factor))


def _rate_by_step(step: Any) -> Any:
    """The learning rate shrinks by a tenth at every step from the tenth on."""
    import tensorflow as tf

    def tired(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        steps = tf.cast(tf.maximum(self.iterations.value - 10, 0), rate.dtype)
        return step(self, gradient, variable, rate * 0.9**steps)

    return functools.wraps(step)(tired)


def _clip_each(clip: Any) -> Any:
    return lambda self, grads: [clip(self, [g])[0] for g in grads]


def _clip_by_square(clip: Any) -> Any:
    """Divide by the squared norm."""
    import tensorflow as tf

    def clipped(self: Any, grads: list[Any]) -> list[Any]:
        total = sum(tf.reduce_sum(g * g) for g in grads)
        return [g * tf.minimum(1.0, self.global_clipnorm / total) for g in grads]

    return clipped


def _no_bias_correction(step: Any) -> Any:
    """Adam as if many steps had been taken."""

    def late(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        kept, self._iterations = self._iterations, self._iterations + 10_000
        try:
            return step(self, gradient, variable, rate)
        finally:
            self._iterations = kept

    return functools.wraps(step)(late)


def _once_a_variable(step: Any) -> Any:
    """The momentum product advances with every variable, not with every step."""

    def advancing(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        done = step(self, gradient, variable, rate)
        self._u_product.assign(self._u_product * 0.9)
        return done

    return functools.wraps(step)(advancing)


def _first_slot_for(place: int) -> Callable[[Any], Any]:
    """A variable finds its slots under another one's number."""
    return lambda index: lambda self, variable: place - 2 if index(self, variable) == place else index(self, variable)


def _skip_one_variable(step: Any) -> Any:
    """An update that forgets the fifth variable, the weight of layer 3."""

    def forgetful(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        return step(self, gradient if self._get_variable_index(variable) != 4 else 0 * gradient, variable, rate)

    return functools.wraps(step)(forgetful)


NORM, CLIP, MOMENTS = "keras.layers.BatchNormalization.call", "keras.optimizers.Optimizer._clip_gradients", "keras.src.backend.nn.moments"
SGD, HE, MATMUL = "keras.optimizers.SGD.update_step", "keras.initializers.HeNormal.__call__", "keras.src.backend.numpy.matmul"
FANS = "keras.src.initializers.random_initializers.compute_fans"

KERAS: dict[str, tuple[Fault, ...]] = {
    "activation": (
        Fault("relu leaks", "reference", "forward_parity", "layer  2", one("keras.src.backend.nn.relu", lambda f: lambda x: f(x) - 1e-3 * f(-x))),
        Fault("relu's slope is 1 at zero", "reference", "activation", "at zero slope", one("keras.src.backend.nn.relu", _slope_one_at_zero)),
        Fault("leaky relu with the function's slope", "act=leaky_relu", "forward_parity", "layer  2", one("keras.layers.LeakyReLU.call", with_attribute("negative_slope", lambda slope: 0.2))),
        Fault("exact gelu computed by tanh", "act=gelu", "forward_parity", "layer  2", one("keras.src.backend.nn.gelu", lambda f: lambda x, approximate=True: f(x, True))),
        Fault("silu flat beyond 20", "act=silu", "activation", "far positive", one("keras.src.backend.nn.silu", _flat_beyond_20)),
    ),
    "linear": (
        Fault("dense forgets its bias", "reference", "forward_parity", "step 1 loss", one("keras.layers.Dense.call", with_attribute("bias", lambda b: None))),
        Fault("square weights transposed", "reference", "forward_parity", "layer  1", one(MATMUL, _square_weights_transposed)),
        Fault("one product in bfloat16", "reference", "forward_parity", "layer 16", one(MATMUL, _in_bfloat16(lambda x, w: w.shape[-1] == 10))),
        Fault("products of large batches in bfloat16", "reference", "evaluation", "logits", one(MATMUL, _in_bfloat16(lambda x, w: (x.shape[0] or 0) > 512)), trains=True),
        Fault("a batch summed in another order each time", "depth=4", "reproducible", "weight", one(MATMUL, _in_any_order)),
    ),
    "initializer": (
        Fault("fan-out for fan-in", "reference", "initializer", "variance", one(FANS, lambda f: lambda *a, **k: f(*a, **k)[::-1])),
        Fault("He normal with 1 % too much variance", "reference", "initializer", "variance", one(HE, scaled(1.005))),
        Fault("He normal with twice the variance", "width=256", "signal_gain", "layer  2 over 1", one(HE, scaled(2**0.5))),
        Fault("truncated normal not rescaled", "init=lecun_normal", "initializer", "variance", one("keras.initializers.LecunNormal.__call__", scaled(0.87962566103423978))),
        Fault("truncated normal not truncated", "reference", "initializer", "kurtosis", one("keras.src.backend.random.truncated_normal", lambda f: _plain_normal), "https://github.com/pytorch/pytorch/issues/145498"),
        Fault("Glorot uniform's bound off by √3", "init=glorot_uniform", "initializer", "variance", one("keras.initializers.GlorotUniform.__call__", scaled(3**-0.5))),
        Fault("same seed for every layer", "reference", "initializer", "between layers", one("keras.initializers.HeNormal.__init__", with_arguments(seed=3))),
        Fault("orthogonal is not", "init=orthogonal", "initializer", "W Wᵀ", one("keras.initializers.Orthogonal.__call__", scaled(1.001))),
    ),
    "normalization": (
        Fault("layer norm epsilon 1e-3", "norm=layer", "forward_parity", "layer  2", one("keras.layers.LayerNormalization.call", with_attribute("epsilon", lambda e: 1e-3))),
        Fault("variance as E[x²] − E[x]², mean held in its gradient: layer norm", "norm=layer", "gradient_parity", "layer  1", one(MOMENTS, _moments(_mean_held))),
        Fault("variance as E[x²] − E[x]², mean held in its gradient: group norm", "norm=group", "gradient_parity", "layer  1", one(MOMENTS, _moments(_mean_held))),
        Fault("variance as E[x²] − E[x]², mean held in its gradient: batch norm", "norm=batch", "gradient_parity", "layer  1", one(MOMENTS, _moments(_mean_held))),
        Fault("unbiased variance in normalizing", "norm=batch", "forward_parity", "layer  2", one(MOMENTS, _moments(_unbiased))),
        Fault("running statistics averaged the other way round", "norm=batch", "normalization_state", "layer  1", one(NORM, with_attribute("momentum", lambda m: 1 - m))),
        Fault("running statistics not updated", "norm=batch", "normalization_state", "layer  1", one(NORM, with_attribute("momentum", lambda m: 1.0))),
        Fault("batch statistics in evaluation", "norm=batch", "forward_parity", "evaluation", one(NORM, with_arguments(training=True))),
        Fault("running statistics in training", "norm=batch", "forward_parity", "layer  2", one(NORM, with_arguments(training=False))),
        Fault("root mean square norm epsilon 1e-3", "norm=rms", "forward_parity", "layer  2", one("keras.layers.RMSNormalization.call", with_attribute("epsilon", lambda e: 1e-3))),
    ),
    "skip": (
        Fault("skip dropped", "skip=two", "forward_parity", "step 0 loss", _residual(lambda add, x, y: y)),
        Fault("branch doubled", "skip=two", "forward_parity", "step 0 loss", _residual(lambda add, x, y: add(x, 2 * y))),
        Fault("skip scaled by 1.001", "skip=two", "forward_parity", "step 0 loss", _residual(lambda add, x, y: add(x * 1.001, y))),
    ),
    "loss": (
        Fault("loss summed, not averaged", "reference", "forward_parity", "loss", one("keras.losses.SparseCategoricalCrossentropy.call", scaled(64.0))),
        Fault("logits scaled by 1.01", "reference", "forward_parity", "loss", one("keras.src.backend.nn.sparse_categorical_crossentropy", _logits_scaled)),
        Fault("from_logits ignored", "reference", "forward_parity", "loss", one("keras.src.backend.nn.sparse_categorical_crossentropy", with_arguments(from_logits=False))),
        Fault("mean squared error halved", "loss=mse", "forward_parity", "loss", one("keras.losses.MeanSquaredError.call", scaled(0.5))),
        Fault("reported loss is the mean of all batches so far", "reference", "forward_parity", "step 1 loss", one("keras.Model.reset_metrics", lambda f: lambda self: None), "https://github.com/keras-team/keras/pull/22617"),
    ),
    "clipping": (
        Fault("clipping ignored", "clip=global", "clipping", "global norm", one(CLIP, lambda f: lambda self, grads: grads)),
        Fault("global clipping per variable", "clip=global", "clipping", "against the rule", one(CLIP, _clip_each)),
        Fault("clipping by the squared norm", "clip=global", "clipping", "against the rule", one(CLIP, _clip_by_square)),
        Fault("value clipping at twice the value", "clip=value,clip_at=0.005", "clipping", "entry", one(CLIP, with_attribute("clipvalue", lambda c: 2 * c))),
    ),
    "optimizer": (
        Fault("learning rate off by 1 %", "reference", "update", "step 0", one(SGD, _rate(1.01))),
        Fault("learning rate off by 0.1 %", "reference", "update", "step 0", one(SGD, _rate(1.001))),
        Fault("Nesterov as plain momentum", "optimizer=nesterov", "update", "step 0", one(SGD, with_attribute("nesterov", lambda n: False))),
        Fault("Adam's epsilon large", "optimizer=adam", "update", "step 0", one("keras.optimizers.Adam.update_step", with_attribute("epsilon", lambda e: 1e-4))),
        Fault("Adam without bias correction", "optimizer=adam", "update", "step 0", one("keras.optimizers.Adam.update_step", _no_bias_correction)),
        Fault("Nadam's momentum product advances with every variable", "optimizer=nadam", "update", "step 1", one("keras.optimizers.Nadam.update_step", _once_a_variable)),
        Fault("weight decay forgotten", "optimizer=adamw,decay=0.1", "update", "weight", one("keras.optimizers.Optimizer._apply_weight_decay", lambda f: lambda self, variables: None)),
        Fault("one variable forgotten", "reference", "update", "layer  3 weight", one(SGD, _skip_one_variable)),
        Fault("two variables share a slot", "reference", "update", "layer  3 weight", one("keras.optimizers.SGD._get_variable_index", _first_slot_for(4))),
    ),
    "gradient": (
        Fault("layer 5's gradient 1e-5 too large", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.00001)),
        Fault("layer 5's gradient 1e-3 too large", "norm=none,skip=two", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.001)),
        Fault("layer 5's gradient lost", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 0)),
        Fault("layer 5's gradient with the other sign", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: -g)),
        Fault("one infinity in layer 5's gradient", "reference", "finite", "step 0 gradient of layer  5 weight", gradient(5, with_first_entry(float("inf")))),
    ),
    "training": (
        Fault("dropout left on", "reference", "forward_parity", "layer  2", one("keras.src.backend.nn.relu", _dropout)),
        Fault("learning rate shrinks from the tenth step on", "reference", "training", "", one(SGD, _rate_by_step), trains=True),
    ),
}  # fmt: skip


def _plain_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    import keras

    return keras.random.normal(shape, mean, stddev * 0.87962566103423978, dtype, seed)
