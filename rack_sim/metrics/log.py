"""Log: what the engine reported, in columns of integers, on disk once there is much of it.

`RequestLog` keeps one row per request in the order of request numbers, `Collector.bins` one per
bin. Both hold a bounded number of rows in memory, so a trace of any length can be replayed.
"""

from collections import deque
from collections.abc import Callable

from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.timeline import COLUMNS as TIMELINE_COLUMNS
from rack_sim.engine.timeline import LEVELS
from rack_sim.metrics.column_log import ColumnLog
from rack_sim.metrics.gaps import GapLog

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
    "replica",
    "prefill_replica",
    "decode_wait_ps",
    "transfer_ps",
    "preemptions",
    "hit_tokens",
    "accepted_draft_tokens",
)


class RequestLog(ColumnLog):
    """One row per request. Outcomes may come in any order; rows are stored by request number.

    Numbers come from 0 on, or those that `expected` is filled with, in rising order.
    """

    def __init__(self, expected: deque[int] | None = None) -> None:
        super().__init__(REQUEST_COLUMNS)
        self._expected = expected
        self._next = 0
        self._early: dict[int, tuple[int, ...]] = {}

    def add(self, row: tuple[int, ...]) -> None:
        """Adds the row of one request, in whatever order requests end."""
        expected = self._expected
        if row[0] != (expected[0] if expected else self._next):
            self._early[row[0]] = row
            return
        self._add_next(row)
        early = self._early
        while early:
            found = early.pop(expected[0] if expected else self._next, None)
            if found is None:
                return
            self._add_next(found)

    def _add_next(self, row: tuple[int, ...]) -> None:
        self.append(row)
        if self._expected is None:
            self._next += 1
        else:
            self._expected.popleft()

    @property
    def waiting_row_count(self) -> int:
        """Rows that wait for one with a smaller number; zero after a complete replay."""
        return len(self._early)


class Collector:
    """The observer that keeps everything a report needs (see `rack_sim.engine.observer`)."""

    def __init__(
        self,
        on_progress: Callable[[int, int], None] | None = None,
        expected: deque[int] | None = None,
    ) -> None:
        self.requests = RequestLog(expected)
        self.bins = ColumnLog(TIMELINE_COLUMNS, wide_count=len(LEVELS))
        self.gap_runs = GapLog()
        self.gaps = self.gap_runs.add  # there is one for every run of iterations
        self._on_progress = on_progress

    def finished(self, sequence: Sequence) -> None:
        """Stores a finished request."""
        self._store(sequence, Outcome.FINISHED)

    def turned_away(self, sequence: Sequence, outcome: Outcome) -> None:
        """Stores a request that was rejected or given up; the times it never had are -1."""
        self._store(sequence, outcome)

    def _store(self, sequence: Sequence, outcome: Outcome) -> None:
        request = sequence.request
        self.requests.add(
            (
                request.request_id,
                outcome,
                request.arrival_ps,
                request.input_tokens,
                request.output_tokens,
                sequence.admitted_ps,
                sequence.prefill_start_ps,
                sequence.prefill_end_ps,
                sequence.first_token_ps,
                sequence.finish_ps,
                sequence.slot,
                sequence.replica,
                sequence.prefill_replica,
                sequence.decode_wait_ps,
                sequence.transfer_ps,
                sequence.preemptions,
                sequence.hit_tokens,
                sequence.accepted_draft_tokens,
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
