"""Frames: tables as pandas DataFrames, with the values that the CSV files have.

Words are text (empty where there is none), counts are whole numbers (`Int64`, which knows missing
ones), flags `boolean`, all others are floats (NaN where there is none).
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from rack_sim.metrics.column import Column, ColumnKind

if TYPE_CHECKING:
    import pandas as pd


Cell = str | int | float | bool | None
_TYPES: dict[ColumnKind, str] = {
    "words": "str",
    "count": "Int64",
    "number": "float64",
    "flag": "boolean",
    "any": "object",
}
# Rows read at once: a million requests need no more memory as text than these.
_ROWS_AT_ONCE = 2**16


def frame_of(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> "pd.DataFrame":
    """Rows of cells (texts of files, or values), in the order of `columns`, as a DataFrame."""
    import pandas as pd  # takes half a second, and only who works in Python asks

    waiting = iter(rows)
    frames = [_piece(columns, list(islice(waiting, _ROWS_AT_ONCE)))]
    while piece := list(islice(waiting, _ROWS_AT_ONCE)):
        frames.append(_piece(columns, piece))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _piece(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> "pd.DataFrame":
    import pandas as pd

    cells: Sequence[Sequence[Cell]] = list(zip(*rows, strict=True)) or [()] * len(columns)
    series = {}
    for column, found in zip(columns, cells, strict=True):
        values = [_value(column.kind, cell) for cell in found]
        series[column.name] = pd.Series(values, dtype=_TYPES[column.kind])
    return pd.DataFrame(series)


def _value(kind: ColumnKind, cell: Cell) -> Cell:
    """What stands in the frame for a cell, be it the text of a file or a value."""
    if cell is None or cell == "":
        return "" if kind == "words" else None
    if kind == "flag":
        return cell is True or cell == "true"
    if kind == "count":
        return int(cell)
    return float(cell) if kind == "number" else cell
