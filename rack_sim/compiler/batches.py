"""Batches: a replica of reactive chips, as the serving engine sees it, made from a plan.

What is left of a chip's memory beside weights, program text and activations is cache, in blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol

from rack_sim.hardware.routing import Hop
from rack_sim.model.architecture import Architecture
from rack_sim.model.operators import Block, blocks_of
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.plan import Plan
from rack_sim.timing.attention_roofs import AttentionRoof
from rack_sim.timing.iterations import IterationTimer


class Iterations(Protocol):
    """How long an iteration takes: ``base_ps(rows, sampled)`` and the largest roof of attention."""

    @property
    def roofs(self) -> Sequence[AttentionRoof]:
        """The roofs; at least one."""

    def base_ps(self, rows: int, sampled: int) -> int:
        """Everything but what depends on the context; `sampled` rows go through the head."""


@dataclass(frozen=True)
class Draft:
    """What a proposal of a draft costs: `model` runs once a token, or `latency_ps` in all."""

    model: Iterations | None = None
    latency_ps: int = 0


@dataclass(frozen=True)
class BatchTiming:
    """Iterations, and the blocks of the cache that one replica has.

    A sequence may be `context_tokens` long. Every chip holds its share of a token's keys and
    values: `kv_bytes_per_token` over all chips of the replica.
    """

    iterations: Iterations
    block_tokens: int
    block_count: int
    context_tokens: int
    kv_bytes_per_token: int = 0
    draft: Draft = field(default_factory=Draft)

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds."""
        return self.block_tokens * self.block_count


@dataclass(slots=True)
class IterationCount:
    """Iterations with one number of rows (or of sampled rows), and what was in them.

    `tokens` counts each iteration once for every sequence that decoded in it.
    """

    iterations: int = 0
    tokens: int = 0
    sampled_rows: int = 0
    duration_ps: int = 0

    def add(self, other: "IterationCount") -> None:
        """Adds those of another."""
        self.iterations += other.iterations
        self.tokens += other.tokens
        self.sampled_rows += other.sampled_rows
        self.duration_ps += other.duration_ps


@dataclass(slots=True)
class BatchTotals:
    """What the iterations of a replay were, for splits and utilisations.

    `base_ps` and `draft_ps` are sums over iterations, `attention_ps` that of each roof's; the
    names with `token` count each iteration once for every sequence that decoded in it.
    """

    by_rows: dict[int, IterationCount]
    by_sampled: dict[int, IterationCount]
    attention_ps: list[int]
    attention_token_ps: list[int]
    base_ps: int = 0
    base_token_ps: int = 0
    draft_ps: int = 0
    draft_token_ps: int = 0

    @classmethod
    def nothing(cls, roof_count: int) -> "BatchTotals":
        """Before the first iteration."""
        return cls({}, {}, [0] * roof_count, [0] * roof_count)

    @classmethod
    def sum(cls, parts: "Sequence[BatchTotals]") -> "BatchTotals":
        """Those of several replicas together, which have the same roofs."""
        result = cls.nothing(len(parts[0].attention_ps))
        for part in parts:
            for own, other in (
                (result.by_rows, part.by_rows),
                (result.by_sampled, part.by_sampled),
            ):
                for number, count in other.items():
                    own.setdefault(number, IterationCount()).add(count)
            for number, spent_ps in enumerate(part.attention_ps):
                result.attention_ps[number] += spent_ps
                result.attention_token_ps[number] += part.attention_token_ps[number]
            result.base_ps += part.base_ps
            result.base_token_ps += part.base_token_ps
            result.draft_ps += part.draft_ps
            result.draft_token_ps += part.draft_token_ps
        result.by_rows = dict(sorted(result.by_rows.items()))
        result.by_sampled = dict(sorted(result.by_sampled.items()))
        return result

    @property
    def iteration_count(self) -> int:
        """Iterations in all."""
        return sum(count.iterations for count in self.by_rows.values())

    @property
    def token_count(self) -> int:
        """Each iteration once for every sequence that decoded in it."""
        return sum(count.tokens for count in self.by_rows.values())


@dataclass(frozen=True, slots=True)
class CacheRoom:
    """How much of a chip the cache may take, and how it is given out.

    `memory_share` of the chip's memory is for weights, program text, activations of `rows` rows
    and the cache together; `kv_capacity_bytes` is the cache of each chip, None for all that is
    left. `draft_model` lies beside the model, on the same chips.
    """

    rows: int
    block_tokens: int
    memory_share: float = 1.0
    kv_capacity_bytes: int | None = None
    draft_model: Architecture | None = None


@dataclass(frozen=True)
class BatchMachine:
    """A plan on reactive chips: its iterations, and where the bytes of the fullest chip go."""

    plan: Plan
    timer: IterationTimer
    timing: BatchTiming
    chip_bytes: Mapping[str, int]

    @property
    def used_bytes(self) -> int:
        """Bytes in use on the fullest chip, the whole cache included."""
        return sum(self.chip_bytes.values()) - self.chip_bytes["left_free"]

    def on_links(self, totals: BatchTotals) -> tuple[dict[Hop, int], dict[Hop, int]]:
        """Vectors and holding times that iterations put on every link."""
        return self.timer.on_links_of(
            {rows: count.iterations for rows, count in totals.by_rows.items()},
            {rows: count.iterations for rows, count in totals.by_sampled.items()},
        )


def batch_machine(plan: Plan, room: CacheRoom) -> BatchMachine | Infeasible:
    """The iterations and the cache of a plan, or why the cache is too small.

    It must hold the longest sequence that is served.
    """
    timer = IterationTimer(
        plan.system.chip,
        plan.router,
        [stage.chips for stage in plan.stages],
        [stage.blocks for stage in plan.stages],
        plan.demand.shape.precision,
        residual_elements=plan.demand.residual_elements,
    )
    timer.base_ps(room.rows, room.rows)  # finds what messages of all sizes take, here and now
    precision, group_size = plan.demand.shape.precision, plan.tensor_parallel
    memory = max((m for stage in plan.stages for m in stage.memory), key=lambda m: m.weight_bytes)
    blocks = [block for stage in plan.stages for block in stage.blocks]
    kv_bytes = precision.kv_bytes(sum(block.kv_elements_per_token for block in blocks))
    token_bytes = timer.kv_bytes_per_token
    draft, draft_bytes = Draft(), 0
    if room.draft_model is not None:
        drafting = blocks_of(room.draft_model)
        model = IterationTimer(
            # The host waits for the whole proposal, not for each token of it.
            replace(plan.system.chip, iteration_host_ps=0, sequence_host_ps=0),
            plan.router,
            [plan.stages[0].chips],
            [drafting],
            precision,
            residual_elements=room.draft_model.hidden_size,
        )
        draft = Draft(model)
        draft_bytes = -(-sum(precision.weight_bytes(b.parameters) for b in drafting) // group_size)
        token_bytes += model.kv_bytes_per_token
        kv_bytes += precision.kv_bytes(sum(b.kv_elements_per_token for b in drafting))
    capacity = plan.system.chip.fast_memory.capacity_bytes
    chip_bytes = {
        "weights": memory.weight_bytes + draft_bytes,
        "program_text": memory.program_bytes,
        "activations": _activation_bytes(plan, blocks, room.rows),
        "left_free": capacity - int(Fraction(str(room.memory_share)) * capacity),
    }
    free = capacity - sum(chip_bytes.values())
    if room.kv_capacity_bytes is not None:
        free = min(free, room.kv_capacity_bytes)
    context = plan.demand.shape.context_tokens
    block_count = max(free, 0) // (token_bytes * room.block_tokens)
    if block_count < -(-context // room.block_tokens):
        return _too_small(plan, room, chip_bytes, token_bytes, free)
    chip_bytes["kv_cache"] = block_count * room.block_tokens * token_bytes
    timing = BatchTiming(timer, room.block_tokens, block_count, context, kv_bytes, draft)
    return BatchMachine(plan, timer, timing, chip_bytes)


def _activation_bytes(plan: Plan, blocks: Sequence[Block], rows: int) -> int:
    """Live activations of `rows` rows on a chip: the residual, and two buffers of an operator.

    Scores and probabilities stay inside the attention kernel.
    """
    widest = max(op.activations_per_row for block in blocks for op in block.operators)
    elements = rows * (plan.demand.residual_elements + 2 * -(-widest // plan.tensor_parallel))
    return plan.demand.shape.precision.activation_bytes(elements)


def _too_small(
    plan: Plan, room: CacheRoom, terms: Mapping[str, int], token_bytes: int, free_bytes: int
) -> Infeasible:
    context = plan.demand.shape.context_tokens
    # Whole blocks: what the longest sequence takes.
    wanted = -(-context // room.block_tokens) * room.block_tokens * token_bytes
    fits = max(free_bytes, 0) // (token_bytes * room.block_tokens) * room.block_tokens
    capacity = plan.system.chip.fast_memory.capacity_bytes
    levers = [f"serving.max_context_tokens: {fits}"] if fits else []
    if room.kv_capacity_bytes is not None and room.kv_capacity_bytes < wanted:
        levers.append(f"serving.policy.kv_capacity_bytes: {wanted}, or without it")
    if terms["left_free"] and wanted + sum(terms.values()) - terms["left_free"] <= capacity:
        levers.append("serving.policy.memory_share: 1.0")
    levers.append("partition.tensor_parallel: more chips, each with less of the weights")
    given = {} if room.kv_capacity_bytes is None else {"cache not allowed": capacity - free_bytes}
    used = given or dict(terms)
    return Infeasible(
        question=(
            f"cache for one sequence of {context} tokens of {plan.model.name} on "
            f"{plan.tensor_parallel} chips of {plan.system.name}"
        ),
        scope="chip",
        demand_bytes=wanted + sum(used.values()),
        bound_bytes=capacity,
        terms={**used, "kv_cache": wanted},
        levers=tuple(levers),
    )
