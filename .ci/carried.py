"""What is carried to a GPU machine that has no package index: wheels of what a container with PyTorch and JAX may lack.

`pack` fills a folder where there is an index; `unpack` takes from it, on the machine, only what is absent there or too old.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADDED = ("keras==3.15.1",)
"""What such a container lacks besides the dependency group `judge` of pyproject.toml."""
NOT_CARRIED = "numpy", "scipy", "matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "pillow", "pyparsing"
"""Large wheels that every such image has, or that no stage draws with."""
LARGEST = 64 * 2**20
"""Bytes that the folder may hold: what a machine takes along with a checkout."""


def asked() -> list[str]:
    """What the judge and Keras need, as pyproject.toml says it."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    return [*groups["judge"], *ADDED]


def pack(folder: Path, python: str) -> int:
    """Fill the folder with wheels of this Python version for Linux on x86-64; 1 where it is too large to be carried."""
    platforms = "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"
    words = ["--dest", str(folder), "--python-version", python, "--only-binary", ":all:", *[f"--platform={name}" for name in platforms]]
    done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *words, *asked()])
    if done.returncode:
        return done.returncode
    for wheel in folder.glob("*.whl"):
        if named(wheel)[0] in NOT_CARRIED:
            wheel.unlink()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {len(list(folder.glob('*.whl')))} wheels, {size / 2**20:.0f} MiB of the {LARGEST / 2**20:.0f} that may be carried")
    return int(size > LARGEST)


def named(wheel: Path) -> tuple[str, str]:
    """Name and version in a wheel's file name."""
    name, version = wheel.name.split("-")[:2]
    return name.lower().replace("_", "-"), version


def numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def fits(name: str, wanted: list[str]) -> bool:
    """Whether a package is here, and no older than is wanted of it."""
    try:
        here = numbers(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False
    limits = [each.rpartition("=")[2] for each in wanted if re.split(r"[=><!~]", each)[0] == name]
    return all(here >= numbers(limit) for limit in limits)


def unpack(carried: Path, into: Path) -> list[str]:
    """Unpack those carried wheels that are absent here or too old, once; the names of what the folder has then."""
    wanted, names = asked(), list[str]()
    for wheel in sorted(carried.glob("*.whl")):
        name, version = named(wheel)
        if fits(name, wanted):
            continue
        names.append(f"{name} {version}")
        done = into / f".{wheel.name}"
        if not done.exists():
            with zipfile.ZipFile(wheel) as content:
                content.extractall(into)
            done.touch()
    return names
