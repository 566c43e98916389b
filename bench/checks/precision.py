"""The precision policy: which format each tensor is in, and that what is rounded is rounded to nearest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace
from scipy.stats import norm, t

from bench.checks.signals import by_place
from bench.evidence.divergence import within_range
from bench.evidence.evidence import Evidence
from bench.evidence.reference import rms_error
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z
from bench.judging.verdict import RestNotJudged
from models.architectures import graph
from models.arrays import Array
from models.backends.registry import CONVENTIONS
from models.naming import describe, describe_part, is_weight, kind_of, part_of
from models.nodes import INPUT, WIRED, Dense, Normalize, Recurrent, Sum
from models.parts.cells import CELLS
from models.parts.precisions import Format
from models.spec import Spec

CUDA_FLOAT32 = {"layer": (0, 0), "group": (0, 0), "rms": (2, 12)}
"""Normalizations that PyTorch's autocast computes in float32 on CUDA, each with the release since which it does; on the CPU none
(ATen/autocast_mode.h, AT_FORALL_FP32; `rms_norm` is not in it in 2.11 and is in 2.13)."""


COARSE = 0.1
"""The share of TF32's rounding error that products in TF32 reach at least. Where operands were rounded it was 0.58 to 0.70, where they were
cut 1.34 to 1.37, and with products in float32 0.0003 (`bench.selftest.test_twins`, five networks)."""


def precision(evidence: Evidence) -> Iterator[Finding]:
    """Every result, parameter and loss is in the format that the precision documents, and so are float32 products.

    Counts the places of each kind that are not, in the first pass; the note names the first of them. `float32 products` is the
    framework's own word on TF32, asked after the network was built. With TF32 some layer must also be off by what TF32 rounds.
    """
    seen = evidence.shared
    documented = formats(evidence.spec, evidence.conventions, evidence.seen.device, evidence.seen.versions.get("torch", ""))
    if set(seen.formats) != set(documented):
        raise AssertionError(f"formats of {sorted(set(seen.formats) ^ set(documented))} are missing or unknown")
    kinds: dict[str, list[str]] = {}
    for name in documented:
        kinds.setdefault(kind_of(name) if _held(name) else part_of(name), []).append(name)
    for kind, names in kinds.items():
        wrong = [name for name in names if seen.formats[name] != documented[name]]
        note = f"{_place(wrong[0])} is in {seen.formats[wrong[0]]}, documented is {documented[wrong[0]]}" if wrong else ""
        yield Finding(Place(f"{kind} in another format"), len(wrong), 0.0, 0.0, note)
    products = "tf32" if evidence.spec.format.tf32 else "float32"
    note = f"{seen.products} where {products} was asked"
    yield Finding(Place("float32 products in another format"), seen.products != products, 0.0, 0.0, note)
    if evidence.spec.format.tf32:
        share = _share_of_tf32(evidence)
        note = "" if share >= COARSE else "the framework says TF32, and this device multiplies in float32"
        yield Finding(Place("error of products as a share of TF32's"), share, COARSE, float("inf"), note)


def _share_of_tf32(evidence: Evidence) -> float:
    """The largest error of a layer's result, as a share of the error of rounding that layer's operands to TF32.

    The largest, because a library that may use TF32 need not for every shape. Layers whose result rounding cannot change, such as those
    of branches that begin at zero, say nothing.
    """
    shares = []
    for _, seen, exact, rounded in evidence.passes:
        for node, z in exact.pre_activations.items():
            rounding = rms_error(z, [each.pre_activations[node] for each in rounded])
            if rounding > 0:
                shares.append(float(np.linalg.norm(seen.pre_activations[node] - z)) / rounding)
    return float(np.max(shares))


def formats(spec: Spec, conventions: str, device: str, torch: str = "") -> dict[str, str]:
    """By node or parameter (as in `models.observation.WatchedPass.formats`) the format that is documented.

    Keras's layers compute in the policy's compute type. PyTorch's products are in autocast's type, and what follows is in the type that
    comes in, but for what CUDA computes in float32 in this release of `torch` (the newest where none is named).
    """
    in_float32 = {norm for norm, since in CUDA_FLOAT32.items() if not torch or _release(torch) >= since}
    held, half = spec.format.held, spec.format.half or spec.format.held
    nodes, results = graph(spec), {INPUT: held}
    for node in nodes.nodes:
        inputs = [results[name] for name in node.inputs]
        if isinstance(node, Sum):
            results[node.name] = held if held in inputs else half
        elif isinstance(node, Recurrent) and conventions == "torch" and CELLS[node.cell].mixed_on_cpu and not device.startswith("cuda"):
            results[node.name] = held
        elif isinstance(node, Dense | Recurrent) or conventions == "keras":
            results[node.name] = half
        elif isinstance(node, Normalize) and conventions == "torch" and device.startswith("cuda") and node.norm in in_float32:
            results[node.name] = held
        else:
            results[node.name] = inputs[0]
    layers = {node.name: results[node.name] for node in nodes.nodes if not isinstance(node, WIRED)}
    return dict.fromkeys(nodes.parameters, held) | {"loss": held} | layers


def _release(version: str) -> tuple[int, ...]:
    """`2.11.0+cu130` is (2, 11)."""
    return tuple(int(part) for part in version.split(".")[:2])


def _place(name: str) -> str:
    """A node, parameter or the loss as a person reads it."""
    return describe(name) if _held(name) else describe_part(name)


def _held(name: str) -> bool:
    """Whether a name is a parameter's or the loss's, and not a node's."""
    return "." in name or name == "loss"


@within_range
def rounding(evidence: Evidence) -> Iterator[Finding]:
    """What is rounded to half precision is rounded to nearest: its errors do not drift towards zero or away from it.

    Mean over a tensor of (seen − written out)·sign in units in the last place, the written out being the reference's own rounding
    of each layer on what it was fed (smaller than a normal number digits are lost by design). Two results rounded to nearest
    differ by two errors of variance 1/12, and by one unit at the most; where terms cancel the difference is larger and counts as
    one unit. So the mean of n has variance V = max(1/6, mean square)/n where all are independent;
    equal samples round alike, and count once. A value that is off in one layer is so
    for a whole row or column of the next: by the spread of rows' and columns' means it is V_r + V_c − V (Cameron, Gelbach and Miller
    2011, two-way clusters), and never taken for less than either; known from few means, it is that of Student's t. Where all samples
    share one error e of the layer before, columns share it, too: z = Wh and its error We have W in common, so that the mean over
    units of sign(z)·We is √(2/π)·⟨e, h⟩/‖h‖ for normal W,
    which adds 2/π of V_c. Rounding towards zero shifts all by −½.
    Weight gradients are those of the training step, which rounds other values the other way where it is compiled: judged where not.
    Where roundings may be left out between operations (`Evidence.excess`), the written out may also be the float64 answer, rounded once:
    where terms cancel, whichever was rounded more often is larger on average, and would drift away from zero.
    """
    few = False
    for place, seen, nears, scale in _rounded(evidence):
        found = [finding for near in nears for finding in _drift(place, seen, near, evidence.spec.format.results, scale)]
        few |= not found
        yield from sorted(found, key=lambda each: each.exceedance)[:1]
    if few:
        raise RestNotJudged("layers have too few results above half precision's smallest normal number to tell where they are rounded to")


def _rounded(evidence: Evidence) -> Iterator[tuple[Place, Array, list[Array], float]]:
    """Place, what was seen, what the reference rounds there in each admissible way, and the loss scale that it had."""
    first_scale, format_ = evidence.spec.first_scale, evidence.spec.format.results

    def ways(near: Array, exact: Array, scale: float) -> list[Array]:
        return [near, format_.rounded(exact * scale) / scale] if evidence.excess else [near]

    for (title, seen, exact, rounded), step in zip(evidence.passes, evidence.seen.forced_steps, strict=True):
        near = rounded[CONVENTIONS.index(evidence.conventions)]
        for quantity, scale, found, rounds, answers in (
            ("drift", 1.0, seen.pre_activations, near.pre_activations, exact.pre_activations),
            ("∂L/∂z drift", first_scale, seen.pre_activation_gradients, near.pre_activation_gradients, exact.pre_activation_gradients),
        ):
            values, true = by_place(found), by_place(answers)
            for place, each in by_place(rounds).items():
                yield replace(place, quantity=quantity, scope=title), values[place], ways(each, true[place], scale), scale
        for weight in filter(is_weight, step.gradients) if evidence.step == "eager" else ():
            yield Place.of(weight, "gradient drift", scope=title), step.gradients[weight], [near.gradients[weight]], first_scale


def _drift(place: Place, seen: Array, near: Array, format_: Format, scale: float = 1.0) -> Iterator[Finding]:
    """Nothing where no value is a normal number, under which digits are lost by design, nor where too few tell their spread."""
    seen, near = (np.asarray(each, np.float64) * scale for each in (seen, near))
    chosen = np.abs(near) >= format_.normal
    if not chosen.any():
        return
    last_place = 2.0 ** (np.floor(np.log2(np.where(chosen, np.abs(near), 1.0))) - format_.digits + 1)
    off = np.ma.array(np.clip((seen - near) * np.sign(near) / last_place, -1, 1), mask=~chosen)
    different = len(np.unique(near, axis=0)) / len(near)
    alone = max(1 / 6, float(np.mean(off**2))) / (different * int(off.count()))
    (rows, many), (columns, units) = (_of_means(off.mean(axis).compressed()) for axis in (1, 0))
    columns *= 1 + 2 / np.pi
    reaches = (
        BAND_Z * alone**0.5,
        _z(many) * rows**0.5,
        _z(units) * columns**0.5,
        _z(min(many, units)) * max(rows + columns - alone, 0.0) ** 0.5,
    )
    drift, reach = float(off.mean()), max(reaches)
    if not reach < 1:
        return
    yield Finding(place, drift, -reach, reach, "towards zero" if drift < 0 else "away from zero")


def _of_means(means: Array) -> tuple[float, int]:
    """The variance of the mean of these means, which a single one does not tell, and how many they are."""
    return float(means.var()) / (len(means) - 1) if len(means) > 1 else np.inf, len(means)


def _z(means: int) -> float:
    """As many standard deviations, known from so many means, as a normal law exceeds as rarely as `BAND_Z` (Student's t)."""
    return float(t.isf(norm.sf(BAND_Z), means - 1)) if means > 1 else np.inf
