"""Static slots with two programs against the recurrence of entry times, worked out by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.compiler.slots import BucketTiming, SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.policies.timetable import Timetable
from rack_sim.engine.serving import replay
from rack_sim.metrics.log import Collector
from rack_sim.workload.request import Request

# Two slots of one row. Small all around: 200 a revolution; large: 280; one of each: 110 + 130.
TIMING = SlotTiming(
    rows=1,
    slot_count=2,
    interval_ps=140,
    token_ps=230,
    context_tokens=64,
    kv_tokens=1000,
    buckets=(BucketTiming(4, 180, 170), BucketTiming(64, 240, 230)),
    separation_ps=((100, 110), (130, 140)),
)


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


def run(requests, timing=TIMING, timeout_ps=None):
    collector = Collector()
    policy = StaticSlotsPolicy(kv_reservation="request")
    fleet = FleetPlan(timing, policy, admission=Admission(timeout_ps=timeout_ps))
    totals = replay(fleet, Listed(requests), collector, bin_ps=10**6)
    (chunk,) = collector.requests.chunks()
    columns = [chunk[name].tolist() for name in collector.requests.columns]
    rows = [
        dict(zip(collector.requests.columns, cells, strict=True))
        for cells in zip(*columns, strict=True)
    ]
    gaps: dict[int, int] = {}
    for values, counts in collector.gap_runs.chunks():
        gaps |= dict(zip(values.tolist(), counts.tolist(), strict=True))
    return totals, rows, gaps


def test_a_sequence_grows_into_the_next_bucket():
    """Contexts 1 and 2 are the prompt, 3 and 4 still small, 5 to 7 large.

    Slot 1 enters at 100, 300, 500; then, large, at 600 + 110; slot 0, empty and small, 130 after;
    slot 1 again 110 after that, at 950, which is just when its own program has come round.
    """
    totals, (row,), gaps = run([Request(0, 0, 2, 6)])
    assert (row["prefill_start_ps"], row["prefill_end_ps"], row["slot"]) == (0, 100, 1)
    assert row["first_token_ps"] == 100 + 170
    # Tokens at 270, 470, 670, then 710 + 230 = 940, 1180, 1420.
    assert row["finish_ps"] == 1190 + 230
    assert gaps == {200: 2, 270: 1, 240: 2}
    assert totals.busy_step_count == 7
    assert totals.replicas[0].busy_ps == 4 * 100 + 3 * 140


def test_a_long_neighbour_makes_everybody_s_revolution_longer():
    """Request 0 is large from entry 4 (at 410) on and comes every 240; so does slot 1, at 540.

    Request 1 has entry 7 there, at 780, small: its tokens are 240 apart.
    """
    _, rows, gaps = run([Request(0, 0, 5, 30), Request(1, 541, 1, 3)])
    assert rows[0]["first_token_ps"] == 410 + 230
    assert rows[0]["finish_ps"] == 410 + 29 * 240 + 230
    assert (rows[1]["prefill_end_ps"], rows[1]["slot"]) == (780, 1)
    assert rows[1]["finish_ps"] == 780 + 2 * 240 + 170
    assert gaps == {240: 29 + 2}


def test_two_long_ones_come_as_far_apart_as_their_own_interval():
    """Request 0 has slot 0 from 410 on, large; request 1 prompts in slot 1 from entry 5 on.

    240 a revolution until entry 13 (slot 1) is large too, at 1370 + 140; then 280, above the
    latency of 240, until entry 71, which is the last of request 1; then 240 again.
    """
    _, rows, gaps = run([Request(0, 0, 5, 40), Request(1, 0, 5, 30)])
    assert (rows[1]["prefill_start_ps"], rows[1]["prefill_end_ps"]) == (540, 1510)
    assert rows[1]["finish_ps"] == 1510 + 29 * 280 + 230
    # Request 0 sends in entries 4, 6, … 82: four gaps up to entry 12, five after entry 72.
    assert gaps == {240: 4 + 5, 280: 30 + 29}


def test_a_slot_waits_for_its_own_program_to_come_round():
    """Slots 10 apart, but 300 until the token is back: the revolution is the latency."""
    timing = SlotTiming(
        rows=1,
        slot_count=3,
        interval_ps=10,
        token_ps=490,
        context_tokens=64,
        kv_tokens=64,
        buckets=(BucketTiming(4, 300, 290), BucketTiming(64, 500, 490)),
        separation_ps=((10, 10), (210, 10)),
    )
    _, (row,), gaps = run([Request(0, 5, 1, 4)], timing)
    assert (row["prefill_end_ps"], row["slot"]) == (10, 1)
    assert gaps == {300: 3}
    assert row["finish_ps"] == 10 + 290 + 3 * 300


@pytest.mark.parametrize(
    ("timeout_ps", "entry_ps"), [(639, 640), (640, 640), (645, 645), (649, 649), (651, 780)]
)
def test_the_time_of_an_entry_follows_what_goes_in(timeout_ps, entry_ps):
    """Entry 6 comes large at 540 + 110; if its sequence is given up before, small at 540 + 100.

    But never before the instant at which that happens. Once it has entered, the prompt that came at
    600 has entry 7, at 650 + 130.
    """
    timing = replace(TIMING, buckets=(BucketTiming(4, 180, 170), BucketTiming(64, 180, 175)))
    requests = [Request(0, 0, 5, 30), Request(1, 600, 1, 1)]
    _, rows, _ = run(requests, timing, timeout_ps=timeout_ps)
    assert rows[1]["prefill_end_ps"] == entry_ps


@given(
    slots=st.integers(1, 6),
    latency=st.lists(st.integers(1, 300), min_size=3, max_size=3),
    separation=st.lists(
        st.lists(st.integers(1, 60), min_size=3, max_size=3), min_size=3, max_size=3
    ),
    phases=st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), min_size=6, max_size=6),
            st.integers(1, 60),
            st.integers(0, 300),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_a_timetable_is_its_recurrence(slots, latency, separation, phases):
    """Phase after phase: every entry's time, and the first entry after any instant."""
    table = Timetable(slots, latency, separation)
    times, programs = [], []
    for buckets, length, late_ps in phases:
        first = len(times)
        floor = times[-1] + late_ps if times else 0
        table.begin(first, buckets[:slots], None, floor)
        for entry in range(first, first + length):
            bucket = buckets[entry % slots]
            at = floor if entry == first else 0
            if entry:
                at = max(at, times[-1] + separation[programs[-1]][bucket])
            if entry >= slots:
                at = max(at, times[-slots] + latency[programs[-slots]])
            times.append(at)
            programs.append(bucket)
            assert table.time(entry) == at
            assert table.entry_at(at) == entry
            assert table.entry_at(at + 1) == entry + 1
        table.leave(first, len(times))
