"""Column log: rows of integers, on disk once there are many of them."""

from array import array
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
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
        self._file = SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115 - lives as long
        finalize(self, self._file.close)

    def append(self, row: tuple[int, ...]) -> None:
        """Adds one row."""
        self._pending.extend(row)
        self.row_count += 1
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

    def _store(self) -> None:
        if self._pending:
            self._file.seek(0, 2)
            self._file.write(self._pending.tobytes())
            self._pending = array("q")
