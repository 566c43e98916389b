"""A module's pass under autocast, which computes products in bfloat16, beside a float64 twin that is rounded there as bfloat16 rounds.

Which operations compute in half precision is autocast's own choice, and is looked at. In rounded passes of the twin their operands and
results are off by as much as a bfloat16 is, since autocast rounds both (Micikevicius et al. 2018, mixed precision training).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models.backends.torch.own.dispatch import Arguments, Named, Types
from models.backends.torch.own.network import OwnModule
from models.backends.torch.own.tape import Tape, operation, tensors
from models.own.gauge import OwnError
from models.own.passes import OwnPass
from models.own.protocol import NoVariantError

if TYPE_CHECKING:
    from torch._ops import OpOverload

UNIT = 2.0**-8
"""Unit roundoff of bfloat16, which has 8 digits."""
HALF = torch.bfloat16, torch.float16
CAST = "_to_copy"
"""The operation that autocast itself adds."""


class InHalf(TorchDispatchMode):
    """Collects the names of operations that compute in half precision in here."""

    def __init__(self) -> None:
        """Nothing has run yet."""
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: OpOverload, types: Types, args: Arguments = (), kwargs: Named | None = None) -> object:
        """Run the operation, and note it where its result is a bfloat16 or a float16."""
        out = func(*args, **(kwargs or {}))
        if not func.is_view and operation(func) != CAST and any(each.dtype in HALF for each in tensors(out)):
            self.found.add(operation(func))
        return out


def autocast_pass(own: OwnModule) -> tuple[OwnPass, Tape, frozenset[str]]:
    """The pass under autocast, its decisions, and which operations computed in half precision.

    Raises NoVariantError where none does, or where the model does not run so: it was not written for autocast.
    """
    copied = own.copied()
    under = torch.autocast(torch.device(own.device).type, dtype=torch.bfloat16)
    copied.call = under(copied.call)
    if copied.gauge.loss is not None:
        copied.gauge = replace(copied.gauge, loss=under(copied.gauge.loss))
    with InHalf() as half:
        try:
            seen, tape = copied.recorded()
        except OwnError as error:
            raise NoVariantError(f"it does not run under autocast: {str(error).partition(': ')[2]}") from error
    if not half.found:
        raise NoVariantError("autocast computes nothing of it in half precision")
    return seen, tape, frozenset(half.found)
