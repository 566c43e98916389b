"""Which networks are trained: the reference, each axis moved alone, every pair that makes sense.

`python -m models.matrix --cases=full` lists them, and says of each pair left out why it makes no sense.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys

from models.parts.activations import ACTIVATIONS
from models.parts.cells import CELLS
from models.parts.initializers import INITIALIZERS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.parts.schedules import SCHEDULES
from models.spec import Spec, SpecError

CASES = ("smoke", "core", "full")
Capability = tuple[int, int]
"""A GPU's compute capability, major and minor; UNKNOWN where nobody tells."""
UNKNOWN: Capability = (0, 0)
TF32_SINCE: Capability = (8, 0)
TF32_OVERRIDE = "NVIDIA_TF32_OVERRIDE"
"""The variable by which CUDA's libraries are told to use TF32 never (0) or always (1), whatever a framework asks for."""

AXES: dict[str, tuple[str, ...]] = {
    # Recurrent and convolutional networks are of other families, whose word comes first, so that these axes do.
    "recurrence": (
        "rnn", "rnn,cell=relu,recurrent=identity", *(f"rnn,cell={name}" for name in CELLS if name not in ("tanh", "relu")),
        "rnn,layers=3,length=16,cell=lstm,outputs=all,forget=chrono,truncated=6,clip=global,clip_at=0.1",
        "rnn,length=64,cell=gru", "rnn,cell=lstm,recurrent=default,init=default",
        "rnn,width=8,radius=0.5,init=orthogonal,input=tiny", "rnn,width=8,init=orthogonal,input=tiny",
        "rnn,width=8,radius=1.5,init=orthogonal,input=tiny", "rnn,cell=lstm,precision=float64", "rnn,cell=gru,precision=float64",
        "rnn,layers=2,cell=lstm,direction=both,lengths=uneven,between=layer",
        "rnn,width=8,parametrization=orthogonal,init=orthogonal,input=tiny",
        "rnn,precision=mixed_float16", "rnn,cell=gru,precision=mixed_bfloat16",
    ),
    "convolution": (
        "conv,batch=16,pool=max,init=default", "conv,depth=6,batch=16,norm=batch,skip=two,pool=average,window=3,pool_padding=same",
        "conv,batch=16,act=tanh,stride=2,padding=same_at_end,norm=group,norm_groups=2,precision=float64",
    ),
    "dynamics": (),
    "depth": ("depth=2", "depth=4", "depth=8", "depth=32", "depth=64", "depth=100"),
    "width": ("width=16", "width=256"),
    "batch": ("batch=16",),
    "classes": ("classes=2",),
    # He weights make linear and SELU networks and an unscaled post-activation stream explode, so their steps are smaller.
    "activation": (
        "act=linear,lr=1e-5", "act=selu,lr=0.001",
        *(f"act={name}" for name, row in ACTIVATIONS.items() if row.core and name not in ("linear", "selu", "relu")),
    ),
    "normalization": (
        *(f"norm={name}" for name in NORMS), "norm=batch,norm_at=after", "norm=layer,norm_at=after", "norm=batch,eps=0.001",
        "norm=batch,momentum=0.99",
    ),
    "skip": (
        "skip=one,lr=0.0002", "skip=one,skip_order=pre,lr=0.0002", "skip=two", "skip=two,skip_order=pre",
        "skip=two,skip_order=pre,branch=root2", "skip=two,skip_order=pre,branch=depth", "skip=two,skip_order=pre,branch=zero",
        "bottleneck=4,skip=two,skip_order=pre",
    ),
    # What a framework draws by default is asked for as `default`, each framework its own.
    "initializer": (*(f"init={name}" for name in INITIALIZERS if name != Spec.init and "default" not in name), "init=default"),
    "bias": ("bias=normal",),
    "clipping": ("clip=value,clip_at=0.005", "clip=variable,clip_at=0.5", "clip=global", "clip=global,clip_at=100"),
    "optimizer": tuple(f"optimizer={name}" for name, row in OPTIMIZERS.items() if row.core and name != Spec.optimizer),
    "learning rate": ("lr=0.001",),
    "penalty": ("l2=0.001", "optimizer=adamw,decay=0.1"),
    "loss": (*(f"loss={name}" for name, row in LOSSES.items() if row.core and name != Spec.loss), "loss=mse,target_scale=10"),
    "input": (
        "input=shifted", "input=huge,lr=1e-16", "input=saturated", "input=tiny,norm=layer", "input=far,norm=layer,depth=4",
        "input=shifted,norm=batch", "input=shifted,norm=group",
    ),
    "precision": (
        "precision=float64", "precision=tf32", "precision=mixed_bfloat16,batch=256", "precision=mixed_float16",
        "precision=mixed_float16,loss_scale=1,act=sigmoid",
    ),
}  # fmt: skip

FURTHER: dict[str, tuple[str, ...]] = {
    "convolution": (
        "conv",
        "conv,groups=2",
        "conv,kernel=1",
        "conv,depth=3,kernel=5",
        "conv,padding=valid",
        "conv,padding=circular,dilation=2",
        "conv,stride=2",
        "conv,depth=8,padding=circular,act=linear,init=orthogonal,start=delta",
        "conv,depth=6,convolution=depthwise,norm=batch",
        "conv,act=tanh,pool=max,window=3,pool_padding=same_at_end",
        "conv,pool=average,window=3,pool_padding=same,counted=yes,pools=2",
        "conv,norm=layer",
        "conv,norm=rms,norm_at=after",
        "conv,read=average",
        "conv,act=tanh,read=max",
        "conv,flatten=channels_last,head=16",
        "conv,depth=20,channels=4,skip=one,norm=batch",
    ),
    "dynamics": (
        "ode",
        "ode,damping=0.1,act=relu",
        "ode,dynamics=hamiltonian",
        "ode,dynamics=reversible,act=relu,step=1",
        "ode,depth=100,dynamics=reversible",
        "ode,dynamics=hamiltonian,precision=float64",
    ),
    "width": ("last_width=16",),
    "skip": ("skip=two,skip_order=pre,branch=rezero", "skip=two,skip_order=pre,branch=fixup"),
    "initializer": ("init=lecun_normal,gain=1.5", "skip=two,skip_order=pre,variance_decay=1"),
    "penalty": ("l1=0.0001",),
    "activation": (
        "mirror=independent",
        "mirror=looks_linear,init=orthogonal",
        *(f"act={name}" for name, row in ACTIVATIONS.items() if not row.core),
    ),
    "optimizer": tuple(f"optimizer={name}" for name, row in OPTIMIZERS.items() if not row.core),
    "learning rate": tuple(f"schedule={name}" for name in SCHEDULES if name != Spec.schedule),
    "loss": tuple(f"loss={name}" for name, row in LOSSES.items() if not row.core),
}
"""More values of some axes, which the full matrix alone moves, by themselves and in pairs."""
MET = {"learning rate": ("clipping", "optimizer", "penalty", "precision")}
"""The only axes with which an axis's further values are paired: a schedule changes steps, and nothing else of a network."""

SYMMETRIC = (
    *(
        f"depth=8,{text}{precision}"
        for text in (
            "loss=hinge", "act=tanh,loss=hinge,classes=2", "norm=batch,eps=1e-30", "norm=layer,eps=1e-30", "norm=rms,eps=1e-30",
            "norm=group,eps=1e-30", "act=linear,init=orthogonal", "act=sigmoid", "act=silu", "act=rrelu", "width=1,act=tanh",
            "skip=two,skip_order=pre",
        )
        for precision in ("", ",precision=float64")
    ),
    "depth=100,precision=float64",
)  # fmt: skip
"""Networks that obey more exact laws than the core matrix does. They are looked at for those laws alone, and not trained."""


def symmetric(features: int = 64) -> list[Spec]:
    """The networks that are judged by exact laws alone, for the data's number of features."""
    return [Spec.parse(text, features=features) for text in SYMMETRIC]


def networks(cases: str, features: int = 64, device: str = "cpu", capability: Capability = UNKNOWN) -> list[Spec]:
    """The networks of a set: `smoke` the reference, `core` each axis moved alone, `full` every pair besides.

    `features` is that of the data; a network with fewer classes than the data sees the labels modulo its classes.
    Networks whose precision the device does not have are left out. Raises SpecError for an unknown set.
    """
    return _collect(cases, features, device, capability)[0]


def left_out(cases: str, device: str = "cpu", capability: Capability = UNKNOWN) -> list[tuple[str, str]]:
    """Every network that is not trained, with the reason."""
    return _collect(cases, 64, device, capability)[1]


def refuse_without_device(spec: Spec, device: str, capability: Capability = UNKNOWN) -> None:
    """Raise SpecError for a precision that the device does not have."""
    if spec.format.tf32 and UNKNOWN != capability < TF32_SINCE:
        raise SpecError(
            f"precision=tf32 exists from compute capability {TF32_SINCE[0]}.{TF32_SINCE[1]} on, and would be float32 by another name on "
            f"this GPU of {capability[0]}.{capability[1]}: choose another precision or GPU."
        )
    if spec.format.tf32 and os.environ.get(TF32_OVERRIDE) == "0":
        raise SpecError(f"precision=tf32 would be float32 by another name, since {TF32_OVERRIDE}=0 forbids it: unset {TF32_OVERRIDE}.")
    if device.partition(":")[0] not in spec.format.devices:
        raise SpecError(
            f"precision={spec.precision} exists on CUDA devices only, and would be float32 by another name on the {device}: "
            "use --device=cuda."
        )


def _collect(cases: str, features: int, device: str, capability: Capability) -> tuple[list[Spec], list[tuple[str, str]]]:
    if cases not in CASES:
        raise SpecError(f"cases={cases} is not known: use one of {', '.join(CASES)}.")
    texts = ["reference"]
    axes = AXES if cases != "full" else {axis: (*values, *FURTHER.get(axis, ())) for axis, values in AXES.items()}
    if cases != "smoke":
        texts += [value for values in axes.values() for value in values]
    if cases == "full":
        for (axis, ones), (crossed, others) in itertools.combinations(axes.items(), 2):
            pairs = itertools.product(ones, others)
            texts += [f"{one},{other}" for one, other in pairs if _meet(axis, one, crossed) and _meet(crossed, other, axis)]
    specs: dict[Spec, None] = {}
    refused = []
    for text in texts:
        fields = [item.partition("=")[0] for item in text.split(",")]
        twice = sorted({field for field in fields if fields.count(field) > 1})
        if twice:
            refused.append((text, f"both sides set {', '.join(twice)}."))
            continue
        try:
            spec = Spec.parse(text, features=features)
            refuse_without_device(spec, device, capability)
            specs[spec] = None
        except SpecError as error:
            refused.append((text, str(error)))
    places: dict[Spec | None, int] = {}
    for spec in specs:
        places.setdefault(spec.built_as, len(places))
    # Networks that are built alike stand together, so that a worker builds one for all.
    return sorted(specs, key=lambda spec: places[spec.built_as]), refused


def _meet(axis: str, value: str, other: str) -> bool:
    return value not in FURTHER.get(axis, ()) or other in MET.get(axis, AXES)


def main(arguments: list[str] | None = None) -> int:
    """Print the networks of a set and what was left out."""
    parser = argparse.ArgumentParser(prog="python -m bench matrix", description=__doc__)
    parser.add_argument("--cases", default="core", help=f"one of {', '.join(CASES)}")
    cases = parser.parse_args(arguments).cases
    try:
        chosen, refused = networks(cases), left_out(cases)
    except SpecError as error:
        print(error, file=sys.stderr)
        return 2
    lines = [spec.id for spec in chosen]
    lines += [f"not trained, judged by exact laws alone  {spec.id}" for spec in symmetric() if cases != "smoke"]
    lines += [f"left out  {text}: {reason}" for text, reason in refused]
    with contextlib.suppress(BrokenPipeError):  # a reader may have seen enough, as `head` does
        print("\n".join([*lines, f"{len(chosen)} networks, {len(refused)} combinations left out"]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
