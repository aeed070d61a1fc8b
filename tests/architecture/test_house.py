"""The house: rooms are named after nouns of the domain and are not too large.

Which layer may import which is checked by import-linter (`lint-imports`), in CI and scripts/check.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "rack_sim"
FILES = sorted(PACKAGE.rglob("*.py"))
LINES_MAX = 600


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_is_not_too_large(path):
    """A file follows one idea for as long as that needs; past this it holds two."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_MAX


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_says_what_it_is(path):
    """Every module, public class and public function has a docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "module"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


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
