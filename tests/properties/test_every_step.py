"""Skipping from decision to decision gives what walking through every step gives."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import FleetPlan, StaticSlotsPolicy
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.serving import ReplayTotals, replay
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Empirical
from rack_sim.workload.request import Request, Source, Workload


@dataclass
class Recording:
    """An observer that keeps everything."""

    ended: list[object] = field(default_factory=list)
    gaps_ps: Counter[int] = field(default_factory=Counter)
    bins: list[tuple[int, ...]] = field(default_factory=list)

    def finished(self, sequence: Sequence) -> None:
        s = sequence
        times = (s.admitted_ps, s.prefill_start_ps, s.prefill_end_ps, s.first_token_ps, s.finish_ps)
        self.ended.append((s.request, s.slot, s.replica, times))

    def turned_away(self, sequence: Sequence, outcome: Outcome) -> None:
        self.ended.append((sequence.request, outcome))

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
def slot_timings(draw: st.DrawFn) -> SlotTiming:
    slots = draw(st.integers(1, 7))
    interval = draw(st.integers(1, 50))
    return SlotTiming(
        rows=draw(st.integers(1, 4)),
        slot_count=slots,
        interval_ps=interval,
        token_ps=draw(st.integers(1, slots * interval)),
        context_tokens=draw(st.integers(2, 40)),
        kv_tokens=draw(st.integers(2, 600)),
    )


@st.composite
def listed(draw: st.DrawFn) -> GivenRequests:
    # Short gaps keep the slots full, which is where the closed forms have most to get right.
    longest_gap = draw(st.sampled_from([20, 100, 400]))
    gaps = draw(st.lists(st.integers(0, longest_gap), min_size=1, max_size=40))
    requests, now = [], 0
    for number, gap in enumerate(gaps):
        now += gap
        requests.append(Request(number, now, draw(st.integers(1, 12)), draw(st.integers(1, 20))))
    return GivenRequests(tuple(requests))


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
    timing: SlotTiming, workload: Workload, policy: StaticSlotsPolicy, bin_ps: int, *, every: bool
) -> tuple[ReplayTotals, Recording]:
    recording = Recording()
    totals = replay(FleetPlan(timing, policy), workload, recording, bin_ps=bin_ps, every_step=every)
    return totals, recording


@settings(max_examples=600, deadline=None)
@given(
    timing=slot_timings(),
    workload=st.one_of(listed(), closed),
    reservation=st.sampled_from(["max_context", "request"]),
    bin_ps=st.integers(1, 5000),
)
def test_skipping_equals_stepping(timing, workload, reservation, bin_ps):
    policy = StaticSlotsPolicy(kv_reservation=reservation)
    skipped_totals, skipped = run(timing, workload, policy, bin_ps, every=False)
    walked_totals, walked = run(timing, workload, policy, bin_ps, every=True)
    assert skipped_totals == walked_totals
    assert skipped.ended == walked.ended
    assert skipped.gaps_ps == walked.gaps_ps
    assert skipped.bins == walked.bins
