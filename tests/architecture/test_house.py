"""The house: rooms are named after nouns of the domain, and what stands in them is short.

Which layer may import which is checked by import-linter (`lint-imports`), in CI and scripts/check.
"""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "rack_sim"
FILES = sorted(PACKAGE.rglob("*.py"))
LINES_MAX = 66


def test_functions_are_short():
    """A file is as long as its idea needs; a function does one thing. Its docstring is not counted.

    How many arguments one takes and how it branches is for ruff (pyproject.toml).
    """
    long = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1
                long += [f"{path.name}: {node.name} has {lines} lines"] * (lines > LINES_MAX)
    assert not long


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_says_what_it_is(path):
    """Every module, public class and public function has a docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "module"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=str)
def test_a_package_lists_its_rooms(path):
    """One with a list names everything that is in it, and nothing that is not."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    if path.parent == PACKAGE or "\n- `" not in said:
        return
    rooms = {item.stem for item in path.parent.iterdir() if item.name[:2] not in ("__", "._")}
    assert rooms <= set(re.findall(r"`(\w+)`", said))
    assert set(re.findall(r"`(\w+)`[:,]", said)) <= rooms


def test_no_room_without_a_noun():
    """No utils, common, helpers, misc or manager."""
    forbidden = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "base"}
    assert not {path.stem for path in FILES} & forbidden


def test_users_never_meet_an_assert():
    """`assert` is for us: the package has none but those that tell the type checker a type."""
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Assert)
            and not (
                isinstance(node.test, ast.Call) and ast.unparse(node.test.func) == "isinstance"
            )
        ]
        assert not found, f"{path.relative_to(PACKAGE)}: {found}"


def test_public_names_are_there():
    """What `rack_sim` promises can be imported."""
    import rack_sim

    for name in rack_sim.__all__:
        assert hasattr(rack_sim, name)
