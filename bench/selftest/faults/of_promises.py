"""Faults in what documentation promises, one for each law at least, in PyTorch and in Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.selftest.faults.of_equalities import Broken, before
from bench.selftest.faults.of_equalities_in_keras import _drop_last, _keras_half_layer_norm, _unweighted, after
from bench.selftest.faults.plant import one, scaled, with_arguments, with_attribute


def _drawn_elsewhere(dropout: Any) -> Any:
    """A mask that no seed of the framework's decides."""
    import torch

    rng = np.random.default_rng()

    def dropped(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        return x * torch.as_tensor(rng.random(tuple(x.shape)) > p) / (1 - p) if training and p < 1 else dropout(x, p, training)

    return dropped


def _half_group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    grouped = x.reshape(len(x), groups, -1)
    centred = grouped - grouped.mean(-1, keepdim=True)
    return (centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()).reshape(x.shape)


def _shrinking(clip: Any) -> Any:
    return lambda parameters, value, **k: (clip(parameters, value, **k), [each.grad.mul_(0.99) for each in parameters])[0]


def _approximate(forward: Any) -> Any:
    from torch.nn.functional import gelu

    return lambda self, x: gelu(x, approximate="tanh")


def _zero_is_none(draw: Any) -> Any:
    return lambda *args, seed=None, **k: draw(*args, seed=None if isinstance(seed, int) and seed == 0 else seed, **k)


def _moved_by_evaluation(model: Any) -> None:
    model.layers[0].kernel.assign(model.layers[0].kernel * 1.001)


def _other_factor(get: Any) -> Any:
    def got(identifier: Any) -> Any:
        import keras

        return keras.regularizers.L2(0.02) if identifier == "l2" else get(identifier)

    return got


TORCH_PROMISES = (
    Broken("an initializer forgets the generator it was given", "seeds_of_initializers", "xavier_uniform_ seed 0: after other draws", one("torch.nn.init._no_grad_uniform_", lambda f: lambda tensor, a, b, generator=None: f(tensor, a, b))),
    Broken("dropout draws from NumPy", "seeds_of_draws", "Dropout seed 1: set again", one("torch.nn.functional.dropout", _drawn_elsewhere)),
    Broken("a sampler forgets its generator", "shuffled", "RandomSampler seed 1: another object", one("torch.utils.data.RandomSampler.__init__", with_arguments(generator=None))),
    Broken("a loader announces a batch too many", "counted", "DataLoader batch_size=5: shown", one("torch.utils.data.DataLoader.__len__", lambda f: lambda self: f(self) + 1)),
    Broken("group norm squares in half precision", "norms_in_half_precision", "GroupNorm float16 of size 3000", one("torch.nn.functional.group_norm", lambda f: _half_group_norm)),
    Broken("ELU's alpha is 1.01 where it is left out", "defaults_spelled_out", "ELU: spelled out", one("torch.nn.ELU.__init__", lambda f: lambda self, alpha=1.01, inplace=False: f(self, alpha, inplace))),
    Broken("amsgrad is dropped", "options_act", "Adam: amsgrad=True", one("torch.optim.Adam.__init__", with_arguments(amsgrad=False))),
    Broken("an optimizer's state is not saved", "saved_and_loaded", "optimizer SGD momentum: saved", one("torch.optim.Optimizer.state_dict", lambda f: lambda self: {**f(self), "state": {}})),
    Broken("what is frozen never thaws", "toggled", "a training: requires_grad_ against never", one("torch.nn.Module.requires_grad_", lambda f: lambda self, requires_grad=True: f(self, False))),
    Broken("a shared parameter is named twice", "shared_weights", "parameters, the tied one once: requires_grad_", one("torch.nn.Module.named_parameters", with_arguments(remove_duplicate=False))),
    Broken("clipping by value shrinks besides", "twice_is_once", "clip_grad_value_: twice", one("torch.nn.utils.clip_grad_value_", _shrinking)),
    Broken("GELU as a module is approximate", "ways_of_writing_layers", "GELU: gelu", one("torch.nn.GELU.forward", _approximate)),
    Broken("the Huber loss a thousandth too large", "ways_of_writing_losses", "HuberLoss: formula", one("torch.nn.functional.huber_loss", scaled(1.001))),
    Broken("a checkpointed Sequential a thousandth too large", "ways_of_writing_networks", "network: checkpoint_sequential", one("torch.utils.checkpoint.checkpoint_sequential", scaled(1.001))),
    Broken("a group's own rate is ignored", "ways_of_training", "optimizer Adam: options in groups", one("torch.optim.Optimizer.add_param_group", lambda f: lambda self, group: f(self, {**group, "lr": self.defaults["lr"]}))),
    Broken("a cosine schedule a thousandth too fast", "schedules_by_formula", "CosineAnnealingLR: optimizer", one("torch.optim.lr_scheduler.CosineAnnealingLR.get_lr", lambda f: lambda self: [rate * 1.001 for rate in f(self)])),
    Broken("dropout scales a thousandth too much", "layers_by_formula", "Dropout p=0.5 scales", one("torch.nn.functional.dropout", scaled(1.001))),
)  # fmt: skip

KERAS_PROMISES = (
    Broken("seed 0 taken for no seed", "seeds_of_initializers", "GlorotUniform seed 0: called again", one("keras.src.backend.random.uniform", _zero_is_none)),
    Broken("seed 0 taken for no seed in draws", "seeds_of_draws", "random.uniform seed 0: again", one("keras.src.backend.random.uniform", _zero_is_none)),
    Broken("fit always shuffles", "shuffled", "fit shuffle=False: shown", one("keras.src.trainers.data_adapters.array_data_adapter.ArrayDataAdapter.__init__", with_arguments(shuffle=True))),
    Broken("the uneven last batch is dropped", "counted", "fit: arrays", one("keras.src.trainers.data_adapters.array_data_adapter.ArrayDataAdapter.__init__", after(_drop_last))),
    Broken("layer norm squares in half precision", "norms_in_half_precision", "LayerNormalization float16 of size 3000", one("keras.src.ops.layer_normalization", lambda f: _keras_half_layer_norm)),
    Broken("ELU's alpha is 1.01 where it is left out", "defaults_spelled_out", "ELU: spelled out", one("keras.layers.ELU.__init__", lambda f: lambda self, alpha=1.01, **k: f(self, alpha, **k))),
    Broken("an axis is dropped", "options_act", "Softmax: axis=0", one("keras.layers.Softmax.call", with_attribute("axis", lambda axis: -1))),
    Broken("an optimizer's state is not saved", "saved_and_loaded", "training with SGD momentum: save", one("keras.optimizers.Optimizer.save_own_variables", lambda f: lambda self, store: None)),
    Broken("an evaluation moves a weight", "toggled", "a training: an evaluation between steps", one("keras.Model.test_on_batch", before(_moved_by_evaluation))),
    Broken("shared weights are counted twice", "shared_weights", "weights, the shared ones once", one("keras.Model.count_params", scaled(2))),
    Broken("a constraint shrinks besides", "twice_is_once", "NonNeg: twice", one("keras.constraints.NonNeg.__call__", scaled(0.99))),
    Broken("Add adds a thousandth too much", "ways_of_writing_layers", "Add: +", one("keras.layers.Add._merge_function", scaled(1.001))),
    Broken("the Huber loss as an object a thousandth too large", "ways_of_writing_losses", "Huber: function", one("keras.losses.Huber.call", scaled(1.001))),
    Broken("Add adds a thousandth too much in a network", "ways_of_writing_networks", "residual network: layers.Add", one("keras.layers.Add._merge_function", scaled(1.001))),
    Broken("apply_gradients takes other gradients", "ways_of_training", "training: own loop, apply against", one("keras.optimizers.Optimizer.apply_gradients", lambda f: lambda self, pairs: f(self, [(g * 1.001, v) for g, v in pairs]))),
    Broken("a regularizer by its name has another factor", "ways_of_naming", "regularizer l2: get", one("keras.regularizers.get", _other_factor)),
    Broken("a polynomial schedule a thousandth too fast", "schedules_by_formula", "PolynomialDecay: called", one("keras.optimizers.schedules.PolynomialDecay.__call__", scaled(1.001))),
    Broken("dropout scales a thousandth too much", "layers_by_formula", "Dropout rate=0.5 scales", one("keras.src.backend.random.dropout", scaled(1.001))),
    Broken("a mean ignores weights", "metrics_by_formula", "Mean sample_weight: whole", one("keras.metrics.Mean.update_state", _unweighted)),
    Broken("a sum's shape is said to keep its axis", "symbolic_as_computed", "sum float32: symbolic", one("keras.src.ops.numpy.Sum.compute_output_spec", with_attribute("keepdims", lambda kept: True))),
    Broken("a plateau has no cooldown", "callbacks", "ReduceLROnPlateau cooldown: seen", one("keras.callbacks.ReduceLROnPlateau.in_cooldown", lambda f: lambda self: False)),
    Broken("amsgrad is dropped", "options_of_optimizers_act", "Adam: amsgrad=True", one("keras.optimizers.Adam.__init__", with_arguments(amsgrad=False))),
)  # fmt: skip
