"""Step timing: one pass of a slot through every stage of the pipeline, compiled from a Plan.

Times of a stage-level schedule on statically scheduled chips:

- `service_ps` of a stage: its blocks one after the other. A stage works on one slot at a time.
- `latency_ps` L: every stage and every transfer once, and the new token's way back to the first
  stage; a row may enter again after L.
- `token_ps`: from entering to the token being sampled, that is L without the way back.
- `interval_ps` II: the slowest stage or the busiest link; slots enter II apart.
- `slot_count` S = ceil(L / II) slots revolve with period R = S x II, so that each is back in time.

Overlap inside a stage (weights of the next operator streaming while this one computes) is not
credited, so L and II are upper bounds of what an operator-level schedule reaches.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rack_sim.compiler.slots import SlotTiming
from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.routing import Flow, Hop
from rack_sim.partition.plan import Plan, Stage
from rack_sim.timing.blocks import BlockTiming, ExchangeCache, time_block
from rack_sim.timing.messages import MessageTiming, time_flows
from rack_sim.timing.terms import Terms, total

# A token number on its way back to the first stage.
_TOKEN_BYTES = 4


@dataclass(frozen=True)
class StageTiming:
    """One stage of a step."""

    stage: Stage
    blocks: tuple[BlockTiming, ...]
    terms: Terms

    @property
    def service_ps(self) -> int:
        """How long the stage works on one slot."""
        return self.terms.total_ps


@dataclass(frozen=True)
class TransferTiming:
    """The residual stream's way from one stage to the next (or the token's way back)."""

    source_stage: int
    target_stage: int
    message: MessageTiming


@dataclass(frozen=True)
class StepTiming:
    """A compiled step: when things happen after a slot enters, and how often slots may enter."""

    plan: Plan
    stages: tuple[StageTiming, ...]
    transfers: tuple[TransferTiming, ...]
    terms: Terms
    latency_ps: int
    token_ps: int
    interval_ps: int
    slot_count: int
    vectors_by_hop: Mapping[Hop, int]

    @property
    def rows(self) -> int:
        """Rows of a slot."""
        return self.plan.demand.shape.rows

    @property
    def slots(self) -> SlotTiming:
        """What the serving engine needs to know of this step."""
        return SlotTiming(
            rows=self.rows,
            slot_count=self.slot_count,
            interval_ps=self.interval_ps,
            token_ps=self.token_ps,
            context_tokens=self.plan.demand.shape.context_tokens,
            kv_tokens=self.plan.demand.kv_tokens,
        )

    @property
    def revolution_ps(self) -> int:
        """R: the time between two tokens of one sequence."""
        return self.slot_count * self.interval_ps

    @property
    def bottleneck(self) -> str:
        """What bounds the interval, and what most of it goes to."""
        slowest = max(self.stages, key=lambda timing: timing.service_ps)
        if slowest.service_ps < self.interval_ps:
            hop, _ = max(self._link_busy().items(), key=lambda item: (item[1], item[0]))
            return f"link {hop[0]}->{hop[1]}: link_serialisation"
        return f"stage {slowest.stage.number}: {slowest.terms.largest}"

    def _link_busy(self) -> dict[Hop, int]:
        return link_busy_ps(self.plan, self.vectors_by_hop)


def compile_step(plan: Plan) -> StepTiming:
    """The step timing of a plan. Arithmetic on integers: equal plans, equal times."""
    exchanges: ExchangeCache = {}
    stages = tuple(_time_stage(plan, stage, exchanges) for stage in plan.stages)
    transfers = tuple(_time_transfers(plan))
    vectors: Counter[Hop] = Counter()
    for stage in stages:
        for block in stage.blocks:
            vectors.update(block.vectors_by_hop)
    for transfer in transfers:
        vectors.update(transfer.message.vectors_by_hop)
    by_hop = dict(sorted(vectors.items()))
    busiest_link_ps = max(link_busy_ps(plan, by_hop).values(), default=0)

    latency = sum(s.service_ps for s in stages) + sum(t.message.duration_ps for t in transfers)
    interval = max(*(stage.service_ps for stage in stages), busiest_link_ps)
    slots = -(-latency // interval)
    terms = total(
        [
            *(stage.terms for stage in stages),
            *(
                Terms(
                    link_latency_ps=transfer.message.link_latency_ps,
                    link_serialisation_ps=transfer.message.link_serialisation_ps,
                )
                for transfer in transfers
            ),
            Terms(slack_ps=slots * interval - latency),
        ]
    )
    return StepTiming(
        plan=plan,
        stages=stages,
        transfers=transfers,
        terms=terms,
        latency_ps=latency,
        token_ps=latency - transfers[-1].message.duration_ps,
        interval_ps=interval,
        slot_count=slots,
        vectors_by_hop=by_hop,
    )


def link_busy_ps(plan: Plan, vectors_by_hop: Mapping[Hop, int]) -> dict[Hop, int]:
    """How long each link (each of its parallel cables) is busy during one step."""
    busy = {}
    for hop, vectors in vectors_by_hop.items():
        kind = plan.router.link_type(hop)
        lanes = plan.router.lane_count(hop)
        busy[hop] = work_to_ps(-(-vectors // lanes) * kind.wire_bytes, kind.bytes_per_s)
    return busy


def _time_stage(plan: Plan, stage: Stage, exchanges: ExchangeCache) -> StageTiming:
    blocks = tuple(
        time_block(
            block,
            plan.demand.shape,
            chip=plan.system.chip,
            router=plan.router,
            group=stage.chips,
            residual_elements=plan.model.hidden_size,
            exchanges=exchanges,
        )
        for block in stage.blocks
    )
    return StageTiming(stage, blocks, total(block.terms for block in blocks))


def _time_transfers(plan: Plan) -> list[TransferTiming]:
    """Each chip sends its shard of the residual to its counterpart; then the token returns."""
    shape = plan.demand.shape
    shard_elements = -(-shape.rows * plan.model.hidden_size // plan.tensor_parallel)
    shard_bytes = shape.precision.activation_bytes(shard_elements)
    last = plan.stage_count - 1
    boundaries = [(number, number + 1, shard_bytes) for number in range(last)]
    boundaries.append((last, 0, shape.rows * _TOKEN_BYTES))
    return [
        TransferTiming(
            source,
            target,
            time_flows(
                plan.router,
                [
                    Flow(a, b, message_bytes)
                    for a, b in zip(
                        plan.stages[source].chips, plan.stages[target].chips, strict=True
                    )
                ],
            ),
        )
        for source, target, message_bytes in boundaries
    ]
