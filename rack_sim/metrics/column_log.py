"""Column log: rows of integers, on disk once there are many of them."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, cast
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.errors import naming

_MEMORY_BYTES = 2**23
_ROWS_AT_ONCE = 2**14


# What of a wide number does not fit below so many bits stands in a column of its own. It leaves
# room to add a hundred rows without a carry.
_LOW_BITS = 56


class ColumnLog:
    """Rows of 64-bit integers that can be appended and read again in chunks.

    The last `wide_count` columns may hold larger ones: tokens times picoseconds pass 64 bits where
    ten million tokens lie in caches for a second.
    """

    def __init__(self, columns: tuple[str, ...], wide_count: int = 0) -> None:
        self.columns = columns
        self.row_count = 0
        self._first_wide = len(columns) - wide_count
        self._stored_count = len(columns) + wide_count
        self._pending = array("q")
        self._pending_max = _ROWS_AT_ONCE * self._stored_count
        self._file = cast(IO[bytes], SpooledTemporaryFile(max_size=_MEMORY_BYTES))  # noqa: SIM115
        finalize(self, self._file.close)

    def append(self, row: tuple[int, ...]) -> None:
        """Adds one row."""
        wide = row[self._first_wide :]
        if wide:
            low = tuple(number & (1 << _LOW_BITS) - 1 for number in wide)
            high = tuple(number >> _LOW_BITS for number in wide)
            row = (*row[: self._first_wide], *low, *high)
        self._pending.extend(row)
        self.row_count += 1
        if len(self._pending) >= self._pending_max:
            self._store()

    def append_rows(self, rows: NDArray[np.int64]) -> None:
        """Adds the rows of a table as `tables` gives them."""
        self._pending.frombytes(np.ascontiguousarray(rows).tobytes())
        self.row_count += len(rows)
        if len(self._pending) >= self._pending_max:
            self._store()

    def tables(self) -> Iterator[NDArray[np.int64]]:
        """Every row as it is stored, in chunks: wide columns in two parts, which can be added."""
        self._store()
        self._file.seek(0)
        size = _ROWS_AT_ONCE * self._stored_count * 8
        offset = 0
        while data := self._file.read(size):
            offset += len(data)
            yield np.frombuffer(data, dtype=np.int64).reshape(-1, self._stored_count)
            self._file.seek(offset)  # two readers may take turns

    def chunks(self) -> Iterator[dict[str, NDArray[np.int64]]]:
        """Every row, in chunks of columns; Python's integers where a wide one has some that are."""
        for table in self.tables():
            yield {name: self._column(table, number) for number, name in enumerate(self.columns)}

    def _column(self, table: NDArray[np.int64], number: int) -> NDArray[np.int64]:
        low = table[:, number]
        if number < self._first_wide:
            return low
        high = table[:, number + len(self.columns) - self._first_wide]
        if not high.any():
            return low
        return (high.astype(object) << _LOW_BITS) + low

    def save(self, path: Path) -> None:
        """Writes every row into a file, for another process to `take` them."""
        self._store()
        self._file.seek(0)
        with naming(path), path.open("wb") as file:
            copyfileobj(self._file, file)

    def take(self, path: Path) -> None:
        """Takes its rows from a file that another log was saved in; there must be none yet."""
        self._file.close()
        self._file = path.open("rb")
        finalize(self, self._file.close)
        self.row_count = path.stat().st_size // (8 * self._stored_count)

    def _store(self) -> None:
        if not self._pending:
            return
        self._file.seek(0, 2)
        with naming(gettempdir()):
            self._file.write(self._pending.tobytes())
            self._file.flush()
        self._pending = array("q")
