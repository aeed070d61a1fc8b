"""Garbled: tables of ours read back, and what in them can never have been written."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.column import Column, text_types

if TYPE_CHECKING:
    import pandas as pd

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
REQUEST_STATUSES = ("finished", "rejected", "timed_out")


def read_table(path: Path, columns: Sequence[Column], again: str) -> "pd.DataFrame":
    """The table in a file, which has these columns and no others.

    Raises InputError where it cannot be read, has other columns, or is garbled; `again` is what to
    do then.
    """
    import pandas as pd  # imports slowly, and only who reads a table needs it

    try:
        frame = pd.read_csv(
            path,
            keep_default_na=False,
            na_values=[""],
            dtype=text_types(columns),
            low_memory=False,
        )
    except (OSError, ValueError) as error:
        raise InputError(unreadable(path, error, again)) from None
    if list(frame.columns) != [column.name for column in columns]:
        said = "has other columns than this version writes"
        raise InputError(Problem(said, str(path), 1, suggestion=again))
    refuse_garbled(frame, path, columns, again)
    return frame


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


def refuse_garbled(
    frame: "pd.DataFrame", path: Path, columns: Sequence[Column], again: str
) -> None:
    """Raises InputError where a cell is no number and should be, or no status of a request."""
    problems = list(_garbled(frame, path, columns, again))
    if problems:
        raise InputError(problems)


def _garbled(
    frame: "pd.DataFrame", path: Path, columns: Sequence[Column], again: str
) -> Iterator[Problem]:
    """A problem for each column that holds what it cannot."""
    import numpy as np
    import pandas as pd

    numeric = {column.name for column in columns if column.is_numeric}
    for name in frame.columns:
        column = frame[name]
        if name in _NEVER_EMPTY.get(path.name, ()) and column.isna().any():
            bad, said = column.isna().to_numpy(), "stands where a number must be"
        elif column.dtype.kind == "f":
            bad, said = np.isinf(column.to_numpy()), "is no finite number"
        elif (path.name, name) == ("requests.csv", "status"):
            bad = ~column.isin(REQUEST_STATUSES).to_numpy()
            said = f"is none of {', '.join(REQUEST_STATUSES)}"
        elif column.dtype.kind not in "if" and name in numeric:
            numbers = pd.to_numeric(column.astype(str), errors="coerce")
            bad = (numbers.isna() & column.notna()).to_numpy() | np.isinf(numbers.to_numpy(float))
            said = "is no number"
        else:
            continue
        rows = np.flatnonzero(bad)
        if len(rows):
            more = f", and so {len(rows) - 1:,} more" if len(rows) > 1 else ""
            given = "nothing" if pd.isna(column.iloc[rows[0]]) else str(column.iloc[rows[0]])
            yield Problem(
                f"{given if len(given) <= 40 else f'{given[:39]}…'} {said}{more}",
                str(path),
                line=int(rows[0]) + 2,  # the header is the first line
                field=name,
                suggestion=again,
            )
