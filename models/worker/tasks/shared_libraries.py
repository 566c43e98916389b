"""Whose shared libraries a process loads: files that two distributions own, and libraries of the system in the place of a wheel's."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

LIBRARY = re.compile(r"\.so(\.[0-9]+)*$")
OF_CUDA = re.compile(r"/lib(cu|nv|nccl)[^/]*\.so[^/]*$")


def owned_twice(distributions: Iterable[metadata.Distribution] | None = None) -> list[str]:
    """Distributions that own the same shared libraries with other contents, as `a and b own 22 files of nvidia/cudnn/lib`.

    Whichever was installed last has its own there, and the other loads those: pip compares names and versions, and not files.
    """
    owners: dict[str, dict[str, str]] = {}
    for distribution in metadata.distributions() if distributions is None else distributions:
        for file in distribution.files or ():
            if file.hash and LIBRARY.search(file.name):
                owners.setdefault(str(file), {})[distribution.metadata["Name"]] = file.hash.value
    shared: dict[tuple[tuple[str, ...], str], int] = {}
    for path, hashes in owners.items():
        if len(set(hashes.values())) > 1:
            key = tuple(sorted(hashes)), str(Path(path).parent)
            shared[key] = shared.get(key, 0) + 1
    return [f"{' and '.join(names)} own {count} files of {folder}" for (names, folder), count in sorted(shared.items())]


def shadowed(maps: str, packages: Path) -> list[str]:
    """CUDA's libraries in `maps` (the words of `/proc/self/maps`) that come from elsewhere, where a wheel in `packages` has its own."""
    loaded = {line.split()[-1] for line in maps.splitlines() if OF_CUDA.search(line)}
    own = {path.name: path for path in packages.glob("nvidia/**/lib/lib*.so*")}
    return sorted(path for path in loaded if Path(path).name in own and not Path(path).is_relative_to(packages))


def shadowed_here() -> list[str]:
    """The same of this process; nothing where the system does not tell."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    except OSError:
        return []
    return shadowed(maps, Path(sysconfig.get_path("purelib")).resolve())
