"""Batches: a replica of reactive chips, as the serving engine sees it, made from a plan.

What is left of a chip's memory beside weights, program text and activations is cache, in blocks:
of a chip with several memory tiers, what is left of the tier in which the cache lies. Where layers
keep states, room for those of all sequences that may run at one time is taken from it first.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple, Protocol

from rack_sim.compiler.cache_blocks import CacheBlocks
from rack_sim.compiler.machine import LinkUse, MemoryUse, Timing, TokenGaps
from rack_sim.compiler.traffic import LinkLoad
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.chip import Chip, Execution, MemoryTier, Tiers
from rack_sim.hardware.routing import Hop
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.operators import Block
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.memory import ChipMemory, kept, state_bytes
from rack_sim.partition.plan import Plan, Stage
from rack_sim.partition.tiers import placements, used_by_tier
from rack_sim.timing.attention_roofs import AttentionRoof, kv_bytes_per_token
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.pipeline import refuse_long_step
from rack_sim.timing.precision import Precision


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
    values: `kv_bytes_per_token` over all chips of the replica, of which those of each window are in
    `window_kv_bytes`. `blocks` says what a block takes of the room, which is `block_count` blocks
    that every layer keeps. Of a sequence's states it is `state_bytes_per_sequence`, for
    `state_count` sequences (None where there are no states).
    """

    iterations: Iterations
    block_tokens: int
    block_count: int
    context_tokens: int
    kv_bytes_per_token: int = 0
    draft: DraftCost = field(default_factory=DraftCost)
    blocks: CacheBlocks = field(default_factory=CacheBlocks)
    window_kv_bytes: Mapping[int, int] = field(default_factory=dict)
    state_bytes_per_sequence: int = 0
    state_count: int | None = None

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds, of sequences as long as may be."""
        block_count = -(-self.context_tokens // self.block_tokens)
        units = self.blocks.units(block_count)
        return self.unit_count * block_count * self.block_tokens // units if units else 2**62

    @property
    def unit_count(self) -> int:
        """The room of the cache in units of `blocks`."""
        return self.block_count * self.blocks.units_of_first

    @property
    def sequences_max(self) -> int:
        """Sequences of the longest context that the cache holds together, in whole blocks."""
        return self.unit_count // self.units(self.context_tokens)

    def units(self, tokens: int) -> int:
        """Units of the cache of a sequence."""
        return self.blocks.units(-(-tokens // self.block_tokens))

    def kv_bytes(self, tokens: int) -> int:
        """Bytes of the cache of a sequence, over all chips: of a window its tokens only."""
        beyond = (max(tokens - w, 0) * size for w, size in self.window_kv_bytes.items())
        return tokens * self.kv_bytes_per_token - sum(beyond)

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
    None for all that is left. `draft_model` lies beside the model, on the same chips. There is
    room for the states of `sequences`, each of which has `states_per_sequence`: with a draft one
    for each row that is looked at, as any may be the last that is taken.
    """

    rows: int
    block_tokens: int
    memory_share: float = 1.0
    kv_capacity_bytes: int | None = None
    draft_model: Architecture | None = None
    sequences: int = 1
    states_per_sequence: int = 1


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
        held, states = self.timing.sequences_max, self.timing.state_count
        return held if states is None else min(held, states)

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
            sizes["kv_cache"] + sizes.get("states", 0),
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
    drafting = _draft_blocks(room.draft_model, precision) if room.draft_model else ()
    token = _TokenBytes.of((by_stage, [drafting]), group_size, precision)
    fullest = max((m for stage in plan.stages for m in stage.memory), key=lambda m: m.weight_bytes)
    draft_bytes = -(-_draft_weight_bytes(plan, drafting) // group_size)
    fullest = replace(
        fullest,
        weight_bytes=fullest.weight_bytes + draft_bytes,
        activation_bytes=_activation_bytes(plan, room.rows),
        kv_bytes=0,
        state_bytes=room.sequences
        * room.states_per_sequence
        * sum(
            max(state_bytes(blocks, precision, group_size) for blocks in held)
            for held in ([*by_stage], [drafting])
        ),
    )
    context = plan.demand.shape.context_tokens
    blocks = CacheBlocks.of(token.on_chip[None], token.of_windows(token.on_chip), room.block_tokens)
    block_bytes = sum(token.on_chip.values()) * room.block_tokens
    if not block_bytes:
        raise InputError(_nothing_cached(plan))
    unit_bytes = block_bytes // blocks.units_of_first
    wanted_bytes = blocks.units(-(-context // room.block_tokens)) * unit_bytes
    plan = plan.with_tiers(_tiers(plan, room, fullest, wanted_bytes))
    chip = plan.system.chip
    free = _free_bytes(chip, chip.tiers, room, fullest)
    chip_bytes = {
        "weights": fullest.weight_bytes,
        "program_text": fullest.program_bytes,
        "activations": fullest.activation_bytes,
        "left_free": _left_free(chip.tier_of("kv"), room),
    }
    if fullest.state_bytes:
        chip_bytes["states"] = fullest.state_bytes
    block_count = max(free, 0) // block_bytes
    if not _rest_fits(chip, chip.tiers, fullest):
        return _rest_too_large(plan, fullest)
    if block_count * block_bytes < wanted_bytes:
        fits = blocks.blocks_in(max(free, 0) // unit_bytes) * room.block_tokens
        return _too_small(plan, room, chip_bytes, (wanted_bytes, fits, free))
    chip_bytes["kv_cache"] = block_count * block_bytes
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
        timer,
        room.block_tokens,
        block_count,
        context,
        sum(token.in_all.values()),
        _draft(plan, room),
        blocks,
        token.of_windows(token.in_all),
        states_of_sequence(plan),
        room.sequences if fullest.state_bytes else None,
    )
    return BatchMachine(plan, timer, timing, chip_bytes)


class _TokenBytes(NamedTuple):
    """What a cached token takes on a chip of the fullest stage, and on all chips, by window."""

    on_chip: Mapping[int | None, int]
    in_all: Mapping[int | None, int]

    @classmethod
    def of(
        cls,
        models: Sequence[Sequence[Sequence[Block]]],
        group_size: int,
        precision: Precision,
    ) -> "_TokenBytes":
        """Those of a model and its draft, whose blocks are given by stage."""
        on_chip: Counter[int | None] = Counter({None: 0})
        in_all: Counter[int | None] = Counter({None: 0})
        for stages in models:
            found = {block.window_tokens for blocks in stages for block in blocks}
            for window in found:
                of_window = [[b for b in blocks if b.window_tokens == window] for blocks in stages]
                on_chip[window] += kv_bytes_per_token(of_window, group_size, precision)
                elements = sum(b.kv_elements_per_token for blocks in of_window for b in blocks)
                in_all[window] += precision.kv_bytes(elements)
        return cls(on_chip, in_all)

    @staticmethod
    def of_windows(sizes: Mapping[int | None, int]) -> dict[int, int]:
        """Those of layers with a window."""
        return {w: size for w, size in sizes.items() if w is not None and size}


def states_of_sequence(plan: Plan) -> int:
    """Bytes of the states of one sequence over all chips, those of copies too."""
    precision = plan.demand.shape.precision
    return sum(
        state_bytes(stage.blocks, precision, len(stage.chips)) * len(stage.chips)
        for stage in plan.stages
    )


def _nothing_cached(plan: Plan) -> Problem:
    return Problem(
        f"{plan.model.name} has no attention: nothing is cached for a token, and a cache in blocks "
        "of tokens cannot be made",
        field="model",
        suggestion="a model with attention in some layer",
    )


def _draft_weight_bytes(plan: Plan, drafting: Sequence[Block]) -> int:
    """Weights of a draft, but for tables of the model that lie on the first stage already."""
    there = {block.name for block in plan.stages[0].blocks}
    return sum(
        plan.demand.shape.precision.weight_bytes(
            [operator for operator in block.operators if operator.shared_with not in there]
        )
        for block in kept(drafting)
    )


def _draft_blocks(model: Architecture, precision: Precision) -> tuple[Block, ...]:
    return blocks_of(model, formats=precision.formats_of(model))


def _draft(plan: Plan, room: CacheRoom) -> DraftCost:
    if room.draft_model is None:
        return DraftCost()
    return DraftCost(
        IterationTimer(
            # The host waits for the whole proposal, not for each token of it.
            replace(plan.system.chip, iteration_host_ps=0, sequence_host_ps=0),
            plan.routing,
            [plan.stages[0].chips],
            [_draft_blocks(room.draft_model, plan.demand.shape.precision)],
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
    plan: Plan, room: CacheRoom, terms: Mapping[str, int], found: tuple[int, int, int]
) -> Infeasible:
    """`found` are the bytes wanted, the tokens of a sequence that fit, and the bytes free."""
    context = plan.demand.shape.context_tokens
    wanted, fits, free_bytes = found
    chip = plan.system.chip
    capacity, tiers = chip.tier_of("kv").capacity_bytes, chip.tiers
    at = tiers.by_kind  # states lie where the cache does
    terms = {kind: size for kind, size in terms.items() if at.get(kind, tiers.kv) == tiers.kv}
    levers = [f"serving.max_context_tokens: {fits}"] if fits else []
    # What would do alone, or where neither would, both together.
    bounds = []
    if room.kv_capacity_bytes is not None and room.kv_capacity_bytes < wanted:
        bounds.append(f"serving.policy.kv_capacity_bytes: {wanted}, or without it")
    if wanted + sum(terms.values()) > capacity:
        bounds.append("serving.policy.memory_share: 1.0")
    if wanted + sum(terms.values()) - terms["left_free"] <= capacity:
        levers.append(" and ".join(bounds))
    if terms.get("states"):
        one = -(-terms["states"] // room.sequences)
        left = capacity - wanted - sum(terms.values()) + terms["states"]
        if left >= one:
            levers.append(f"serving.policy.max_sequences: {left // one}")
    levers.append("partition.tensor_parallel: more chips, each with less of weights and cache")
    given = {} if room.kv_capacity_bytes is None else {"cache not allowed": capacity - free_bytes}
    if terms.get("states") and free_bytes != room.kv_capacity_bytes:
        given = {}  # what is allowed is not the bound
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
            kind: fullest.by_kind[kind] * (chip.tiers.by_kind[kind] == number)
            for kind in ("weights", "program_text", "activations")
        },
        levers=(
            "serving.policy.token_budget: fewer rows have fewer activations",
            "partition.tensor_parallel: more chips, each with less of the weights",
        ),
    )
