"""Serving on static slots against formulas: every asserted time is computed here, by hand."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.serving import replay
from rack_sim.foundation.errors import InputError
from rack_sim.metrics.log import Collector
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Fixed
from rack_sim.workload.request import Request

TIMING = SlotTiming(
    rows=1, slot_count=10, interval_ps=100, token_ps=950, context_tokens=64, kv_tokens=640
)
POLICY = StaticSlotsPolicy()


@dataclass
class Listed:
    """A workload of listed requests."""

    requests: list[Request]
    request_count: int | None = None
    description: str = "listed"
    finished: list[int] = field(default_factory=list)

    def open(self) -> "Listed":
        return self

    def arrivals(self) -> Iterator[Request]:
        return iter(self.requests)

    def follow_up(self, request: Request, finish_ps: int) -> Request | None:
        self.finished.append(request.request_id)
        return None


def run(timing, requests, *, policy=POLICY, bin_ps=10**6):
    collector = Collector()
    totals = replay(FleetPlan(timing, policy), Listed(requests), collector, bin_ps=bin_ps)
    rows = []
    for chunk in collector.requests.chunks():
        columns = [chunk[name].tolist() for name in collector.requests.columns]
        rows += [
            dict(zip(collector.requests.columns, cells, strict=True))
            for cells in zip(*columns, strict=True)
        ]
    return totals, rows, collector


@pytest.mark.parametrize("arrival_ps", [0, 1, 99, 100, 12_345])
@pytest.mark.parametrize("rows", [1, 3, 4])
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 7, 29])
@pytest.mark.parametrize("outputs", [1, 2, 20])
def test_one_request_on_an_empty_pipeline(arrival_ps, rows, inputs, outputs):
    """A prompt of n tokens takes ceil(n / rows) slots in a row, each token one revolution."""
    timing = SlotTiming(
        rows=rows, slot_count=10, interval_ps=100, token_ps=950, context_tokens=64, kv_tokens=64
    )
    _, (row,), _ = run(timing, [Request(0, arrival_ps, inputs, outputs)])
    start = -(-arrival_ps // 100) * 100
    end = start + (-(-inputs // rows) - 1) * 100
    assert row["prefill_start_ps"] == start
    assert row["prefill_end_ps"] == end
    assert row["first_token_ps"] == end + 950
    assert row["finish_ps"] == end + 950 + (outputs - 1) * 1000
    assert row["slot"] == end // 100 % 10


def test_a_decoding_neighbour_changes_nothing_but_the_rows_left():
    """Slot 0 is taken by the first request, so a prompt of 10 tokens needs 11 slots."""
    requests = [Request(0, 0, 1, 50), Request(1, 1, 10, 2)]
    _, (first, second), _ = run(TIMING, requests)
    assert first["finish_ps"] == 950 + 49 * 1000
    assert second["prefill_start_ps"] == 100
    assert second["prefill_end_ps"] == 1100  # entries 1..9, then 11: entry 10 is the neighbour's
    assert second["finish_ps"] == 1100 + 950 + 1000


def test_prompts_are_served_one_after_the_other():
    """First come, first served: the second prompt starts in the slot after the first's last."""
    requests = [Request(number, 0, 5, 1) for number in range(4)]
    _, rows, _ = run(TIMING, requests)
    assert [row["prefill_start_ps"] for row in rows] == [0, 500, 1000, 1500]


def test_cache_is_the_limit_and_order_is_kept():
    """Room for 64 tokens: of three requests of 40 each, one runs at a time, in order."""
    timing = SlotTiming(1, 10, 100, 950, context_tokens=64, kv_tokens=64)
    policy = StaticSlotsPolicy(kv_reservation="request")
    requests = [Request(number, 0, 30, 10) for number in range(3)]
    _, rows, _ = run(timing, requests, policy=policy)
    for before, after in pairwise(rows):
        assert after["admitted_ps"] == before["finish_ps"]


def test_a_short_request_does_not_overtake_a_long_one_that_waits():
    """Admission is in order of arrival even where a later request would fit."""
    timing = SlotTiming(1, 10, 100, 950, context_tokens=64, kv_tokens=64)
    policy = StaticSlotsPolicy(kv_reservation="request")
    requests = [Request(0, 0, 30, 20), Request(1, 0, 50, 5), Request(2, 0, 2, 2)]
    _, rows, _ = run(timing, requests, policy=policy)
    assert rows[1]["admitted_ps"] == rows[0]["finish_ps"]
    assert rows[2]["admitted_ps"] >= rows[1]["admitted_ps"]


def test_too_long_is_rejected_and_counted():
    """65 tokens do not fit a context of 64; 64 do."""
    _, rows, collector = run(TIMING, [Request(0, 0, 60, 5), Request(1, 0, 60, 4)])
    assert [row["outcome"] for row in rows] == [Outcome.REJECTED_CONTEXT, Outcome.FINISHED]
    assert sum(int(chunk["rejected"].sum()) for chunk in collector.bins.chunks()) == 1


def test_a_reservation_beyond_the_cache_is_rejected_not_waited_for():
    """A whole context of 64 tokens cannot be reserved of 63."""
    timing = SlotTiming(1, 10, 100, 950, context_tokens=64, kv_tokens=63)
    _, rows, _ = run(timing, [Request(0, 0, 5, 5)])
    assert rows[0]["outcome"] == Outcome.REJECTED_KV


def busy_workload(count: int = 400) -> list[Request]:
    """Requests that keep ten slots of two rows nearly full, drawn once."""
    draw = random.Random(7)
    now, requests = 0, []
    for number in range(count):
        now += draw.randrange(0, 1500)
        requests.append(Request(number, now, draw.randrange(1, 20), draw.randrange(1, 20)))
    return requests


BUSY = SlotTiming(2, 10, 100, 950, context_tokens=64, kv_tokens=300)


@pytest.mark.parametrize("reservation", ["max_context", "request"])
def test_littles_law_is_exact_over_a_whole_run(reservation):
    """The integral of requests in the system is the sum of their residence times, to the ps."""
    policy = StaticSlotsPolicy(kv_reservation=reservation)
    _, rows, collector = run(BUSY, busy_workload(), policy=policy, bin_ps=3_333)
    integral = sum(
        int(chunk["waiting_ps"].sum() + chunk["running_ps"].sum())
        for chunk in collector.bins.chunks()
    )
    assert integral == sum(row["finish_ps"] - row["arrival_ps"] for row in rows)


def test_tokens_balance_and_no_slot_holds_more_than_its_rows():
    """Timeline tokens are the requests' tokens; at every entry at most `rows` rows are in use."""
    requests = busy_workload()
    totals, rows, collector = run(BUSY, requests, bin_ps=10**9)
    sums = {
        name: sum(int(chunk[name].sum()) for chunk in collector.bins.chunks())
        for name in ("prompt_tokens", "output_tokens", "finished", "arrived")
    }
    assert sums["prompt_tokens"] == sum(request.input_tokens for request in requests)
    assert sums["output_tokens"] == sum(request.output_tokens for request in requests)
    assert sums["finished"] == sums["arrived"] == len(requests)
    assert totals.row_step_count == sums["prompt_tokens"] + sums["output_tokens"] - len(requests)
    decoding: dict[int, int] = {}
    for row in rows:
        first = row["prefill_end_ps"] // 100
        for token in range(row["output_tokens"]):
            entry = first + token * 10
            decoding[entry] = decoding.get(entry, 0) + 1
    assert max(decoding.values()) <= BUSY.rows
    assert totals.busy_step_count <= totals.row_step_count <= totals.busy_step_count * BUSY.rows


def test_saturation_is_rows_over_interval():
    """With more users than rows, steps are never idle: rows per second reach rows / interval.

    Before the first entry and while the pipeline fills and drains, at most one revolution and the
    last request's stay are lost; the bound counts them.
    """
    timing = SlotTiming(2, 10, 100, 950, context_tokens=64, kv_tokens=64 * 100)
    workload = ClosedLoopWorkload(
        users=60,
        think_time_ps=0,
        input_lengths=Fixed(8),
        output_lengths=Fixed(8),
        seed=1,
        request_count=3000,
    )
    collector = Collector()
    totals = replay(FleetPlan(timing, POLICY), workload, collector, bin_ps=10**6)
    possible = totals.end_ps // timing.interval_ps * timing.rows
    stay_ps = 8 * timing.revolution_ps + 8 * timing.interval_ps + timing.token_ps
    lost = (stay_ps + timing.revolution_ps) // timing.interval_ps * timing.rows
    assert totals.row_step_count <= possible
    assert totals.row_step_count >= possible - lost


def test_the_closed_loop_law():
    """N users, response time R and think time Z: throughput X = N / (R + Z).

    On an uncontended pipeline (one user) the response time is known: X is exact up to the wait for
    the next slot entry, at most one interval in a cycle.
    """
    think = 12_300
    workload = ClosedLoopWorkload(
        users=1,
        think_time_ps=think,
        input_lengths=Fixed(10),
        output_lengths=Fixed(5),
        seed=1,
        request_count=200,
    )
    collector = Collector()
    totals = replay(FleetPlan(TIMING, POLICY), workload, collector, bin_ps=10**6)
    response = 9 * 100 + 950 + 4 * 1000
    cycles = 200
    shortest = cycles * response + (cycles - 1) * think
    assert shortest <= totals.end_ps <= shortest + cycles * TIMING.interval_ps


def test_more_cache_is_never_worse():
    """Under first come, first served every request is admitted no later with a larger cache."""
    requests = busy_workload()
    policy = StaticSlotsPolicy(kv_reservation="request")
    admitted = []
    for kv_tokens in (80, 160, 320, 10_000):
        timing = SlotTiming(2, 10, 100, 950, context_tokens=64, kv_tokens=kv_tokens)
        _, rows, _ = run(timing, requests, policy=policy)
        admitted.append(sum(row["admitted_ps"] - row["arrival_ps"] for row in rows))
    assert admitted == sorted(admitted, reverse=True)
    assert admitted[-1] < admitted[0]


def test_a_time_that_cannot_be_stored_is_refused():
    """106 days of picoseconds are 64 bits; an arrival that late is bad input, not our bug."""
    with pytest.raises(InputError, match="arrives"):
        run(TIMING, [Request(0, 93 * 86_400 * 10**12, 1, 1)])


def test_a_long_silence_keeps_its_bins_and_no_list_of_them():
    """A day between two requests: every bin is there, handed on in pieces."""
    day_ps = 86_400 * 10**12
    _, rows, collector = run(TIMING, [Request(0, 0, 1, 1), Request(1, day_ps, 1, 1)], bin_ps=10**12)
    assert len(rows) == 2
    assert collector.bins.row_count == 86_401
