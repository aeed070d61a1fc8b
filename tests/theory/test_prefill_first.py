"""Static slots with prompts first against formulas: every asserted time is computed by hand."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.serving import replay
from rack_sim.metrics.log import Collector
from rack_sim.workload.request import Request

POLICY = StaticSlotsPolicy(kv_reservation="request", priority="prefill")
# Four slots, 100 ps apart: a token every 400 ps.
ONE_ROW = SlotTiming(1, 4, 100, 350, context_tokens=200, kv_tokens=1000)
TWO_ROWS = SlotTiming(2, 4, 100, 350, context_tokens=200, kv_tokens=1000)


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


def run(timing, requests, policy=POLICY):
    collector = Collector()
    totals = replay(FleetPlan(timing, policy), Listed(requests), collector, bin_ps=1)
    (chunk,) = collector.requests.chunks()
    columns = [chunk[name].tolist() for name in collector.requests.columns]
    rows = [
        dict(zip(collector.requests.columns, cells, strict=True))
        for cells in zip(*columns, strict=True)
    ]
    gaps: dict[int, int] = {}
    for values, counts in collector.gap_runs.chunks():
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            gaps[value] = gaps.get(value, 0) + count
    output = [n for part in collector.bins.chunks() for n in part["output_tokens"].tolist()]
    return totals, rows, gaps, [at for at, n in enumerate(output) for _ in range(n)]


def test_alone_it_is_what_decode_first_is():
    """One request at a time: nobody's row is taken."""
    requests = [Request(0, 0, 7, 5), Request(1, 10_000, 3, 1), Request(2, 20_000, 1, 9)]
    first = run(ONE_ROW, requests)
    second = run(ONE_ROW, requests, StaticSlotsPolicy(kv_reservation="request"))
    assert first == second


def test_a_prompt_takes_the_row_of_a_decoding_sequence():
    """Request 0 owns slot 0 and sends at 0 and 400; entries 5 to 14 are a prompt of ten tokens.

    So it skips 800 and 1200, and sends at 1600 and 2000: one gap of three revolutions. The prompt,
    done at 1400 in slot 2, sends at 1400 and 1800.
    """
    totals, rows, gaps, tokens = run(ONE_ROW, [Request(0, 0, 1, 4), Request(1, 450, 10, 2)])
    assert (rows[1]["prefill_start_ps"], rows[1]["prefill_end_ps"]) == (500, 1400)
    assert rows[0]["finish_ps"] == 2000 + 350
    assert rows[1]["finish_ps"] == 1800 + 350
    assert tokens == [at + 350 for at in (0, 400, 1400, 1600, 1800, 2000)]
    assert gaps == {400: 3, 1200: 1}
    assert totals.row_step_count == totals.busy_step_count == 1 + 10 + 3 + 1


@pytest.mark.parametrize("inputs", [1, 2, 7, 30])
def test_a_prompt_waits_for_nobody(inputs):
    """With three of four slots owned (the fourth row is for itself), n tokens take n entries."""
    requests = [Request(number, 0, 1, 150) for number in range(3)]
    _, rows, _, _ = run(ONE_ROW, [*requests, Request(3, 801, inputs, 1)])
    assert rows[3]["prefill_start_ps"] == 900
    assert rows[3]["prefill_end_ps"] == 900 + (inputs - 1) * 100


def test_the_last_row_in_a_full_slot_leads_to_the_next_one_with_room():
    """Slots 0 to 2 are owned; a prompt ends at entry 8, in slot 0: it owns a row of slot 3.

    Its token of 800 is not back at entry 11 (1100), so its next turn is entry 15. Request 0, whose
    row of entry 8 was taken, goes on at 1200.
    """
    requests = [Request(number, 0, 1, 9) for number in range(3)]
    _, rows, gaps, tokens = run(ONE_ROW, [*requests, Request(3, 750, 1, 3)])
    assert [row["slot"] for row in rows] == [0, 1, 2, 3]
    assert rows[3]["first_token_ps"] == 800 + 350
    assert rows[3]["finish_ps"] == 1500 + 400 + 350
    assert rows[0]["finish_ps"] == 3200 + 400 + 350
    assert rows[1]["finish_ps"] == 100 + 3200 + 350
    assert gaps == {400: 7 + 8 + 8 + 1, 800: 1, 700: 1}
    assert len(tokens) == 3 * 9 + 3


def test_rows_that_prompts_leave_serve_the_earlier_owner():
    """Both rows of slot 0 are owned; a prompt of one token takes one of them at 800.

    Request 0 came to own its row first and is served; request 1 waits for 1200.
    """
    requests = [Request(0, 0, 1, 5), Request(1, 0, 1, 5), Request(2, 750, 1, 1)]
    _, rows, gaps, _ = run(TWO_ROWS, requests)
    assert [row["slot"] for row in rows] == [0, 0, 1]
    assert rows[0]["finish_ps"] == 1600 + 350
    assert rows[1]["finish_ps"] == 2000 + 350
    assert rows[2]["finish_ps"] == 800 + 350
    assert gaps == {400: 4 + 3, 800: 1}


def test_time_to_first_token_is_bought_with_gaps():
    """Where nobody waits for admission no prompt is done later than with decode first.

    No gap is less than a revolution, for the token must be back.
    """
    requests = [Request(n, 330 * n, 1 + 7 * n % 11, 1 + 5 * n % 13) for n in range(16)]
    timing = SlotTiming(2, 8, 100, 750, context_tokens=200, kv_tokens=10**6)
    _, prompts_first, gaps, _ = run(timing, requests)
    _, decode_first, even_gaps, _ = run(
        timing, requests, StaticSlotsPolicy(kv_reservation="request")
    )
    for a, b in zip(prompts_first, decode_first, strict=True):
        assert a["prefill_end_ps"] <= b["prefill_end_ps"]
    assert sum(gaps.values()) == sum(even_gaps.values())
    assert min(gaps) == 800 < max(gaps)
    assert set(even_gaps) == {800}
