"""Speculative decoding on static slots: what a draft is worth, by hand and by its formula."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.serving import replay
from rack_sim.engine.speculation import Speculation
from rack_sim.foundation.errors import InputError
from rack_sim.metrics.log import Collector
from rack_sim.workload.request import Request

# Four slots of two seats of three rows each, 100 ps apart.
TIMING = SlotTiming(6, 4, 100, 350, context_tokens=2000, kv_tokens=10**6, rows_per_sequence=3)
ALWAYS, NEVER = Speculation((1.0, 1.0)), Speculation((0.0, 0.0))


@dataclass(frozen=True)
class Listed:
    """A workload of listed requests."""

    requests: list[Request]
    request_count: int | None = None
    description: str = "listed"

    def open(self) -> "Listed":
        return self

    def arrivals(self) -> Iterator[Request]:
        return iter(self.requests)

    def follow_up(self, request: Request, finish_ps: int) -> None:
        return None


def run(speculation, requests, *, timing=TIMING, timeout_ps=None, priority="decode"):
    collector = Collector()
    fleet = FleetPlan(
        timing,
        StaticSlotsPolicy(kv_reservation="request", priority=priority),
        admission=Admission(timeout_ps=timeout_ps),
        speculation=speculation,
    )
    totals = replay(fleet, Listed(requests), collector, bin_ps=1)
    (chunk,) = collector.requests.chunks()
    columns = [chunk[name].tolist() for name in collector.requests.columns]
    rows = [
        dict(zip(collector.requests.columns, cells, strict=True))
        for cells in zip(*columns, strict=True)
    ]
    gaps: dict[int, int] = {}
    for values, counts in collector.gap_runs.chunks():
        gaps |= dict(zip(values.tolist(), counts.tolist(), strict=True))
    output = [n for part in collector.bins.chunks() for n in part["output_tokens"].tolist()]
    return totals, rows, gaps, {at: n for at, n in enumerate(output) if n}


@pytest.mark.parametrize("priority", ["decode", "prefill"])
def test_a_draft_that_is_always_right(priority):
    """Ten tokens: the first at 350, then three a revolution. Three turns, six tokens accepted."""
    totals, (row,), gaps, output = run(ALWAYS, [Request(0, 0, 1, 10)], priority=priority)
    assert output == {350: 1, 750: 3, 1150: 3, 1550: 3}
    assert row["finish_ps"] == 1550
    assert row["accepted_draft_tokens"] == 6
    assert gaps == {400: 3, 0: 6}
    assert totals.row_step_count == 1 + 3 * 3
    books = totals.replicas[0]
    assert (books.draft_tokens, books.accepted_draft_tokens) == (6, 6)


def test_the_last_turn_is_cut_to_what_is_wanted():
    """Nine tokens take as many turns as ten; one of those that were kept is not wanted."""
    totals, (row,), gaps, output = run(ALWAYS, [Request(0, 0, 1, 9)])
    assert output == {350: 1, 750: 3, 1150: 3, 1550: 2}
    assert row["accepted_draft_tokens"] == 5
    assert gaps == {400: 3, 0: 5}
    assert totals.replicas[0].draft_tokens == 6


def test_a_draft_that_is_never_right_takes_rows_and_gives_nothing():
    """The times are those of one row a sequence; of the rows, three times as many are used."""
    totals, (row,), gaps, _ = run(NEVER, [Request(0, 0, 1, 10)])
    alone = replace(TIMING, rows=2, rows_per_sequence=1)
    plain, (plain_row,), plain_gaps, _ = run(None, [Request(0, 0, 1, 10)], timing=alone)
    assert row == plain_row
    assert gaps == plain_gaps == {400: 9}
    assert totals.row_step_count == 1 + 9 * 3
    assert plain.row_step_count == 1 + 9


@pytest.mark.parametrize("inputs", [1, 3, 4, 6, 7, 13])
def test_a_prompt_fills_seats(inputs):
    """Two seats a slot, three tokens a seat: n tokens take ceil(n / 6) slots on an empty machine.

    The next prompt has the seat after: the last is not shared, be it full or not.
    """
    seats = -(-inputs // 3)
    _, rows, _, _ = run(ALWAYS, [Request(0, 0, inputs, 1), Request(1, 0, 1, 1)])
    assert rows[0]["prefill_end_ps"] == (seats - 1) // 2 * 100
    # An entry's second seat, or the first of the next entry.
    assert rows[1]["prefill_end_ps"] == seats // 2 * 100


def test_given_up_between_turns():
    """Turns at 400 and 800, given up at 900: seven tokens, four of them the draft's."""
    totals, (row,), _, output = run(ALWAYS, [Request(0, 0, 1, 100)], timeout_ps=900)
    assert output == {350: 1, 750: 3, 1150: 3}
    assert row["accepted_draft_tokens"] == 4
    books = totals.replicas[0]
    assert (books.output_tokens, books.draft_tokens) == (0, 4), "of requests that finished"
    assert totals.row_step_count == 1 + 2 * 3


def test_tokens_a_turn_are_the_geometric_sum():
    """With one rate a for k positions a turn makes (1 - a^(k+1)) / (1 - a) tokens on average.

    (Leviathan, Kalman, Matias, 2023.) Over n turns the mean is within four standard errors; a
    turn's tokens lie between 1 and 3, so their standard deviation is at most 1.
    """
    rate, draft = 0.7, 2
    requests = [Request(number, 0, 1, 1001) for number in range(8)]
    totals, rows, gaps, _ = run(Speculation((rate,) * draft, seed=5), requests)
    turns = gaps[400]
    assert turns == totals.replicas[0].draft_tokens // draft
    assert sum(row["accepted_draft_tokens"] for row in rows) == 8 * 1000 - turns
    expected = (1 - rate ** (draft + 1)) / (1 - rate)
    assert abs(8 * 1000 / turns - expected) < 4 / turns**0.5


def test_a_seat_must_hold_the_draft():
    with pytest.raises(InputError, match="a seat of 3 rows does not hold"):
        run(Speculation((0.5,)), [Request(0, 0, 1, 1)])
    with pytest.raises(InputError, match="no room for a seat of 3"):
        run(ALWAYS, [Request(0, 0, 1, 1)], timing=replace(TIMING, rows=2))
