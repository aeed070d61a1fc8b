"""Block timing: a block's operators and collectives placed on the units and links of its group.

A block begins on all chips of its group at one time. What the machine overlaps is overlapped:

- weights of the next matrix operator stream into the unit's buffer, as much as it holds, while the
  operators before it run; the rest streams while the operator computes
- a matmul whose results are reduced computes them shard by shard, the shard of the next chip in the
  group first and its own last, and each leaves as soon as it is there (where the direct
  reduce-scatter is taken; others wait for the whole result)

The granularity of the second is one shard: what one other chip is to have. Everything else of a
block is a chain: an operator needs the result of the one before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.chip import Chip
from rack_sim.hardware.routing import Hop, Router
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.algorithms import Operation
from rack_sim.timing.collectives import CollectiveTiming, RoutedCollective, time_collective
from rack_sim.timing.operators import OperatorTiming, time_operator
from rack_sim.timing.precision import Precision
from rack_sim.timing.schedule import Schedule, schedule
from rack_sim.timing.tasks import Need, TaskGraph, Unit, moved
from rack_sim.timing.terms import Terms

# A sampled candidate: a 4-byte logit and a 4-byte token number from every chip of the group.
_CANDIDATE_BYTES = 8
# A sum of squares in fp32.
_SUM_BYTES = 4

ProgramKind = Literal["decode", "prefill"]
PROGRAM_KINDS: tuple[ProgramKind, ...] = ("decode", "prefill")


@dataclass(frozen=True)
class StepShape:
    """What a program is compiled for: how many rows, how much context, in which precision.

    Rows of a decode program are of different sequences. Those of a prefill program are of one
    prompt: they read one cache, and only the last goes through the head.
    """

    rows: int
    context_tokens: int
    precision: Precision
    program: ProgramKind = "decode"

    @property
    def sequence_count(self) -> int:
        """Sequences whose cache is read."""
        return self.rows if self.program == "decode" else 1

    def rows_of(self, block: Block) -> int:
        """Rows that pass a block."""
        return 1 if self.program == "prefill" and block.kind == "head" else self.rows


class Exchanges:
    """The fastest way of every exchange on one network, found once."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self._found: dict[tuple[Operation, tuple[int, ...], int], CollectiveTiming] = {}

    def fastest(
        self, operation: Operation, group: tuple[int, ...], shard_bytes: int
    ) -> CollectiveTiming:
        """The timing of an operation in which every chip of `group` has `shard_bytes`."""
        key = (operation, group, shard_bytes)
        if key not in self._found:
            self._found[key] = time_collective(
                self.router, group, operation=operation, size_bytes=shard_bytes * len(group)
            )
        return self._found[key]


@dataclass(frozen=True)
class Collective:
    """A collective of a block as it was placed: what the checker counts bytes against.

    `traffic` names its messages; every chip of `group` has, or ends with, `shard_bytes`.
    """

    traffic: str
    operation: Operation
    algorithm: str
    group: tuple[int, ...]
    shard_bytes: int
    not_taken: Mapping[str, str]


@dataclass(frozen=True)
class BlockTiming:
    """One block placed on its group: what it did, how long it took, vectors on every link.

    `placed` is the schedule on the chips `placed_on`, a group that is alike; `moved_to` gives the
    chip of `group` for each of those. `exits` are, for every chip of the group, what whoever needs
    the block's result there waits for.
    """

    name: str
    operators: tuple[OperatorTiming, ...]
    collectives: tuple[Collective, ...]
    placed: Schedule
    placed_on: tuple[int, ...]
    group: tuple[int, ...]
    exits: tuple[tuple[Need, ...], ...]

    @property
    def duration_ps(self) -> int:
        """The block's service time."""
        return self.placed.duration_ps

    @property
    def terms(self) -> Terms:
        """The service time, split by cause along the block's critical path."""
        return self.placed.terms

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithm of every collective, in order; those that run side by side count once."""
        return tuple({item.traffic: item.algorithm for item in self.collectives}.values())

    @cached_property
    def moved_to(self) -> dict[int, int]:
        """Chips of the schedule -> chips of the group; others stay."""
        if self.placed_on == self.group:
            return {}
        return dict(zip(self.placed_on, self.group, strict=True))

    @cached_property
    def vectors_by_hop(self) -> dict[Hop, int]:
        """Vectors on every link."""
        counted = self.placed.vectors_by_hop
        if not self.moved_to:
            return counted
        return {moved(hop, self.moved_to): count for hop, count in counted.items()}  # type: ignore[misc] # hops stay hops

    def on(self, group: tuple[int, ...]) -> "BlockTiming":
        """The same block on another group whose links are alike."""
        return BlockTiming(
            self.name,
            self.operators,
            self.collectives,
            self.placed,
            self.placed_on,
            group,
            self.exits,
        )


def time_block(
    block: Block,
    shape: StepShape,
    *,
    chip: Chip,
    router: Router,
    group: tuple[int, ...],
    residual_elements: int,
    exchanges: Exchanges | None = None,
) -> BlockTiming:
    """Places `block` on the chips of `group`.

    `residual_elements` is the width of the residual stream (the hidden size). A caller that times
    many blocks on one router passes `exchanges`, so that equal exchanges are found once.
    """
    return _Placing(
        block,
        shape,
        chip=chip,
        group=group,
        residual_elements=residual_elements,
        exchanges=exchanges or Exchanges(router),
    ).run()


class _Placing:
    """One block being placed. `latest` is what the next operator of each member waits for."""

    def __init__(
        self,
        block: Block,
        shape: StepShape,
        *,
        chip: Chip,
        group: tuple[int, ...],
        residual_elements: int,
        exchanges: Exchanges,
    ) -> None:
        self.block = block
        self.precision = shape.precision
        self.rows = shape.rows_of(block)
        self.chip = chip
        self.group = group
        self.exchanges = exchanges
        self.router = exchanges.router
        self.graph = TaskGraph()
        self.latest: list[tuple[Need, ...]] = [() for _ in group]
        self.matrix_ends: list[tuple[Need, ...]] = [() for _ in group]
        self.collectives: list[Collective] = []
        self.shard_elements = -(-self.rows * residual_elements // len(group))
        self.shard_bytes = self.precision.activation_bytes(self.shard_elements)
        self.operators = tuple(
            time_operator(
                operator,
                chip=chip,
                precision=shape.precision,
                rows=self.rows,
                context_tokens=shape.context_tokens,
                group_size=len(group),
                sequence_count=min(shape.sequence_count, self.rows),
            )
            for operator in block.operators
        )

    def run(self) -> BlockTiming:
        """Adds everything in order, then places it."""
        if self.block.gathers:
            # A norm works on shards: each chip's sum of squares rides with the gather, and the root
            # scales the result of the matmul behind it.
            self._gather("gather", self.shard_bytes + self.rows * _SUM_BYTES)
        for operator, timing in zip(self.block.operators, self.operators, strict=True):
            if operator.followed_by == "reduce_scatter":
                self._reduced(operator, timing)
                continue
            for member in range(len(self.group)):
                self._operate(member, operator, timing)
            if operator.followed_by == "combine":
                self._combine()
            elif operator.followed_by == "candidates":
                self._gather("candidates", self.rows * _CANDIDATE_BYTES)
        placed = schedule(self.graph.tasks)
        return BlockTiming(
            self.block.name,
            self.operators,
            tuple(self.collectives),
            placed,
            self.group,
            self.group,
            tuple(self.latest),
        )

    def _operate(
        self, member: int, operator: Operator, timing: OperatorTiming, pieces: int = 1
    ) -> list[int]:
        """Adds an operator on one chip, its work cut into equal pieces; returns their tasks."""
        chip, graph = self.group[member], self.graph
        unit: Unit = "memory" if operator.lookup_per_row else operator.unit
        fixed_ps = timing.terms.fixed_latency_ps
        needs = list(self.latest[member])
        if timing.preload_ps:
            preload = graph.work(
                f"{timing.name} weights ahead",
                "memory",
                chip,
                Terms(weight_feed_ps=timing.preload_ps),
                self.matrix_ends[member],
            )
            # They enter the unit when the fixed latency has passed, and must be there by then.
            needs.append((preload, max(timing.preload_ps - fixed_ps, 0)))
        tasks = []
        for piece in range(pieces):
            terms = _piece_of(timing.terms, piece, pieces)
            name = f"{timing.name} {piece + 1}/{pieces}" if pieces > 1 else timing.name
            live_bytes = -(-timing.live_bytes // pieces)
            tasks.append(graph.work(name, unit, chip, terms, needs, leaves_bytes=live_bytes))
            needs = [graph.ended(tasks[-1])]
        if timing.stream_ps:
            graph.work(
                f"{timing.name} weights",
                "memory",
                chip,
                Terms(weight_feed_ps=timing.stream_ps),
                [(tasks[0], fixed_ps)],
            )
        self.latest[member] = (graph.ended(tasks[-1]),)
        if unit == "matrix":
            self.matrix_ends[member] = self.latest[member]
        return tasks

    def _gather(self, traffic: str, shard_bytes: int) -> None:
        """Every chip's shard to all; the switch unit lays it out for the links first."""
        rate = self.chip.matrix.feed_bytes_per_s or self.chip.fast_memory.bandwidth_bytes_per_s
        layout = Terms(memory_ps=work_to_ps(shard_bytes, rate))
        if len(self.group) > 1:
            for member, chip in enumerate(self.group):
                task = self.graph.work(
                    f"{traffic} layout", "switch", chip, layout, self.latest[member]
                )
                self.latest[member] = (self.graph.ended(task),)
        routed = self._chosen(traffic, "all_gather", self.group, shard_bytes)
        if routed:
            self._exchange(traffic, routed, self.latest)

    def _reduced(self, operator: Operator, timing: OperatorTiming) -> None:
        """A matmul and the reduce-scatter of its partial sums, shard by shard."""
        count = len(self.group)
        routed = self._chosen("reduce", "reduce_scatter", self.group, self.shard_bytes)
        direct = routed is not None and routed.algorithm in ("direct", "direct_balanced")
        pieces = count if direct else 1
        tasks = [self._operate(member, operator, timing, pieces) for member in range(count)]
        if routed is None:
            return
        sources: dict[int, tuple[Need, ...]] = {}
        for number, transfer in enumerate(routed.transfers):
            piece = (transfer.target - transfer.source - 1) % count if direct else 0
            sources[number] = (self.graph.ended(tasks[transfer.source][piece]),)
        self._exchange("reduce", routed, [(self.latest[m]) for m in range(count)], sources)
        self._add_up(operator.name, (count - 1) * self.shard_elements, range(count))

    def _combine(self) -> None:
        """Chips that share a key-value head add up what each found in its part of the cache."""
        heads, count = self.block.kv_head_count, len(self.group)
        if not heads or count <= heads:
            return
        sharing = count // heads
        elements = -(-self.rows * self.block.combined_per_row // count)
        shard_bytes = self.precision.activation_bytes(elements)
        for first in range(0, count, sharing):
            part = self.group[first : first + sharing]
            routed = self._chosen("combine", "reduce_scatter", part, shard_bytes)
            members = range(first, first + sharing)
            if routed:
                self._exchange("combine", routed, [self.latest[m] for m in members], first=first)
                self._add_up("attention.combine", (sharing - 1) * elements, members)

    def _add_up(self, name: str, flop: int, members: Sequence[int]) -> None:
        """The additions of a reduction, as the partial sums stream through the vector unit."""
        terms = Terms(compute_ps=work_to_ps(flop, self.chip.vector_flop_per_s))
        for member in members:
            task = self.graph.work(
                f"{name} sum", "vector", self.group[member], terms, self.latest[member]
            )
            self.latest[member] = (self.graph.ended(task),)

    def _chosen(
        self, traffic: str, operation: Operation, group: tuple[int, ...], shard_bytes: int
    ) -> RoutedCollective | None:
        """The fastest way of an exchange, noted for the checker; None where nothing has to move."""
        timing = self.exchanges.fastest(operation, group, shard_bytes)
        if timing.routed is None:
            return None
        algorithm = timing.routed.algorithm
        self.collectives.append(
            Collective(traffic, operation, algorithm, group, shard_bytes, timing.not_taken)
        )
        return timing.routed

    def _exchange(
        self,
        traffic: str,
        routed: RoutedCollective,
        latest: Sequence[tuple[Need, ...]],
        sources: Mapping[int, tuple[Need, ...]] | None = None,
        *,
        first: int = 0,
    ) -> None:
        """Adds a collective; each member then waits for its own part and for what arrived.

        A transfer needs its source to be ready (`sources`, else `latest` of the source).
        """
        given = sources or {
            number: latest[transfer.source] for number, transfer in enumerate(routed.transfers)
        }
        arrivals = routed.add_to(self.graph, self.router, traffic, given)
        for number, transfer in enumerate(routed.transfers):
            self.latest[first + transfer.target] += arrivals[number]


def _piece_of(terms: Terms, piece: int, pieces: int) -> Terms:
    """A piece's share of an operator: the fixed latency is the first one's, the roof is shared."""
    if pieces == 1:
        return terms
    shares = {
        f"{name}_ps": spent * (piece + 1) // pieces - spent * piece // pieces
        for name, spent in terms.by_name().items()
    }
    shares["fixed_latency_ps"] = 0 if piece else terms.fixed_latency_ps
    return Terms(**shares)
