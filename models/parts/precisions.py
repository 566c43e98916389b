"""Precisions: what is held in which format, what is rounded to a shorter one, and how each framework is asked for it.

Mixed precision holds parameters, optimizer slots, loss and parameter gradients in float32, and everything between the input
and the logits in a half (Micikevicius et al. 2018); a TF32 product rounds its operands to ten bits and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Array


@dataclass(frozen=True)
class Format:
    """A floating-point format: bits of significand (the hidden one included), smallest and largest positive number."""

    digits: int
    least: float
    largest: float

    @property
    def unit(self) -> float:
        """Unit roundoff: the largest relative error of rounding to nearest."""
        return 2.0**-self.digits

    @property
    def normal(self) -> float:
        """The smallest normal number: under it digits are lost one by one."""
        return self.least * 2.0 ** (self.digits - 1)

    def rounded(self, x: Array) -> Array:
        """float32 values rounded to the nearest of this format's, ties to even, as float32; what is too large becomes infinite."""
        x = np.asarray(x, np.float32)
        if self is FLOAT16:
            with np.errstate(over="ignore"):
                return x.astype(np.float16).astype(np.float32)
        if self is FLOAT32:
            return x
        drop = 24 - self.digits
        bits = np.ascontiguousarray(x).view(np.uint32)
        half = np.uint32((1 << (drop - 1)) - 1) + ((bits >> np.uint32(drop)) & np.uint32(1))
        near = ((bits + half) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32)
        return np.where(np.isfinite(x), near, x)

    def cut(self, x: Array) -> Array:
        """float32 values with the digits that this format lacks left out, which rounds towards zero."""
        drop = 24 - self.digits
        return (np.ascontiguousarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32)


FLOAT64 = Format(53, 2.0**-1074, float(np.finfo(np.float64).max))
FLOAT32 = Format(24, 2.0**-149, float(np.finfo(np.float32).max))
TF32 = Format(11, 2.0**-136, 2.0**128 - 2.0**117)
BFLOAT16 = Format(8, 2.0**-133, 2.0**128 - 2.0**120)
FLOAT16 = Format(11, 2.0**-24, 65504.0)


@dataclass(frozen=True)
class Precision:
    """`held` is NumPy's name of parameters, inputs and loss; operands of products are rounded to `operands`, results to `results`.

    `half` is the frameworks' name of the format of results where that is shorter than what is held. `scaled` means that the loss is
    scaled dynamically, `tf32` that products may use TF32. `devices` have the precision.
    """

    held: str
    operands: Format
    results: Format
    half: str = ""
    scaled: bool = False
    tf32: bool = False
    devices: tuple[str, ...] = ("cpu", "cuda")

    @property
    def keras(self) -> str:
        """Keras's dtype policy."""
        return f"mixed_{self.half}" if self.half else self.held

    @property
    def plain(self) -> bool:
        """Whether everything is held and computed in one format."""
        return self.operands is self.results and not self.half


PRECISIONS: dict[str, Precision] = {
    "float32": Precision("float32", FLOAT32, FLOAT32),
    "float64": Precision("float64", FLOAT64, FLOAT64),
    "tf32": Precision("float32", TF32, FLOAT32, tf32=True, devices=("cuda",)),
    "mixed_bfloat16": Precision("float32", BFLOAT16, BFLOAT16, half="bfloat16"),
    "mixed_float16": Precision("float32", FLOAT16, FLOAT16, half="float16", scaled=True),
}
PLAIN = tuple(name for name, row in PRECISIONS.items() if row.plain)
"""Those in which everything is held and computed in one format."""
