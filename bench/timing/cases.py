"""Which training steps are timed: networks × the ways a framework's users run a step.

`smoke` is the reference network run the default way. `core` moves depth, width and batch alone, and has every compiled way
on a shallow network only, as compiling 16 layers takes torch.compile half a minute on a CPU. `full` is the whole grid. Recurrent
networks are timed in the default way, which is the framework's own layer, and as `cells` in a loop and `unrolled`: in `core` one of them,
where steps run eagerly, since a layer in a compiled step is a loop of cells on a CPU.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.architectures import graph
from models.backends.registry import BACKENDS
from models.matrix import CASES
from models.nodes import Recurrent
from models.spec import Spec, SpecError

SHALLOW = "depth=4"
LSTM = "rnn,cell=lstm"
CORE = ("reference", SHALLOW, "depth=64", "width=256", "batch=256", LSTM)
RECURRENT = tuple(f"rnn,cell={cell}{length}" for cell in ("tanh", "lstm", "gru") for length in ("", ",length=64"))
GRID: dict[str, tuple[int, ...]] = {"depth": (4, 16, 64), "width": (64, 256), "batch": (64, 256)}


@dataclass(frozen=True)
class TimedCase:
    """One training step to be timed: `spec` on `backend` and `device`, run in `mode`."""

    backend: str
    mode: str
    spec: Spec
    device: str = "cpu"

    @property
    def id(self) -> str:
        """What a person types after `-k`: `torch-eager-cpu-depth=32`."""
        return f"{self.backend}-{self.mode}-{self.device}-{self.spec.id}"

    @property
    def flops(self) -> int:
        """Floating-point operations of one step's matrix products: 2 forward and 4 backward per weight, sample and time step."""
        nodes = graph(self.spec)
        weights = sum(node.fan_in * node.fan_out for node in nodes.dense)
        for node in nodes.of(Recurrent):
            weights += node.length * sum(math.prod(shape) for kind, shape in node.parameters.items() if kind.endswith("weight"))
        return 6 * self.spec.batch * weights


def timed_cases(cases: str, backends: Sequence[str], device: str = "cpu", features: int = 64, classes: int = 10) -> list[TimedCase]:
    """The steps of a set (`smoke`, `core`, `full`) on `backends`, those of one network side by side.

    `features` and `classes` are those of the data. Raises SpecError for an unknown set.
    """
    if cases not in CASES:
        raise SpecError(f"cases={cases} is not known: use one of {', '.join(CASES)}.")
    data = [f"features={features}"] * (features != 64) + [f"classes={classes}"] * (classes != 10)
    return [
        TimedCase(backend, mode, spec, device)
        for text in networks(cases)
        if (spec := _on(text, data))
        for backend in backends
        for mode in _modes(cases, backend, text, spec, device)
    ]


def _on(network: str, data: list[str]) -> Spec | None:
    """The network on this data, None where its time steps do not divide the features."""
    try:
        return Spec.parse(",".join([network, *data]))
    except SpecError:
        return None


def networks(cases: str) -> list[str]:
    """Ids of a set's networks."""
    if cases == "full":
        points = itertools.product(*GRID.values())
        layered = [",".join(f"{name}={value}" for name, value in zip(GRID, point, strict=True)) for point in points]
        return [*layered, *RECURRENT]
    return list(CORE if cases == "core" else CORE[:1])


def _modes(cases: str, backend: str, network: str, spec: Spec, device: str) -> list[str]:
    row = BACKENDS[backend]
    default, *others = row.modes_of(spec, device)
    if not spec.arch.layered:  # how a step is compiled is timed of other networks
        if cases == "core" and row.step != "eager":
            return []
        others = list(row.recurrent_modes[: 1 if cases == "core" else None])
    elif cases == "core":
        others = [mode for mode in others if network == SHALLOW and mode not in row.slow_modes]
    return [default, *(others if cases != "smoke" else [])]
