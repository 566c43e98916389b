"""Which networks are taken: those that fit the data and the free memory; a container's limit counts as much as the machine's own."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from bench.evidence import admission
from fixtures.machine.memory import free
from models.spec import Spec, SpecError


@pytest.mark.parametrize(
    ("network", "measured"),
    [
        ("depth=4,width=2048", (2_453, 2_577)),
        ("depth=4,width=1024,batch=1000", (2_161, 2_161)),
        ("depth=300,width=4,batch=8", (302, 302)),
    ],
)
def test_a_network_weighs_what_whole_runs_have_taken(network: str, measured: tuple[float, float]) -> None:
    """MB together at one time in runs of PyTorch or Keras, less those of the smallest network: the weight is not under half of them, nor
    twice as much."""
    low, high = measured
    assert high / 2 < admission.weight(Spec.parse(network), seeds=3) / 1e6 < 2 * low


def test_more_seeds_and_backends_weigh_more() -> None:
    once, seeds, both = (admission.weight(Spec(), *args) for args in ((3, 1), (3000, 1), (3, 2)))
    assert seeds > 100 * once and both > once


@pytest.mark.parametrize(
    ("limit", "used", "inactive", "expected"),
    [("max", 10**8, 0, None), (10**9, 9 * 10**8, 0, 10**8), (10**9, 9 * 10**8, 5 * 10**7, 15 * 10**7), (10**8, 2 * 10**8, 0, 0)],
)
def test_free_memory_is_what_a_container_leaves(tmp_path: Path, limit: object, used: int, inactive: int, expected: int | None) -> None:
    for name, content in {"memory.max": limit, "memory.current": used, "memory.stat": f"anon 1\ninactive_file {inactive}"}.items():
        (tmp_path / name).write_text(f"{content}\n")
    found = free(tmp_path)
    assert found == expected if expected is not None else 0 < found <= psutil.virtual_memory().total


def test_what_does_not_fit_is_refused_with_both_amounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "free", lambda: 2**30)
    admission.refuse_too_large(Spec(), 2.0**30, "choose a smaller one")
    with pytest.raises(SpecError, match=r"reference takes about 1\.5 GiB of memory, and 1\.0 GiB are free: choose a smaller one\."):
        admission.refuse_too_large(Spec(), 1.5 * 2**30, "choose a smaller one")


def test_a_network_fits_its_data() -> None:
    assert admission.network("depth=4", "mnist") == Spec.parse("depth=4,features=784")
    assert admission.network("depth=4,features=784,batch=5000", "mnist").batch == 5000
