"""Parts: what replicas that were replayed apart left, put together as if replayed at once.

Each part comes as files: outcomes by request number, timeline bins from the start, gaps. Requests
are merged by number, bins are added, in pieces, so that nothing grows with the trace.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.parts import PartWorkload
from rack_sim.engine.serving import ReplayTotals, replay
from rack_sim.foundation.errors import ConservationError
from rack_sim.metrics.column_log import ColumnLog
from rack_sim.metrics.log import Collector
from rack_sim.workload.request import Workload

_REQUESTS_AT_ONCE = 2**14


@dataclass(frozen=True)
class ReplayPart:
    """Replicas that are replayed apart, and an empty `folder` for what they did."""

    fleet: FleetPlan
    folder: Path


def replay_part(
    part: ReplayPart, workload: Workload, *, bin_ps: int, every_step: bool
) -> ReplayTotals:
    """Replays the replicas of a part and leaves what they did in its folder."""
    issued: deque[int] = deque()
    collector = Collector(expected=issued)
    totals = replay(
        part.fleet,
        PartWorkload(workload, part.fleet, issued),
        collector,
        bin_ps=bin_ps,
        every_step=every_step,
    )
    for name, log in _logs(collector).items():
        log.save(part.folder / name)
    return totals


def collect(folders: Sequence[Path]) -> Collector:
    """What parts left, as one. Raises ConservationError where a request is not in just one part."""
    parts = []
    for folder in folders:
        part = Collector()
        for name, log in _logs(part).items():
            log.take(folder / name)
        parts.append(part)
    whole = Collector()
    for rows in _merged([part.requests for part in parts]):
        whole.requests.append_rows(rows)
    for rows in _added([part.bins for part in parts]):
        whole.bins.append_rows(rows)
    for part in parts:
        whole.gap_runs.add_all(part.gap_runs)
    return whole


def _logs(collector: Collector) -> dict[str, ColumnLog]:
    return {
        "requests": collector.requests,
        "bins": collector.bins,
        "gaps": collector.gap_runs.as_runs(),
    }


class _Reader:
    """The rows of a log, taken from the front."""

    def __init__(self, log: ColumnLog) -> None:
        self._tables = log.tables()
        self._rest = next(self._tables, np.empty((0, len(log.columns)), dtype=np.int64))

    def until(self, number: int) -> NDArray[np.int64]:
        """Rows whose first column is below `number`."""
        taken = []
        while True:
            end = int(np.searchsorted(self._rest[:, 0], number))
            taken.append(self._rest[:end])
            self._rest = self._rest[end:]
            if len(self._rest):
                break
            table = next(self._tables, None)
            if table is None:
                break
            self._rest = table
        return np.concatenate(taken)

    def first(self, count: int) -> NDArray[np.int64]:
        """The next `count` rows, or all that are left."""
        while len(self._rest) < count and (table := next(self._tables, None)) is not None:
            self._rest = np.concatenate([self._rest, table])
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def _merged(logs: Sequence[ColumnLog]) -> Iterator[NDArray[np.int64]]:
    """Rows of all logs by request number, from 0 on without a gap."""
    readers = [_Reader(log) for log in logs]
    total = sum(log.row_count for log in logs)
    for first in range(0, total, _REQUESTS_AT_ONCE):
        end = min(first + _REQUESTS_AT_ONCE, total)
        rows = np.concatenate([reader.until(end) for reader in readers])
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        if not np.array_equal(rows[:, 0], np.arange(first, end)):
            raise ConservationError(f"requests {first} to {end - 1} are not each in one part")
        yield rows


def _added(logs: Sequence[ColumnLog]) -> Iterator[NDArray[np.int64]]:
    """Timeline bins of all logs, added."""
    readers = [_Reader(log) for log in logs]
    left = max((log.row_count for log in logs), default=0)
    while left > 0:
        count = min(left, _REQUESTS_AT_ONCE)
        parts = [reader.first(count) for reader in readers]
        longest = max(parts, key=len)
        rows = np.zeros_like(longest)
        for part in parts:
            if len(part):
                rows[: len(part)] += part
        yield rows
        left -= count
