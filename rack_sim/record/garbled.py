"""Garbled: tables of ours read back, and what in them can never have been written."""

import csv
from collections.abc import Iterator, Sequence
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.column import LARGEST, Column, ColumnKind, text_types

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    BoolArray = npt.NDArray[np.bool_]

# Cells that every row has: what it is of, and its bytes.
_NEVER_EMPTY = {
    "chips.csv": ("chip", "node", "rack", "used_bytes", "capacity_bytes"),
    "links.csv": ("source_chip", "target_chip", "payload_bytes"),
    "memory.csv": (
        "chip",
        *("weight_bytes", "kv_bytes", "activation_bytes", "program_bytes", "free_bytes"),
        "capacity_bytes",
    ),
    "replicas.csv": ("replica", "request_count", "finished_count"),
    "requests.csv": ("request_id", "input_tokens"),
}
_COLUMNS_SAID = 3
_ENDLESS = "is no finite number"
_NO_FLAG = "is not true or false"
REQUEST_STATUSES = ("finished", "rejected", "timed_out")


def read_table(
    path: Path, columns: Sequence[Column], again: str, only: Sequence[str] = ()
) -> "pd.DataFrame":
    """The table in a file, which has these columns and no others; `only` some, where named.

    Raises InputError where it cannot be read, has other columns, or is garbled; `again` is what to
    do then.
    """
    import pandas as pd  # imports slowly, and only who reads a table needs it

    names = [column.name for column in columns]
    try:
        if given := other_columns(header_of(path), names):
            raise InputError(Problem(given, str(path), 1, suggestion=again))
        frame = pd.read_csv(
            path,
            usecols=list(only) or None,
            keep_default_na=False,
            na_values=[""],
            dtype=text_types(columns),
            low_memory=False,
        )
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(unreadable(path, error, again)) from None
    if problems := list(_garbled(frame, path, columns, again)):
        raise InputError(problems)
    return frame


def header_of(path: Path) -> list[str]:
    """The names in the first line of a table.

    Raises OSError, UnicodeDecodeError or csv.Error where it cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file, strict=True), [])


def other_columns(given: Sequence[str], wanted: Sequence[str]) -> str:
    """What is wrong with the columns of a table; nothing where they are those of this version."""
    if list(given) == list(wanted):
        return ""
    parts = (
        f"{words} {', '.join(names[:_COLUMNS_SAID])}{' …' if len(names) > _COLUMNS_SAID else ''}"
        for words, names in (
            ("lacks", [name for name in wanted if name not in given]),
            ("has besides", [name for name in given if name not in wanted]),
        )
        if names
    )
    said = "has other columns than this version writes"
    return f"{said}: {'; '.join(parts) or 'in another order'}"


def unreadable(path: Path, error: Exception, again: str) -> Problem:
    """Why a file could not be read, with the line of what is no text in it."""
    if isinstance(error, UnicodeDecodeError):
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as found:
            line = path.read_bytes()[: found.start].count(b"\n") + 1
            return Problem("cannot be read: is not UTF-8 text", str(path), line, suggestion=again)
    words = str(error).strip() or type(error).__name__
    return Problem(f"cannot be read: {words}", str(path), suggestion=again)


def _garbled(
    frame: "pd.DataFrame", path: Path, columns: Sequence[Column], again: str
) -> Iterator[Problem]:
    """A problem for each column that holds what it cannot."""
    import numpy as np
    import pandas as pd

    kinds = {column.name: column.kind for column in columns}
    for name in map(str, frame.columns):
        column = frame[name]
        if name in _NEVER_EMPTY.get(path.name, ()) and column.isna().any():
            bad, said = column.isna().to_numpy(), "stands where a number must be"
        elif (path.name, name) == ("requests.csv", "status"):
            bad = ~column.isin(REQUEST_STATUSES).to_numpy()
            said = f"is none of {', '.join(REQUEST_STATUSES)}"
        else:
            bad, said = _of_another_kind(column, kinds.get(name, "any"))
        rows = np.flatnonzero(bad)
        if len(rows):
            more = f", and so {len(rows) - 1:,} more" if len(rows) > 1 else ""
            cell = column.iloc[rows[0]]
            if said == _ENDLESS:
                cell = float(cell)  # 1e999 is inf to pandas from 3 on, and text before
            given = "nothing" if pd.isna(cell) else str(cell)
            yield Problem(
                f"{given if len(given) <= 40 else f'{given[:39]}…'} {said}{more}",
                str(path),
                line=int(rows[0]) + 2,  # the header is the first line
                field=name,
                suggestion=again,
            )


def _float(cell: object) -> float:
    text = str(cell)
    try:
        return nan if "_" in text else float(text)  # 1_000 is a number of Python, and of no table
    except ValueError:
        return nan


def _of_another_kind(column: "pd.Series[Any]", kind: ColumnKind) -> tuple["BoolArray", str]:
    """Which cells cannot stand in a column of the kind, and what is to be said of them."""
    import numpy as np

    given = column.notna().to_numpy()
    if kind == "flag":
        flags = column.astype(str).isin(("True", "False", "true", "false")).to_numpy()
        return given & ~flags, _NO_FLAG
    if kind not in ("count", "number") and column.dtype.kind != "f":
        return np.zeros_like(given), ""
    # Not by pandas: before its version 3 it takes a number without an end, 1e999, for no number.
    is_read = column.dtype.kind in "iuf"
    numbers = column.to_numpy(dtype=float) if is_read else np.array([*map(_float, column)])
    if (no_numbers := given & np.isnan(numbers)).any():
        return no_numbers, "is no number"
    if (endless := given & (np.abs(numbers) >= LARGEST)).any():
        return endless, _ENDLESS
    return given & (kind == "count") & (numbers % 1 != 0), "is no whole number"
