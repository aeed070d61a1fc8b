"""CSV: UTF-8, comma, one header row, ``\\n`` at line ends, quotes only where needed.

Text can never be read as a formula by a spreadsheet: a cell that begins like one gets an
apostrophe in front. What acts and has no shape (control characters, half of a surrogate pair) is
written out, so that a terminal shows the file and every reader reads it. docs/spreadsheets.md
describes the dialect.
"""

import csv
import re
from collections.abc import Iterable
from math import isfinite
from pathlib import Path

from rack_sim.foundation.visible import visible
from rack_sim.metrics.column import Column
from rack_sim.metrics.summary import Value

# The wide forms are what a Japanese or Chinese keyboard types; spreadsheets there take them, too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Letters that neither begin a formula nor act; of other texts more has to be asked.
_HARMLESS = re.compile(r"[0-9A-Za-z_.(\[][ -~]*", re.ASCII)


def write_table(path: Path, columns: Iterable[Column], rows: Iterable[Iterable[str]]) -> None:
    """Writes rows of text cells under the names of `columns`; rows stream.

    Text that would be read as a formula is made safe here, too, should a row hold any.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        writer.writerows(map(_safe_row, rows))


def write_lines(path: Path, columns: Iterable[Column], lines: Iterable[str]) -> None:
    """Writes lines that are rows already (their cells need no quotes); lines stream."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(column.name for column in columns) + "\n")
        file.writelines(f"{line}\n" for line in lines)


def cell_of(value: Value) -> str:
    """One value as a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _safe_row(row: Iterable[str]) -> list[str]:
    return [
        cell if not cell or _HARMLESS.fullmatch(cell) or _is_number(cell) else safe_text(cell)
        for cell in row
    ]


def _is_number(cell: str) -> bool:
    """Whether a cell is a number with a sign, which is no formula."""
    try:
        return isfinite(float(cell))
    except ValueError:
        return False


def safe_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula, and no terminal for an order.

    A carriage return becomes a space: readers would begin a row there.

    >>> [safe_text(text) for text in ("=1+1", " @x", "a = b", chr(27))]
    ["'=1+1", "' @x", 'a = b', '\\\\x1b']
    """
    text = visible(text.replace("\r", " "))
    formula = text.startswith(_FORMULA_STARTS) or text.lstrip().startswith(_FORMULA_STARTS)
    return f"'{text}" if formula else text


def plain_text(cell: str) -> str:
    """The text that `safe_text` made safe, for places where nothing is read as a formula.

    A text that had an apostrophe before such a sign from the start loses it, too.
    """
    inner = cell.removeprefix("'")
    return inner if safe_text(inner) == cell else cell
