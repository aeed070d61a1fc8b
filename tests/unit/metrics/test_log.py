"""Logs keep every row, in order of request numbers, whatever the order of events and the size."""

from collections import Counter, deque
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.timeline import COLUMNS as TIMELINE_COLUMNS
from rack_sim.metrics.log import REQUEST_COLUMNS, Collector, ColumnLog, RequestLog
from rack_sim.metrics.parts import collect
from rack_sim.metrics.tables import timeline_lines
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
    last = len(REQUEST_COLUMNS) - 1
    assert column(log, REQUEST_COLUMNS[last]) == [1000 * n + last for n in range(12)]
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
    empty = Sequence(Request(1, 50, 7, 9), replica=3, ended=True)
    collector.turned_away(empty, Outcome.REJECTED_KV)
    collector.progress(60)
    times = {
        "admitted_ps": 11, "prefill_start_ps": 12, "prefill_end_ps": 13, "first_token_ps": 14,
        "finish_ps": 44,
    }  # fmt: skip
    rest = {
        "slot": 2, "replica": 5, "prefill_replica": 4, "decode_wait_ps": 3, "transfer_ps": 6,
        "preemptions": 7, "hit_tokens": 8, "accepted_draft_tokens": 9,
    }  # fmt: skip
    collector.finished(Sequence(Request(0, 10, 3, 4), **times, **rest))
    late = Sequence(Request(2, 70, 3, 1), admitted_ps=71, prefill_start_ps=72)
    collector.turned_away(late, Outcome.TIMED_OUT)
    bins = [(1, *[0] * (len(TIMELINE_COLUMNS) - 1)), (2, 1, *[0] * (len(TIMELINE_COLUMNS) - 2))]
    collector.timeline(0, bins)
    rows = [
        dict(zip(REQUEST_COLUMNS, row, strict=True))
        for row in zip(*(column(collector.requests, name) for name in REQUEST_COLUMNS), strict=True)
    ]
    never = dict.fromkeys(times, -1) | dict.fromkeys(rest, 0) | {"slot": -1, "prefill_replica": -1}
    asked = [{"arrival_ps": 10, "input_tokens": 3, "output_tokens": 4},
             {"arrival_ps": 50, "input_tokens": 7, "output_tokens": 9},
             {"arrival_ps": 70, "input_tokens": 3, "output_tokens": 1}]  # fmt: skip
    assert rows == [
        {"request_id": 0, "outcome": Outcome.FINISHED} | asked[0] | times | rest,
        {"request_id": 1, "outcome": Outcome.REJECTED_KV} | asked[1] | never | {"replica": 3},
        {"request_id": 2, "outcome": Outcome.TIMED_OUT}
        | asked[2]
        | never
        | {"admitted_ps": 71, "prefill_start_ps": 72},
    ]
    assert column(collector.bins, "arrived") == [1, 2]
    assert column(collector.bins, TIMELINE_COLUMNS[1]) == [0, 1]
    assert told == [(1, 60)]


def test_gaps_are_pooled_over_tokens_not_over_requests() -> None:
    """A request of n tokens has n - 1 gaps: long answers weigh more in inter-token latency."""
    collector = Collector()
    collector.gaps(100, 0, 10, 1)
    collector.gaps(900, 0, 1, 1)
    collector.gaps(200, 50, 3, 2)
    pooled: Counter[int] = Counter()
    for values, counts in collector.gap_runs.chunks():
        for gap_ps, times in zip(values.tolist(), counts.tolist(), strict=True):
            pooled[gap_ps] += times
    assert pooled == {100: 10, 900: 1, 200: 2, 250: 2, 300: 2}


def test_levels_of_many_tokens_over_a_long_bin_are_exact() -> None:
    """Twenty million tokens in caches for a day are more than 64 bits of token-picoseconds."""
    day_ps = 86_400 * 10**12
    levels = (7, 3 * day_ps, 20_000_000 * day_ps + 1)
    empty = (0,) * (len(TIMELINE_COLUMNS) - 3)
    collector = Collector()
    collector.timeline(0, [(*empty, 1, 2, 3), (*empty, *levels)])
    found = [column(collector.bins, name) for name in TIMELINE_COLUMNS[-3:]]
    assert found == [[1, 7], [2, 3 * day_ps], [3, 20_000_000 * day_ps + 1]]
    lines = [line.split(",") for line in timeline_lines(collector.bins, day_ps)]
    assert lines[1][-3:] == ["0.000000000", "3.000000000", "20000000.000000000"]


def test_levels_of_parts_are_added_exactly(tmp_path: Path) -> None:
    """Two halves of more than 63 bits, each of which fits: their sum does not, and is kept."""
    half = 2**63 - 1
    folders = []
    for number in range(2):
        part = Collector()
        part.timeline(0, [(0,) * 10 + (half,)])
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        for name, log in (("requests", part.requests), ("bins", part.bins)):
            log.save(folders[-1] / name)
        part.gap_runs.as_runs().save(folders[-1] / "gaps")
    assert column(collect(folders).bins, "kv_token_ps") == [2 * half]


@given(st.permutations([2, 3, 7, 8, 20]))
def test_requests_with_given_numbers_are_stored_in_their_order(order: list[int]) -> None:
    """A part of a fleet has some of the requests, whose numbers are told as they are issued."""
    expected = deque([2, 3, 7, 8, 20])
    log = RequestLog(expected)
    for place, number in enumerate(order):
        log.add(row(number))
        assert log.row_count + log.waiting_row_count == place + 1
    assert column(log, "request_id") == [2, 3, 7, 8, 20]
    assert column(log, "outcome") == [1000 * number + 1 for number in (2, 3, 7, 8, 20)]
    assert (log.waiting_row_count, len(expected)) == (0, 0)


def test_the_number_that_is_expected_is_not_waited_for() -> None:
    log = RequestLog(deque([4, 6, 9]))
    for number, stored in ((6, 0), (4, 2), (9, 3)):
        log.add(row(number))
        assert log.row_count == stored


def test_a_collector_without_a_listener_tells_nobody() -> None:
    Collector().progress(5)
