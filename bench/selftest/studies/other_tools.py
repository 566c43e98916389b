"""What other tools say of the same faults: `python -m bench other-tools` writes the table `other_tools.csv` again.

The gradient of one layer's weight of each packaged PyTorch model is made too large by 1e-4, 1e-2 and 0.5. Every tool gets it beside the
best that it can ask for: the healthy float32 gradients, and those of the float64 twin with the same draws. A tool that is also red without
a fault has found nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from bench.checks.own.findings import roundings
from bench.exit_status import Status
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.selftest.studies.packaged import MODELS, Packaged
from bench.selftest.studies.tables import keep
from models.arrays import Arrays
from models.backends.registry import backend_module
from models.own.address import own_models
from models.own.passes import OwnPass, Yardstick

PATH = Path(__file__).with_suffix(".csv")
SIZES = (1e-4, 1e-2, 0.5)
"""By which share of itself a gradient is too large."""
FOUND, MISSED, ALWAYS = "found", "missed", "always red"
PASSES = 6
Judge = Callable[[Arrays], bool]
"""Whether a tool is content with gradients by name."""


@dataclass
class Row:
    """What each tool says of one fault."""

    model: str
    size: float
    gradgauge: str
    allclose: str
    assert_close: str
    same_3: str
    same_2: str
    gradcheck: str
    pytest_torch: str


def judges(model: Packaged) -> tuple[Arrays, dict[str, Judge]]:
    """The healthy gradients of a model, and every tool as a function of gradients."""
    import torch
    from torch._dynamo.utils import same

    torch.set_num_threads(1)
    address = own_models([model.address], Path.cwd())[0]
    network: Any = backend_module("torch").own_network(address, 0, "cpu")
    healthy = network.backward().gradients
    network.watch()
    twin = network.twin()
    yardstick = Yardstick(twin.backward(None))
    for rounded in range(PASSES):
        yardstick.add(twin.backward(rounded))
    exact = yardstick.exact.gradients
    tensor = torch.from_numpy

    def ours(seen: Arrays) -> bool:
        found = yardstick.deviations(OwnPass(yardstick.exact.loss, {}, seen), ("gradient",))
        return all(roundings(each) <= ROUNDING_MULTIPLE for each in found)

    def allclose(seen: Arrays) -> bool:
        return all(torch.allclose(tensor(g), tensor(exact[name]).float()) for name, g in seen.items())

    def assert_close(seen: Arrays) -> bool:
        return _content(lambda: [torch.testing.assert_close(tensor(g), tensor(exact[name]).float()) for name, g in seen.items()])

    def same_at(tolerance: float) -> Judge:
        def judge(seen: Arrays) -> bool:
            reference, result, double = ({name: tensor(g) for name, g in each.items()} for each in (healthy, seen, exact))
            return bool(same(reference, result, double, tol=tolerance))

        return judge

    found: dict[str, Judge] = {"gradgauge": ours, "allclose": allclose, "assert_close": assert_close}
    found |= {"same_3": same_at(1e-3), "same_2": same_at(1e-2), "gradcheck": lambda seen: _gradcheck(network, model.parameter)}
    if importlib.util.find_spec("pytest_torch") is not None:
        found["pytest_torch"] = lambda seen: _pytest_torch(network, seen)
    return healthy, found


def _content(check: Callable[[], object]) -> bool:
    try:
        check()
    except (AssertionError, RuntimeError):
        return False
    return True


def _gradcheck(network: Any, parameter: str) -> bool:
    """As it is documented: in float64, where a float32 kernel does not run."""
    import torch

    from models.backends.torch.own.state import seed_everything

    own = network._own.copied(twin=True)
    own.restore()
    inputs = own._batches[0]

    def loss(weight: torch.Tensor) -> torch.Tensor:
        seed_everything(0)
        own.call = lambda *args: torch.func.functional_call(own.model, {parameter: weight}, args)
        return own._loss(own._forward(inputs), inputs)

    weight = own.model.get_parameter(parameter).detach().clone().requires_grad_(True)
    return _content(lambda: torch.autograd.gradcheck(loss, weight, fast_mode=True))


def _pytest_torch(network: Any, seen: Arrays) -> bool:
    """Its checks of a training step: each gradient arrives, and is finite."""
    import pytest_torch.training as theirs
    import torch

    own = network._own
    own.restore()
    handles = []
    for name, p in own.parameters().items():
        if name in seen:
            handles.append(p.register_hook(lambda g, name=name: torch.from_numpy(seen[name])))
    inputs, loss = own._batches[0], lambda output: own._loss(output, own._batches[0])
    own_inputs = inputs[0] if isinstance(inputs, (tuple, list)) else inputs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _content(lambda: theirs.assert_gradients_finite(own.model, own_inputs, loss)) and _content(
                lambda: theirs.assert_all_params_receive_grad(own.model, own_inputs, loss)
            )
    finally:
        for handle in handles:
            handle.remove()


def rows(model: Packaged) -> list[Row]:
    """One row for each size of the fault."""
    healthy, tools = judges(model)
    calm = {tool: judge(healthy) for tool, judge in tools.items()}
    found = []
    for size in SIZES:
        seen = healthy | {model.parameter: (healthy[model.parameter] * (1 + size)).astype("float32")}
        said = {tool: ALWAYS if not calm[tool] else MISSED if judge(seen) else FOUND for tool, judge in tools.items()}
        found.append(Row(model.name, size, **{f.name: said.get(f.name, "not installed") for f in fields(Row)[2:]}))
    return found


def table(kept: list[dict[str, str]]) -> str:
    """The table as Markdown."""
    heads = {
        "gradgauge": "gradgauge", "allclose": "`torch.allclose`", "assert_close": "`assert_close`", "same_3": "`same()` at 1e-3",
        "same_2": "`same()` at 1e-2", "gradcheck": "`gradcheck`", "pytest_torch": "pytest-torch",
    }  # fmt: skip
    shown = [f"| `{row['model']}` | {row['size']} | {' | '.join(row[name] for name in heads)} |" for row in kept]
    return "\n".join([f"| model | too large by | {' | '.join(heads.values())} |", "| --- " * (len(heads) + 2) + "|", *shown])


def main() -> int:
    """Measure, print, and keep the table."""
    parser = argparse.ArgumentParser(prog="python -m bench other-tools", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="only models whose name has TEXT")
    parser.add_argument("--write", action="store_true", help="keep the rows in other_tools.csv")
    given = parser.parse_args()
    wanted = [model for model in MODELS if model.backend == "torch" and given.only in model.name]
    measured = []
    for model in (each for each in wanted if each.installed):
        for row in rows(model):
            print(*astuple(row), flush=True)
            measured.append(row)
            if given.write:
                order = [(each.name, str(size)) for each in MODELS if each.backend == "torch" for size in SIZES]
                keep(PATH, [f.name for f in fields(Row)], [str(value) for value in astuple(row)], order)
    if not measured:
        print("nothing to compare: timm and diffusers are not installed here")
        return Status.NOTHING
    return Status.SAME if all(row.gradgauge == FOUND for row in measured) else Status.FAILING


if __name__ == "__main__":
    sys.exit(main())
