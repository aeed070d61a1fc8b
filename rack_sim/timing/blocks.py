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

from dataclasses import dataclass, replace
from functools import cached_property

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.units import format_time
from rack_sim.hardware.chip import Chip
from rack_sim.hardware.routing import Hop, Routing
from rack_sim.model.choice import Choice
from rack_sim.model.indexer_operators import TOP_K_FLOP
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.algorithms import Algorithm, Operation
from rack_sim.timing.collectives import RoutedCollective
from rack_sim.timing.exchanges import (
    CANDIDATE_BYTES,
    SUM_BYTES,
    Collective,
    Exchanges,
    choice_bytes,
    dispatched_elements,
    logit_bytes,
    mix_bytes,
)
from rack_sim.timing.members import Members
from rack_sim.timing.operators import OperatorTiming, time_operator
from rack_sim.timing.schedule import Schedule, schedule
from rack_sim.timing.shape import StepShape
from rack_sim.timing.tasks import Need, Unit, moved
from rack_sim.timing.terms import Terms

# Reduce-scatters that send each shard as it appears.
_BY_SHARD: tuple[Algorithm, ...] = ("direct", "direct_balanced")


@dataclass(frozen=True, repr=False)
class BlockTiming(Brief):
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

    @property
    def held_by_hop(self) -> dict[Hop, int]:
        """How long every link is held."""
        held = self.placed.held_by_hop
        if not self.moved_to:
            return held
        return {moved(hop, self.moved_to): ps for hop, ps in held.items()}  # type: ignore[misc]

    def on(self, group: tuple[int, ...]) -> "BlockTiming":
        """The same block on another group whose links are alike."""
        return replace(self, group=group)


def time_block(
    block: Block,
    shape: StepShape,
    *,
    chip: Chip,
    routing: Routing,
    group: tuple[int, ...],
    residual_elements: int,
    exchanges: Exchanges | None = None,
) -> BlockTiming:
    """Places `block` on the chips of `group`.

    `residual_elements` is the width of the residual stream (the hidden size). A caller that times
    many blocks with one routing passes `exchanges`, so that equal exchanges are found once.
    """
    known = exchanges or Exchanges(routing)
    block = shape.part_of(block)

    def placed(reduced_by: Algorithm | None) -> BlockTiming:
        return _Placing(
            block,
            shape,
            chip=chip,
            group=group,
            residual_elements=residual_elements,
            exchanges=known,
            reduced_by=reduced_by,
        ).run()

    best = placed(None)
    reduced = next((item for item in best.collectives if item.traffic == "reduce"), None)
    if reduced is not None and reduced.algorithm not in _BY_SHARD:
        # What is slower alone may end first behind a matmul whose shards it sends as they appear,
        # for no more than the matmul's own time is gained by that.
        hidden_ps = max(
            timing.duration_ps - timing.terms.fixed_latency_ps
            for operator, timing in zip(block.operators, best.operators, strict=True)
            if operator.followed_by == "reduce_scatter"
        )
        size_bytes = reduced.shard_bytes
        alone_ps = known.fastest("reduce_scatter", group, size_bytes).duration_ps
        for algorithm in _BY_SHARD:
            direct = known.fastest("reduce_scatter", group, size_bytes, algorithm)
            if direct.duration_ps < alone_ps + hidden_ps:
                best = min(best, placed(algorithm), key=lambda timing: timing.duration_ps)
    return best


class _Placing:
    """One block being placed: its operators in order, each with the exchange that follows it.

    What those come to on the chips is said by `members`; here is which there are and how large.
    """

    def __init__(
        self,
        block: Block,
        shape: StepShape,
        *,
        chip: Chip,
        group: tuple[int, ...],
        residual_elements: int,
        exchanges: Exchanges,
        reduced_by: Algorithm | None,
    ) -> None:
        self.block = block
        self.reduced_by = reduced_by
        self.precision = shape.precision
        self.rows = shape.rows_of(block)
        self.context_tokens = shape.context_tokens
        self.chip = chip
        self.group = group
        self.everybody = range(len(group))
        self.exchanges = exchanges
        self.members = Members(group, chip, exchanges.routing)
        self.collectives: list[Collective] = []
        self.residual_elements = residual_elements
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
            self._gather("gather", self.shard_bytes + self.rows * SUM_BYTES)
        for operator, timing in zip(self.block.operators, self.operators, strict=True):
            if operator.followed_by == "reduce_scatter":
                self._reduced(operator, timing)
                continue
            for member in self.everybody:
                self.members.operate(member, timing, _unit_of(operator))
            self._exchanged_after(operator)
        return BlockTiming(
            self.block.name,
            self.operators,
            tuple(self.collectives),
            schedule(self.members.graph.tasks),
            self.group,
            self.group,
            tuple(self.members.latest),
        )

    def _exchanged_after(self, operator: Operator) -> None:
        """What the chips exchange once all have the result of an operator."""
        after, choice = operator.followed_by, self.block.choice
        if after == "combine":
            self._combine()
        elif after == "candidates":
            self._gather("candidates", self.rows * CANDIDATE_BYTES)
        elif after == "logits" and choice:
            self._gather("logits", logit_bytes(choice, self.rows))
            self._add_up(operator, self.rows * choice.expert_count)
        elif after in ("dispatch", "collect") and choice:
            self._to_or_from_experts(operator, choice)
        elif after in ("queries", "choices"):
            self._choose_together(operator)
        elif after == "mixes":
            self._gather("mixes", mix_bytes(self.block.mixed_per_row, self.rows))
            self._add_up(operator, self.rows * self.block.mixed_per_row)

    def _gather(self, traffic: str, shard_bytes: int) -> None:
        """Every chip's shard to all, laid out for the links first."""
        if len(self.group) > 1:
            self.members.lay_out(traffic, shard_bytes)
        routed = self._chosen(traffic, "all_gather", self.group, shard_bytes)
        if routed:
            self.members.gather(traffic, routed)

    def _reduced(self, operator: Operator, timing: OperatorTiming) -> None:
        """A matmul and the reduce-scatter of its partial sums, shard by shard."""
        count = len(self.group)
        routed = self._chosen(
            "reduce", "reduce_scatter", self.group, self.shard_bytes, self.reduced_by
        )
        direct = routed is not None and routed.algorithm in _BY_SHARD
        pieces = count if direct else 1
        unit, members = _unit_of(operator), self.members
        tasks = [members.operate(member, timing, unit, pieces) for member in self.everybody]
        if routed is None:
            return
        sources: dict[int, tuple[Need, ...]] = {}
        for number, transfer in enumerate(routed.transfers):
            piece = (transfer.target - transfer.source - 1) % count if direct else 0
            sources[number] = (members.graph.ended(tasks[transfer.source][piece]),)
        members.exchange("reduce", routed, self.everybody, sources)
        self._add_up(operator, self.shard_elements)

    def _combine(self) -> None:
        """Chips that share a key-value head add up what each found in its part of the cache."""
        heads, count = self.block.kv_head_count, len(self.group)
        if not heads or count <= heads:
            return
        sharing = count // heads
        elements = -(-self.rows * self.block.combined_per_row // count)
        shard_bytes = self.precision.activation_bytes(elements)
        for first in range(0, count, sharing):
            part = range(first, first + sharing)
            chips = tuple(self.group[member] for member in part)
            routed = self._chosen("combine", "reduce_scatter", chips, shard_bytes)
            if routed:
                self.members.exchange("combine", routed, part)
                self.members.add_up("attention.combine", (sharing - 1) * elements, part)

    def _choose_together(self, operator: Operator) -> None:
        """An indexer's queries to all chips, or the best entries of each, to choose from again."""
        selection, count = self.block.selection, len(self.group)
        if selection is None or count == 1:
            return
        if operator.followed_by == "queries":
            elements = -(-self.rows * selection.query_elements // count)
            self._gather("queries", self.precision.activation_bytes(elements))
            return
        size_bytes = choice_bytes(selection, self.rows, self.context_tokens, count)
        if size_bytes:
            self._gather("choices", size_bytes)
            self._add_up(operator, TOP_K_FLOP * size_bytes // CANDIDATE_BYTES)

    def _to_or_from_experts(self, operator: Operator, choice: Choice) -> None:
        """Rows to the chips of their experts, or what those found back."""
        elements = dispatched_elements(
            choice,
            self.rows,
            group_size=len(self.group),
            residual_elements=self.residual_elements,
            execution=self.chip.execution,
        )
        piece_bytes = self.precision.activation_bytes(elements)
        routed = self._chosen(operator.followed_by, "all_to_all", self.group, piece_bytes)
        if routed:
            self.members.exchange(operator.followed_by, routed, self.everybody)
        if operator.followed_by == "collect":
            self._add_up(operator, elements)

    def _add_up(self, operator: Operator, elements: int) -> None:
        """Every chip adds what came from each other one to its own."""
        flop = (len(self.group) - 1) * elements
        self.members.add_up(operator.name, flop, self.everybody)

    def _chosen(
        self,
        traffic: str,
        operation: Operation,
        group: tuple[int, ...],
        shard_bytes: int,
        given: Algorithm | None = None,
    ) -> RoutedCollective | None:
        """The way of an exchange, noted for the checker; None where nothing has to move.

        The one that ends first, unless another is given.
        """
        timing = self.exchanges.fastest(operation, group, shard_bytes, given)
        if timing.routed is None:
            return None
        algorithm, not_taken = timing.routed.algorithm, timing.not_taken
        if given:
            alone = self.exchanges.fastest(operation, group, shard_bytes)
            text = f"{format_time(alone.duration_ps)}, but behind its matmul it ends later"
            not_taken = {**alone.not_taken, str(alone.algorithm): text}
            not_taken.pop(algorithm, None)
        self.collectives.append(
            Collective(traffic, operation, algorithm, group, shard_bytes, not_taken)
        )
        return timing.routed


def _unit_of(operator: Operator) -> Unit:
    return "memory" if operator.lookup_per_row else operator.unit
