"""Faults that only an equality sees, each patched into a real symbol of PyTorch or Keras; what was a real bug says of which release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.selftest.faults.plant import Patch, one, scaled, with_arguments, with_attribute


@dataclass(frozen=True)
class Broken:
    """A story, the equality that must catch it, and how it is planted."""

    name: str
    equality: str
    plant: Callable[[Patch], None]


def after(act: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Do something with a method's object after the method."""

    def wrap(method: Any) -> Any:
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            done = method(self, *args, **kwargs)
            act(self)
            return done

        return called

    return wrap


def before(act: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Do something with a method's object before the method."""

    def wrap(method: Any) -> Any:
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            act(self)
            return method(self, *args, **kwargs)

        return called

    return wrap


def _arrivals_shrink(linear: Any) -> None:
    """Every time a gradient arrives in a layer's weight, what has accumulated there shrinks."""

    def shrink(parameter: Any) -> None:
        parameter.grad.mul_(0.99)

    linear.weight.register_post_accumulate_grad_hook(shrink)


def _over_n_plus_one(cross_entropy: Any) -> Any:
    return lambda logits, target, **options: cross_entropy(logits, target, **options) * len(logits) / (len(logits) + 1)


def _rate_by_count(init: Any) -> Any:
    return lambda self, groups, lr, **options: init(self, groups, lr=lr / sum(len(g["params"]) for g in groups), **options)


def _spoil_gradients(optimizer: Any) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad.mul_(2)


def _count_in_forward(forward: Any) -> Any:
    def counted(self: Any, x: Any) -> Any:
        self.times = getattr(self, "times", 0) + 1
        return forward(self, x) + 0 * self.times

    return counted


def _clipped_log(log_softmax: Any) -> Any:
    return lambda x, dim, **options: log_softmax(x, dim, **options).exp().clamp(1e-7, 1 - 1e-7).log()


def _drop_fused(init: Any) -> Any:
    return lambda self, *args, fused=None, **options: init(self, *args, fused=None if options.get("foreach") else fused, **options)


def _half_layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


def _own_seed(init: Any) -> Any:
    import torch

    return lambda tensor, **options: init(tensor, generator=torch.Generator().manual_seed(0))


def _zero_is_none(seed_all: Any) -> Any:
    return lambda seed: seed_all(seed or int(np.random.default_rng().integers(1, 1 << 30)))


LEAKED: list[Any] = []

TORCH = (
    Broken("a gradient shrinks whenever another arrives", "micro_batches", one("torch.nn.Linear.__init__", after(_arrivals_shrink))),
    Broken("a gradient shrinks whenever another arrives, under a schedule", "micro_batches_schedule", one("torch.nn.Linear.__init__", after(_arrivals_shrink))),
    Broken("a gradient shrinks whenever another arrives, under an average", "micro_batches_average", one("torch.nn.Linear.__init__", after(_arrivals_shrink))),
    Broken("loss divided by n + 1", "duplicated_batch", one("torch.nn.functional.cross_entropy", _over_n_plus_one)),
    Broken("torch.compile changes the loss", "torch_compile", one("torch.compile", lambda f: lambda model, **k: lambda *a: model(*a) * 1.001)),
    Broken("foreach Adam with another rate", "implementations", one("torch.optim.adam._multi_tensor_adam", lambda f: lambda *a, lr, **k: f(*a, lr=lr * 1.001, **k))),
    Broken("Adam's step doubles the gradients it was given", "gradients_kept", one("torch.optim.Adam.step", after(_spoil_gradients))),
    Broken("Adam's rate divided by the number of tensors", "variable_count", one("torch.optim.Adam.__init__", _rate_by_count)),
    Broken("the loss is unscaled but was not scaled", "loss_scaling", one("torch.amp.GradScaler.scale", lambda f: lambda self, loss: (f(self, loss), loss)[1])),
    Broken("the average collapses toward 0", "averaged_weights", one("torch.optim.swa_utils.get_ema_multi_avg_fn", lambda f: lambda decay: lambda old, new, n: [a.mul_(decay) for a in old])),
    Broken("the uneven last batch is dropped", "loader", one("torch.utils.data.DataLoader.__init__", with_arguments(drop_last=True))),
    Broken("weight decay enters twice", "penalty_once", one("torch.optim.sgd.sgd", lambda f: lambda *a, weight_decay, **k: f(*a, weight_decay=2 * weight_decay, **k))),
    Broken("an orthogonal parametrization is not", "constraints", one("torch.nn.utils.parametrizations._Orthogonal.forward", scaled(1.001))),
    Broken("eval() leaves running statistics running", "frozen", one("torch.nn.Module.eval", lambda f: lambda self: self)),
    Broken("seed 0 taken for no seed", "seeds", one("torch.manual_seed", _zero_is_none)),
    Broken("an initializer draws the same every time", "initializer_shared", one("torch.nn.init.xavier_uniform_", _own_seed)),
    Broken("fused dropped in silence beside foreach", "refused", one("torch.optim.Adam.__init__", _drop_fused)),
    Broken("half-precision layer norm squares in half precision", "half_precision_norm", one("torch.nn.functional.layer_norm", lambda f: _half_layer_norm)),
    Broken("probabilities clipped at 1e-7", "confidently_wrong", one("torch.nn.functional.log_softmax", _clipped_log)),
    Broken("clipping ignored", "extreme_gradients", one("torch.nn.utils.clip_grad_norm_", lambda f: lambda *a, **k: None)),
    Broken("compiled anew at every call", "traces", one("torch.nn.Linear.forward", _count_in_forward)),
    Broken("every call keeps a megabyte", "memory", one("torch.nn.Sequential.forward", after(lambda self: LEAKED.append(np.ones(1 << 17))))),
    Broken("models are kept", "models_dropped", one("torch.nn.Sequential.__init__", after(LEAKED.append))),
)  # fmt: skip


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


def _dropped_remainder(compile_model: Any) -> Any:
    """Training with several steps per execution runs an epoch's whole executions only (as a remainder that is lost)."""

    def compiled(self: Any, *args: Any, steps_per_execution: int = 1, **options: Any) -> Any:
        fit = type(self).fit
        if steps_per_execution > 1:
            self.fit = lambda x, y, batch_size, **k: fit(
                self, x[: len(x) // (n := batch_size * steps_per_execution) * n], y[: len(x) // n * n], batch_size=batch_size, **k
            )
        return compile_model(self, *args, steps_per_execution=steps_per_execution, **options)

    return compiled


KERAS = (
    Broken("accumulators lose a little", "micro_batches", one("keras.optimizers.Optimizer._backend_increment_gradient_accumulators", lambda f: lambda self, g, kept: f(self, [0.99 * each for each in g], kept))),
    Broken("a schedule is asked for the step after next", "micro_batches_schedule", one("keras.optimizers.schedules.ExponentialDecay.__call__", lambda f: lambda self, step: f(self, step + 1))),
    Broken("an average advances twice an update", "micro_batches_average", one("keras.optimizers.Optimizer._update_model_variables_moving_average", _average_twice)),
    Broken("loss divided by n + 1", "duplicated_batch", one("keras.losses.SparseCategoricalCrossentropy.call", _keras_over_n_plus_one)),
    Broken("another epsilon in compiled steps", "modes", one("keras.layers.BatchNormalization.call", _other_epsilon_in_graphs)),
    Broken("a compiled layer computes with half its weights", "function_in_function", one("keras.layers.Dense.call", _half_in_graphs)),
    Broken("Nadam's momentum product advances per variable (Keras 2.15)", "variable_count", one("keras.optimizers.Nadam.update_step", lambda f: before(_product_advances)(f))),
    Broken("the loss is not scaled but unscaled", "loss_scaling", one("keras.optimizers.Optimizer.scale_loss", lambda f: lambda self, loss: loss)),
    Broken("the average collapses toward 0 (Keras 3.0.0)", "averaged_weights", one("keras.optimizers.Optimizer._update_model_variables_moving_average", _collapse)),
    Broken("train_on_batch returns a running mean (Keras 3.0 to 3.14)", "reported_train_on_batch", one("keras.Model.reset_metrics", lambda f: lambda self: None)),
    Broken("test_on_batch returns a running mean", "reported_test_on_batch", one("keras.Model.reset_metrics", lambda f: lambda self: None)),
    Broken("fit averages over batches and not samples", "reported_fit", one("keras.metrics.Mean.update_state", _unweighted)),
    Broken("evaluate averages over batches and not samples", "reported_evaluate", one("keras.metrics.Mean.update_state", _unweighted)),
    Broken("an iteration counts twice", "iterations", one("keras.optimizers.Optimizer.apply", after(lambda self: self._iterations.assign_add(1)))),
    Broken("the remainder of steps per execution is lost", "steps_per_execution", one("keras.Model.compile", _dropped_remainder)),
    Broken("a penalty enters twice", "penalty_once", one("keras.regularizers.L2.__call__", scaled(2.0))),
    Broken("a constraint is ignored", "constraints", one("keras.constraints.NonNeg.__call__", lambda f: lambda self, w: w)),
    Broken("a frozen batch normalization keeps running", "frozen", one("keras.layers.BatchNormalization.call", with_attribute("trainable", lambda t: True))),
    Broken("a seed generator stands still", "initializer_shared", one("keras.random.SeedGenerator.next", _one_seed_for_all)),
    Broken("seed 0 taken for no seed", "seeds", one("keras.utils.set_random_seed", _zero_is_none)),
    Broken("EarlyStopping remembers the best of another fit (Keras 3.11 to 3.14)", "early_stopping_again", one("keras.callbacks.EarlyStopping.on_train_begin", _remembers_best)),
    Broken("clipvalue dropped beside clipnorm (Keras 3.0)", "refused", one("keras.optimizers.SGD.__init__", _drop_clipvalue)),
    Broken("half-precision layer norm squares in half precision (Keras 3.0 to 3.5)", "half_precision_norm", one("keras.src.ops.layer_normalization", lambda f: _keras_half_layer_norm)),
    Broken("probabilities clipped at 1e-7", "confidently_wrong", one("keras.src.backend.tensorflow.nn._get_logits", lambda f: lambda output, *a: (output, False))),
    Broken("clipping ignored", "extreme_gradients", one("keras.optimizers.Optimizer._clip_gradients", lambda f: lambda self, grads: grads)),
    Broken("train_on_batch traced anew at every call (Keras 3.0 to 3.6)", "traces", one("keras.Model.make_train_function", before(_forget_train_function))),
    Broken("every call keeps a megabyte", "memory", one("keras.Model.train_on_batch", after(lambda self: LEAKED.append(np.ones(1 << 17))))),
    Broken("models are kept", "models_dropped", one("keras.Model.compile", after(LEAKED.append))),
)  # fmt: skip
BROKEN: dict[str, tuple[Broken, ...]] = {"torch": TORCH, "keras": KERAS}
