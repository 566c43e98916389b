"""How a user's own model or a published network is named, found without executing anything of it."""

from __future__ import annotations

import ast
import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.own.gauge import OwnError

TOML = "pyproject.toml"
TABLE = "tool.gradgauge.models"
SHORT = {"torchvision": "torch", "timm": "torch", "keras": "keras"}
"""Packages whose networks have a short form, and the framework that they are written for."""
ALIGNED = "aligned"
"""What networks that both frameworks hold with the same weights are called by: `aligned:resnet50`."""
FRAMEWORKS = {
    "torch": ("torch", "torchvision", "timm", "transformers", "lightning", "pytorch_lightning", "torchaudio", "torch_geometric"),
    "keras": ("keras", "tensorflow", "keras_hub", "keras_cv", "keras_nlp", "tf_keras"),
}
"""Packages that tell, imported by a file, whose model it builds."""


@dataclass(frozen=True)
class OwnModel:
    """One model: `id` as the user types it, `target` a file or module and the `attribute` in it that is called, `folder` its home.

    `target` is one of SHORT for a published network, whose name is `attribute`.
    """

    id: str
    target: str
    attribute: str
    folder: str

    @property
    def published(self) -> bool:
        """Whether it comes from a package's collection."""
        return self.target in SHORT or self.aligned

    @property
    def aligned(self) -> bool:
        """Whether both frameworks hold it, with the same weights."""
        return self.target == ALIGNED

    @property
    def frameworks(self) -> list[str]:
        """The frameworks that its file imports; none where the file is not found or imports neither."""
        if self.aligned:
            return list(FRAMEWORKS)
        if self.published:
            return [SHORT[self.target]]
        file = self.target if self.target.endswith(".py") else _module_file(self.target, self.folder)
        if not file:
            return []
        imported = set(_imports(Path(file)))
        return [framework for framework, packages in FRAMEWORKS.items() if imported & set(packages)]


def own_models(texts: list[str] | None, folder: Path) -> list[OwnModel]:
    """The models that a user names, or those of the folder's pyproject.toml where nothing is named. Raises OwnError."""
    named = _table(folder / TOML) if texts is None or any(":" not in text for text in texts) else {}
    if texts is None:
        return [_parse(address, folder, name) for name, address in named.items()]
    found = []
    for text in texts:
        if text.partition(":")[0].endswith(TOML):
            found += _of_project(text, folder)
        elif ":" in text:
            found.append(_parse(text, folder, text))
        elif text in named:
            found.append(_parse(named[text], folder, text))
        else:
            raise OwnError(
                f"--model={text} has no colon and is not in [{TABLE}] of {folder / TOML}: use path/to/file.py:function, "
                f"package.module:function or one of {', '.join(f'{name}:…' for name in (*SHORT, ALIGNED))}."
            )
    return list(dict.fromkeys(found))


def _of_project(text: str, folder: Path) -> list[OwnModel]:
    """`project/pyproject.toml:net` is one model of another folder's table, without a name all of them."""
    file, _, name = text.partition(":")
    path = (folder / Path(file).expanduser()).resolve()
    table = _table(path)
    if not table or (name and name not in table):
        raise OwnError(f"--model={text}: [{TABLE}] of {path} has {', '.join(table) or 'no models'}.")
    return [_parse(address, path.parent, f"{file}:{each}") for each, address in table.items() if name in ("", each)]


def framework_of(model: OwnModel) -> str:
    """Whose model it is, by the imports of its file. Raises OwnError where these do not tell."""
    found = model.frameworks
    if len(found) == 1:
        return found[0]
    cause = "imports both torch and keras" if found else "imports neither torch nor keras"
    raise OwnError(f"--model={model.id}: its file {cause}, so say whose model it is by --backend=torch or --backend=keras.")


def _parse(text: str, folder: Path, name: str) -> OwnModel:
    target, _, attribute = text.rpartition(":")
    if not target or not attribute.replace(".", "").replace("_", "").replace("-", "").isalnum():
        raise OwnError(f"--model={text} names nothing: use path/to/file.py:function or package.module:function.")
    if target in SHORT or target == ALIGNED:
        return OwnModel(name, target, attribute, str(folder))
    if target.endswith(".py") or "/" in target or os.sep in target:
        path = (folder / Path(target).expanduser()).resolve()
        if not path.is_file():
            raise OwnError(f"--model={text}: there is no file {path}.")
        return OwnModel(name, str(path), attribute, str(path.parent))
    return OwnModel(name, target, attribute, str(folder.resolve()))


def _table(path: Path) -> dict[str, str]:
    """The models of a pyproject.toml; none without the file or the table. Raises OwnError for a table of another shape."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise OwnError(f"{path} cannot be read ({error}).") from None
    table = content.get("tool", {}).get("gradgauge", {}).get("models", {})
    if not isinstance(table, dict) or not all(isinstance(address, str) for address in table.values()):
        raise OwnError(f'[{TABLE}] of {path} must have lines such as net = "gauge.py:net".')
    return table


def _module_file(module: str, folder: str) -> str:
    """The file of a module, looked for where Python would, without importing its packages; empty where it is not found."""
    parts = Path(*module.split("."))
    for root in (folder, *sys.path):
        for candidate in (Path(root) / parts.with_suffix(".py"), Path(root) / parts / "__init__.py"):
            if candidate.is_file():
                return str(candidate)
    return ""


def _imports(path: Path) -> Iterator[str]:
    """The top packages that a file imports. Raises OwnError where it is no Python."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise OwnError(f"{path.name} is no Python{f' (line {line})' if line else ''}: {getattr(error, 'msg', error)}.") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
