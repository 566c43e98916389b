"""Which code of the repository a module runs, and a digest of it: a result belongs to the code that made it.

The code is what the module imports, and what that imports in turn, read from the syntax trees. A module is also imported by its name
in a string, as by `python -m` and `importlib`; `f"models.backends.{name}"` stands for every module of that package, and
`f"{__name__}.{name}"` for every module of its own.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def digest(
    entries: Iterable[str], words: object = (), data: Iterable[str] = (), root: Path = ROOT, *, leave_out: Iterable[str] = ()
) -> str:
    """Ten hexadecimal digits that name `words`, the code that the modules `entries` run, and the files that match the patterns `data`.

    Comments and docstrings do not count, because they change no result, nor do the modules that are to be left out.
    """
    made = hashlib.sha256(repr(words).encode())
    found = modules(entries, root)
    for path in sorted(found[name] for name in found.keys() - set(leave_out)):
        made.update(f"{path.relative_to(root)} {_code(path, path.stat().st_mtime_ns)}".encode())
    for path in sorted(path for pattern in data for path in root.glob(pattern)):
        made.update(path.read_bytes())
    return made.hexdigest()[:10]


def modules(entries: Iterable[str], root: Path = ROOT) -> dict[str, Path]:
    """Every module of the repository that the modules `entries` import, they themselves included, with its file."""
    found: dict[str, Path] = {}
    waiting = [module for entry in entries for module in _matching(entry, root)]
    while waiting:
        name = waiting.pop()
        path = _file(name, root)
        if name in found or path is None:
            continue
        found[name] = path
        named = _named(path, path.stat().st_mtime_ns)
        waiting += [part for each in named for part in _matching(name + each if each == "." else each, root)]
    return found


def _matching(named: str, root: Path) -> Iterator[str]:
    """The modules that importing `a.b.c` runs: `a`, `a.b` and `a.b.c`; of `a.b.`, all modules of that package, too."""
    name = named.removesuffix(".")
    parts = name.split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    if named.endswith(".") and _file(name, root):
        for path in (root / Path(*parts)).rglob("*.py"):
            yield ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _file(name: str, root: Path) -> Path | None:
    """A module's file, if it is in the repository."""
    place = root / Path(*name.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@functools.cache
def _named(path: Path, changed: int) -> frozenset[str]:
    """What a file may import: names in import statements, and strings that look like the name of a module."""
    named = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.replace(".", "a").isidentifier():
            named.add(node.value)
        elif isinstance(node, ast.JoinedStr) and ast.unparse(node).startswith("f'{__name__}."):
            named.add(".")
    return frozenset(named)


@functools.cache
def _code(path: Path, changed: int) -> str:
    """The file's syntax tree as text, without docstrings and other strings that stand alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]  # type: ignore[attr-defined]
    return ast.dump(tree)
