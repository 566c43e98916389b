"""The network built from PyTorch's own layers, initializers, losses, clipping functions and optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd import forward_ad

from models.architectures import graph
from models.arrays import Arrays, Statistics
from models.backends.protocol import ALL, Record, Repeated
from models.backends.registry import BackendError
from models.backends.torch.layers import array, linear
from models.backends.torch.precision import allow_tf32, autocast, float32_products, format_of, forward_mode, scaler
from models.backends.torch.timing import repeated_step
from models.graph import INPUT, Activate, Dense, Graph, Node, Normalize, Sum, kind_of, node_of
from models.observation import WatchedPass
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.spec import Spec

COMPILED = {"compile": "default", "graphs": "reduce-overhead"}
"""Modes of a step that is compiled, and what torch.compile calls them; the second one replays CUDA graphs."""
KINDS = {"weight": "weight", "bias": "bias", "scale": "weight", "shift": "bias"}


class Add(nn.Module):
    """keep · stream + scale · branch."""

    def __init__(self, keep: float, scale: float) -> None:
        """Remember both factors."""
        super().__init__()
        self.keep, self.scale = keep, scale

    def forward(self, stream: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        """Skip the multiplications that a user would not write."""
        branch = branch if self.scale == 1 else branch * self.scale
        return stream + branch if self.keep == 1 else stream * self.keep + branch


class Wired(nn.Module):
    """Modules that read each other's results as the nodes of a graph do."""

    def __init__(self, graph: Graph, parts: dict[str, nn.Module]) -> None:
        """Modules by node name."""
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.wires = [(node.name, node.inputs, graph.forgotten[node.name]) for node in graph.nodes]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last node's result. A result is let go where no later node reads it, so that no memory is held for it."""
        results = {INPUT: x}
        for name, inputs, forgotten in self.wires:
            x = results[name] = self.parts[name](*[results[each] for each in inputs])
            for each in forgotten:
                del results[each]
        return x


class Network:
    """`spec` in PyTorch on `device`, initialized by PyTorch from `seed`."""

    def __init__(self, spec: Spec, *, seed: int = 0, device: str = "cpu", mode: str = "", record: Record = ALL) -> None:
        """Build, initialize and move; `mode` is one of COMPILED or eager. Raises BackendError without the device.

        A step keeps nothing for `record`: PyTorch leaves gradients in `.grad`.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise BackendError(
                f"Device {device!r} was asked for, but this PyTorch ({torch.__version__}) sees no CUDA device: use --device=cpu."
            )
        self.spec, self.device, self.dtype = spec, device, getattr(torch, spec.format.held)
        allow_tf32(spec.format.tf32)
        torch.manual_seed(seed)
        self.graph = graph(spec)
        self.parts = {node.name: self._part(node) for node in self.graph.nodes}
        self.model = Wired(self.graph, self.parts).to(device, self.dtype)
        self.parameters = {name: getattr(self.parts[node_of(name)], KINDS[kind_of(name)]) for name in self.graph.parameters}
        self.loss = LOSSES[spec.loss].torch(nn)
        self._in_precision = autocast(spec, device)
        self.compute_loss = torch.compile(self._forward_loss, mode=COMPILED[mode]) if mode in COMPILED else self._forward_loss
        # Graphs may overwrite what the last step returned; saying so loads the compiler, which other modes do without.
        self._begin_step = torch.compiler.cudagraph_mark_step_begin if mode == "graphs" else lambda: None
        self._norms = {node.name: self.parts[node.name] for node in self.graph.of(Normalize) if node.norm == "batch"}
        self._fresh = {name: (m.running_mean.clone(), m.running_var.clone()) for name, m in self._norms.items()}  # type: ignore[union-attr]
        self._applied: Arrays = {}
        self._new_optimizer()

    def _part(self, node: Node) -> nn.Module:
        if isinstance(node, Sum):
            return Add(node.keep, node.scale)
        if isinstance(node, Dense):
            return linear(self.spec, node)
        if isinstance(node, Normalize):
            return NORMS[node.norm].torch(nn, node)
        assert isinstance(node, Activate)
        return ACTIVATIONS[node.activation].torch(nn)

    def _new_optimizer(self) -> None:
        """Biases and scales are not decayed, so that a penalty (weight_decay here) takes two groups; without one, one is faster."""
        decay = self.spec.l2 or self.spec.decay
        weights = [p for key, p in self.parameters.items() if key.endswith(".weight")]
        others = [p for key, p in self.parameters.items() if not key.endswith(".weight")]
        groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        if not decay:
            groups = [{"params": list(self.parameters.values()), "weight_decay": 0.0}]
        self.optimizer = OPTIMIZERS[self.spec.optimizer].torch(torch.optim, groups, self.spec)
        self._scaler = scaler(self.spec, self.device)

    def loss_scale(self) -> float:
        """What the loss is multiplied with now."""
        return self._scaler.get_scale() if self._scaler else 1.0

    def tensor(self, x: Any) -> torch.Tensor:
        """Inputs on the device in the spec's precision."""
        return torch.as_tensor(np.asarray(x), dtype=self.dtype, device=self.device)

    def target(self, labels: Any) -> torch.Tensor:
        """What the loss compares logits with."""
        target = LOSSES[self.spec.loss].target(np.asarray(labels), self.spec.classes, self.spec.target_scale)
        return torch.as_tensor(target, dtype=torch.int64 if target.dtype.kind == "i" else self.dtype, device=self.device)

    def load(self, weights: Arrays, fresh: bool) -> None:
        """Set parameters; `fresh` also empties the optimizer's slots and resets running statistics."""
        with torch.no_grad():
            for key, parameter in self.parameters.items():
                parameter.copy_(torch.as_tensor(np.asarray(weights[key])))
        if fresh:
            self._new_optimizer()
            for name, (mean, var) in self._fresh.items():
                self._norms[name].running_mean.copy_(mean)  # type: ignore[operator,union-attr]
                self._norms[name].running_var.copy_(var)  # type: ignore[operator,union-attr]

    def redraw(self, seed: int) -> None:
        """Initialize anew from another seed, as if just built."""
        self.load(Network(self.spec, seed=seed, device=self.device).weights(), fresh=True)

    def weights(self) -> Arrays:
        """Parameters as NumPy arrays."""
        return {key: array(p) for key, p in self.parameters.items()}

    def gradients(self) -> Arrays:
        """The last step's gradients before clipping."""
        return self._raw

    def applied(self) -> Arrays:
        """The last step's gradients as the optimizer saw them, after clipping."""
        return self._applied

    def running(self) -> Statistics:
        """Running mean and variance of every batch normalization."""
        return {name: (array(m.running_mean), array(m.running_var)) for name, m in self._norms.items()}

    def freeze_noise(self, frozen: bool) -> None:
        """Randomized slopes at their mean (as in evaluation) or drawn."""
        for node in self.graph.of(Activate):
            if ACTIVATIONS[node.activation].random:
                self.parts[node.name].train(not frozen)

    def watch(self, x: Any, labels: Any) -> WatchedPass:
        """One forward and backward pass in training mode that leaves parameters, gradients and running statistics alone."""
        before = {name: (m.running_mean.clone(), m.running_var.clone(), m.num_batches_tracked.clone()) for name, m in self._norms.items()}  # type: ignore[union-attr,operator]
        results: dict[str, torch.Tensor] = {}
        hooks = [
            self.parts[node.name].register_forward_hook(lambda module, args, out, name=node.name: results.__setitem__(name, out))
            for node in self.graph.nodes
            if not isinstance(node, Sum)
        ]
        with autocast(self.spec, self.device):
            logits = self.model(self.tensor(x))
            loss = self.loss(logits, self.target(labels))
        outputs = {node.name: results[node.name] for node in self.graph.dense}
        scale = self.loss_scale()
        pre_activation_gradients = torch.autograd.grad(loss * scale if scale != 1 else loss, list(outputs.values()))
        for hook in hooks:
            hook.remove()
        for name, (mean, var, count) in before.items():
            self._norms[name].running_mean.copy_(mean)  # type: ignore[operator,union-attr]
            self._norms[name].running_var.copy_(var)  # type: ignore[operator,union-attr]
            self._norms[name].num_batches_tracked.copy_(count)  # type: ignore[operator,union-attr]
        by_node = {name: array(d) / scale if scale != 1 else array(d) for name, d in zip(outputs, pre_activation_gradients, strict=True)}
        formats = {name: format_of(out) for name, out in (results | self.parameters | {"loss": loss}).items()}
        pre_activations = {name: array(z) for name, z in outputs.items()}
        return WatchedPass(self.weights(), float(loss.detach()), array(logits), pre_activations, by_node, formats, float32_products())

    def _forward_loss(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        with self._in_precision:
            return self.loss(self.model(x), target)

    def slope(self, x: Any, labels: Any, direction: Arrays) -> float:
        """The loss's derivative along `direction` (shaped as the weights) by PyTorch's forward mode."""
        with forward_mode():
            names = {id(parameter): name for name, parameter in self.model.named_parameters()}
            duals = {
                names[id(parameter)]: forward_ad.make_dual(parameter.detach(), self.tensor(direction[key]))
                for key, parameter in self.parameters.items()
            }
            loss = self.loss(torch.func.functional_call(self.model, duals, (self.tensor(x),)), self.target(labels))
            return float(forward_ad.unpack_dual(loss).tangent)

    def forward_backward(self, x: torch.Tensor, target: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """Gradients of `scale` times one batch's loss into `.grad`; returns the loss as a tensor."""
        self._begin_step()
        self.optimizer.zero_grad()
        loss = self.compute_loss(x, target)
        loss_of_step = loss if scale == 1 else scale * loss
        (self._scaler.scale(loss_of_step) if self._scaler else loss_of_step).backward()
        return loss

    def unscale_and_clip(self) -> None:
        """Divide gradients by the loss scale, if there is one, and clip them with PyTorch's own function."""
        if self._scaler:
            self._scaler.unscale_(self.optimizer)
        if self.spec.clip != Spec.clip:
            CLIPS[self.spec.clip].torch(nn.utils, list(self.parameters.values()), self.spec.clip_at)

    def update(self) -> None:
        """Step the optimizer, through the scaler if there is one."""
        if self._scaler:
            self._scaler.step(self.optimizer)
            self._scaler.update()
        else:
            self.optimizer.step()

    def step(self, x: Any, labels: Any, scale: float = 1.0) -> float:
        """One training step on `scale` times the loss that keeps its gradients before and after clipping; returns the loss."""
        loss, lifted = self.forward_backward(self.tensor(x), self.target(labels), scale), self.loss_scale()
        raw = {key: array(_present(p)) for key, p in self.parameters.items()}
        self._raw = raw if lifted == 1 else {key: g / np.float32(lifted) for key, g in raw.items()}
        self.unscale_and_clip()
        self._applied = {key: array(_present(p)) for key, p in self.parameters.items()}
        self.update()
        return float(loss.detach())

    def timed_step(self, x: Any, labels: Any) -> Repeated:
        """One training step for the clock."""
        return repeated_step(self, x, labels)

    def train(self, xs: Any, labels: Any, record: bool = True) -> tuple[Any, Any]:
        """Train on every batch; losses (steps,) and, with `record`, gradient norms of weights before clipping (steps taken × depth).

        Norms are taken in float64, because a float32 sum of squares reads zero for gradients under 1e-22.
        """
        inputs, targets = self.tensor(xs), self.target(labels)
        weights = [self.parameters[node.weight] for node in self.graph.dense]
        losses: list[torch.Tensor] = []
        norms: list[torch.Tensor] = []
        for x, target in zip(inputs, targets, strict=True):
            losses.append(self.forward_backward(x, target).detach())
            scale = self.loss_scale()
            row = torch._foreach_norm([w.grad for w in weights], 2, torch.float64) if record else []
            self.unscale_and_clip()
            self.update()
            if record and self.loss_scale() >= scale:  # a step that overflowed was not taken, and halved the scale
                norms += row if scale == 1 else [norm / scale for norm in row]
        table = array(torch.stack(norms)).reshape(-1, len(weights)) if norms else np.zeros((0, len(weights)))
        return array(torch.stack(losses)), table

    def logits(self, x: Any) -> Any:
        """Outputs in evaluation mode."""
        was = {part: part.training for part in self.model.modules()}
        self.model.eval()
        with torch.no_grad(), autocast(self.spec, self.device):
            logits = array(self.model(self.tensor(x)))
        for part, training in was.items():
            part.training = training
        return logits

    def accuracy(self, logits: Any, labels: Any) -> float:
        """The share of samples whose label has the largest logit, by PyTorch's own comparison."""
        return float((torch.as_tensor(logits).argmax(1) == torch.as_tensor(np.asarray(labels))).float().mean())


def _present(parameter: Any) -> Any:
    """The gradient; zeros where PyTorch has none, because a gradient that never arrived is a finding and not a crash."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
