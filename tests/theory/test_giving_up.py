"""Requests given up on static slots: what they leave behind, every number computed by hand."""

from collections.abc import Iterator
from dataclasses import dataclass

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.serving import replay
from rack_sim.metrics.log import Collector
from rack_sim.workload.request import Request

# Four slots of one row, 100 ps apart: a token every 400 ps.
TIMING = SlotTiming(1, 4, 100, 350, context_tokens=64, kv_tokens=64)


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


def run(timeout_ps, requests, *, timing=TIMING, order="fcfs"):
    collector = Collector()
    fleet = FleetPlan(
        timing,
        StaticSlotsPolicy(kv_reservation="request"),
        admission=Admission(order=order, timeout_ps=timeout_ps),
    )
    totals = replay(fleet, Listed(requests), collector, bin_ps=1)
    (chunk,) = collector.requests.chunks()
    columns = [chunk[name].tolist() for name in collector.requests.columns]
    rows = [
        dict(zip(collector.requests.columns, cells, strict=True))
        for cells in zip(*columns, strict=True)
    ]
    bins = {name: [] for name in ("prompt_tokens", "output_tokens", "running_ps", "kv_token_ps")}
    for chunk in collector.bins.chunks():
        for name in bins:
            bins[name] += chunk[name].tolist()
    return totals, rows, bins, collector


def times(counts):
    """The instants (bins of a picosecond) at which something was counted."""
    return [at for at, count in enumerate(counts) for _ in range(count)]


def test_a_decoding_sequence_keeps_the_rows_that_entered():
    """Rows at 0, 400 and 800; given up at 1000: three tokens count, the last after the end."""
    totals, (row,), bins, collector = run(1000, [Request(0, 0, 1, 30)])
    assert row["outcome"] == Outcome.TIMED_OUT
    assert (row["first_token_ps"], row["finish_ps"]) == (350, -1)
    assert times(bins["output_tokens"]) == [350, 750, 1150]
    assert len(bins["output_tokens"]) == 1151  # and nothing of the tokens taken back is left
    assert sum(bins["running_ps"]) == 1000
    assert totals.end_ps == 1000
    assert totals.row_step_count == totals.busy_step_count == 3
    assert totals.replicas[0].output_tokens == 0, "of requests that finished"
    assert not list(collector.gap_runs.chunks())


def test_a_row_that_would_enter_at_that_picosecond_does_not():
    """Given up at 800, before slots enter: rows at 0 and 400 only."""
    totals, _, bins, _ = run(800, [Request(0, 0, 1, 30)])
    assert times(bins["output_tokens"]) == [350, 750]
    assert totals.row_step_count == 2


def test_the_last_token_comes_before_the_timeout_of_its_picosecond():
    """Finished at 750 with a timeout of 750; of 749 it is given up, and both rows stay used."""
    _, (row,), _, _ = run(750, [Request(0, 0, 1, 2)])
    assert (row["outcome"], row["finish_ps"]) == (Outcome.FINISHED, 750)
    totals, (row,), bins, _ = run(749, [Request(0, 0, 1, 2)])
    assert row["outcome"] == Outcome.TIMED_OUT
    assert times(bins["output_tokens"]) == [350, 750]
    assert totals.row_step_count == 2


def test_a_prompt_leaves_and_the_next_goes_on_from_there():
    """Request 0 uses entries 0 to 4, given up at 500; request 1 has entries 5 and 6."""
    totals, rows, bins, _ = run(500, [Request(0, 0, 20, 5), Request(1, 300, 2, 1)])
    assert rows[0]["outcome"] == Outcome.TIMED_OUT
    assert rows[0]["first_token_ps"] == rows[0]["prefill_end_ps"] == -1
    assert (rows[1]["prefill_start_ps"], rows[1]["prefill_end_ps"]) == (500, 600)
    # Timed out as well, at 800, its only row having entered: the token still comes.
    assert rows[1]["outcome"] == Outcome.TIMED_OUT
    assert times(bins["prompt_tokens"]) == [0, 100, 200, 300, 400, 500, 600]
    assert times(bins["output_tokens"]) == [950]
    assert totals.replicas[0].prompt_tokens == 7


def test_a_prompt_that_has_not_begun_never_began():
    """Arrived at 1 and given up at 99, before entry 1: no row, no start."""
    totals, (row,), bins, _ = run(98, [Request(0, 1, 3, 3)])
    assert row["prefill_start_ps"] == -1
    assert totals.row_step_count == 0 == sum(bins["prompt_tokens"])


def test_who_waits_behind_one_that_is_given_up_is_let_in():
    """Request 1 waits for 62 of 64 tokens, overtaken by request 2, which is more urgent.

    Request 3 waits behind it for 10, and has them when request 1 gives up.
    """
    requests = [
        Request(0, 0, 2, 2),
        Request(1, 1, 61, 1),
        Request(2, 2, 1, 9, priority=1),
        Request(3, 5, 1, 9),
    ]
    _, rows, _, _ = run(1500, requests, order="priority")
    assert [row["admitted_ps"] for row in rows] == [0, -1, 2, 1501]
    assert rows[0]["outcome"] == Outcome.FINISHED


def test_a_slot_of_two_rows_keeps_its_other_owner():
    """Two sequences own slot 0; one goes at 1000, the other's tokens are what they were."""
    timing = SlotTiming(2, 4, 100, 350, context_tokens=64, kv_tokens=64)
    requests = [Request(0, 0, 1, 30), Request(1, 0, 1, 2)]
    _, rows, bins, _ = run(1000, requests, timing=timing)
    assert [row["slot"] for row in rows] == [0, 0]
    assert rows[1]["finish_ps"] == 750
    assert times(bins["output_tokens"]) == [350, 350, 750, 750, 1150]
