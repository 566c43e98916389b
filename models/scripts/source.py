"""Where a function stands in its file: its syntax tree, and what the names in it mean."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

SUITE = "models."
"""How modules of this suite begin."""


@functools.cache
def tree(path: str) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(Path(path).read_text(encoding="utf-8"))


@functools.cache
def node_of(code: CodeType) -> ast.Lambda | ast.FunctionDef:
    """The lambda or definition that a function's code was made from. Raises LookupError where it is not found."""
    nodes = _functions(code.co_filename)
    if code.co_name != "<lambda>":
        found = [
            node
            for node in nodes
            if isinstance(node, ast.FunctionDef) and node.name == code.co_name and _first(node) == code.co_firstlineno
        ]
        if len(found) != 1:
            raise LookupError(f"{code.co_name} is not found in its file")
        return found[0]
    inside = [node for node in nodes if isinstance(node, ast.Lambda) and _encloses(node, code)]
    if not inside:
        raise LookupError(f"a lambda of line {code.co_firstlineno} is not found in its file")
    return max(inside, key=lambda node: (node.body.lineno, node.body.col_offset))


def assignment(body: list[ast.stmt], name: str) -> ast.stmt | None:
    """The statement that assigns a name, wherever in these statements it stands; nothing where there are none or several."""
    found = [
        node
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and any(
            isinstance(target, ast.Name) and target.id == name
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        )
    ]
    return found[0] if len(found) == 1 else None


def meanings(function: FunctionType) -> dict[str, Any]:
    """What each free name of a function means now: closures before globals."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    closed = {}
    for name, cell in cells.items():
        try:
            closed[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return function.__globals__ | closed


@functools.cache
def _functions(path: str) -> list[ast.Lambda | ast.FunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.Lambda | ast.FunctionDef)]


def _first(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _encloses(node: ast.Lambda, code: CodeType) -> bool:
    """Whether every instruction of the code stands in the lambda's body."""
    body = node.body
    begins, ends = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    seen = [place for place in code.co_positions() if None not in place and place[2] != place[3]]
    arguments = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return (
        bool(seen)
        and node.lineno >= code.co_firstlineno
        and arguments == list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        and all(begins <= (place[0], place[2]) and (place[1], place[3]) <= ends for place in seen)
    )
