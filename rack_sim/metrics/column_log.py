"""Column log: rows of integers, on disk once there are many of them."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import IO, cast
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

_MEMORY_BYTES = 2**23
_ROWS_AT_ONCE = 2**14


class ColumnLog:
    """Rows of 64-bit integers that can be appended and read again in chunks."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self.row_count = 0
        self._pending = array("q")
        self._pending_max = _ROWS_AT_ONCE * len(columns)
        self._file = cast(IO[bytes], SpooledTemporaryFile(max_size=_MEMORY_BYTES))  # noqa: SIM115
        finalize(self, self._file.close)

    def append(self, row: tuple[int, ...]) -> None:
        """Adds one row."""
        self._pending.extend(row)
        self.row_count += 1
        if len(self._pending) >= self._pending_max:
            self._store()

    def append_rows(self, rows: NDArray[np.int64]) -> None:
        """Adds the rows of a table."""
        self._pending.frombytes(np.ascontiguousarray(rows).tobytes())
        self.row_count += len(rows)
        if len(self._pending) >= self._pending_max:
            self._store()

    def chunks(self) -> Iterator[dict[str, NDArray[np.int64]]]:
        """Every row, in chunks of columns."""
        self._store()
        self._file.seek(0)
        size = _ROWS_AT_ONCE * len(self.columns) * 8
        offset = 0
        while data := self._file.read(size):
            offset += len(data)
            table = np.frombuffer(data, dtype=np.int64).reshape(-1, len(self.columns))
            yield {name: table[:, number] for number, name in enumerate(self.columns)}
            self._file.seek(offset)  # two readers may take turns

    def save(self, path: Path) -> None:
        """Writes every row into a file, for another process to `take` them."""
        self._store()
        self._file.seek(0)
        with path.open("wb") as file:
            copyfileobj(self._file, file)

    def take(self, path: Path) -> None:
        """Takes its rows from a file that another log was saved in; there must be none yet."""
        self._file.close()
        self._file = path.open("rb")
        finalize(self, self._file.close)
        self.row_count = path.stat().st_size // (8 * len(self.columns))

    def _store(self) -> None:
        if self._pending:
            self._file.seek(0, 2)
            self._file.write(self._pending.tobytes())
            self._pending = array("q")
