"""The float64 twin of a user's PyTorch module: its passes and steps with the decisions of a float32 one, clean or rounded."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from contextlib import nullcontext

from models.arrays import Array, Arrays
from models.backends.torch.own.half import Grids, Half, rounded_to
from models.backends.torch.own.network import OwnModule
from models.backends.torch.own.padding import zeros_for_padding
from models.backends.torch.own.stopped import Stopped
from models.backends.torch.own.tape import Tape
from models.backends.torch.own.twin import TwinMode, entered, wide
from models.own.gauge import NoTwinError, TapeEndsError
from models.own.passes import OwnPass, Trajectory
from models.own.trees import Tree


class Twin:
    """The float64 twin of a module; each pass has the decisions of the tape."""

    constants = 0.0

    def __init__(self, own: OwnModule, tape: Tape, evaluation: Tape | None = None, stepping: Tape | None = None) -> None:
        """A copy of the module; `evaluation` is the tape of a pass in that mode, `stepping` that of the optimizer's steps."""
        self._twin, self._evaluation = own.copied(twin=True), evaluation
        self._tape: Tape | None = tape
        self._half, self._half_in_evaluation, self._half_in_steps = (
            Half.of(each.half if each else {}) for each in (tape, evaluation, stepping)
        )
        self._limits = stepping.limits if stepping else []
        self._formats = {name: p.dtype for name, p in own.parameters().items()}
        self._ran = set[str]()
        self._packs = evaluation is not None and evaluation.packs
        self._held: list[Tree] | None = None

    def backward(self, rounded: int | None, *, watch: bool = True, batch: int | None = None, one_by_one: bool = False) -> OwnPass:
        """The watched pass, or that of one half of the batch.

        Where float64 computes by other operations than float32 did, it decides by itself.
        """
        place = None if batch is None else self._twin.halves()[batch]
        try:
            with wide(self._tape, rounded, one_by_one, self._half) as mode:
                seen = self._twin.backward(watch=watch, batch=place)
        except TapeEndsError as reason:
            _refuse_other_draws(self._tape, reason)
            self._tape = None
            return self.backward(rounded, watch=watch, batch=batch, one_by_one=one_by_one)
        self._twin.forget()
        seen.near, seen.undecided = mode.near, self._tape is None
        self._ran |= mode.ran
        return seen

    def beside(self, tape: Tape) -> Twin:
        """The same twin with the decisions of another pass."""
        other = copy.copy(self)
        other._tape, other._half, other._ran = tape, Half.of(tape.half), set()
        return other

    @property
    def unit(self) -> float:
        """The unit roundoff of the pass, 0 for float32's."""
        return self._half.format.unit

    def round_others(self) -> None:
        """Round every operation, where half precision has kernels that float64 has not."""
        self._half = self._half.beside(self._ran)

    def loss_at(self, moved: Mapping[str, Array]) -> float:
        """The loss with some parameters moved, with the draws of the tape, and held where the model stops the gradient."""
        try:
            if self._held is None:
                with wide(self._tape, None):
                    self._twin.loss_at({}, unmoved := Stopped())
                self._held = unmoved.held
            with wide(self._tape, None):
                return self._twin.loss_at(moved, Stopped(self._held))
        except TapeEndsError as reason:
            _refuse_other_draws(self._tape, reason)
            self._tape = None
            return self.loss_at(moved)

    def evaluated(self, rounded: int | None) -> Arrays:
        """Outputs in evaluation mode, with the decisions of its tape."""
        try:
            packed = zeros_for_padding(self._twin.model) if self._packs else nullcontext()
            with wide(self._evaluation, rounded, half=self._half_in_evaluation) as mode, packed:
                seen = self._twin.evaluated()
        except TapeEndsError as reason:
            _refuse_other_draws(self._evaluation, reason)
            self._evaluation = None
            return self.evaluated(rounded)
        if (half := self._half_in_evaluation.beside(mode.ran)) != self._half_in_evaluation:
            self._half_in_evaluation = half
            return self.evaluated(rounded)
        return seen

    def steps(self, trajectory: Trajectory, rounded: int | None) -> Generator[Arrays]:
        """New weights by the optimizer's own rule, one number after the other; what is learned in half precision is rounded to it.

        Rounded steps round it wherever the rule writes into it, a clean one once.
        """
        grids = Grids(self._twin.parameters(), self._formats)
        mode = TwinMode(None, rounded, half=self._half_in_steps, grids=None if rounded is None else grids, limits=self._limits)
        ends = self._twin.steps(trajectory, foreach=False, fused=False)
        for _ in trajectory.begins:
            with entered(mode):
                end = next(ends)
            yield rounded_to(end, self._formats)
            del end  # else two steps' weights would be held at a time


def _refuse_other_draws(tape: Tape | None, reason: TapeEndsError) -> None:
    """Raise NoTwinError where float64 would draw other numbers without the tape."""
    if tape is None or tape.draws:
        raise NoTwinError(f"its random draws cannot be given to float64: {reason}") from reason
