"""A lock holds what its environment pins, and every environment that CI installs from one has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.versions.requirements import group

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "cpu": ("cpu",),
    "gpu": ("gpu-torch", "gpu-keras"),
    "gpu-jax": ("gpu-torch", "gpu-keras", "jax-gpu"),
    "backends": ("cpu", "jax-cpu"),
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_lock_fits_its_groups(name: str) -> None:
    lines = (ROOT / ".ci" / "locks" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    locked = {canonicalize_name(r.name): r for r in (Requirement(line) for line in lines if not line.startswith("#"))}
    for wanted in (requirement for part in GROUPS[name] for requirement in group(part)):
        version = str(locked[canonicalize_name(wanted.name)].specifier).removeprefix("==")
        assert wanted.specifier.contains(version), f"{wanted} is asked for and {version} locked"
    assert f"tox -r -e {name}" in lines[0]


def test_every_lock_belongs_to_an_environment() -> None:
    assert {path.stem for path in (ROOT / ".ci" / "locks").glob("*.txt")} == set(GROUPS)
