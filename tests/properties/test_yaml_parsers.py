"""libyaml's parser reads every document as PyYAML's own does, or is not asked: a machine without it
gives the same trees, places and messages."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.scenario import document
from rack_sim.scenario.document import Marks, parse_document

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is without libyaml here")

FILES = [
    path
    for folder in ("scenarios", "topologies", "tests/fuzz/seeds", "rack_sim")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".yaml", ".json") and path.is_file() and path.stat().st_size < 50_000
]
# What separates, quotes, ends or indents, and characters of which parsers disagree.
PIECES = (
    *":-#\"'{}[],&*!|>%@`?\t\n \\~<=.",
    *(": ", "- ", " #", "\n  ", "---\n", "...\n", "? ", ": [", "|\n", ">-\n", "|#", "<<: "),
    *("\\u", "\\x41", "\\ud83d", "&a ", "*a", "!!int ", "%YAML 1.1\n", "{}", "[]", "null", "1e5"),
    *("\x00", "\x7f", "\x85", "\xa0", "\u2028", "\ufeff", "\ud800", "é", "\U0001f600"),
)


def read(text: str) -> tuple[Any, list[Problem]]:
    """The tree with the place of each value in it, and what is wrong with the text."""
    marks, duplicates = Marks(), list[Problem]()
    try:
        tree = parse_document(text, "file", marks, duplicates)
    except InputError as error:
        return None, [*error.problems]
    return with_places(tree, marks), duplicates


def with_places(tree: Any, marks: Marks) -> Any:
    if isinstance(tree, dict):
        items = [(key, marks.get(tree, key), with_places(at, marks)) for key, at in tree.items()]
        return marks.get(tree), items
    if isinstance(tree, list):
        items = [(marks.get(tree, n), with_places(at, marks)) for n, at in enumerate(tree)]
        return marks.get(tree), items
    return repr(tree)  # 1 is not 1.0, and no number is itself


def check_read_alike(text: str) -> None:
    found = read(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_READ_OTHERWISE", re.compile(""))  # libyaml is never asked
        assert found == read(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_read_alike(path: Path) -> None:
    check_read_alike(path.read_text(encoding="utf-8", errors="surrogateescape"))


def test_libyaml_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is shipped, most; else the other tests here would compare a parser with itself."""
    texts = [path.read_text(encoding="utf-8") for path in FILES if "fuzz" not in path.parts]
    asked = [text for text in texts if not document._READ_OTHERWISE.search(text)]
    assert len(asked) > 0.7 * len(texts)


@st.composite
def changed(draw: st.DrawFn) -> str:
    """Some lines of a file of ours, with pieces put in, over others, or taken out."""
    path = draw(st.sampled_from(FILES))
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    first = draw(st.integers(0, len(lines) - 1))
    text = "\n".join(lines[first : first + draw(st.integers(1, 12))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at] + draw(st.sampled_from(("", *PIECES))) + text[at + draw(st.integers(0, 3)) :]
        )
    return text


@given(text=changed())
@example(text="a: b\tc")
@example(text="[a? b]")
@example(text="'\ufeff': 1")
@example(text="|#")
@example(text="?")
@example(text="[0.01, 29: ]")
@example(text="a: '\ud83d\ude00'")
@settings(max_examples=600, deadline=None)
def test_changed_documents_are_read_alike(text: str) -> None:
    check_read_alike(text)
