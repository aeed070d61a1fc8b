"""Chip file: a chip preset written out again with some of its numbers replaced.

The text is kept as it stands, comments and sources too; only the blocks of the given keys change.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rack_sim.foundation.units import split_unit
from rack_sim.scenario.library import SCHEMA_MARK, find

# New keys stand behind this one, which every chip has.
_BEHIND = "operator_fixed_latency"


@dataclass(frozen=True, slots=True)
class FittedValue:
    """A fitted number with what it was fitted on."""

    value: float
    source: str
    note: str = ""
    low: float | None = None
    high: float | None = None


def chip_text(reference: str, folder: Path, values: Mapping[str, FittedValue]) -> str:
    """The file of a chip (a preset's name, or a path below `folder`) with `values` by key.

    A key replaces one of the same quantity in another unit. The line that leads editors to the
    schema is left out: its path holds only where the file stood. Raises InputError where there is
    no such chip.
    """
    text = find("chip", reference, folder).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(SCHEMA_MARK)]
    for key, value in values.items():
        lines = _with(lines, key, value)
    return "\n".join(lines) + "\n"


def _with(lines: list[str], key: str, fitted: FittedValue) -> list[str]:
    block = [
        f"{key}:",
        f"  value: {fitted.value:.4g}",
        f"  source: {json.dumps(fitted.source)}",
        "  grade: fitted",
    ]
    if fitted.low is not None and fitted.high is not None:
        block += [f"  low: {fitted.low:.3g}", f"  high: {fitted.high:.3g}"]
    if fitted.note:
        block.append(f"  note: {json.dumps(fitted.note)}")
    own = _block(lines, _stem(key))
    if own is not None:
        return lines[: own[0]] + block + lines[own[1] :]
    _, end = _block(lines, _BEHIND) or (len(lines), len(lines))
    return lines[:end] + block + lines[end:]


def _stem(key: str) -> str:
    unit = split_unit(key)
    return unit[0] if unit else key


def _block(lines: list[str], stem: str) -> tuple[int, int] | None:
    """First line of a top-level key and the line behind its value."""
    for start, line in enumerate(lines):
        found = re.match(r"([a-z][a-z0-9_]*):", line)
        if found and _stem(found[1]) == stem:
            end = start + 1
            while end < len(lines) and (not lines[end] or lines[end][0] in " #-"):
                end += 1
            return start, end
    return None
