"""Text: what a terminal says of a record: sentences, and tables of text."""

from collections.abc import Sequence
from dataclasses import dataclass

from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record


@dataclass(frozen=True)
class TextTable:
    """A table of text; each column is a heading and "left" or "right"."""

    title: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, ...]]


Line = str | TextTable


def as_sentence(words: str) -> str:
    """Words with a capital letter and a full stop: ``two points: infeasible`` as a page has it."""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def study_head(study: Record) -> dict[str, object]:
    """What the JSON of a study of any kind begins with."""
    facts = study.facts
    return {"study": study.name, "kind": study.kind, "study_hash": facts["study_hash"]}


def number(value: Value, digits: int) -> str:
    """A number with so many decimals, text as it is; a hyphen where there is neither."""
    return f"{value:,.{digits}f}" if isinstance(value, int | float) else value or "-"


def digits4(value: Value) -> str:
    """A number with four significant digits, whole ones whole, text as it is."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else value
