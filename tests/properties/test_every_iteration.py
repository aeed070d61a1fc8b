"""Batches: skipping from decision to decision gives what walking through every iteration gives."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.compiler.batches import BatchTiming, DraftCost
from rack_sim.compiler.cache_blocks import CacheBlocks, WindowBlocks
from rack_sim.engine.fleet import Disaggregation, FleetPlan
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.engine.policies.prefix_cache import PrefixCaching
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.routers import ROUTERS
from rack_sim.engine.serving import replay
from rack_sim.engine.speculation import Speculation
from rack_sim.engine.transfers import TransferPath
from rack_sim.metrics.log import Collector
from rack_sim.timing.attention_roofs import WindowRates
from rack_sim.timing.window import Window
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Empirical
from rack_sim.workload.request import Request, Source


@dataclass(frozen=True)
class Roof:
    name: str
    per_pair_ps: int
    per_token_ps: int
    per_row_ps: int
    windowed: tuple[WindowRates, ...] = ()


@dataclass(frozen=True)
class Iterations:
    roofs: tuple[Roof, ...]
    fixed_ps: int
    row_ps: int
    sampled_ps: int

    def base_ps(self, rows: int, sampled: int) -> int:
        return self.fixed_ps + rows * self.row_ps + sampled * self.sampled_ps


@dataclass(frozen=True)
class Given:
    """A workload of listed requests."""

    requests: tuple[Request, ...]
    request_count: int | None = None
    description: str = "listed"

    def open(self) -> Source:
        return self

    def arrivals(self):
        return iter(self.requests)

    def follow_up(self, request: Request, finish_ps: int) -> None:
        return None


windowed = st.lists(
    st.builds(
        WindowRates,
        st.builds(Window, st.integers(1, 60), st.booleans()),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=2,
    unique_by=lambda rates: rates.window,
).map(tuple)
roofs = st.builds(
    Roof,
    st.just("roof"),
    st.integers(0, 3),
    st.integers(0, 5),
    st.integers(0, 5),
    st.just(()) | windowed,
)
iterations = st.builds(
    Iterations,
    st.lists(roofs, min_size=1, max_size=3).map(tuple),
    st.integers(1, 200),
    st.integers(0, 9),
    st.integers(0, 9),
)


cache_blocks = st.just(CacheBlocks()) | st.builds(
    CacheBlocks,
    st.integers(0, 3),
    st.lists(
        st.builds(WindowBlocks, st.integers(1, 12), st.integers(1, 4)),
        min_size=1,
        max_size=2,
        unique_by=lambda window: window.most,
    ).map(tuple),
)


@st.composite
def fleets(draw: st.DrawFn) -> FleetPlan:
    chances = st.lists(st.sampled_from([0.0, 0.4, 0.8, 1.0]), min_size=1, max_size=4)
    rates = draw(st.none() | chances)
    speculation = Speculation(tuple(rates), draw(st.integers(0, 9))) if rates else None
    width = len(rates) + 1 if rates else 1
    max_sequences = draw(st.integers(1, 9))
    budget = max_sequences * width + draw(st.integers(0, 12))
    block_tokens = draw(st.integers(1, 8))
    replica_count = draw(st.integers(1, 4))
    apart = None
    if replica_count > 1 and draw(st.booleans()):
        prefill = draw(st.integers(1, replica_count - 1))
        links = st.lists(st.integers(0, 3), max_size=3, unique=True).map(tuple)
        apart = Disaggregation(
            prefill,
            {
                (a, b): TransferPath(draw(links), draw(st.integers(0, 90)), 10**12 // 7)
                for a in range(prefill)
                for b in range(prefill, replica_count)
            },
        )
    draft = draw(
        st.builds(DraftCost, st.none(), st.integers(0, 50))
        | st.builds(DraftCost, iterations, st.just(0))
    )
    return FleetPlan(
        timing=BatchTiming(
            draw(iterations),
            block_tokens,
            # Room for one to a few sequences, seldom for none: the interesting part is too little.
            -(-draw(st.integers(20, 200)) // block_tokens),
            draw(st.sampled_from([20, 60, 60, 60])),
            kv_bytes_per_token=draw(st.integers(50, 99)),
            draft=draft,
            blocks=draw(cache_blocks),
            window_kv_bytes=draw(
                st.dictionaries(st.integers(1, 60), st.integers(0, 25), max_size=2)
            ),
        ),
        policy=ContinuousBatchingPolicy(
            token_budget=budget,
            chunk_tokens=draw(st.none() | st.integers(1, budget)),
            max_sequences=max_sequences,
            block_tokens=block_tokens,
            watermark_share=draw(st.sampled_from([0.0, 0.05, 0.3])),
        ),
        replica_count=replica_count,
        router=draw(st.sampled_from(sorted(ROUTERS))),
        admission=Admission(
            order=draw(st.sampled_from(["fcfs", "priority"])),
            queue_limit=draw(st.sampled_from([None, None, None, 1, 4])),
            timeout_ps=draw(st.sampled_from([None, None, 300, 3000, 9000])),
            prefix_caching=draw(
                st.none() | st.builds(PrefixCaching, st.just(4), st.integers(1, 12))
            ),
        ),
        speculation=speculation,
        disaggregation=apart,
        seed=draw(st.integers(0, 99)),
    )


@st.composite
def listed(draw: st.DrawFn) -> Given:
    longest_gap = draw(st.sampled_from([0, 30, 200, 2000]))
    size = draw(st.sampled_from([1, 5, 15, 40]))
    gaps = draw(st.lists(st.integers(0, longest_gap), min_size=size, max_size=size))
    requests, now = [], 0
    for number, gap in enumerate(gaps):
        now += gap
        inputs = draw(st.integers(1, 30))
        hashes = tuple(draw(st.integers(0, 1)) * 100 + n for n in range(-(-inputs // 4)))
        requests.append(
            Request(
                number,
                now,
                inputs,
                draw(st.integers(1, 25)),
                hashes,
                draw(st.integers(0, 3)),
                draw(st.integers(0, 2)),
            )
        )
    return Given(tuple(requests))


def outcome(fleet: FleetPlan, workload, bin_ps: int, *, every: bool):
    collector = Collector()
    totals = replay(fleet, workload, collector, bin_ps=bin_ps, every_step=every)
    rows = [
        row
        for chunk in collector.requests.chunks()
        for row in zip(*(chunk[name].tolist() for name in collector.requests.columns), strict=True)
    ]
    bins = [
        row
        for chunk in collector.bins.chunks()
        for row in zip(*(chunk[name].tolist() for name in collector.bins.columns), strict=True)
    ]
    gaps: Counter[int] = Counter()
    for values, counts in collector.gap_runs.chunks():
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            gaps[value] += count
    return totals, rows, bins, gaps


@settings(max_examples=1200, deadline=None)
@given(fleet=fleets(), workload=listed(), bin_ps=st.integers(1, 5000))
def test_skipping_equals_walking(fleet, workload, bin_ps):
    skipped = outcome(fleet, workload, bin_ps, every=False)
    walked = outcome(fleet, workload, bin_ps, every=True)
    for fast, slow in zip(skipped, walked, strict=True):
        assert fast == slow


closed = st.builds(
    ClosedLoopWorkload,
    users=st.integers(1, 8),
    think_time_ps=st.integers(0, 300),
    input_lengths=st.just(Empirical(((0.0, 1), (1.0, 25)))),
    output_lengths=st.just(Empirical(((0.0, 1), (1.0, 18)))),
    seed=st.integers(0, 1000),
    request_count=st.integers(1, 25),
)


@settings(max_examples=150, deadline=None)
@given(fleet=fleets(), workload=closed, bin_ps=st.integers(1, 5000))
def test_skipping_equals_walking_in_a_closed_loop(fleet, workload, bin_ps):
    if fleet.admission.prefix_caching or fleet.router == "session_affinity":
        return
    skipped = outcome(fleet, workload, bin_ps, every=False)
    walked = outcome(fleet, workload, bin_ps, every=True)
    for fast, slow in zip(skipped, walked, strict=True):
        assert fast == slow
