"""Faults that equalities must see, each patched into a real symbol of Keras; what was a real bug says of which releases, and where."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.selftest.faults.keras_changes import plain_normal
from bench.selftest.faults.of_equalities import LEAKED, Broken, after, before, block_lost, zero_is_none
from bench.selftest.faults.plant import one, scaled, with_arguments, with_attribute


def _keras_over_n_plus_one(call: Any) -> Any:
    def changed(self: Any, target: Any, output: Any) -> Any:
        from keras import ops

        count = ops.cast(ops.shape(output)[0], output.dtype)
        return call(self, target, output) * count / (count + 1)

    return changed


def _other_epsilon_in_graphs(call: Any) -> Any:
    import functools

    import tensorflow

    wrong = with_attribute("epsilon", lambda e: 1e-3)(call)

    @functools.wraps(call)
    def called(*args: Any, **kwargs: Any) -> Any:
        return (call if tensorflow.executing_eagerly() else wrong)(*args, **kwargs)

    return called


def _half_in_graphs(call: Any) -> Any:
    import tensorflow

    return lambda self, inputs, training=None: call(self, inputs) * (1.0 if tensorflow.executing_eagerly() else 0.5)


def _product_advances(optimizer: Any) -> None:
    optimizer._u_product.assign(optimizer._u_product * 0.9)


def _collapse(update: Any) -> Any:
    return lambda self, variables: [average.assign(average * 0.5) for average in self._model_variables_moving_average]


def _unweighted(update: Any) -> Any:
    return lambda self, values, sample_weight=None: update(self, values)


def _remembers_best(begin: Any) -> Any:
    def begun(self: Any, logs: Any = None) -> None:
        best = self.best
        begin(self, logs)
        self.best = best

    return begun


def _one_seed_for_all(next_seed: Any) -> Any:
    def stay(self: Any, *args: Any, **kwargs: Any) -> Any:
        kept = self.state.value + 0
        seed = next_seed(self, *args, **kwargs)
        self.state.assign(kept)
        return seed

    return stay


def _average_twice(update: Any) -> Any:
    return lambda self, variables: (update(self, variables), update(self, variables))[1]


def _drop_clipvalue(init: Any) -> Any:
    return lambda self, *args, clipvalue=None, **options: init(
        self, *args, clipvalue=None if options.get("clipnorm") else clipvalue, **options
    )


def _forget_train_function(model: Any) -> None:
    model.train_function = None


def _keras_half_layer_norm(x: Any, *args: Any, **options: Any) -> Any:
    from keras import ops

    centred = x - ops.mean(x, -1, keepdims=True)
    return centred / ops.sqrt(ops.mean(ops.square(centred), -1, keepdims=True) + 1e-5)


def _steps_without_a_look(make: Any) -> Any:
    """Several steps an execution take the next batch without asking whether there is one: what needs no data runs all the same."""

    def made(self: Any, step_function: Any) -> Any:
        import tensorflow

        if self.steps_per_execution == 1:
            return make(self, step_function)
        step = tensorflow.function(step_function, reduce_retracing=True, jit_compile=self.jit_compile)

        @tensorflow.autograph.experimental.do_not_convert
        def several(iterator: Any) -> Any:
            for _ in range(self.steps_per_execution):
                seen = step(next(iterator))
            return seen

        return tensorflow.function(several, reduce_retracing=True)

    return made


def _keeps_inner_factor(init: Any) -> Any:
    def begun(self: Any, inner_optimizer: Any, **options: Any) -> None:
        factor = inner_optimizer.loss_scale_factor
        init(self, inner_optimizer, **options)
        inner_optimizer.loss_scale_factor = factor

    return begun


class _NotPerSample:
    """The operations that a layer calls, but for the division by its batch size."""

    def __init__(self, ops: Any) -> None:
        self._ops = ops

    def __getattr__(self, name: str) -> Any:
        return (lambda penalty, size: penalty) if name == "divide_no_nan" else getattr(self._ops, name)


def _only_finite(clip: Any) -> Any:
    """Clipping that leaves a gradient alone when its norm is not finite."""

    def clipped(self: Any, values: Any, axes: Any = None) -> Any:
        from keras import ops

        return ops.where(ops.isfinite(ops.sum(ops.square(values))), clip(self, values, axes), values)

    return clipped


def _middle_piece_at_both_ends(hard_silu: Any) -> Any:
    def silu(x: Any) -> Any:
        from keras import ops

        return ops.where(ops.abs(x) <= 3, x * (x + 3) / 6, hard_silu(x))

    return silu


def _drop_last(adapter: Any) -> None:
    adapter._size, adapter._partial_batch_size = adapter._num_samples // adapter._batch_size, 0


def _own_gradient_too_large(decorate: Any) -> Any:
    def decorated(function: Any) -> Any:
        def changed(*given: Any) -> Any:
            results, back = function(*given)
            return results, lambda *d: [1.001 * gradient for gradient in back(*d)]

        return decorate(changed)

    return decorated


def _two_digits(result: Any) -> Any:
    def rounded(self: Any) -> Any:
        from keras import ops

        return ops.round(result(self), 2)

    return rounded


KERAS = (
    Broken("accumulators lose a little", "micro_batches", "adamw with clip=global: layer  1 weight", one("keras.optimizers.Optimizer._backend_increment_gradient_accumulators", lambda f: lambda self, g, kept: f(self, [0.99 * each for each in g], kept))),
    Broken("accumulators are never emptied", "micro_batches", "adamw with clip=global: layer  1 weight", one("keras.optimizers.Optimizer._backend_reset_gradient_accumulators", lambda f: lambda self: None)),
    Broken("a schedule is asked for the step after next", "micro_batches_schedule", "whole batches: layer  1 weight", one("keras.optimizers.schedules.ExponentialDecay.__call__", lambda f: lambda self, step: f(self, step + 1))),
    Broken("an average advances twice an update", "micro_batches_average", "whole batches: layer  1 weight", one("keras.optimizers.Optimizer._update_model_variables_moving_average", _average_twice)),
    Broken("loss divided by n + 1", "duplicated_batch", "momentum with norm=none: layer  2 weight", one("keras.losses.SparseCategoricalCrossentropy.call", _keras_over_n_plus_one)),
    Broken("another epsilon in compiled steps", "modes", "auto: layer  1 weight", one("keras.layers.BatchNormalization.call", _other_epsilon_in_graphs)),
    Broken("a compiled layer computes with half its weights", "function_in_function", "built before: in a jit function", one("keras.layers.Dense.call", _half_in_graphs), link="https://github.com/tensorflow/tensorflow/issues/118314"),
    Broken("a gradient of one's own is a thousandth too large", "recomputed", "hamiltonian: layer  2 weight", one("tensorflow.custom_gradient", _own_gradient_too_large)),
    Broken("Nadam's momentum product advances per variable (Keras 2.15)", "variable_count", "nadam", one("keras.optimizers.Nadam.update_step", lambda f: before(_product_advances)(f))),
    Broken("the loss is not scaled but unscaled", "loss_scaling", "clip=none fixed factor: layer  2 weight", one("keras.optimizers.Optimizer.scale_loss", lambda f: lambda self, loss: loss)),
    Broken("a loss scale round a fixed factor leaves the factor in (Keras 3.0 to 3.9)", "loss_scaling", "clip=none dynamic scale round a fixed factor: layer  2 weight", one("keras.optimizers.LossScaleOptimizer.__init__", _keeps_inner_factor), link="https://github.com/keras-team/keras/issues/21233"),
    Broken("the average collapses toward 0 (Keras 3.0.0)", "averaged_weights", "layer  2 weight", one("keras.optimizers.Optimizer._update_model_variables_moving_average", _collapse), link="https://github.com/keras-team/keras/issues/18972"),
    Broken("train_on_batch returns a running mean (Keras 3.0 to 3.14)", "reported_train_on_batch", "step 1 loss", one("keras.Model.reset_metrics", lambda f: lambda self: None), link="https://github.com/keras-team/keras/pull/22617"),
    Broken("train_on_batch's accuracy has two digits", "reported_train_on_batch", "step 0 accuracy", one("keras.metrics.SparseCategoricalAccuracy.result", _two_digits)),
    Broken("test_on_batch returns a running mean", "reported_test_on_batch", "batch 3 loss", one("keras.Model.reset_metrics", lambda f: lambda self: None), link="https://github.com/keras-team/keras/releases/tag/v3.15.0"),
    Broken("test_on_batch's accuracy has two digits", "reported_test_on_batch", "batch 0 accuracy", one("keras.metrics.SparseCategoricalAccuracy.result", _two_digits)),
    Broken("fit averages over batches and not samples", "reported_fit", "epoch 1 loss", one("keras.metrics.Mean.update_state", _unweighted)),
    Broken("the uneven last batch is dropped", "reported_fit", "batches seen", one("keras.src.trainers.data_adapters.array_data_adapter.ArrayDataAdapter.__init__", after(_drop_last))),
    Broken("fit's accuracy has two digits", "reported_fit", "epoch 1 accuracy", one("keras.metrics.SparseCategoricalAccuracy.result", _two_digits)),
    Broken("evaluate averages over batches and not samples", "reported_evaluate", "evaluate loss", one("keras.metrics.Mean.update_state", _unweighted)),
    Broken("evaluate's accuracy has two digits", "reported_evaluate", "evaluate accuracy", one("keras.metrics.SparseCategoricalAccuracy.result", _two_digits)),
    Broken("predict leaves out the uneven last batch", "reported_evaluate", "samples predicted", one("keras.src.trainers.data_adapters.array_data_adapter.ArrayDataAdapter.__init__", after(_drop_last))),
    Broken("an iteration counts twice", "iterations", "two epochs", one("keras.optimizers.Optimizer.apply", after(lambda self: self._iterations.assign_add(1)))),
    Broken("steps per execution run on beyond the data (Keras 3.0 to 3.6)", "steps_per_execution", "iterations", one("keras.Model._make_function", _steps_without_a_look), link="https://github.com/keras-team/keras/issues/20396"),
    Broken("a penalty enters twice", "penalty_once", "batch 50 kernel penalty in the loss", one("keras.regularizers.L2.__call__", scaled(2.0))),
    Broken("a penalty on activations is not divided by the batch size (Keras 3.0 to 3.13)", "penalty_once", "batch 50 activity penalty in the loss", one("keras.src.layers.layer.ops", _NotPerSample), link="https://github.com/keras-team/keras/issues/22018"),
    Broken("a constraint is ignored", "constraints", "non_neg step 3 layer  2 weight", one("keras.constraints.NonNeg.__call__", lambda f: lambda self, w: w)),
    Broken("a frozen batch normalization keeps running", "frozen", "frozen after: layer  1 mean", one("keras.layers.BatchNormalization.call", with_attribute("trainable", lambda t: True))),
    Broken("a seed generator stands still", "initializer_shared", "generator: correlation", one("keras.random.SeedGenerator.next", _one_seed_for_all)),
    Broken("seed 0 taken for no seed", "seeds", "global seed 0 weights", one("keras.utils.set_random_seed", zero_is_none)),
    Broken("fit does not shuffle", "seeds", "global seeds differ in order", one("keras.src.trainers.data_adapters.array_data_adapter.ArrayDataAdapter.__init__", with_arguments(shuffle=False))),
    Broken("EarlyStopping remembers the best of another fit (Keras 3.11 to 3.14)", "early_stopping_again", "epochs of the second fit", one("keras.callbacks.EarlyStopping.on_train_begin", _remembers_best), link="https://github.com/keras-team/keras/issues/22967"),
    Broken("clipvalue dropped beside clipnorm (Keras 3.0)", "refused", "clipnorm with clipvalue", one("keras.optimizers.SGD.__init__", _drop_clipvalue)),
    Broken("a truncated normal is not", "truncated", "bfloat16 cut at 2: furthest", one("keras.src.backend.random.truncated_normal", lambda f: plain_normal)),
    Broken("hard silu has its middle piece's slope at both ends", "meeting_pieces", "hard_silu slope at 3", one("keras.src.backend.nn.hard_silu", _middle_piece_at_both_ends)),
    Broken("half-precision layer norm squares in half precision (Keras 3.0 to 3.5)", "half_precision_norm", "huge", one("keras.src.ops.layer_normalization", lambda f: _keras_half_layer_norm), link="https://github.com/keras-team/keras/issues/20257"),
    Broken("probabilities clipped at 1e-7", "confidently_wrong", "logit gap 30: layer  2 weight", one("keras.src.backend.tensorflow.nn._get_logits", lambda f: lambda output, from_logits, *a: (output, from_logits))),
    Broken("clipping ignored", "extreme_gradients", "clip=variable gradient 1e+30", one("keras.optimizers.Optimizer._clip_gradients", lambda f: lambda self, grads: grads)),
    Broken("clipping lets through what has no finite norm", "extreme_gradients", "clip=variable gradient 1e+30", one("keras.optimizers.Optimizer._clip_by_norm", _only_finite)),
    Broken("train_on_batch traced anew at every call (Keras 3.0 to 3.6)", "traces", "train_on_batch batch=12: traces", one("keras.Model.make_train_function", before(_forget_train_function)), link="https://github.com/tensorflow/tensorflow/issues/67033"),
    Broken("every call keeps a megabyte", "memory", "train_on_batch: MB", one("keras.Model.train_on_batch", after(lambda self: LEAKED.append(np.ones(1 << 17))))),
    Broken("a block of the Hessian is lost", "second_order", "trust-exact: step 0", one("tensorflow.GradientTape.jacobian", block_lost)),
    Broken("models are kept", "models_dropped", "still alive", one("keras.Model.compile", after(LEAKED.append))),
)  # fmt: skip
