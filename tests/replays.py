"""Replays for tests: listed requests, machines whose times are given, and all that comes out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from rack_sim.compiler.batches import BatchTiming
from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.observer import Sequence as Served
from rack_sim.engine.policies import ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.serving import ReplayTotals, replay
from rack_sim.metrics.log import Collector
from rack_sim.timing.attention_roofs import WindowRates
from rack_sim.workload.request import Request, Workload


@dataclass(frozen=True)
class Roof:
    """A roof of attention, in ps a pair, a token and a row."""

    name: str = "roof"
    per_pair_ps: int = 0
    per_token_ps: int = 0
    per_row_ps: int = 0
    windowed: tuple[WindowRates, ...] = ()


@dataclass(frozen=True)
class Iterations:
    """Iterations that take ``fixed + row x rows + sampled x sampled rows``, and attention."""

    fixed_ps: int = 0
    row_ps: int = 0
    sampled_ps: int = 0
    roofs: tuple[Roof, ...] = (Roof(),)

    def base_ps(self, rows: int, sampled: int) -> int:
        return self.fixed_ps + rows * self.row_ps + sampled * self.sampled_ps


@dataclass
class Listed:
    """A workload of listed requests."""

    requests: Sequence[Request]
    request_count: int | None = None
    description: str = "listed"
    left: list[int] = field(default_factory=list)

    def open(self) -> "Listed":
        return self

    def arrivals(self) -> Iterator[Request]:
        return iter(self.requests)

    def follow_up(self, request: Request, finish_ps: int) -> None:
        self.left.append(request.request_id)


class Watcher(Collector):
    """A collector that also keeps the sequences: some of their books close after they left."""

    def __init__(self) -> None:
        super().__init__()
        self.sequences: list[Served] = []

    def finished(self, sequence: Served) -> None:
        super().finished(sequence)
        self.sequences.append(sequence)

    def turned_away(self, sequence: Served, outcome: Outcome) -> None:
        super().turned_away(sequence, outcome)
        self.sequences.append(sequence)


@dataclass
class Replayed:
    """What came out: a row for each request, sums over the timeline, gaps and how many of each."""

    totals: ReplayTotals
    rows: list[SimpleNamespace]
    sums: dict[str, int]
    gaps: Counter[int]
    sequences: list[Served] = field(compare=False)

    def column(self, name: str) -> list[int]:
        return [getattr(row, name) for row in self.rows]


def replayed(
    fleet: FleetPlan,
    workload: Workload | Sequence[Request],
    *,
    bin_ps: int = 10**15,
    every_step: bool = False,
) -> Replayed:
    """Replays a workload, or listed requests."""
    if not hasattr(workload, "open"):
        workload = Listed(workload)
    watcher = Watcher()
    totals = replay(fleet, workload, watcher, bin_ps=bin_ps, every_step=every_step)
    names = watcher.requests.columns
    rows = [
        SimpleNamespace(**dict(zip(names, cells, strict=True)))
        for chunk in watcher.requests.chunks()
        for cells in zip(*(chunk[name].tolist() for name in names), strict=True)
    ]
    sums: Counter[str] = Counter(dict.fromkeys(watcher.bins.columns, 0))
    for chunk in watcher.bins.chunks():
        for name in watcher.bins.columns:
            sums[name] += sum(chunk[name].tolist())
    gaps: Counter[int] = Counter()
    for values, counts in watcher.gap_runs.chunks():
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            gaps[value] += count
    return Replayed(totals, rows, dict(sums), gaps, watcher.sequences)


# Machines that are queues.


def one_server(longest_ps: int, **fleet: object) -> FleetPlan:
    """Replicas that serve one request after the other, each for as many ps as its prompt is long.

    One sequence at a time, and the budget holds any prompt: one iteration of a picosecond a row.
    """
    timing = BatchTiming(Iterations(row_ps=1), 1024, longest_ps // 1024 + 1, longest_ps + 1)
    policy = ContinuousBatchingPolicy(token_budget=longest_ps, max_sequences=1, block_tokens=1024)
    return FleetPlan(timing, policy, **fleet)


def shared_queue(servers: int, longest_ps: int, **fleet: object) -> FleetPlan:
    """`servers` servers before which all wait in one queue, each request for its output in ps.

    One slot that enters every picosecond and has a row for each server: a prompt of one token
    finds its row in the picosecond in which it is let in, and n tokens leave n ps later.
    """
    context = longest_ps + 1
    timing = SlotTiming(
        rows=servers,
        slot_count=1,
        interval_ps=1,
        token_ps=1,
        context_tokens=context,
        kv_tokens=servers * context,
    )
    return FleetPlan(timing, StaticSlotsPolicy(kv_reservation="request"), **fleet)
