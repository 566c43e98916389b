"""How many annotations outside self-tests say `Any`, by its own name or by an alias of it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 0.05
"""The largest share of annotations that may say nothing of what they annotate."""


def sources() -> dict[str, ast.Module]:
    """Every file outside self-tests, by its path."""
    files = [path for folder in ("models", "fixtures", "bench") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for path in [ROOT / "conftest.py", *files]
        if ROOT / "bench" / "selftest" not in path.parents
    }


def says_any(annotation: ast.expr, names: set[str]) -> bool:
    """Whether one of these names stands anywhere in an annotation, quoted parts included."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name) and node.id in names:
            return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and names & set(re.findall(r"\w+", node.value)):
            return True
    return False


def aliases(trees: dict[str, ast.Module]) -> set[str]:
    """`Any`, and names that modules give to types with it, also by way of one another."""
    known = {"Any"}
    while True:
        found = {
            node.targets[0].id
            for tree in trees.values()
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id[0].isupper()
            if not node.targets[0].id.isupper() and says_any(node.value, known)
        }
        if found <= known:
            return known
        known |= found


def said(tree: ast.Module) -> list[ast.expr]:
    """Annotations of arguments, results and variables."""
    found: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
            found += [*(each.annotation for each in every), node.returns]
        elif isinstance(node, ast.AnnAssign):
            found.append(node.annotation)
    return [each for each in found if each is not None]


def test_aliases_of_any_count_as_any() -> None:
    trees = {"a": ast.parse("Loose = Any\nPairs = list[Loose]\nNAMES = [Any]\ndef f(x: Pairs, y: int) -> 'dict[str, Loose]': ...")}
    assert aliases(trees) == {"Any", "Loose", "Pairs"}
    assert [says_any(each, aliases(trees)) for each in said(trees["a"])] == [True, False, True]


def test_few_annotations_say_any() -> None:
    trees = sources()
    names = aliases(trees)
    loose = Counter({path: sum(says_any(each, names) for each in said(tree)) for path, tree in trees.items()})
    count = sum(len(said(tree)) for tree in trees.values())
    assert count > 10_000
    worst = ", ".join(f"{path} ({number})" for path, number in loose.most_common(8))
    assert loose.total() < LARGEST * count, f"{loose.total()} of {count} annotations say Any; most in {worst}"
