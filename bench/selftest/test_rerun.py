"""The command that judges a case again judges that very case: by its id, with its seeds, recordings and device."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.plugin import options
from fixtures.plugin.options import rerun
from fixtures.plugin.terminal import Terminal

TEST = "bench/test_parity.py::test_parity[update-torch-cpu-depth=40,act=sigmoid]"
GAUGE = str(Path(__file__).parent / "gauges" / "trained_torch.py") + ":net"


def given(*words: str) -> argparse.Namespace:
    """The options of a run, as pytest would have them."""
    parser = argparse.ArgumentParser()
    options.add(SimpleNamespace(getgroup=lambda _: SimpleNamespace(addoption=parser.add_argument)))  # type: ignore[arg-type]
    option = parser.parse_args([*words, "--record-dir=."])
    option.xmlpath = None
    options.check(option)
    return option


@pytest.mark.parametrize("typed", ["depth=40,act=sigmoid", "act=sigmoid,depth=40", "depth=040,width=64,act=sigmoid"])
def test_a_network_is_named_by_its_id_however_it_was_typed(typed: str) -> None:
    option = given(f"--network={typed}", "--network=depth=4")
    assert rerun(option, TEST, option.networks[0].id) == f"pytest --network='depth=40,act=sigmoid' '{TEST}'"
    assert given(*shlex.split(rerun(option, TEST, option.networks[0].id))[1:-1]).networks == option.networks[:1]


def test_a_network_of_the_matrix_needs_no_name_and_an_equality_none_of_others() -> None:
    assert rerun(given(), TEST, "depth=40,act=sigmoid") == f"pytest '{TEST}'"
    assert rerun(given("--cases=full"), TEST, "depth=40,act=sigmoid") == f"pytest --cases=full '{TEST}'"
    assert rerun(given("--network=depth=4"), "bench/test_equalities.py::test_equality[traces]") == (
        "pytest 'bench/test_equalities.py::test_equality[traces]'"
    )
    assert rerun(given(), "bench/test_parity.py::test_parity[update-torch-cpu-depth=4]@depth=4").endswith("-depth=4]'"), "xdist's group"


def test_seeds_and_recordings_are_those_of_the_run() -> None:
    option = given("--network=depth=4", "--seeds=10", "--fresh-seeds", "--threads=2")
    assert rerun(option, TEST, "depth=4") == f"pytest --threads=2 --network='depth=4' --seeds=10 --fresh-seeds '{TEST}'"
    option = given(f"--model={GAUGE}", "--baselines=net.json")
    assert rerun(option, TEST, GAUGE) == f"pytest --baselines='net.json' --model='{GAUGE}' '{TEST}'"


def test_one_of_several_own_models_is_named_and_one_of_the_published_set_by_itself() -> None:
    option = given(f"--model={GAUGE}", "--model=torchvision:resnet18", "--network=depth=4")
    assert rerun(option, TEST, "torchvision:resnet18") == f"pytest --model='torchvision:resnet18' '{TEST}'"
    assert rerun(option, TEST, "depth=4") == f"pytest --network='depth=4' '{TEST}'"
    option = given("--cases=published", "--backend=torch")
    again = rerun(option, TEST, option.own[0][1].id)
    assert "--cases" not in again
    assert [(backend, model.id) for backend, model in given(*shlex.split(again)[1:-1]).own] == [("torch", option.own[0][1].id)]


def test_an_error_has_the_same_command_as_a_red_verdict() -> None:
    option = given(f"--model={GAUGE}", "--device=cpu", "--seeds=5")
    option.verbose = 0
    config: Any = SimpleNamespace(option=option, pluginmanager=SimpleNamespace(get_plugin=lambda _: None))
    terminal = Terminal(config, {}, {}, Path(), page=False)
    report: Any = SimpleNamespace(
        when="call", passed=False, failed=True, nodeid=TEST, longreprtext="it cannot be built\nmore", user_properties=[("network", GAUGE)]
    )
    terminal.pytest_runtest_logreport(report)
    (error,) = terminal.record.errors
    assert error.rerun == f"pytest --model='{GAUGE}' --seeds=5 '{TEST}'"


def test_networks_that_both_frameworks_hold_are_compared_on_the_cpu_alone() -> None:
    def aligned(*words: str) -> list[str]:
        return [model.id for _, model in given("--cases=published", "--backend=torch,keras", *words).own if model.aligned]

    assert aligned() and not aligned("--device=cuda")


def test_recordings_of_own_models_are_named_for_own_models_alone() -> None:
    with pytest.raises(pytest.UsageError, match=r"--baselines=my\.json names the recordings of your own model, and no --model"):
        given("--network=depth=4", "--baselines=my.json")
