"""Faults of Keras and TensorFlow, each patched into its real symbol, never into our code."""

from __future__ import annotations

from bench.checks.initializer import TRUNCATED_SD
from bench.selftest.faults.keras_changes import (
    clip_by_square,
    clip_each,
    dampened,
    decay_in_the_gradient,
    double_softmax,
    dropout,
    epsilon_outside_the_root,
    first_slot_for,
    flat_beyond_20,
    gradient,
    in_any_order,
    in_bfloat16,
    large_clipping_epsilon,
    logits_scaled,
    no_bias_correction,
    not_orthogonal,
    once_a_variable,
    plain_normal,
    rate,
    rate_by_step,
    residual,
    skip_one_variable,
    slope_one_at_zero,
    smoothed,
    square_weights_transposed,
    stale_gradients,
    ten_bits,
)
from bench.selftest.faults.keras_norms import cancelling, mean_held, moments, over_units, unbiased, unbiased_running_variance
from bench.selftest.faults.plant import Fault, one, reported, scaled, with_arguments, with_attribute, with_first_entry

HELD, CANCELLING = "https://github.com/keras-team/keras/pull/19102", "https://github.com/keras-team/keras/pull/18795"
NORM, CLIP, MOMENTS = "keras.layers.BatchNormalization.call", "keras.optimizers.Optimizer._clip_gradients", "keras.src.backend.nn.moments"
SGD, HE, MATMUL = "keras.optimizers.SGD.update_step", "keras.initializers.HeNormal.__call__", "keras.src.backend.numpy.matmul"
FANS = "keras.src.initializers.random_initializers.compute_fans"

KERAS: dict[str, tuple[Fault, ...]] = {
    "activation": (
        Fault("relu leaks", "reference", "forward_parity", "layer  2", one("keras.src.backend.nn.relu", lambda f: lambda x: f(x) - 1e-3 * f(-x))),
        Fault("relu's slope is 1 at zero", "reference", "activation", "at zero slope", one("keras.src.backend.nn.relu", slope_one_at_zero)),
        Fault("leaky relu with the function's slope", "act=leaky_relu", "forward_parity", "layer  2", one("keras.layers.LeakyReLU.call", with_attribute("negative_slope", lambda slope: 0.2))),
        Fault("exact gelu computed by tanh", "act=gelu", "forward_parity", "layer  2", one("keras.src.backend.nn.gelu", lambda f: lambda x, approximate=True: f(x, True))),
        Fault("silu flat beyond 20", "act=silu", "activation", "far positive", one("keras.src.backend.nn.silu", flat_beyond_20)),
    ),
    "linear": (
        Fault("dense forgets its bias", "reference", "forward_parity", "step 1 loss", one("keras.layers.Dense.call", with_attribute("bias", lambda b: None))),
        Fault("square weights transposed", "reference", "forward_parity", "layer  1", one(MATMUL, square_weights_transposed)),
        Fault("one product in bfloat16", "reference", "forward_parity", "layer 16", one(MATMUL, in_bfloat16(lambda x, w: w.shape[-1] == 10))),
        Fault("products of large batches in bfloat16", "reference", "evaluation", "logits", one(MATMUL, in_bfloat16(lambda x, w: (x.shape[0] or 0) > 512)), trains=True),
        Fault("a batch summed in another order each time", "depth=4", "reproducible", "weight", one(MATMUL, in_any_order)),
        Fault("products with TF32's ten bits", "reference", "forward_parity", "layer  2", one(MATMUL, ten_bits)),
    ),
    "initializer": (
        Fault("fan-out for fan-in", "reference", "initializer", "variance", one(FANS, lambda f: lambda *a, **k: f(*a, **k)[::-1])),
        Fault("He normal with 1 % too much variance", "reference", "initializer", "variance", one(HE, scaled(1.005))),
        Fault("He normal with twice the variance", "width=256", "signal_gain", "layer  2 over 1", one(HE, scaled(2**0.5))),
        Fault("truncated normal not rescaled", "init=lecun_normal", "initializer", "variance", one("keras.initializers.LecunNormal.__call__", scaled(TRUNCATED_SD))),
        Fault("truncated normal not truncated", "reference", "initializer", "kurtosis", one("keras.src.backend.random.truncated_normal", lambda f: plain_normal)),
        Fault("Glorot uniform's bound off by √3", "init=glorot_uniform", "initializer", "variance", one("keras.initializers.GlorotUniform.__call__", scaled(3**-0.5))),
        Fault("same seed for every layer", "reference", "initializer", "between layers", one("keras.initializers.HeNormal.__init__", with_arguments(seed=3))),
        Fault("orthogonal is not", "init=orthogonal", "initializer", "W Wᵀ", one("keras.initializers.Orthogonal.__call__", not_orthogonal)),
        Fault("orthogonal but a thousandth too long", "init=orthogonal", "initializer", "W Wᵀ", one("keras.initializers.Orthogonal.__call__", scaled(1.001))),
    ),
    "normalization": (
        Fault("layer norm epsilon 1e-3", "norm=layer", "forward_parity", "layer  2", one("keras.layers.LayerNormalization.call", with_attribute("epsilon", lambda e: 1e-3))),
        Fault("layer norm forgets its shift", "norm=layer", "forward_parity", "step 1 loss", one("keras.layers.LayerNormalization.call", with_attribute("beta", lambda b: None))),
        Fault("layer norm forgets its scale", "norm=layer", "forward_parity", "step 1 loss", one("keras.layers.LayerNormalization.call", with_attribute("gamma", lambda g: None))),
        Fault("variance as E[x²] − E[x]², mean held in its gradient: layer norm", "norm=layer", "gradient_parity", "layer  1", one(MOMENTS, moments(mean_held)), HELD),
        Fault("variance as E[x²] − E[x]², mean held in its gradient: group norm", "norm=group", "gradient_parity", "layer  1", one(MOMENTS, moments(mean_held)), HELD),
        Fault("variance as E[x²] − E[x]², mean held in its gradient: batch norm", "norm=batch", "gradient_parity", "layer  1", one(MOMENTS, moments(mean_held)), HELD),
        Fault("variance as E[x²] − E[x]², which cancels at an offset of 30", "depth=4,norm=batch,input=shifted", "forward_parity", "layer  2", one(MOMENTS, moments(cancelling)), CANCELLING),
        Fault("unbiased variance in normalizing", "norm=batch", "forward_parity", "layer  2", one(MOMENTS, moments(unbiased))),
        Fault("batch statistics from the wrong axis", "norm=batch", "forward_parity", "layer  2", one(NORM, over_units)),
        Fault("running statistics averaged the other way round", "norm=batch", "normalization_state", "layer  1", one(NORM, with_attribute("momentum", lambda m: 1 - m))),
        Fault("running statistics not updated", "norm=batch", "normalization_state", "layer  1", one(NORM, with_attribute("momentum", lambda m: 1.0))),
        Fault("running variance unbiased", "norm=batch", "normalization_state", "running variance", one(NORM, unbiased_running_variance), "https://github.com/keras-team/keras/issues/10443"),
        Fault("batch statistics in evaluation", "norm=batch", "forward_parity", "evaluation", one(NORM, with_arguments(training=True))),
        Fault("running statistics in training", "norm=batch", "forward_parity", "layer  2", one(NORM, with_arguments(training=False))),
        Fault("root mean square norm epsilon 1e-3", "norm=rms", "forward_parity", "layer  2", one("keras.layers.RMSNormalization.call", with_attribute("epsilon", lambda e: 1e-3))),
        Fault("group norm epsilon 1e-3", "norm=group", "forward_parity", "layer  2", one("keras.layers.GroupNormalization.call", with_attribute("epsilon", lambda e: 1e-3))),
    ),
    "skip": (
        Fault("skip dropped", "skip=two", "forward_parity", "evaluation layer 16", residual(lambda add, x, y: y)),
        Fault("branch doubled", "skip=two", "forward_parity", "evaluation layer 16", residual(lambda add, x, y: add(x, 2 * y))),
        Fault("skip scaled by 1.001", "skip=two", "forward_parity", "evaluation layer 16", residual(lambda add, x, y: add(x * 1.001, y))),
    ),
    "loss": (
        Fault("loss summed, not averaged", "reference", "forward_parity", "loss", one("keras.losses.SparseCategoricalCrossentropy.call", scaled(64.0))),
        Fault("logits scaled by 1.01", "reference", "forward_parity", "loss", one("keras.src.backend.nn.sparse_categorical_crossentropy", logits_scaled)),
        Fault("from_logits ignored", "reference", "forward_parity", "loss", one("keras.src.backend.nn.sparse_categorical_crossentropy", with_arguments(from_logits=False))),
        Fault("softmax applied twice", "reference", "forward_parity", "loss", one("keras.src.backend.nn.sparse_categorical_crossentropy", double_softmax)),
        Fault("label smoothing left on", "reference", "forward_parity", "loss", one("keras.src.backend.nn.sparse_categorical_crossentropy", smoothed)),
        Fault("loss told 0.1 % too large, its gradient right", "reference", "forward_parity", "loss", one("keras.losses.SparseCategoricalCrossentropy.call", reported(1.001))),
        Fault("mean squared error halved", "loss=mse", "forward_parity", "loss", one("keras.losses.MeanSquaredError.call", scaled(0.5))),
        Fault("reported loss is the mean of all batches so far", "reference", "forward_parity", "step 1 loss", one("keras.Model.reset_metrics", lambda f: lambda self: None), "https://github.com/keras-team/keras/pull/22617"),
    ),
    "clipping": (
        Fault("clipping ignored", "clip=global", "clipping", "global norm", one(CLIP, lambda f: lambda self, grads: grads)),
        Fault("global clipping per variable", "clip=global", "clipping", "against the rule", one(CLIP, clip_each)),
        Fault("clipping by the squared norm", "clip=global", "clipping", "against the rule", one(CLIP, clip_by_square)),
        Fault("clipping epsilon large", "clip=variable,clip_at=0.5", "clipping", "against the rule", one("keras.optimizers.Optimizer._clip_by_norm", large_clipping_epsilon)),
        Fault("value clipping at twice the value", "clip=value,clip_at=0.005", "clipping", "entry", one(CLIP, with_attribute("clipvalue", lambda c: 2 * c))),
    ),
    "optimizer": (
        Fault("learning rate off by 1 %", "reference", "update", "step 0", one(SGD, rate(1.01))),
        Fault("learning rate off by 0.1 %", "reference", "update", "step 0", one(SGD, rate(1.001))),
        Fault("momentum dampened", "reference", "update", "step 1", one(SGD, dampened)),
        Fault("Nesterov as plain momentum", "optimizer=nesterov", "update", "step 0", one(SGD, with_attribute("nesterov", lambda n: False))),
        Fault("Adam's epsilon large", "optimizer=adam", "update", "step 0", one("keras.optimizers.Adam.update_step", with_attribute("epsilon", lambda e: 1e-4))),
        Fault("Adam without bias correction", "optimizer=adam", "update", "step 0", one("keras.optimizers.Adam.update_step", no_bias_correction)),
        Fault("Nadam's momentum product advances with every variable", "optimizer=nadam", "update", "step 1", one("keras.optimizers.Nadam.update_step", once_a_variable), "https://github.com/keras-team/keras-core/pull/551"),
        Fault("RMSprop's epsilon outside the root", "optimizer=rmsprop", "update", "step 0", one("keras.optimizers.RMSprop.update_step", epsilon_outside_the_root)),
        Fault("decoupled decay as L2", "optimizer=adamw,decay=0.1", "update", "weight", decay_in_the_gradient),
        Fault("weight decay forgotten", "optimizer=adamw,decay=0.1", "update", "weight", one("keras.optimizers.Optimizer._apply_weight_decay", lambda f: lambda self, variables: None)),
        Fault("one variable forgotten", "reference", "update", "layer  3 weight", one(SGD, skip_one_variable)),
        Fault("two variables share a slot", "reference", "update", "layer  3 weight", one("keras.optimizers.SGD._get_variable_index", first_slot_for(4))),
        Fault("stale gradients", "reference", "update", "step 1", stale_gradients),
    ),
    "gradient": (
        Fault("layer 5's gradient 1e-5 too large", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.00001)),
        Fault("layer 5's gradient 1e-4 too large", "norm=layer", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.0001)),
        Fault("layer 5's gradient 1e-3 too large", "skip=two", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.001)),
        Fault("layer 5's gradient 1e-2 too large", "norm=batch", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.01)),
        Fault("layer 5's gradient lost", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 0)),
        Fault("layer 5's gradient with the other sign", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: -g)),
        Fault("one infinity in layer 5's gradient", "reference", "finite", "step 0 gradient of layer  5 weight", gradient(5, with_first_entry(float("inf")))),
        Fault("one NaN in layer 5's gradient", "reference", "finite", "step 0 gradient of layer  5 weight", gradient(5, with_first_entry(float("nan")))),
    ),
    "training": (
        Fault("dropout left on", "reference", "forward_parity", "layer  2", one("keras.src.backend.nn.relu", dropout)),
        Fault("learning rate shrinks from the tenth step on", "reference", "training", "accuracy", one(SGD, rate_by_step), trains=True),
    ),
}  # fmt: skip
