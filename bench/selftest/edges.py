"""Networks with one field at its edge: each is judged green, or refused in one sentence that says what to do.

Every number of a family is set to its least values and to very large ones, in small networks of each kind for which it means something
(`CONTEXTS`). A new field is tried in the plain network without a change here.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.evidence import admission
from models.architectures import FAMILIES
from models.fields import LARGEST, LARGEST_FLOAT, SMALLEST_NORMAL, SpecError, plain
from models.parts.cells import CELLS
from models.parts.clips import CLIPS
from models.parts.initializers import INITIALIZERS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.parts.paddings import PADDINGS
from models.parts.recurrences import RECURRENCES
from models.spec import Spec, Value

SMALL = {
    "mlp": "depth=4,width=8,batch=8",
    "conv": "conv,depth=3,channels=4,batch=8",
    "rnn": "rnn,width=4,length=4,batch=8",
    "ode": "ode,depth=4,width=8,batch=8",
}
"""Networks in which fields are moved, so small that hundreds are judged in an hour; a family that is not listed moves its usual one."""
ANY_MACHINE = 2.0**40
"""Bytes from which a network is refused on every machine."""
COUNTS: tuple[int, ...] = (0, 1, 2, LARGEST, LARGEST + 1)
NUMBERS: tuple[float, ...] = (-1.0, 0.0, SMALLEST_NORMAL, 1e-12, 1e6, LARGEST_FLOAT)
VALUES: dict[str, tuple[Value, ...]] = {
    "batch": (3, 1024, 2000), "classes": (3, 100), "features": (49, 63, 64), "depth": (3, 20, 64), "width": (3, 4, 1024),
    "channels": (3, 32), "groups": (3, 4, 8), "norm_groups": (3, 4), "bottleneck": (4, 8), "last_width": (3, 64), "gain": (1e-3, 1e3),
    "kernel": (3, 4, 5, 7), "stride": (3, 5, 8, 9),
    "dilation": (3, 4, 7, 8), "window": (3, 4), "pools": (3,), "head": (64,), "layers": (3, 4), "length": (3, 64, 65, 1020, 1021),
    "truncated": (3, 4), "momentum": (0.999999, 1 - 2.0**-24, 1.0), "loss_scale": (3.0, 2.0**24, 2.0**64),
}  # fmt: skip
"""More edges of some fields: what divides the others and what does not, and what is as large as the image or the data."""


def _each(field: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{field}={name}" for name in names)


WITH_EPSILON = [name for name, row in OPTIMIZERS.items() if row.epsilon and row.core]
CONTEXTS: dict[str, tuple[str, ...]] = {
    "batch": ("", *_each("norm", NORMS), "act=rrelu"),
    "classes": _each("loss", LOSSES),
    "width": ("", *_each("norm", NORMS), *_each("init", (name for name in INITIALIZERS if "default" not in name)), "skip=two"),
    "channels": ("", *_each("norm", NORMS), "groups=2", "convolution=depthwise", "skip=one", "start=delta,padding=circular"),
    "depth": ("", "skip=one", "skip=two", "bottleneck=2", "head=4"),
    "groups": ("", "norm=group"),
    "norm_groups": ("norm=group",),
    "eps": _each("norm", NORMS),
    "momentum": ("norm=batch",),
    "clip_at": _each("clip", CLIPS),
    "lr": _each("optimizer", OPTIMIZERS),
    "optimizer_eps": ("", *_each("optimizer", WITH_EPSILON)),
    "l2": ("", "optimizer=adam"),
    "decay": ("", "optimizer=adamw"),
    "target_scale": ("", "loss=mse", "loss=huber"),
    "loss_scale": ("", "precision=mixed_float16"),
    "scale_growth": ("", "precision=mixed_float16"),
    "bottleneck": ("", "skip=two"),
    "last_width": ("", *_each("norm", NORMS)),
    "gain": ("", "norm=layer", "mirror=looks_linear"),
    "variance_decay": ("", "skip=two", "skip=two,skip_order=pre"),
    "kernel": _each("padding", PADDINGS),
    "stride": _each("padding", PADDINGS),
    "dilation": _each("padding", PADDINGS),
    "window": ("pool=max", "pool=average"),
    "pools": ("", "pool=max", "pool=average,window=3,pool_padding=same,counted=yes"),
    "layers": ("", "direction=both,lengths=uneven", "between=layer"),
    "length": (*_each("cell", CELLS), "lengths=uneven", "direction=both", "cell=lstm,forget=chrono"),
    "radius": _each("recurrent", RECURRENCES),
    "truncated": ("", "cell=lstm"),
}
"""Parts beside which a field means something; what a family does not have, or refuses beside the others, it is not tried with.

Fields of every family are tried beside all parts in the first family, and in the plain network of the others.
"""


def networks(family: str) -> tuple[list[str], dict[str, str]]:
    """Ids of the networks of a family that are to be judged, and of the texts that are refused the sentences."""
    asked, refused = dict[str, None](), dict[str, str]()
    for name, usual in Spec.of(family).fields.items():
        if isinstance(usual, str):
            continue
        own = family == next(iter(FAMILIES)) or name in FAMILIES[family].__struct_fields__
        for context in CONTEXTS.get(name, ("",)) if own else ("",):
            within = _within(family, context)
            if within is None or name in _fields(context):
                continue
            for value in edges(name, usual):
                text = _moved(within, name, value)
                try:
                    asked[taken(text).id] = None
                except SpecError as refusal:
                    refused[text] = str(refusal)
    return list(asked), refused


def edges(name: str, usual: Value) -> tuple[Value, ...]:
    """The values at the edges of a number that is usually so."""
    return *(COUNTS if isinstance(usual, int) else NUMBERS), *VALUES.get(name, ())


def taken(text: str, data: str = "digits") -> Spec:
    """The network of a text. Raises SpecError for one that no machine takes."""
    spec = admission.network(text, data)
    if (weight := admission.weight(spec, seeds=3, backends=2, data=data)) > ANY_MACHINE:
        admission.refuse_too_large(spec, weight, "choose a smaller one")
    return spec


def _within(family: str, context: str) -> str | None:
    """The small network with these parts, or None where the family has no such."""
    usual = SMALL.get(family, family if family != next(iter(FAMILIES)) else "")
    for more in ("", "depth=6", "channels=8"):  # what parts may need beside themselves
        text = usual
        for item in filter(None, f"{context},{more}".split(",")):
            name, _, value = item.partition("=")
            text = _moved(text, name, value)
        try:
            Spec.parse(text)
        except SpecError:
            continue
        return text
    return None


def _moved(text: str, name: str, value: object) -> str:
    """The text of a network with one field set, instead of or beside what it has."""
    items = [item for item in text.split(",") if item and item.partition("=")[0] != name]
    return ",".join([*items, f"{name}={plain(value)}"])


def _fields(text: str) -> set[str]:
    return {item.partition("=")[0] for item in text.split(",") if item}
