"""Logs keep every row, in order of request numbers, whatever the order of events and the size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.metrics.log import REQUEST_COLUMNS, Collector, ColumnLog, RequestLog
from rack_sim.workload.request import Request


def column(log: ColumnLog, name: str) -> list[int]:
    return [value for chunk in log.chunks() for value in chunk[name].tolist()]


def row(number: int) -> tuple[int, ...]:
    return (number, *(1000 * number + place for place in range(1, len(REQUEST_COLUMNS))))


@given(st.permutations(range(12)))
def test_requests_are_stored_by_number_however_they_end(order: list[int]) -> None:
    log = RequestLog()
    for place, number in enumerate(order):
        log.add(row(number))
        assert log.row_count + log.waiting_row_count == place + 1
    assert column(log, "request_id") == list(range(12))
    assert column(log, "slot") == [1000 * n + len(REQUEST_COLUMNS) - 1 for n in range(12)]
    assert log.waiting_row_count == 0


def test_a_missing_request_is_waited_for() -> None:
    log = RequestLog()
    for number in (0, 2, 3):
        log.add(row(number))
    assert (log.row_count, log.waiting_row_count) == (1, 2)
    log.add(row(1))
    assert (log.row_count, log.waiting_row_count) == (4, 0)


@pytest.mark.parametrize("count", [0, 1, 2**14, 2**14 + 1, 150_000])
def test_rows_beyond_one_block_and_beyond_memory_come_back(count: int) -> None:
    """16,384 rows are a block; 150,000 rows of eight columns are more than the 8 MiB in memory."""
    log = ColumnLog(tuple("abcdefgh"))
    for number in range(count):
        log.append((number, -number, 2**62 + number, 0, 1, 2, 3, 4))
    sizes = [len(chunk["a"]) for chunk in log.chunks()]
    assert sum(sizes) == log.row_count == count
    assert all(size <= 2**14 for size in sizes)
    found = [np.array([], dtype=np.int64), *(chunk["a"] for chunk in log.chunks())]
    assert (np.concatenate(found) == np.arange(count)).all()
    assert all((chunk["b"] == -chunk["a"]).all() for chunk in log.chunks())
    assert all((chunk["c"] == 2**62 + chunk["a"]).all() for chunk in log.chunks())


def test_two_readers_take_turns_and_rows_can_follow() -> None:
    log = ColumnLog(("a",))
    for number in range(40_000):
        log.append((number,))
    pairs = list(zip(log.chunks(), log.chunks(), strict=True))
    assert len(pairs) == 3
    assert all((one["a"] == other["a"]).all() for one, other in pairs)
    log.append((40_000,))
    assert column(log, "a") == list(range(40_001))


def test_a_collector_keeps_outcomes_gaps_and_bins() -> None:
    told: list[tuple[int, int]] = []
    collector = Collector(lambda ended, now: told.append((ended, now)))
    collector.rejected(Request(1, 50, 7, 9), Outcome.REJECTED_KV)
    collector.progress(60)
    collector.finished(Sequence(Request(0, 10, 3, 4), 7, 11, 12, 13, 14, 44, 2), gap_ps=10)
    collector.finished(Sequence(Request(2, 70, 3, 1), 4, 71, 72, 73, 74, 74, 0), gap_ps=10)
    collector.timeline(0, [(1, 0, 0, 0, 0, 0, 0, 0), (2, 1, 0, 0, 0, 0, 0, 0)])
    rows = list(zip(*(column(collector.requests, name) for name in REQUEST_COLUMNS), strict=True))
    assert rows == [
        (0, Outcome.FINISHED, 10, 3, 4, 11, 12, 13, 14, 44, 2),
        (1, Outcome.REJECTED_KV, 50, 7, 9, *[-1] * 6),
        (2, Outcome.FINISHED, 70, 3, 1, 71, 72, 73, 74, 74, 0),
    ]
    assert collector.gaps_ps == {10: 3}, "four tokens have three gaps, one token has none"
    assert column(collector.bins, "arrived") == [1, 2]
    assert told == [(1, 60)]


def test_gaps_are_pooled_over_tokens_not_over_requests() -> None:
    """A request of n tokens has n - 1 gaps: long answers weigh more in inter-token latency."""
    collector = Collector()
    for number, (outputs, gap_ps) in enumerate([(11, 100), (2, 900), (1, 5000)]):
        request = Request(number, 0, 3, outputs)
        collector.finished(Sequence(request, 0), gap_ps)
    assert collector.gaps_ps == {100: 10, 900: 1}
