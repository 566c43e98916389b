"""All that a scenario or a network of PyTorch makes lies on its device, and what the CPU alone may hold lies there.

PyTorch's device `meta`, which has shapes and no numbers, stands for a GPU: it refuses operands of two devices in the same words. Numbers
that are read from it are made up, so that nothing here is judged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bench.evidence.collect import ALL
from bench.metamorphic import decide, equality_cases
from bench.metamorphic.scenarios import Scenarios
from bench.selftest import kills
from bench.selftest.twin_grid import WITHOUT_PRODUCTS
from models.backends.registry import backend_module
from models.backends.torch.promises import PROMISES
from models.worker.tasks.scenarios import take

torch = pytest.importorskip("torch")
ON_THE_CPU = {"seeds", "refused", "memory", "models_dropped", *PROMISES}
"""Equalities that are computed on the CPU everywhere, and those that weigh what is held."""
NOT_ON_META = {
    "constrained": "unsupported operand", "initializer_shared": "not an accelerator", "kept_orthogonal": "cannot be called on meta",
}  # fmt: skip
"""Scenarios that need numbers or a generator, which `meta` does not have, and what they end with there."""
READS = "item", "tolist", "__bool__", "__float__", "__int__", "__index__"
EQUALITIES = sorted({case.equality for case in equality_cases("core", ["torch"])} - ON_THE_CPU)
NETWORKS = (
    "depth=2",
    "depth=2,norm=batch,clip=global,optimizer=adam",
    "rnn,layers=2,cell=lstm,direction=both,lengths=uneven",
    "conv,depth=6",
)


def made_up(tensor: Any) -> Any:
    """Numbers of this shape on the CPU."""
    if tensor.device.type != "meta":
        return tensor
    return torch.full(tensor.shape, 0.5 if tensor.is_floating_point() else 1, dtype=tensor.dtype, device="cpu")


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors of `meta` that can be copied to the CPU and read; NumPy takes none, as it takes none of a GPU."""
    copied, numpy = torch.Tensor.cpu, torch.Tensor.numpy

    def refused(tensor: Any, *given: Any, **named: Any) -> Any:
        if tensor.device.type == "meta":
            raise TypeError("can't convert a tensor of a GPU to numpy")
        return numpy(tensor, *given, **named)

    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor, *_: made_up(tensor) if tensor.device.type == "meta" else copied(tensor))
    monkeypatch.setattr(torch.Tensor, "numpy", refused)
    for name in READS:
        read = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda tensor, *given, read=read: read(made_up(tensor), *given))
    with np.errstate(all="ignore"):
        yield


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize("equality", EQUALITIES)
def test_a_scenario_mixes_no_devices(equality: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: dict[str, str] = {}

    def on_meta(name: str, scenario: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(scenario)
        def taken(**given: Any) -> Any:
            with torch.device("meta"):
                try:
                    return scenario(**given)
                except Exception as error:
                    ended[name] = f"{type(error).__name__}: {error}"
                    raise

        return taken

    scenarios = backend_module("torch").SCENARIOS
    for name, scenario in scenarios.items():
        monkeypatch.setitem(scenarios, name, on_meta(name, getattr(scenario, "__wrapped__", scenario)))
    try:
        decide(equality, Scenarios("torch", lambda scenario, given: take("torch", scenario, given)))
    except Exception:
        assert ended, "the scenario went well, and the equality cannot read what it made"
    assert not {name: why for name, why in ended.items() if NOT_ON_META.get(name, why + ".") not in why}


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_mixes_no_devices(network: str) -> None:
    assert kills.seen("torch", network, False, ALL - WITHOUT_PRODUCTS, repeats=False, device="meta")
