"""Which training steps are timed: networks × the ways a framework's users run a step.

`smoke` is the reference network run the default way. `core` moves depth, width and batch alone, and has every compiled way
on a shallow network only, as compiling 16 layers takes torch.compile half a minute on a CPU. `full` is the whole grid.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from models.architectures import graph
from models.backends.registry import BACKENDS
from models.matrix import CASES
from models.spec import Spec, SpecError

SHALLOW = "depth=4"
CORE = ("reference", SHALLOW, "depth=64", "width=256", "batch=256")
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
        """Floating-point operations of one step's matrix products: 2 forward and 4 backward per weight and sample."""
        return 6 * self.spec.batch * sum(node.fan_in * node.fan_out for node in graph(self.spec).dense)


def timed_cases(cases: str, backends: Sequence[str], device: str = "cpu", features: int = 64, classes: int = 10) -> list[TimedCase]:
    """The steps of a set (`smoke`, `core`, `full`) on `backends`, those of one network side by side.

    `features` and `classes` are those of the data. Raises SpecError for an unknown set.
    """
    if cases not in CASES:
        raise SpecError(f"cases={cases} is not known: use one of {', '.join(CASES)}.")
    data = [f"features={features}"] * (features != 64) + [f"classes={classes}"] * (classes != 10)
    return [
        TimedCase(backend, mode, Spec.parse(",".join([text, *data])), device)
        for text in networks(cases)
        for backend in backends
        for mode in _modes(cases, backend, text, device)
    ]


def networks(cases: str) -> list[str]:
    """Ids of a set's networks."""
    if cases == "full":
        return [",".join(f"{name}={value}" for name, value in zip(GRID, point, strict=True)) for point in itertools.product(*GRID.values())]
    return list(CORE if cases == "core" else CORE[:1])


def _modes(cases: str, backend: str, network: str, device: str) -> list[str]:
    default, *others = BACKENDS[backend].modes_on(device)
    if cases == "core":
        others = [mode for mode in others if network == SHALLOW and mode not in BACKENDS[backend].slow_modes]
    return [default, *(others if cases != "smoke" else [])]
