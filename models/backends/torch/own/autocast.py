"""A module's pass under autocast, which computes products in bfloat16 and leaves to the tape which operations did."""

from __future__ import annotations

from dataclasses import replace

import torch

from models.backends.torch.own.half import FORMATS, Half
from models.backends.torch.own.network import OwnModule
from models.backends.torch.own.tape import Tape
from models.own.gauge import OwnError
from models.own.passes import OwnPass
from models.own.protocol import NoVariantError

UNIT = FORMATS[torch.bfloat16].unit


def autocast_pass(own: OwnModule) -> tuple[OwnPass, Tape]:
    """The pass under autocast and its decisions.

    Raises NoVariantError where nothing of it computes in half precision, or where the model does not run so: it was not written for it.
    """
    copied = own.copied()
    under = torch.autocast(torch.device(own.device).type, dtype=torch.bfloat16)
    copied.call = under(copied.call)
    if copied.gauge.loss is not None:
        copied.gauge = replace(copied.gauge, loss=under(copied.gauge.loss))
    try:
        seen, tape = copied.recorded()
    except OwnError as error:
        raise NoVariantError(f"it does not run under autocast: {str(error).partition(': ')[2]}") from error
    if not Half.of(tape.half):
        raise NoVariantError("autocast computes nothing of it in half precision")
    return seen, tape
