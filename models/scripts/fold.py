"""What is known put in the place of names in a function's syntax tree, and folded: branches, comparisons, arguments in dictionaries."""

from __future__ import annotations

import ast
import copy
from types import FunctionType, ModuleType
from typing import Any, Protocol, TypeGuard

from models.scripts.source import SUITE, node_of


class Writer(Protocol):
    """What writes out the values of names, and the calls of definitions and lambdas."""

    def value(self, value: Any, name: str) -> ast.expr:
        """An expression for a value."""

    def name(self, name: str, means: dict[str, Any]) -> ast.expr:
        """An expression for a free name."""

    def visit_call(self, call: ast.Call) -> ast.expr:
        """A call of a lambda as its body."""

    def specialized(self, call: ast.Call, value: FunctionType, node: ast.FunctionDef) -> ast.expr:
        """A call of a definition of the suite."""


def folded(
    writer: Writer,
    means: dict[str, Any],
    known: dict[str, ast.expr],
    scope: ast.AST,
    node: ast.AST,
) -> Any:  # an expression for an expression, a class for a class
    """A part of `scope` with what is `known` and what free names mean in the place of names; the part itself is left as it was."""
    return _Written(writer, means, known, scope).visit(copy.deepcopy(node))


def folded_body(writer: Writer, means: dict[str, Any], known: dict[str, ast.expr], scope: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    """The same of statements, down to the first that returns."""
    return _Written(writer, means, known, scope).body(copy.deepcopy(body))


def put(given: dict[str, ast.expr], body: ast.expr) -> ast.expr:
    """A lambda's body with arguments in the place of its parameters."""
    return _Given(given).visit(body)


def is_text(statement: ast.stmt) -> TypeGuard[ast.Expr]:
    """Whether a statement is a docstring or another constant that stands alone."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class _Written(ast.NodeTransformer):
    """Puts what is known in the place of names, and folds what is constant then."""

    def __init__(self, writer: Writer, means: dict[str, Any], known: dict[str, ast.expr], node: ast.AST) -> None:
        self._writer, self._means, self._known = writer, means, known
        bound = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        bound |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
        bound |= {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef) and n is not node}
        self._bound = bound - set(known)

    def body(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """The statements that are left, down to the first that returns."""
        made: list[ast.stmt] = []
        for statement in statements:
            if is_text(statement):
                continue
            seen = self.visit(statement)
            made += seen if isinstance(seen, list) else [seen]
            if made and isinstance(made[-1], ast.Return):
                break
        return made

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body, node.returns = self.body(node.body) or [ast.Pass()], None
        node.args = self.visit(node.args)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        assert node.value is not None
        return ast.copy_location(ast.Assign([node.target], self.visit(node.value)), node)

    def visit_If(self, node: ast.If) -> ast.If | list[ast.stmt]:
        node.test = self.visit(node.test)
        if isinstance(node.test, ast.Constant):
            return self.body(node.body if node.test.value else node.orelse)
        node.body, node.orelse = self.body(node.body) or [ast.Pass()], self.body(node.orelse)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self.visit(node.body if test.value else node.orelse)
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.ops[0], ast.Is | ast.IsNot) and isinstance(node.left, ast.Lambda | ast.Dict | ast.Tuple | ast.List):
            return ast.Constant(isinstance(node.ops[0], ast.IsNot))
        return _folded(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        return _folded(self.generic_visit(node))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return _folded(node) if isinstance(node.op, ast.Not) else node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load):
            return node
        if node.id in self._known:
            return copy.deepcopy(self._known[node.id])
        if node.id in self._bound or node.id not in self._means:
            return node
        return self._writer.name(node.id, self._means)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id not in self._bound | set(self._known):
            held, key = self._means.get(node.value.id), self.visit(copy.deepcopy(node.slice))
            if isinstance(held, dict) and isinstance(key, ast.Constant) and key.value in held:
                return self._writer.value(held[key.value], node.value.id)
        self.generic_visit(node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        found, value = self._of_suite(node)
        if found:
            return self._writer.value(value, node.attr)
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        value = self._of_suite(node.func)[1]
        node.args = [self.visit(each) for each in node.args]
        node.keywords = [ast.keyword(each.arg, self.visit(each.value)) for each in node.keywords]
        _spread(node)
        if _is_name(node.func, "getattr") and len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
            return ast.Attribute(node.args[0], str(node.args[1].value), ast.Load())
        if isinstance(value, FunctionType) and value.__module__.startswith(SUITE):
            definition = node_of(value.__code__)
            if isinstance(definition, ast.FunctionDef):
                return self._writer.specialized(node, value, definition)
        node.func = self.visit(node.func)
        return self._writer.visit_call(node)

    def _of_suite(self, node: ast.expr) -> tuple[bool, Any]:
        """Whether an expression is a name in a module of the suite, and what a name or such an attribute means."""
        if isinstance(node, ast.Name):
            return False, None if node.id in self._bound or node.id in self._known else self._means.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = self._of_suite(node.value)[1]
            if isinstance(module, ModuleType) and module.__name__.startswith(SUITE):
                return True, getattr(module, node.attr)
        return False, None


class _Given(ast.NodeTransformer):
    """Puts arguments in the place of a lambda's parameters."""

    def __init__(self, given: dict[str, ast.expr]) -> None:
        self._given = given

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self._given[node.id]) if node.id in self._given and isinstance(node.ctx, ast.Load) else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        _spread(node)
        return node


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _folded(node: ast.AST) -> ast.expr:
    assert isinstance(node, ast.expr)
    parts = [each for each in ast.walk(node) if isinstance(each, ast.expr) and each is not node]
    if not all(isinstance(each, ast.Constant | ast.Tuple) for each in parts):
        return node
    return ast.Constant(eval(compile(ast.fix_missing_locations(ast.Expression(node)), "", "eval"), {}))


def _spread(call: ast.Call) -> None:
    """`**{"a": 1}` as `a=1`, and `*(1, 2)` as `1, 2`."""
    call.args = [
        part
        for each in call.args
        for part in (each.value.elts if isinstance(each, ast.Starred) and isinstance(each.value, ast.Tuple | ast.List) else [each])
    ]
    keywords: list[ast.keyword] = []
    for each in call.keywords:
        if (
            each.arg is None
            and isinstance(each.value, ast.Dict)
            and all(isinstance(k, ast.Constant) and str(k.value).isidentifier() for k in each.value.keys)
        ):
            keywords += [
                ast.keyword(str(k.value), v) for k, v in zip(each.value.keys, each.value.values, strict=True) if isinstance(k, ast.Constant)
            ]
        else:
            keywords.append(each)
    call.keywords = keywords
