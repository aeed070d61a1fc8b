"""Brief: values of thousands of parts that print as a line, and in a notebook as a card.

A plan of 576 chips is 39 MB when every part prints all of its own. A class that is `Brief` prints
its own plain values, and of every other part only what it is and how many there are.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields
from html import escape
from typing import Any

_TEXT_CHARACTERS = 60
_ITEMS_SHOWN = 4
_FACTS_SHOWN = 16


class Brief:
    """A dataclass (with `repr=False`) that prints in a line; `_facts` says what the line tells."""

    __slots__ = ()

    def _facts(self) -> Mapping[str, object]:
        """What is worth telling, by name."""
        own: Any = self
        return {one.name: getattr(self, one.name) for one in fields(own) if one.repr}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(_told(self._facts()))})"

    def _repr_html_(self) -> str:
        """A card for a notebook: foreign text in it is text."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(_words(value))}</td></tr>"
            for name, value in list(self._facts().items())[:_FACTS_SHOWN]
        )
        return f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"


def _told(facts: Mapping[str, object]) -> list[str]:
    told = [f"{name}={_words(value)}" for name, value in list(facts.items())[:_FACTS_SHOWN]]
    return [*told, "…"] if len(facts) > _FACTS_SHOWN else told


def _words(value: object) -> str:
    """A value in few words: itself where it is plain, else what it is and how many."""
    if isinstance(value, str):
        cut = value if len(value) <= _TEXT_CHARACTERS else value[:_TEXT_CHARACTERS] + "…"
        return repr(cut)
    if value is None or isinstance(value, bool | int | float):
        return repr(value) if not isinstance(value, float) else f"{value:.6g}"
    kind = type(value).__name__
    if isinstance(value, Collection):
        plain = not isinstance(value, Mapping) and all(
            item is None or isinstance(item, str | bool | int | float) for item in value
        )
        if plain and len(value) <= _ITEMS_SHOWN:
            return f"[{', '.join(map(_words, value))}]"
        return f"<{kind} of {len(value):,}>"
    name = getattr(value, "name", None)
    return f"<{kind} {_words(name)}>" if isinstance(name, str) else f"<{kind}>"
