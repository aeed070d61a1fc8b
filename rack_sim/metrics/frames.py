"""Frames: tables as pandas DataFrames, with the values that the CSV files have.

Words are text (empty where there is none), counts are whole numbers (`Int64`, which knows missing
ones), flags `boolean`, all others are floats (NaN where there is none).
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from rack_sim.metrics.column import Column, kind_of

if TYPE_CHECKING:
    import pandas as pd


# Rows read at once: a million requests need no more memory as text than these.
_ROWS_AT_ONCE = 2**16


def frame_of(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> "pd.DataFrame":
    """Rows of text cells, in the order of `columns`, as a DataFrame."""
    import pandas as pd  # takes half a second, and only who works in Python asks

    waiting = iter(rows)
    frames = [_piece(columns, list(islice(waiting, _ROWS_AT_ONCE)))]
    while piece := list(islice(waiting, _ROWS_AT_ONCE)):
        frames.append(_piece(columns, piece))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _piece(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> "pd.DataFrame":
    import pandas as pd

    cells: Sequence[Sequence[str]] = list(zip(*rows, strict=True)) or [()] * len(columns)
    series: dict[str, pd.Series] = {}
    for column, texts in zip(columns, cells, strict=True):
        kind = kind_of(column)
        if column.unit == "true/false":
            flags = [text == "true" if text else None for text in texts]
            series[column.name] = pd.Series(flags, dtype="boolean")
        elif kind == "words":
            series[column.name] = pd.Series(texts, dtype="str")
        elif kind == "count":
            counts = [int(text) if text else None for text in texts]
            series[column.name] = pd.Series(counts, dtype="Int64")
        else:
            numbers = [float(text) if text else float("nan") for text in texts]
            series[column.name] = pd.Series(numbers, dtype="float64")
    return pd.DataFrame(series)
