"""Functions of the suite written out for the values they are called with (partial evaluation of their syntax trees)."""

from __future__ import annotations

import ast
import builtins
import copy
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from models.scripts.fold import folded, folded_body, is_text, put
from models.scripts.source import SUITE, assignment, meanings, node_of, tree
from models.scripts.values import LONGEST, UnwritableError, Values

Scope = tuple[list[ast.stmt], dict[str, Any]]
"""The statements that assign names, and what the names mean."""


BUILTIN = frozenset(dir(builtins))
Calls = dict[str, dict[str, set[str]]]
"""By definition and argument, what it is called with."""


class Specializer(Values):
    """Writes functions out; `statements` are what they need before them, and `imports` the modules that they name."""

    def __init__(self, scope: Scope, before: Calls | None = None) -> None:
        """Names that are no constants are looked for where `scope`, the function that yields the case, assigns them.

        `before` is what another writer of the same case has seen: the arguments that each definition is called with.
        """
        super().__init__()
        self.scope = scope
        self._before, self._calls = before or {}, Calls()
        self.statements: list[str] = []
        self._named: dict[str, str] = {}
        self._taken = {"numbers", "expected", "seen", "off", "same", "np", "sys", "torch", "keras"}

    @property
    def calls(self) -> Calls:
        """The arguments that each definition was called with."""
        return self._calls

    def called(self, way: Callable[[], Any]) -> ast.expr:
        """The expression that calls a way. Raises UnwritableError."""
        if not isinstance(way, FunctionType):
            raise UnwritableError(f"a way is {type(way).__name__}")
        node = node_of(way.__code__)
        if isinstance(node, ast.FunctionDef):
            return self.specialized(ast.Call(ast.Name(node.name, ast.Load()), [], []), way, node)
        return self.visit_call(ast.Call(self.value(way, "way"), [], []))

    def _function(self, value: Any, name: str) -> ast.expr:
        if not (getattr(value, "__module__", None) or "").startswith(SUITE):
            return self._public(value, name)
        if isinstance(value, FunctionType):
            node = node_of(value.__code__)
            if isinstance(node, ast.Lambda):
                return self._lambda(value, node)
            return ast.Name(self._defined(value, node, {}), ast.Load())
        if isinstance(value, type):
            return ast.Name(self._class(value), ast.Load())
        raise UnwritableError(f"{name} is a {type(value).__name__} of the suite")

    def _lambda(self, value: FunctionType, node: ast.Lambda) -> ast.Lambda:
        given = _defaults(value, node.args)
        inlined = {key: self.value(each, key) for key, each in given.items()}
        arguments = copy.deepcopy(node.args)
        arguments.args = [each for each in arguments.args if each.arg not in inlined]
        arguments.kwonlyargs = [each for each in arguments.kwonlyargs if each.arg not in inlined]
        arguments.defaults, arguments.kw_defaults = [], [None] * len(arguments.kwonlyargs)
        body = folded(self, meanings(value), inlined, node, node.body)
        return ast.Lambda(arguments, body)

    def _defined(self, value: FunctionType, node: ast.FunctionDef, known: dict[str, ast.expr]) -> str:
        """The name of a definition that is written out with what is known of its arguments."""
        key = f"{value.__module__} {value.__qualname__} {id(value.__closure__)} {[(k, ast.unparse(v)) for k, v in known.items()]}"
        if key not in self._named:
            name = self._free(node.name)
            self._named[key] = name
            made = copy.deepcopy(node)
            made.name, made.returns, made.decorator_list = name, None, []
            made.args.args = [each for each in made.args.args if each.arg not in known]
            made.args.kwonlyargs = [each for each in made.args.kwonlyargs if each.arg not in known]
            kept = {k: self.value(v, k) for k, v in _defaults(value, node.args).items() if k not in known}
            made.args.defaults = [kept[each.arg] for each in made.args.args if each.arg in kept]
            made.args.kw_defaults = [kept.get(each.arg) for each in made.args.kwonlyargs]
            for each in ast.walk(made.args):
                if isinstance(each, ast.arg):
                    each.annotation = None
            made.body = folded_body(self, meanings(value), known, node, made.body) or [ast.Pass()]
            self.statements.append(ast.unparse(ast.fix_missing_locations(made)))
        return self._named[key]

    def _expression(self, value: FunctionType, node: ast.FunctionDef, known: dict[str, ast.expr]) -> ast.expr | None:
        """What a definition returns, where that is all that it does and all its arguments are known."""
        body = [each for each in node.body if not is_text(each)]
        names = {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
        if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None or names - set(known) or node.args.kwarg:
            return None
        return folded(self, meanings(value), known, node, body[0].value)

    def _class(self, value: type) -> str:
        module = sys.modules[value.__module__]
        key = f"{value.__module__} {value.__qualname__}"
        if key not in self._named:
            found = [n for n in ast.walk(tree(str(module.__file__))) if isinstance(n, ast.ClassDef) and n.name == value.__name__]
            if len(found) != 1:
                raise UnwritableError(f"the class {value.__name__} is not found")
            made = copy.deepcopy(found[0])
            made.name = self._named[key] = self._free(made.name)
            made.body = [each for each in made.body if not is_text(each)]
            made = folded(self, vars(module), {}, found[0], made)
            self.statements.append(ast.unparse(ast.fix_missing_locations(made)))
        return self._named[key]

    def _free(self, name: str) -> str:
        free = next(each for each in (name, *(f"{name}_{n}" for n in range(2, 99))) if each not in self._taken)
        self._taken.add(free)
        self._global.add(free)
        return free

    def name(self, name: str, means: dict[str, Any]) -> ast.expr:
        """An expression for a free name of a function: its value, or what assigns it. Raises UnwritableError."""
        value = means[name]
        short = type(value).__name__ != "Tensor" and (not isinstance(value, dict | list | tuple) or len(repr(value)) < 3 * LONGEST)
        try:
            if short:
                return self.value(value, name)
        except UnwritableError:
            pass
        own = self.scope[1].get(name) is value
        body = self.scope[0] if own else None
        if body is None or assignment(body, name) is None:
            module = next(
                (m for m in _modules(means) if getattr(m, name, None) is value and assignment(tree(str(m.__file__)).body, name)), None
            )
            body = tree(str(module.__file__)).body if module else []
            means = vars(module) if module else means
        else:
            means = self.scope[1]
        statement = assignment(body, name)
        if statement is None:
            return self.value(value, name)
        key = f"value {name} {id(value)}"
        if key not in self._named:
            self._named[key] = free = self._free(name)
            made = folded(self, means, {}, statement, statement.value)  # type: ignore[attr-defined]
            self.statements.append(f"{free} = {ast.unparse(ast.fix_missing_locations(made))}")
        return ast.Name(self._named[key], ast.Load())

    def constant(self, node: ast.expr | None) -> bool:
        """Whether an expression is the same wherever it stands: literals, lambdas, modules and what is in them, what the script defines."""
        if isinstance(node, ast.Attribute):
            return self.constant(node.value)
        if isinstance(node, ast.Tuple | ast.List):
            return all(map(self.constant, node.elts))
        if isinstance(node, ast.Dict):
            return all(map(self.constant, (*node.keys, *node.values)))
        if isinstance(node, ast.UnaryOp):
            return self.constant(node.operand)
        if isinstance(node, ast.Lambda):
            own = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
            own |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)}
            return all(each.id in own | self._global | BUILTIN for each in ast.walk(node) if isinstance(each, ast.Name))
        return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in self._global)

    def visit_call(self, call: ast.Call) -> ast.expr:
        """A call of a lambda as its body, where its arguments may stand in the place of its parameters; any other call as it is."""
        made = call.func
        if not isinstance(made, ast.Lambda):
            return call
        names, rest = [each.arg for each in (*made.args.args, *made.args.kwonlyargs)], made.args.kwarg.arg if made.args.kwarg else ""
        given = dict(zip(names, call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg in names}
        more = [keyword for keyword in call.keywords if keyword.arg not in names]
        uses = [n.id for n in ast.walk(made.body) if isinstance(n, ast.Name)]
        inner = {
            n.arg for each in ast.walk(made.body) if isinstance(each, ast.Lambda) for n in ast.walk(each.args) if isinstance(n, ast.arg)
        }
        spread = [
            k for n in ast.walk(made.body) if isinstance(n, ast.Call) for k in n.keywords if k.arg is None and _is_name(k.value, rest)
        ]
        fits = (
            len(call.args) <= len(made.args.args)
            and set(given) == set(names)
            and not made.args.vararg
            and not any(isinstance(each, ast.Starred) for each in call.args)
            and (not more or (len(spread) == 1 and uses.count(rest) == 1))
            and (bool(more) or not rest)
            and not inner & {n.id for each in given.values() for n in ast.walk(each) if isinstance(n, ast.Name)}
            and not inner & set(given)
            and all(self.constant(each) or isinstance(each, ast.Name) or uses.count(name) == 1 for name, each in given.items())
        )
        if not fits:
            return call
        body = copy.deepcopy(made.body)
        for node in ast.walk(body):
            if isinstance(node, ast.Call):
                node.keywords = [k for each in node.keywords for k in (more if each.arg is None and _is_name(each.value, rest) else [each])]
        return put(given, body)

    def specialized(self, call: ast.Call, value: FunctionType, node: ast.FunctionDef) -> ast.expr:
        """A call of a definition with what is known of its arguments written into it.

        Where two calls differ in a number or a function, that stays an argument; a word decides branches and never does.
        """
        arguments = node.args
        plain = ast.Call(ast.Name(node.name, ast.Load()), call.args, call.keywords)
        names = [each.arg for each in (*arguments.args, *arguments.kwonlyargs)]
        given = dict(zip(names, call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg in names}
        odd = arguments.vararg or arguments.posonlyargs or len(call.args) > len(arguments.args)
        if odd or any(isinstance(a, ast.Starred) for a in call.args) or any(keyword.arg is None for keyword in call.keywords):
            plain.func = ast.Name(self._defined(value, node, {}), ast.Load())
            return plain
        given = {name: self.value(each, name) for name, each in _defaults(value, arguments).items()} | given
        assigned = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        known = {name: each for name, each in given.items() if self.constant(each) and name not in assigned}
        more = [keyword for keyword in call.keywords if keyword.arg not in names]
        if not more and (expression := self._expression(value, node, known)) is not None:
            return expression
        seen = self._calls.setdefault(f"{value.__module__} {value.__qualname__}", {})
        for name, each in known.items():
            seen.setdefault(name, set()).add(ast.unparse(each))
        known = {
            name: each
            for name, each in known.items()
            if len(self._before.get(f"{value.__module__} {value.__qualname__}", {}).get(name, ())) < 2 or _decides(each)
        }
        rest = [ast.keyword(name, given[name]) for name in names if name in given and name not in known]
        return ast.Call(ast.Name(self._defined(value, node, known), ast.Load()), [], [*rest, *more])


def _defaults(function: FunctionType, arguments: ast.arguments) -> dict[str, Any]:
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    values = function.__defaults__ or ()
    return dict(zip(names[len(names) - len(values) :], values, strict=True)) | (function.__kwdefaults__ or {})


def _modules(means: dict[str, Any]) -> list[ModuleType]:
    """Modules of the suite in which a name may be assigned: first that in which it was met."""
    own = sys.modules.get(str(means.get("__name__")))
    return [*([own] if own else []), *(m for path, m in list(sys.modules.items()) if path.startswith(SUITE) and m is not None)]


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _decides(node: ast.expr) -> bool:
    """Whether a constant is one that branches ask for: a word, a truth value or nothing."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool | str))
