"""What a check is given: what a framework did, and what the reference says it should have done."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bench.baselines.samples import Baseline
from bench.evidence.reference import ONE_ROUNDING, ReferenceResult, roundings
from bench.judging.check import Need
from bench.judging.verdict import NotJudged
from models.arrays import Arrays, Batch, Labels, Points
from models.backends.protocol import BackendInfo, StepKind
from models.backends.registry import info
from models.observation import Backward, History, Observation, Training, WatchedPass
from models.parts.activation_formulas import in_float32
from models.reference.network import Pass, Reference
from models.reference.optimizers import penalty
from models.spec import Spec

FLOAT64_EPS_RATIO = float(np.finfo(np.float64).eps / np.finfo(np.float32).eps)


@dataclass
class Evidence:
    """One network on one backend, beside the reference's result and the baseline; checks read it and nothing else.

    `network` is the id it was asked for by; `spec` has the backend's own default initializer filled in. `held_out` are the samples
    and labels that decide an accuracy. `draws` are layers filled by the framework's initializer, by seed; `curves` its activation's
    values and slopes by precision. `start` tells where the free run of a seed began, `more` trains further seeds. What was not `collected`
    is empty.
    """

    network: str
    spec: Spec
    backend: str
    seen: Observation
    reference: ReferenceResult
    baseline: Baseline | None = None
    data: str = "digits"
    held_out: tuple[Batch, Labels] = (np.zeros((0, 0)), np.zeros(0, int))
    draws: list[list[Arrays]] = field(default_factory=list)
    curves: dict[str, tuple[Points, Points]] = field(default_factory=dict)
    start: Callable[[int], Training] | None = None
    collected: Set[Need] = frozenset(Need)
    more: Callable[[Sequence[int]], list[History]] | None = None

    def sharing(self, faults: Set[str]) -> Evidence:
        """The same beside a reference that shares known faults of the framework.

        `activation`: the library's own functions (`models.parts.activations.Activation.had`). `penalty`: factors cast through float32.
        `identity`: a recurrent start at the identity, whatever radius was asked. What lies outside beside the true reference and within
        beside this one is explained by these faults, however far the network amplifies them.
        """
        spec = self.spec
        if "activation" in faults:
            spec = replace(spec, computed_by=self.info.library)
        if "penalty" in faults:
            spec = spec.but(l1=in_float32(spec.l1), l2=in_float32(spec.l2))
        if "identity" in faults:
            spec = spec.but(radius=1.0)
        shared = self.reference.once(("sharing", spec), lambda: ReferenceResult(spec, self.reference.forced_steps))
        return replace(self, spec=spec, reference=shared)

    @property
    def native(self) -> WatchedPass:
        """The pass of the network as the framework initialized it."""
        assert self.seen.native, "no check needs the framework's own initialization"
        return self.seen.native

    @property
    def shared(self) -> WatchedPass:
        """The pass of the network with the weights of the first teacher-forced step."""
        assert self.seen.shared, "no check needs teacher-forced steps"
        return self.seen.shared

    @property
    def conventions(self) -> str:
        """Whose documented rules hold: `torch` or `keras`, whatever Keras runs on."""
        return self.info.conventions

    @property
    def info(self) -> BackendInfo:
        """The backend's row."""
        return info(self.backend)

    @property
    def step(self) -> StepKind:
        """How the steps that were seen ran."""
        return "fused" if self.seen.fused else self.info.step

    @property
    def resolution(self) -> float:
        """What the rounding errors of the reference's passes are multiplied with for this network's own precision."""
        return FLOAT64_EPS_RATIO if self.spec.precision == "float64" else 1.0

    @property
    def once(self) -> float:
        """Relative rms error of rounding a layer's result once, in units of `resolution`."""
        return ONE_ROUNDING * self.result_unit / self.resolution

    @property
    def unit(self) -> float:
        """Unit roundoff of what is held: parameters, loss, parameter gradients."""
        return float(np.finfo(self.spec.format.held).eps) / 2

    @property
    def floor(self) -> float:
        """The smallest normal number of what is held; processors may take a smaller one for zero, as TensorFlow's threads do."""
        return float(np.finfo(self.spec.format.held).tiny)

    @property
    def grain(self) -> float:
        """How far apart the numbers next to zero are that layers compute, loss scale included."""
        return self.spec.format.results.least / self.spec.first_scale if self.spec.format.half else self.floor

    @property
    def result_unit(self) -> float:
        """Unit roundoff of what layers compute."""
        return max(self.spec.format.operands.unit, self.spec.format.results.unit)

    @cached_property
    def passes(self) -> list[tuple[str, WatchedPass, Pass, list[Pass]]]:
        """Title, what was seen, the float64 answer and the rounded ones, of every pass whose signals were seen.

        Where layers round to less than float32, rounding in one layer puts units of the next on the other side of their kink and turns
        gradients by a quarter within 16 layers; so there every layer is answered on what it was fed (`Reference.run`'s `given`).
        """
        if self.spec.format.plain:
            return [("drawn", self.shared, self.reference.exact[0], self.reference.rounded[0])]
        found = []
        for number, (step, forced_step) in enumerate(zip(self.seen.forced_steps, self.reference.forced_steps, strict=True)):
            seen = step.passed or self.shared
            with np.errstate(all="ignore"):
                exact, *near = (
                    each.run(forced_step.x, forced_step.labels, seen, self.backend)
                    for each in (Reference(self.spec, forced_step.weights), *roundings(self.spec, forced_step.weights, self.excess))
                )
            found.append((f"step {number}", seen, exact, near))
        return found

    @property
    def excess(self) -> bool:
        """Whether what is computed in half precision may keep float32's digits between operations (`BackendInfo.excess_precision`)."""
        return bool(self.spec.format.half) and self.step == "fused" and self.seen.device.partition(":")[0] in self.info.excess_precision

    @property
    def apart(self) -> bool:
        """Whether gradients and the signals beside them are of two executions that round on their own.

        A compiled step computes normalizations otherwise than the operations do one by one: behind one whose gradient cancels, what is
        left of it was another number in every execution of Keras on TensorFlow.
        """
        reordered = self.step == "compiled" and self.spec.arch.norm != "none"
        return reordered or self.step == "fused" or self.spec.arch.act in self.info.rewritten

    @property
    def watches_the_step(self) -> bool:
        """Whether the training step rounds as the pass that is watched does.

        Where Keras compiles the two on their own, a value may be rounded the other way in one of them. In half precision each
        normalization hands that on to other values: with JAX, batch normalization and 16 layers, gradients were off by 15 %. On CPUs
        with bfloat16 instructions TensorFlow fuses a product, its bias and the sum of a skip connection into one operation that rounds
        once, unless somebody looks in between: gradients were off by 30 %. So does an activation that it computes inside the product.
        """
        if self.spec.format.plain or self.step == "eager":
            return True
        rewritten = self.spec.arch.layered and self.spec.arch.act in self.info.rewritten  # cells add two products before they bend
        fused = self.spec.precision == "mixed_bfloat16" and (self.spec.arch.skip != "none" or rewritten)
        return self.spec.arch.norm == "none" and not fused

    def refuse_unwatched(self) -> None:
        """Refuse to judge a step by a pass that was not the step's own."""
        if not self.watches_the_step:
            raise NotJudged(
                f"compiled, {self.backend} does not round this step as the pass that is watched, and half precision "
                "spreads that: judge it with precision=float32, or on keras-torch"
            )

    @property
    def steps(self) -> list[tuple[Pass, list[Pass]]]:
        """The float64 answer and the rounded ones to every step's gradients."""
        if self.spec.format.plain:
            return list(zip(self.reference.exact, self.reference.rounded, strict=True))
        return [(exact, near) for _, _, exact, near in self.passes]

    @cached_property
    def penalties(self) -> list[tuple[float, Arrays]]:
        """What penalties add to loss and raw gradient in each step: an L1 penalty everywhere, an L2 penalty in Keras alone."""
        return [self.penalty(forced_step.weights) for forced_step in self.reference.forced_steps]

    def penalty(self, weights: Arrays) -> tuple[float, Arrays]:
        """What penalties add to loss and raw gradient of a network with these weights."""
        return penalty(self.spec, weights, self.conventions)

    def held_penalties(self, weights: Arrays) -> list[tuple[float, Arrays]]:
        """What penalties add to loss and raw gradient, by each factor that a framework may hold.

        In float64 these are two: Keras has cast the factor through float32 since 3.15, which parity judges. Each is computed from the
        factor as it is held, as a framework does: all of a layer's weights are off in one direction by what the factor is.
        """
        cast = self.spec.but(l1=in_float32(self.spec.l1), l2=in_float32(self.spec.l2))
        held = {cast, self.spec} if self.spec.precision == "float64" else {cast}
        return [penalty(spec, weights, self.conventions) for spec in held]

    def without_penalty(self, weights: Arrays, passed: Backward) -> list[Backward]:
        """A pass, float64, with the penalty taken off that was added to it, by each factor that may be held."""
        if not self.penalty(weights)[1]:
            return [passed]
        return [
            Backward(
                passed.loss - loss,
                {key: np.asarray(g, np.float64) - extra.get(key, 0.0) for key, g in passed.gradients.items()},
                passed.slope,
            )
            for loss, extra in self.held_penalties(weights)
        ]
