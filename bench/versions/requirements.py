"""What an environment is asked to hold: requirements that replace the project's own, and a user's beside them."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
GROUP, OVERLAID = "cpu", "keras"
BUILT_FOR = {"torch": "torchvision"}
"""Packages of which each release needs one release of another: pip finds it."""
GPU, GPU_TORCH, GPU_KERAS = "gpu", "gpu-torch", "gpu-keras"
"""On a GPU each framework has an environment of its own, since their wheels hold the same CUDA libraries in two versions."""
COMMENT = re.compile(r"(^|\s)#.*$")
INCLUDED = re.compile(r"(?:-r|--requirement)[ =]?\s*(\S+)$")


class VersionsError(ValueError):
    """A set of requirements that cannot be read, installed or imported; the message is one sentence."""


@dataclass(frozen=True)
class Beside:
    """A user's own requirements, which every environment of a comparison holds as well.

    `words` are what an installer is given as it is, such as an index or a local project; relative paths in them start at `folder`.
    """

    requirements: tuple[Requirement, ...] = ()
    words: tuple[str, ...] = ()
    folder: str = ""


NOTHING_BESIDE = Beside()


@dataclass(frozen=True)
class Wanted:
    """A set of requirements that replace those of a dependency group: `keras==3.10.0`, or several words; or an environment's Python.

    `library` is what Keras is imported on, where that is not what its own settings say. What stands `beside` replaces the group's
    requirements, too, and is replaced by the set's.
    """

    text: str
    group: str = GROUP
    library: str = ""
    beside: Beside = NOTHING_BESIDE

    @property
    def environment(self) -> str:
        """The path of an environment that is there already, where the set is one; else nothing."""
        return self.text if os.sep in self.text and len(self.text.split()) == 1 and "@" not in self.text else ""

    @property
    def apart(self) -> bool:
        """Whether it takes a virtual environment of its own."""
        return bool(self.others) or self.beside != NOTHING_BESIDE

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The parsed set. Raises VersionsError."""
        try:
            found = tuple(Requirement(word) for word in self.text.split())
        except InvalidRequirement as error:
            first = str(error).partition("\n")[0]
            raise VersionsError(f"{self.text!r} is no set of requirements ({first}): write keras==3.12.0, or several in quotes.") from None
        if not found:
            raise VersionsError("An empty set of requirements names no version: write keras==3.12.0, or several in quotes.")
        return found

    @property
    def overlay(self) -> Requirement | None:
        """The Keras that goes into a folder of its own: one that is pinned, where nothing of the user's must fit to it."""
        if self.beside != NOTHING_BESIDE:
            return None
        pinned = [r for r in self.requirements if r.name == OVERLAID and re.fullmatch(r"==[\w.]+", str(r.specifier))]
        return pinned[0] if pinned else None

    @property
    def others(self) -> tuple[Requirement, ...]:
        """What needs a virtual environment."""
        return tuple(r for r in self.requirements if r is not self.overlay and r != self.overlay)


def group(name: str = GROUP, path: Path = ROOT / "pyproject.toml") -> list[Requirement]:
    """A dependency group of the project, those that it includes too."""
    groups: dict[str, list[str | dict[str, str]]] = tomllib.loads(path.read_text(encoding="utf-8"))["dependency-groups"]
    found: list[Requirement] = []
    for entry in groups[name]:
        found += group(entry["include-group"], path) if isinstance(entry, dict) else [Requirement(entry)]
    return found


def replaced(own: list[Requirement], by: tuple[Requirement, ...]) -> list[Requirement]:
    """Requirements with those of the same name replaced; what is built for one release of another is any that fits."""
    names = {canonicalize_name(requirement.name) for requirement in by}
    freed = {companion for name, companion in BUILT_FOR.items() if name in names}
    kept = [Requirement(r.name) if r.name in freed else r for r in own if canonicalize_name(r.name) not in names]
    return kept + list(by)


def read_beside(path: Path) -> Beside:
    """A user's requirements file, those it includes by -r too. Raises VersionsError in one sentence."""
    requirements: list[Requirement] = []
    words: list[str] = []
    for line, folder in _lines(path, ()):
        option, _, rest = line.replace("=", " ", 1).partition(" ") if line.startswith("--") else line.partition(" ")
        if option in ("-c", "--constraint"):
            words += ["-c", str((folder / rest.strip()).absolute())]
        elif line.startswith("-"):
            words += [_local(word, folder) for word in shlex.split(line)]
        else:
            try:
                requirements.append(Requirement(line))
            except InvalidRequirement:
                words += [_local(word, folder) for word in shlex.split(line)]
    return Beside(tuple(requirements), tuple(words), str(path.absolute().parent))


def _lines(path: Path, within: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Lines of a requirements file without comments, each with the folder that its paths start from."""
    path = path.absolute()
    if path in within:
        raise VersionsError(f"{path} includes itself: take that -r out of it.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VersionsError(f"--with={path} cannot be read ({getattr(error, 'strerror', None) or 'it is no text'}).") from None
    for line in text.replace("\\\n", " ").splitlines():
        line = COMMENT.sub("", line).strip()
        if included := INCLUDED.match(line):
            yield from _lines(path.parent / included[1], (*within, path))
        elif line:
            yield line, path.parent


def _local(word: str, folder: Path) -> str:
    """A word of a line, a local path in it made absolute."""
    return str((folder / word).resolve()) if word.startswith(".") and (folder / word).exists() else word
