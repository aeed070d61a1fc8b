"""Batches: a replica of reactive chips, as the serving engine sees it, made from a plan.

What is left of a chip's memory beside weights, program text and activations is cache, in blocks:
of a chip with several memory tiers, what is left of the tier in which the cache lies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol

from rack_sim.compiler.machine import LinkUse, MemoryUse, Timing, TokenGaps
from rack_sim.compiler.traffic import LinkLoad
from rack_sim.foundation.brief import Brief
from rack_sim.hardware.chip import Chip, Execution, MemoryTier, Tiers
from rack_sim.hardware.routing import Hop
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.memory import ChipMemory, kept
from rack_sim.partition.plan import Plan, Stage
from rack_sim.partition.tiers import placements, used_by_tier
from rack_sim.timing.attention_roofs import AttentionRoof, kv_bytes_per_token
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.pipeline import refuse_long_step


class Iterations(Protocol):
    """How long an iteration takes: ``base_ps(rows, sampled)`` and the largest roof of attention."""

    @property
    def roofs(self) -> Sequence[AttentionRoof]:
        """The roofs; at least one."""

    def base_ps(self, rows: int, sampled: int) -> int:
        """Everything but what depends on the context; `sampled` rows go through the head."""


@dataclass(frozen=True)
class DraftCost:
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
    draft: DraftCost = field(default_factory=DraftCost)

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds."""
        return self.block_tokens * self.block_count

    @property
    def program_count(self) -> int:
        """One: iterations differ, and each is counted."""
        return 1

    @property
    def turn_draft_ps(self) -> int:
        """None: a draft's time is part of the iterations."""
        return 0


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


@dataclass(slots=True, repr=False)
class BatchTotals(Brief):
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

    `memory_share` of the tier in which the cache lies is for weights, program text, activations of
    `rows` rows and the cache together; `kv_capacity_bytes` is the cache of each chip,
    None for all that is left. `draft_model` lies beside the model, on the same chips.
    """

    rows: int
    block_tokens: int
    memory_share: float = 1.0
    kv_capacity_bytes: int | None = None
    draft_model: Architecture | None = None

    def tokens_for(self, context_tokens: int) -> int:
        """Tokens of the whole blocks that the cache of a sequence takes."""
        return -(-context_tokens // self.block_tokens) * self.block_tokens


@dataclass(frozen=True, repr=False)
class BatchMachine(Brief):
    """A plan on reactive chips: its iterations, and where the bytes of the fullest chip go.

    The chip of the plan says in which memory tier each kind lies for these batches.
    """

    plan: Plan
    timer: IterationTimer
    timing: BatchTiming
    chip_bytes: Mapping[str, int]

    @property
    def execution(self) -> Execution:
        """Chips that schedule at run time."""
        return "reactive"

    @property
    def slots(self) -> None:
        """No slots: there are batches instead."""
        return

    @property
    def bottleneck(self) -> None:
        """Depends on the iterations."""
        return

    @property
    def link_loads(self) -> Mapping[Hop, Mapping[str, LinkLoad]]:
        """No step is compiled."""
        return {}

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds."""
        return self.timing.kv_tokens

    @property
    def sequences_max(self) -> int:
        """Sequences of the longest context that the cache holds together, in whole blocks."""
        return self.timing.block_count // -(-self.timing.context_tokens // self.timing.block_tokens)

    @property
    def used_bytes_max(self) -> int:
        """Bytes in use on the fullest chip, the whole cache included."""
        return sum(self.chip_bytes.values()) - self.chip_bytes["left_free"]

    def with_plan(self, plan: Plan) -> "BatchMachine":
        """The same times on a plan whose prices or watts differ."""
        return replace(self, plan=plan)

    def memory_use(self, stage: Stage, memory: ChipMemory) -> MemoryUse:
        """Weights and program text of this chip; cache and activations as on the fullest.

        A draft's weights lie on the chips of the first stage.
        """
        sizes, weight_bytes = self.chip_bytes, memory.weight_bytes
        if stage.number == 0:
            fullest = max(m.weight_bytes for other in self.plan.stages for m in other.memory)
            weight_bytes += sizes["weights"] - fullest
        return MemoryUse(
            weight_bytes,
            sizes["kv_cache"],
            sizes["activations"],
            memory.program_bytes,
            sizes["left_free"],
        )

    def used_bytes(self, memory: ChipMemory) -> int:
        """Those of the fullest chip: every chip is given as much cache."""
        return self.used_bytes_max

    def service_ps(self, stage: int) -> None:
        """Differs from iteration to iteration."""
        return

    def stage_busy_ps(self, stage: int, busy_ps: int) -> int:
        """Chips take part in iterations from their beginning to their end."""
        return busy_ps

    def chip_busy_ps(self, busy_ps: int) -> int:
        """How long all chips took part in iterations, added up."""
        return busy_ps * self.plan.chip_count

    def chip_ps_by_term(self, busy_ps: int, batches: BatchTotals | None) -> dict[str, int]:
        """The same by cause, without the proposals of a draft, which no split explains."""
        spent = self.iteration_ps_by_term(batches) if batches else {}
        return {term: self.plan.chip_count * ps for term, ps in spent.items()}

    def iteration_ps_by_term(self, batches: BatchTotals) -> dict[str, int]:
        """What all iterations took, by cause, without the proposals of a draft."""
        base = self.timer.terms_of_all(
            {rows: count.iterations for rows, count in batches.by_rows.items()},
            {rows: count.iterations for rows, count in batches.by_sampled.items()},
            batches.base_ps,
        )
        spent = dict(base.by_name())
        for roof, ps in zip(self.timer.roofs, batches.attention_ps, strict=True):
            spent[roof.name] += ps
        return spent

    def link_use(self, busy_ps: int, batches: BatchTotals | None) -> LinkUse:
        """Vectors and holding times that all iterations put on every link."""
        counts = batches or BatchTotals.nothing(0)
        return LinkUse(
            *self.timer.on_links_of(
                {rows: count.iterations for rows, count in counts.by_rows.items()},
                {rows: count.iterations for rows, count in counts.by_sampled.items()},
            )
        )

    def gap_ps_by_term(
        self, gaps: TokenGaps, batches: BatchTotals | None, timing: Timing
    ) -> dict[str, Fraction]:
        """Each iteration counts for the sequences that decoded in it."""
        if batches is None or not gaps.gap_count:
            return {}
        base = self.timer.terms_of_all(
            {rows: count.tokens for rows, count in batches.by_rows.items()},
            {rows: count.tokens for rows, count in batches.by_sampled.items()},
            batches.base_token_ps,
        )
        spent = {name: Fraction(ps, gaps.gap_count) for name, ps in base.by_name().items()}
        for roof, ps in zip(self.timer.roofs, batches.attention_token_ps, strict=True):
            spent[roof.name] += Fraction(ps, gaps.gap_count)
        spent["draft"] = Fraction(batches.draft_token_ps, gaps.gap_count)
        return spent


def batch_machine(plan: Plan, room: CacheRoom) -> BatchMachine | Infeasible:
    """The iterations and the cache of a plan, or why the cache is too small.

    It must hold the longest sequence that is served.
    """
    precision, group_size = plan.demand.shape.precision, plan.tensor_parallel
    by_stage = [stage.blocks for stage in plan.stages]
    drafting = blocks_of(room.draft_model) if room.draft_model else ()
    token_bytes, kv_bytes = 0, 0
    for held in ([*by_stage], [drafting]):
        token_bytes += kv_bytes_per_token(held, group_size, precision)
        elements = sum(block.kv_elements_per_token for blocks in held for block in blocks)
        kv_bytes += precision.kv_bytes(elements)
    fullest = max((m for stage in plan.stages for m in stage.memory), key=lambda m: m.weight_bytes)
    draft_bytes = -(
        -sum(precision.weight_bytes(b.parameters) for b in kept(drafting)) // group_size
    )
    fullest = replace(
        fullest,
        weight_bytes=fullest.weight_bytes + draft_bytes,
        activation_bytes=_activation_bytes(plan, room.rows),
        kv_bytes=0,
    )
    context = plan.demand.shape.context_tokens
    wanted_tokens = room.tokens_for(context)
    plan = plan.with_tiers(_tiers(plan, room, fullest, wanted_tokens * token_bytes))
    chip = plan.system.chip
    free = _free_bytes(chip, chip.tiers, room, fullest)
    chip_bytes = {
        "weights": fullest.weight_bytes,
        "program_text": fullest.program_bytes,
        "activations": fullest.activation_bytes,
        "left_free": _left_free(chip.tier_of("kv"), room),
    }
    block_count = max(free, 0) // (token_bytes * room.block_tokens)
    if not _rest_fits(chip, chip.tiers, fullest):
        return _rest_too_large(plan, fullest)
    if block_count * room.block_tokens < wanted_tokens:
        return _too_small(plan, room, chip_bytes, token_bytes, free)
    chip_bytes["kv_cache"] = block_count * room.block_tokens * token_bytes
    timer = IterationTimer(
        chip,
        plan.routing,
        [stage.chips for stage in plan.stages],
        [[block.within(context) for block in blocks] for blocks in by_stage],
        precision,
        residual_elements=plan.demand.residual_elements,
    )
    # Finds here and now what the messages of all rows take; few of these are sampled.
    refuse_long_step(timer.base_ps(room.rows, 1))
    timing = BatchTiming(
        timer, room.block_tokens, block_count, context, kv_bytes, _draft(plan, room)
    )
    return BatchMachine(plan, timer, timing, chip_bytes)


def _draft(plan: Plan, room: CacheRoom) -> DraftCost:
    if room.draft_model is None:
        return DraftCost()
    return DraftCost(
        IterationTimer(
            # The host waits for the whole proposal, not for each token of it.
            replace(plan.system.chip, iteration_host_ps=0, sequence_host_ps=0),
            plan.routing,
            [plan.stages[0].chips],
            [blocks_of(room.draft_model)],
            plan.demand.shape.precision,
            residual_elements=room.draft_model.hidden_size,
        )
    )


def _tiers(plan: Plan, room: CacheRoom, fullest: ChipMemory, wanted_bytes: int) -> Tiers:
    """The first placement with room for the longest sequence, else the one with most room."""
    chip = plan.system.chip
    best: tuple[tuple[bool, int], Tiers] | None = None
    for tiers in placements(chip):
        rest_fits = _rest_fits(chip, tiers, fullest)
        free = _free_bytes(chip, tiers, room, fullest)
        if rest_fits and free >= wanted_bytes:
            return tiers
        if best is None or (rest_fits, free) > best[0]:
            best = (rest_fits, free), tiers
    return best[1] if best else chip.tiers


def _rest_fits(chip: Chip, tiers: Tiers, fullest: ChipMemory) -> bool:
    """Whether all but the cache fits; what lies in the tier of the cache is counted there."""
    return all(
        number == tiers.kv or used <= chip.memory[number].capacity_bytes
        for number, used in used_by_tier(tiers, fullest).items()
    )


def _free_bytes(chip: Chip, tiers: Tiers, room: CacheRoom, fullest: ChipMemory) -> int:
    """What is left for the cache in its tier; less than nothing where others do not fit."""
    tier = chip.memory[tiers.kv]
    free = tier.capacity_bytes - _left_free(tier, room) - used_by_tier(tiers, fullest)[tiers.kv]
    return free if room.kv_capacity_bytes is None else min(free, room.kv_capacity_bytes)


def _left_free(tier: MemoryTier, room: CacheRoom) -> int:
    return tier.capacity_bytes - int(Fraction(str(room.memory_share)) * tier.capacity_bytes)


def _activation_bytes(plan: Plan, rows: int) -> int:
    """Live activations of `rows` rows on a chip: the residual, and two buffers of an operator.

    Scores and probabilities stay inside the attention kernel.
    """
    blocks = (block for stage in plan.stages for block in stage.blocks)
    widest = max(op.activations_per_row for block in blocks for op in block.operators)
    residual = plan.demand.residual_elements * plan.demand.shape.stream_count
    elements = rows * (residual + 2 * -(-widest // plan.tensor_parallel))
    return plan.demand.shape.precision.activation_bytes(elements)


def _too_small(
    plan: Plan, room: CacheRoom, terms: Mapping[str, int], token_bytes: int, free_bytes: int
) -> Infeasible:
    context = plan.demand.shape.context_tokens
    wanted = room.tokens_for(context) * token_bytes
    fits = max(free_bytes, 0) // (token_bytes * room.block_tokens) * room.block_tokens
    chip = plan.system.chip
    capacity, tiers = chip.tier_of("kv").capacity_bytes, chip.tiers
    beside = {
        "weights": tiers.weights,
        "program_text": tiers.program,
        "activations": tiers.activations,
    }
    terms = {kind: size for kind, size in terms.items() if beside.get(kind, tiers.kv) == tiers.kv}
    levers = [f"serving.max_context_tokens: {fits}"] if fits else []
    # What would do alone, or where neither would, both together.
    bounds = []
    if room.kv_capacity_bytes is not None and room.kv_capacity_bytes < wanted:
        bounds.append(f"serving.policy.kv_capacity_bytes: {wanted}, or without it")
    if wanted + sum(terms.values()) > capacity:
        bounds.append("serving.policy.memory_share: 1.0")
    if wanted + sum(terms.values()) - terms["left_free"] <= capacity:
        levers.append(" and ".join(bounds))
    levers.append("partition.tensor_parallel: more chips, each with less of weights and cache")
    given = {} if room.kv_capacity_bytes is None else {"cache not allowed": capacity - free_bytes}
    used = given or dict(terms)
    chips = "chip" if plan.tensor_parallel == 1 else "chips"
    where = f", in the {chip.tier_of('kv').name} of each" if len(chip.memory) > 1 else ""
    return Infeasible(
        question=(
            f"cache for one sequence of {context} tokens of {plan.model.name} on "
            f"{plan.tensor_parallel} {chips} of {plan.system.name}{where}"
        ),
        scope="chip",
        demand_bytes=wanted + sum(used.values()),
        bound_bytes=capacity,
        terms={**used, "kv_cache": wanted},
        levers=tuple(levers),
    )


def _rest_too_large(plan: Plan, fullest: ChipMemory) -> Infeasible:
    """Why weights, program text and activations do not fit the tiers that may hold them."""
    chip = plan.system.chip
    used = used_by_tier(chip.tiers, fullest)
    number = max(used, key=lambda tier: used[tier] - chip.memory[tier].capacity_bytes)
    return Infeasible(
        question=(
            f"weights and activations of {plan.model.name} on {plan.tensor_parallel} chips of "
            f"{plan.system.name}, in the {chip.memory[number].name} of each"
        ),
        scope="chip",
        demand_bytes=used[number],
        bound_bytes=chip.memory[number].capacity_bytes,
        terms={
            "weights": fullest.weight_bytes * (chip.tiers.weights == number),
            "program_text": fullest.program_bytes * (chip.tiers.program == number),
            "activations": fullest.activation_bytes * (chip.tiers.activations == number),
        },
        levers=(
            "serving.policy.token_budget: fewer rows have fewer activations",
            "partition.tensor_parallel: more chips, each with less of the weights",
        ),
    )
