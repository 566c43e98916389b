"""A way of a case written as a script without this suite, for whoever is to mend it.

A function of the suite is written out for the values it is called with: what is a constant stands in the place of its name, branches that
are not taken are left out, and a call of a lambda is its body. What a script does is what the way does, or the script is refused.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

from models.backends.registry import BackendError
from models.backends.ways import Ways
from models.scripts.source import node_of
from models.scripts.specialize import Specializer, UnwritableError

HEADS = {
    "torch": """def numbers(results):
    results = results if isinstance(results, (list, tuple)) else [results]
    return [torch.as_tensor(each).detach().double().numpy() for each in results]
""",
    "keras": """def numbers(results):
    results = results if isinstance(results, (list, tuple)) else [results]
    return [np.asarray(keras.ops.convert_to_numpy(each), np.float64) for each in results]
""",
}
FLOAT32 = 'keras.config.set_floatx("float32")'
EQUAL = """assert [each.shape for each in seen] == [each.shape for each in expected]
off = max(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1) for a, b in zip(seen, expected))
print(f"{name} {{{name}.__version__}}: off by {{off:.2g}} of its size, {allowed:.2g} allowed")
sys.exit(int(not off <= {allowed!r}))
"""
APART = """same = all(np.array_equal(a, b) for a, b in zip(seen, expected, strict=True))
print(f"{name} {{{name}.__version__}}: {{'the same numbers' if same else 'other numbers'}}, which must differ")
sys.exit(int(same))
"""


def script(cases: Callable[[], Iterator[Ways]], framework: str, library: str, law: str, place: str, multiple: float) -> str:
    """The script for a place, `CASE: WAY against FIRST`, or for a case's last way; it allows `multiple` times the case's roundings.

    Raises BackendError for a case or way that there is not, and where a way cannot be written without the suite.
    """
    found, scope = _find(cases, place)
    first, *others = found.ways
    way = place.removeprefix(found.case).removeprefix(": ").removesuffix(f" against {first}") or others[-1]
    if way not in others:
        raise BackendError(f"{found.case!r} has no way {way!r} beside {first!r}: name one of {', '.join(others)}.")
    try:
        writer = Specializer(scope)
        for name in (first, way):
            writer.called(found.ways[name])
        writer = Specializer(scope, writer.calls)
        expected, seen = (writer.called(found.ways[name]) for name in (first, way))
    except (UnwritableError, LookupError) as error:
        raise BackendError(f"{found.case}: {way} cannot be written without the suite: {error}.") from None
    allowed = multiple * found.roundings * found.unit
    end = (APART if found.apart else EQUAL).format(name=framework, allowed=allowed)
    verb = "must differ from" if found.apart else "must be the same as"
    return "\n".join([
        f'"""{law}', "", f"{found.case}: {way} {verb} {first}. Exit status 1 says that it is not so.", '"""', "",
        *_imports({*writer.imports, f"import {framework}", "import numpy as np"}, library if library != framework else ""), "",
        *(f"{statement}\n" for statement in writer.statements), HEADS[framework],
        f"expected = numbers({ast.unparse(expected)})", f"seen = numbers({ast.unparse(seen)})", end,
    ])  # fmt: skip


def _imports(wanted: set[str], library: str) -> list[str]:
    """Python's own modules first; the library that Keras runs on is named before it is imported, and float32 whatever `keras.json` says."""
    lines = {*wanted, "import sys", *(["import os"] if library else [])}
    own = sorted(line for line in lines if line.split()[1] in sys.stdlib_module_names)
    others = sorted(lines - set(own))
    return [*own, "", *([f'os.environ["KERAS_BACKEND"] = "{library}"', *others, "", FLOAT32] if library else others)]


def _find(cases: Callable[[], Iterator[Ways]], place: str) -> tuple[Ways, tuple[list[ast.stmt], dict[str, Any]]]:
    """The case, with the statements and the names of the function that yields it."""
    generator = cases()
    known = []
    for found in generator:
        known.append(found.case)
        if f"{place}: ".startswith(f"{found.case}: "):
            innermost: Any = generator
            while isinstance(innermost.gi_yieldfrom, GeneratorType):
                innermost = innermost.gi_yieldfrom
            return found, _scope(innermost)
    raise BackendError(f"There is no case {place!r}: name one of {', '.join(known)}.")


def _scope(generator: Any) -> tuple[list[ast.stmt], dict[str, Any]]:
    frame, node = generator.gi_frame, node_of(generator.gi_code)
    assert isinstance(node, ast.FunctionDef)
    return node.body, {**frame.f_globals, **frame.f_locals}
