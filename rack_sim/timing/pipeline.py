"""Pipeline timing: one slot's way through stages on groups of chips, and how often slots may enter.

- service time of a stage: its blocks one after the other; a stage works on one slot at a time
- transfer: each chip sends its shard of the residual stream to its counterpart in the next stage;
  after the last stage the sampled token goes back to the first
- latency L: every stage and every transfer once
- interval II: the largest, over stages and units, of the span from a unit's first task to its last,
  or the busiest link; links that collide may lengthen it (compiler/interval.py)
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.units import PS_PER_S
from rack_sim.foundation.work_limits import refuse_over
from rack_sim.hardware.chip import Chip
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Flow, Hop, Routing
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.blocks import BlockTiming, time_block
from rack_sim.timing.exchanges import Exchanges
from rack_sim.timing.messages import MessageTiming, time_flows
from rack_sim.timing.shape import StepShape
from rack_sim.timing.terms import Terms, total

Group = tuple[int, ...]
Likeness = Group | tuple[Group, tuple[tuple[LinkType, int], ...]]

# A token number on its way back to the first stage.
TOKEN_BYTES = 4


@dataclass(frozen=True, repr=False)
class TransferTiming(Brief):
    """The residual stream's way from one stage to the next (or the token's way back)."""

    source_stage: int
    target_stage: int
    message: MessageTiming


@dataclass(frozen=True)
class PipelineTiming:
    """A pipeline timed: blocks by stage, transfers, latency, interval."""

    blocks_by_stage: tuple[tuple[BlockTiming, ...], ...]
    transfers: tuple[TransferTiming, ...]
    latency_ps: int
    interval_ps: int

    @property
    def slot_count(self) -> int:
        """S = ceil(L / II): a slot that entered is back when its turn comes again."""
        return -(-self.latency_ps // self.interval_ps)

    @property
    def revolution_ps(self) -> int:
        """R = S x II: the time between two tokens of one sequence."""
        return self.slot_count * self.interval_ps


class PipelineTimer:
    """Times pipelines on one kind of chip and one network; equal parts are timed once."""

    def __init__(
        self, chip: Chip, routing: Routing, shape: StepShape, *, residual_elements: int
    ) -> None:
        self.chip = chip
        self.routing = routing
        self.shape = shape
        self.residual_elements = residual_elements
        self._exchanges = Exchanges(routing)
        self._placed: dict[tuple[tuple[Operator, ...], Likeness], BlockTiming] = {}
        self._likeness: dict[Group, Likeness] = {}
        self._blocks: dict[tuple[tuple[Operator, ...], Group], BlockTiming] = {}
        self._messages: dict[tuple[Group, Group, int, str], MessageTiming] = {}
        # The pipeline timed last: the search ends with the one that is compiled.
        self._last: tuple[list[Group], list[tuple[Block, ...]], PipelineTiming] | None = None

    def block(self, block: Block, group: Group) -> BlockTiming:
        """The timing of a block on a group; it has the name of the first block that is alike."""
        key = (block.operators, group)
        if key not in self._blocks:
            alike = (block.operators, self._likeness_of(group))
            if alike not in self._placed:
                placed = time_block(
                    block,
                    self.shape,
                    chip=self.chip,
                    routing=self.routing,
                    group=group,
                    residual_elements=self.residual_elements,
                    exchanges=self._exchanges,
                )
                refuse_long_step(placed.duration_ps)
                self._placed[alike] = placed
            self._blocks[key] = self._placed[alike].on(group)
        return self._blocks[key]

    def _likeness_of(self, group: Group) -> "Likeness":
        """What makes two groups take equal times: nodes and links, where every pair has one.

        Groups that talk over others are alike only to themselves.
        """
        if group not in self._likeness:
            pairs = [(a, b) for a in group for b in group if a != b]
            links = [
                (self.routing.link_type(hop), self.routing.lane_count(hop))
                for hop in pairs
                if self.routing.has_link(hop)
            ]
            node_of = self.routing.node_of_chip
            nodes = {node_of[chip]: None for chip in group}
            places = [list(nodes).index(node_of[chip]) for chip in group]
            direct = len(links) == len(pairs)
            self._likeness[group] = (tuple(places), tuple(links)) if direct else group
        return self._likeness[group]

    def transfers(self, groups: Sequence[Group]) -> list[TransferTiming]:
        """The transfers of a pipeline over `groups`, the token's way back last."""
        shard_bytes = self.shape.shard_bytes(self.residual_elements, len(groups[0]))
        last = len(groups) - 1
        steps = [(number, number + 1, shard_bytes, "transfer") for number in range(last)]
        steps.append((last, 0, self.shape.sampled_count * TOKEN_BYTES, "token"))
        return [
            TransferTiming(a, b, self._message(groups[a], groups[b], message_bytes, traffic))
            for a, b, message_bytes, traffic in steps
        ]

    def time(
        self, groups: Sequence[Group], blocks_by_stage: Sequence[Sequence[Block]]
    ) -> PipelineTiming:
        """The pipeline whose stage n holds ``blocks_by_stage[n]`` on the chips ``groups[n]``."""
        asked = (list(groups), [tuple(blocks) for blocks in blocks_by_stage])
        if self._last is None or self._last[:2] != asked:
            self._last = (*asked, self._timed(*asked))
        return self._last[2]

    def _timed(
        self, groups: Sequence[Group], blocks_by_stage: Sequence[Sequence[Block]]
    ) -> PipelineTiming:
        timed = tuple(
            tuple(self.block(block, group) for block in blocks)
            for group, blocks in zip(groups, blocks_by_stage, strict=True)
        )
        transfers = self.transfers(groups)
        held: Counter[Hop] = Counter()
        for block in (block for blocks in timed for block in blocks):
            held.update(block.held_by_hop)
        for transfer in transfers:
            held.update(transfer.message.placed.held_by_hop)
        services = [sum(block.duration_ps for block in blocks) for blocks in timed]
        latency = sum(services) + sum(transfer.message.duration_ps for transfer in transfers)
        refuse_long_step(latency)
        busiest_link_ps = max(held.values(), default=0)
        # Stages that are alike have the same schedules, moved to other chips.
        alike = {tuple(id(block.placed) for block in blocks): blocks for blocks in timed}
        return PipelineTiming(
            blocks_by_stage=timed,
            transfers=tuple(transfers),
            latency_ps=latency,
            interval_ps=max(*map(unit_span_ps, alike.values()), busiest_link_ps),
        )

    def _message(
        self, source: Group, target: Group, message_bytes: int, traffic: str
    ) -> MessageTiming:
        key = (source, target, message_bytes, traffic)
        if key not in self._messages:
            flows = [Flow(a, b, message_bytes) for a, b in zip(source, target, strict=True)]
            self._messages[key] = time_flows(self.routing, flows, traffic)
        return self._messages[key]


def refuse_long_step(at_least_ps: int) -> None:
    """Raises InputError where a step is longer than the limit: the clock does not hold any time."""
    refuse_over("step_s", -(-at_least_ps // PS_PER_S), "one step", field="system.chip")


def unit_span_ps(blocks: Sequence[BlockTiming]) -> int:
    """The longest that a unit of a stage's chips works on one step, gaps included."""
    spans: dict[tuple[str, int], tuple[int, int]] = {}
    at_ps = 0
    for block in blocks:
        place = {chip: number for number, chip in enumerate(block.placed_on)}
        for (unit, chip), (first, last) in block.placed.spans_ps.items():
            if isinstance(unit, str):
                begin = spans.get((unit, place[chip]), (at_ps + first, 0))[0]
                spans[unit, place[chip]] = begin, at_ps + last
        at_ps += block.duration_ps
    return max((last - first for first, last in spans.values()), default=0)


def transfer_terms(transfer: TransferTiming) -> Terms:
    """The two terms of a transfer."""
    message = transfer.message
    return Terms(
        link_latency_ps=message.link_latency_ps,
        link_serialisation_ps=message.link_serialisation_ps,
    )


def stage_terms(blocks: Sequence[BlockTiming]) -> Terms:
    """The terms of a stage's service time."""
    return total(block.terms for block in blocks)
