"""Skipping from decision to decision gives what walking through every step gives."""

import itertools
import os
from collections import Counter
from dataclasses import astuple, dataclass, field, replace
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.compiler.slots import BucketTiming, SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.phased_slots import PhasedSlots
from rack_sim.engine.policies.prefix_cache import PrefixCaching
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.policies.slot_server import SlotPriority
from rack_sim.engine.routers import ROUTERS
from rack_sim.engine.serving import ReplayTotals, replay
from rack_sim.engine.speculation import Speculation
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Empirical
from rack_sim.workload.request import Request, Source, Workload

BLOCK_TOKENS = 2
# Of each kind of slots; more of them in a long run: RACK_SIM_EXAMPLES=5000 pytest …
EXAMPLES = int(os.environ.get("RACK_SIM_EXAMPLES", "150"))


@dataclass
class Recording:
    """An observer that keeps everything."""

    ended: list[object] = field(default_factory=list)
    gaps_ps: Counter[int] = field(default_factory=Counter)
    bins: list[tuple[int, ...]] = field(default_factory=list)

    def finished(self, sequence: Sequence) -> None:
        self._ended(sequence, Outcome.FINISHED)

    def turned_away(self, sequence: Sequence, outcome: Outcome) -> None:
        self._ended(sequence, outcome)

    def _ended(self, sequence: Sequence, outcome: Outcome) -> None:
        self.ended.append((outcome, astuple(sequence)))

    def gaps(self, first_ps: int, step_ps: int, count: int, weight: int) -> None:
        for number in range(count):
            self.gaps_ps[first_ps + number * step_ps] += weight

    def timeline(self, first_bin: int, rows: list[tuple[int, ...]]) -> None:
        assert first_bin == len(self.bins), "bins come in order, none missing"
        self.bins += rows

    def progress(self, now_ps: int) -> None:
        pass


@dataclass(frozen=True)
class GivenRequests:
    """A workload of listed requests."""

    requests: tuple[Request, ...]
    request_count: int | None = None
    description: str = "listed"

    def open(self) -> Source:
        return _GivenSource(self.requests)


@dataclass
class _GivenSource:
    requests: tuple[Request, ...]

    def arrivals(self):
        return iter(self.requests)

    def follow_up(self, request: Request, finish_ps: int) -> Request | None:
        return None


@st.composite
def slot_timings(draw: st.DrawFn, *, buckets: bool) -> SlotTiming:
    slots = draw(st.integers(1, 7))
    interval = draw(st.integers(1, 50))
    timing = SlotTiming(
        rows=draw(st.integers(1, 4)),
        slot_count=slots,
        interval_ps=interval,
        token_ps=draw(st.integers(1, slots * interval)),
        context_tokens=draw(st.integers(2, 40)),
        kv_tokens=draw(st.integers(2, 600)),
    )
    return draw(bucketed(timing)) if buckets else timing


@st.composite
def bucketed(draw: st.DrawFn, timing: SlotTiming) -> SlotTiming:
    """Several programs whose times have nothing to do with each other, but keep tokens in order."""
    last = timing.context_tokens
    bounds = sorted({*draw(st.lists(st.integers(1, last), max_size=3)), last})
    # Latencies near each other, and near what a revolution takes, make the longest transients.
    longest = draw(st.sampled_from([60, 400]))
    latencies = [draw(st.integers(1, longest)) for _ in bounds]
    tokens = [draw(st.integers(1, latency)) for latency in latencies]
    separations = tuple(
        tuple(max(draw(st.integers(1, 60)), before - after + 1) for after in tokens)
        for before in tokens
    )
    return replace(
        timing,
        interval_ps=separations[-1][-1],
        buckets=tuple(map(BucketTiming, bounds, latencies, tokens)),
        separation_ps=separations,
    )


@st.composite
def listed(draw: st.DrawFn) -> GivenRequests:
    # Short gaps keep the slots full, which is where the closed forms have most to get right.
    longest_gap = draw(st.sampled_from([20, 100, 400]))
    gaps = draw(st.lists(st.integers(0, longest_gap), min_size=1, max_size=40))
    requests, now = [], 0
    for number, gap in enumerate(gaps):
        now += gap
        tokens = draw(st.integers(1, 12))
        # Few names, so that prompts begin alike.
        names = itertools.accumulate(
            draw(st.lists(st.integers(0, 1), min_size=12, max_size=12)), lambda a, b: 2 * a + b + 1
        )
        requests.append(
            Request(
                number,
                now,
                tokens,
                draw(st.integers(1, 20)),
                block_hashes=tuple(names)[: -(-tokens // BLOCK_TOKENS)],
                session=draw(st.integers(0, 4)),
                priority=draw(st.integers(0, 2)),
            )
        )
    return GivenRequests(tuple(requests))


@st.composite
def fleets(draw: st.DrawFn, *, named: bool, buckets: bool, priority: SlotPriority) -> FleetPlan:
    # Sessions and blocks have names in listed workloads only.
    caching = PrefixCaching(BLOCK_TOKENS, draw(st.integers(1, 20)))
    timing, speculation = draw(slot_timings(buckets=buckets)), None
    if draw(st.booleans()):
        rates = draw(st.lists(st.sampled_from([0.0, 0.3, 0.8, 1.0]), min_size=1, max_size=3))
        speculation = Speculation(tuple(rates), seed=draw(st.integers(0, 3)))
        seat = len(rates) + 1
        # Rows that are not enough for one more seat stay empty.
        rows = timing.rows * seat + draw(st.integers(0, seat - 1))
        timing = replace(timing, rows=rows, rows_per_sequence=seat)
    return FleetPlan(
        timing=timing,
        speculation=speculation,
        policy=StaticSlotsPolicy(
            kv_reservation=draw(st.sampled_from(["max_context", "request"])),
            priority=priority,
        ),
        replica_count=draw(st.integers(1, 3)),
        router=draw(
            st.sampled_from(sorted(ROUTERS if named else ROUTERS.keys() - {"session_affinity"}))
        ),
        admission=Admission(
            order=draw(st.sampled_from(["fcfs", "priority"])),
            queue_limit=draw(st.one_of(st.none(), st.integers(0, 5))),
            timeout_ps=draw(st.one_of(st.none(), st.integers(0, 3000))),
            prefix_caching=caching if named and draw(st.booleans()) else None,
        ),
        seed=draw(st.integers(0, 3)),
    )


closed = st.builds(
    ClosedLoopWorkload,
    users=st.integers(1, 6),
    think_time_ps=st.integers(0, 300),
    input_lengths=st.just(Empirical(((0.0, 1), (1.0, 25)))),
    output_lengths=st.just(Empirical(((0.0, 1), (1.0, 18)))),
    seed=st.integers(0, 1000),
    request_count=st.integers(1, 25),
)


def run(
    fleet: FleetPlan, workload: Workload, bin_ps: int, *, every: bool
) -> tuple[ReplayTotals, Recording]:
    recording = Recording()
    totals = replay(fleet, workload, recording, bin_ps=bin_ps, every_step=every)
    return totals, recording


@pytest.mark.parametrize("priority", ["decode", "prefill"])
@pytest.mark.parametrize("buckets", [False, True], ids=["one program", "buckets"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data(), bin_ps=st.integers(1, 5000))
def test_skipping_equals_stepping(buckets, priority, data, bin_ps):
    workload = data.draw(listed() | closed)
    named = isinstance(workload, GivenRequests)
    fleet = data.draw(fleets(named=named, buckets=buckets, priority=priority))
    walked = run(fleet, workload, bin_ps, every=True)
    assert run(fleet, workload, bin_ps, every=False) == walked
    # The engine for unequal turns must do for equal ones too.
    if not fleet.timing.buckets:
        with patch.object(StaticSlotsPolicy, "engine", lambda *_, **__: PhasedSlots):
            assert run(fleet, workload, bin_ps, every=False) == walked
        # So must one bucket that covers everything, with the revolution for a latency.
        timing = fleet.timing
        bucket = BucketTiming(timing.context_tokens, timing.revolution_ps, timing.token_ps)
        alone = replace(timing, buckets=(bucket,), separation_ps=((timing.interval_ps,),))
        fleet = replace(fleet, timing=alone)
        assert run(fleet, workload, bin_ps, every=False) == walked
        assert run(fleet, workload, bin_ps, every=True) == walked
