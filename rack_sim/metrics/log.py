"""Log: what the engine reported, in columns of integers, on disk once there is much of it.

`RequestLog` keeps one row per request in the order of request numbers, `TimelineLog` one per bin.
Both hold a bounded number of rows in memory, so a trace of any length can be replayed.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from tempfile import SpooledTemporaryFile
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.timeline import COLUMNS as TIMELINE_COLUMNS
from rack_sim.workload.request import Request

REQUEST_COLUMNS = (
    "request_id",
    "outcome",
    "arrival_ps",
    "input_tokens",
    "output_tokens",
    "admitted_ps",
    "prefill_start_ps",
    "prefill_end_ps",
    "first_token_ps",
    "finish_ps",
    "slot",
)
_MEMORY_BYTES = 2**23
_ROWS_AT_ONCE = 2**14


class ColumnLog:
    """Rows of 64-bit integers that can be appended and read again in chunks."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self.row_count = 0
        self._pending = array("q")
        self._file = SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115 - lives as long
        finalize(self, self._file.close)

    def append(self, row: tuple[int, ...]) -> None:
        """Adds one row."""
        self._pending.extend(row)
        self.row_count += 1
        if len(self._pending) >= _ROWS_AT_ONCE * len(self.columns):
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


class RequestLog(ColumnLog):
    """One row per request. Outcomes may come in any order; rows are stored by request number."""

    def __init__(self) -> None:
        super().__init__(REQUEST_COLUMNS)
        self._early: dict[int, tuple[int, ...]] = {}

    def add(self, row: tuple[int, ...]) -> None:
        """Adds the row of one request, in whatever order requests end."""
        if row[0] != self.row_count:
            self._early[row[0]] = row
            return
        self.append(row)
        if not self._early:
            return
        early = self._early
        while self.row_count in early:
            self.append(early.pop(self.row_count))

    @property
    def waiting_row_count(self) -> int:
        """Rows that wait for one with a smaller number; zero after a complete replay."""
        return len(self._early)


class Collector:
    """The observer that keeps everything a report needs (see `rack_sim.engine.observer`)."""

    def __init__(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        self.requests = RequestLog()
        self.bins = ColumnLog(TIMELINE_COLUMNS)
        self.gaps_ps: Counter[int] = Counter()
        self._on_progress = on_progress

    def finished(self, sequence: Sequence, gap_ps: int) -> None:
        """Stores a finished request and its gaps."""
        request = sequence.request
        self.requests.add(
            (
                request.request_id,
                Outcome.FINISHED,
                request.arrival_ps,
                request.input_tokens,
                request.output_tokens,
                sequence.admitted_ps,
                sequence.prefill_start_ps,
                sequence.prefill_end_ps,
                sequence.first_token_ps,
                sequence.finish_ps,
                sequence.slot,
            )
        )
        if request.output_tokens > 1:
            self.gaps_ps[gap_ps] += request.output_tokens - 1

    def rejected(self, request: Request, outcome: Outcome) -> None:
        """Stores a rejected request; the times it never had are -1."""
        self.requests.add(
            (
                request.request_id,
                outcome,
                request.arrival_ps,
                request.input_tokens,
                request.output_tokens,
                -1,
                -1,
                -1,
                -1,
                -1,
                -1,
            )
        )

    def timeline(self, first_bin: int, rows: list[tuple[int, ...]]) -> None:
        """Stores bins that are final."""
        for row in rows:
            self.bins.append(row)

    def progress(self, now_ps: int) -> None:
        """Passes on how many requests have ended and the simulated time."""
        if self._on_progress:
            self._on_progress(self.requests.row_count + self.requests.waiting_row_count, now_ps)
