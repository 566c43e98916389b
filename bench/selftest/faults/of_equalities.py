"""Faults that equalities must see, each patched into a real symbol of PyTorch; those of Keras stand beside it.

What really happened says where; what a fault is planted into may be another line than the one that was wrong, with the same effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.selftest.faults.guises import steep
from bench.selftest.faults.plant import Patch, one, scaled, with_arguments
from bench.selftest.faults.torch_optimizers import one_factor_too_many


@dataclass(frozen=True)
class Broken:
    """What is wrong, the equality that must catch it, a part of the place that a finding must name, and how it is planted.

    `link` leads to where it really happened, for those that did.
    """

    name: str
    equality: str
    where: str
    plant: Callable[[Patch], None]
    link: str = ""


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


def zero_is_none(seed_all: Any) -> Any:
    """Seed 0 draws a seed of its own."""
    return lambda seed: seed_all(seed or int(np.random.default_rng().integers(1, 1 << 30)))


def _only_finite(clip: Any) -> Any:
    """Clipping that leaves gradients alone when their norm is not finite."""
    import torch

    def clipped(parameters: Any, longest: float) -> Any:
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        return clip(parameters, longest) if norm.isfinite() else norm

    return clipped


def _draws_rounded_to_one(truncated: Any) -> Any:
    """Probabilities are rounded to the tensor's format before they become draws: 1 then draws infinity, which the cut brings back."""
    import torch

    def drawn(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Any:
        lowest, highest = (torch.special.ndtr(torch.tensor((cut - mean) / std)) for cut in (a, b))
        chance = torch.empty(tensor.shape).uniform_(float(2 * lowest - 1), float(2 * highest - 1)).to(tensor.dtype)
        return tensor.data.copy_((chance.erfinv() * std * 2**0.5 + mean).clamp(a, b))

    return drawn


def _middle_piece_at_both_ends(hardswish: Any) -> Any:
    import torch

    return lambda x, *args, **kwargs: torch.where(x.abs() <= 3, x * (x + 3) / 6, hardswish(x))


def block_lost(hessian: Any) -> Any:
    """Second derivatives by two layers at a time read zero, from one side as from the other."""

    def lost(*args: Any, **kwargs: Any) -> Any:
        found = hessian(*args, **kwargs)
        first = np.arange(len(found)) < 6
        kept = np.equal.outer(first, first).astype(np.float64)
        return found * (found.new_tensor(kept) if hasattr(found, "new_tensor") else kept)

    return lost


LEAKED: list[Any] = []

TORCH = (
    Broken("a gradient shrinks whenever another arrives", "micro_batches", "adamw with clip=global: layer  1 weight", one("torch.nn.Linear.__init__", after(_arrivals_shrink))),
    Broken("a gradient shrinks whenever another arrives, under a schedule", "micro_batches_schedule", "micro-batches: layer  1 weight", one("torch.nn.Linear.__init__", after(_arrivals_shrink))),
    Broken("a gradient shrinks whenever another arrives, under an average", "micro_batches_average", "micro-batches: layer  1 weight", one("torch.nn.Linear.__init__", after(_arrivals_shrink))),
    Broken("loss divided by n + 1", "duplicated_batch", "momentum with norm=none: layer  2 weight", one("torch.nn.functional.cross_entropy", _over_n_plus_one)),
    Broken("what an operation of one's own keeps is a thousandth too large", "recomputed", "reversible: layer  2 weight", one("torch.autograd.function.FunctionCtx.save_for_backward", lambda f: lambda self, *kept: f(self, *(1.001 * each for each in kept)))),
    Broken("torch.compile changes the loss", "torch_compile", "compile: layer  2 weight", one("torch.compile", lambda f: lambda model, **k: lambda *a: model(*a) * 1.001)),
    Broken("foreach Adam with another rate", "implementations", "Adam foreach float64", one("torch.optim.adam._multi_tensor_adam", lambda f: lambda *a, lr, **k: f(*a, lr=lr * 1.001, **k))),
    Broken("foreach NAdam looks ahead with a momentum too many (PyTorch 1.13)", "implementations", "NAdam foreach float64", one("torch.optim.nadam._multi_tensor_nadam", one_factor_too_many), link="https://github.com/pytorch/pytorch/pull/92699"),
    Broken("Adam's step doubles the gradients it was given", "gradients_kept", "Adam fused", one("torch.optim.Adam.step", after(_spoil_gradients))),
    Broken("Adam's rate divided by the number of tensors", "variable_count", "adam", one("torch.optim.Adam.__init__", _rate_by_count)),
    Broken("the loss is unscaled but was not scaled", "loss_scaling", "clip=none dynamic scale: layer  2 weight", one("torch.amp.GradScaler.scale", lambda f: lambda self, loss: (f(self, loss), loss)[1])),
    Broken("the average collapses toward 0", "averaged_weights", "layer  2 weight", one("torch.optim.swa_utils.get_ema_multi_avg_fn", lambda f: lambda decay: lambda old, new, n: [a.mul_(decay) for a in old])),
    Broken("the uneven last batch is dropped", "loader", "samples", one("torch.utils.data.DataLoader.__init__", with_arguments(drop_last=True))),
    Broken("weight decay enters twice", "penalty_once", "batch 50 layer  2 weight", one("torch.optim.sgd.sgd", lambda f: lambda *a, weight_decay, **k: f(*a, weight_decay=2 * weight_decay, **k))),
    Broken("an orthogonal parametrization is not", "constraints", "orthogonal step 3 layer  2 weight", one("torch.nn.utils.parametrizations._Orthogonal.forward", scaled(1.001))),
    Broken("eval() leaves running statistics running", "frozen", "frozen after: layer  1 mean", one("torch.nn.Module.eval", lambda f: lambda self: self)),
    Broken("seed 0 taken for no seed", "seeds", "global seed 0 weights", one("torch.manual_seed", zero_is_none)),
    Broken("a loader does not shuffle", "seeds", "own seeds differ in order", one("torch.utils.data.DataLoader.__init__", with_arguments(shuffle=False))),
    Broken("an initializer draws the same every time", "initializer_shared", "generator: correlation", one("torch.nn.init.xavier_uniform_", _own_seed)),
    Broken("fused dropped in silence beside foreach", "refused", "foreach with fused", one("torch.optim.Adam.__init__", _drop_fused)),
    Broken("probabilities of a truncated normal rounded to 1 (PyTorch 1.13)", "truncated", "bfloat16 cut at 100: furthest", one("torch.nn.init.trunc_normal_", _draws_rounded_to_one), link="https://github.com/pytorch/pytorch/issues/145498"),
    Broken("hardswish has its middle piece's slope at both ends (PyTorch 1.13)", "meeting_pieces", "hardswish slope at 3", one("torch.nn.functional.hardswish", _middle_piece_at_both_ends), link="https://github.com/pytorch/pytorch/issues/147801"),
    Broken("half-precision layer norm squares in half precision", "half_precision_norm", "huge", one("torch.nn.functional.layer_norm", lambda f: _half_layer_norm)),
    Broken("probabilities clipped at 1e-7", "confidently_wrong", "logit gap 30: layer  2 weight", one("torch.nn.functional.log_softmax", _clipped_log)),
    Broken("clipping ignored", "extreme_gradients", "clip=variable gradient 1e+30", one("torch.nn.utils.clip_grad_norm_", lambda f: lambda *a, **k: None)),
    Broken("clipping lets through what has no finite norm", "extreme_gradients", "clip=global gradient 1e+30", one("torch.nn.utils.clip_grad_norm_", _only_finite)),
    Broken("compiled anew at every call", "traces", "compiled batch=12: traces", one("torch.nn.Linear.forward", _count_in_forward)),
    Broken("nothing is compiled, so that nothing is counted", "traces", "compiled batch=16: no trace", one("torch.compile", lambda f: lambda model, **k: model)),
    Broken("every call keeps a megabyte", "memory", "step: MB", one("torch.nn.Tanh.forward", after(lambda self: LEAKED.append(np.ones(1 << 17))))),
    Broken("a millionth of the gradient passes tanh by", "second_order", "CG: step 0", one("torch.nn.Tanh.forward", steep(1e-6))),
    Broken("a block of the Hessian is lost", "second_order", "trust-exact: step 0", one("torch.autograd.functional.hessian", block_lost)),
    Broken("LBFGS remembers a step more", "lbfgs", "LBFGS: step 3", one("torch.optim.LBFGS.__init__", lambda f: lambda self, parameters, lr, **k: f(self, parameters, lr, **{**k, "history_size": k["history_size"] + 1}))),
    Broken("models are kept", "models_dropped", "still alive", one("torch.nn.ModuleDict.__init__", after(LEAKED.append))),
)  # fmt: skip
