"""Block timing: a block's operators and collectives one after the other on its group of chips."""

from collections import Counter
from dataclasses import dataclass

from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.chip import Chip
from rack_sim.hardware.routing import Hop, Router
from rack_sim.model.operators import Block
from rack_sim.timing.collectives import CollectiveTiming, time_exchange
from rack_sim.timing.operators import OperatorTiming, time_operator
from rack_sim.timing.precision import Precision
from rack_sim.timing.terms import Terms, total

# A sampled candidate: a 4-byte logit and a 4-byte token number from every chip of the group.
_CANDIDATE_BYTES = 8
# A sum of squares in fp32.
_SUM_BYTES = 4


ExchangeCache = dict[tuple[tuple[int, ...], tuple[int, ...]], CollectiveTiming]


@dataclass(frozen=True)
class BlockTiming:
    """One block: what it did in order, how long each part took, vectors on every link."""

    name: str
    operators: tuple[OperatorTiming, ...]
    algorithms: tuple[str, ...]
    terms: Terms
    vectors_by_hop: Counter[Hop]

    @property
    def duration_ps(self) -> int:
        """The block's service time."""
        return self.terms.total_ps


@dataclass(frozen=True)
class StepShape:
    """What a program is compiled for: how many rows, how much context, in which precision."""

    rows: int
    context_tokens: int
    precision: Precision


def time_block(
    block: Block,
    shape: StepShape,
    *,
    chip: Chip,
    router: Router,
    group: tuple[int, ...],
    residual_elements: int,
    exchanges: ExchangeCache | None = None,
) -> BlockTiming:
    """Times `block` on the chips of `group`.

    `residual_elements` is the width of the residual stream (the hidden size). The block begins
    with an all-gather and ends with a reduce-scatter of it where the block says so. A caller that
    times many blocks on one router passes `exchanges`, so that equal exchanges are routed once.
    """
    known = {} if exchanges is None else exchanges
    size = len(group)
    operators = tuple(
        time_operator(
            operator,
            chip=chip,
            precision=shape.precision,
            rows=shape.rows,
            context_tokens=shape.context_tokens,
            group_size=size,
        )
        for operator in block.operators
    )
    shard_elements = -(-shape.rows * residual_elements // size)
    shard_bytes = shape.precision.activation_bytes(shard_elements)
    # A norm works on shards: each chip's sum of squares rides with the gather, and the root scales
    # the result of the matmul behind it.
    gathered_bytes = shard_bytes + shape.rows * _SUM_BYTES
    used: list[CollectiveTiming] = []
    elsewhere: Counter[Hop] = Counter()  # vectors of parts that work at the same time
    added_flop = 0
    if block.gathers:
        used.append(_exchange(known, router, group, gathered_bytes))
    if block.reduces:
        used.append(_exchange(known, router, group, shard_bytes))
        added_flop = (size - 1) * shard_elements
    parts = _shared_cache(block, group)
    if parts:
        # The chips that share one key-value head add up what each found in its part of the cache;
        # all parts do so at the same time, and the slowest counts.
        partial = -(-shape.rows * block.combined_per_row // size)
        partial_bytes = shape.precision.activation_bytes(partial)
        combined = [_exchange(known, router, part, partial_bytes) for part in parts]
        slowest = max(combined, key=lambda exchange: exchange.duration_ps)
        used.append(slowest)
        added_flop += (len(parts[0]) - 1) * partial
        for exchange in combined:
            if exchange is not slowest:
                elsewhere.update(exchange.vectors_by_hop)
    if block.kind == "head":
        used.append(_exchange(known, router, group, shape.rows * _CANDIDATE_BYTES))
    vectors = elsewhere
    for exchange in used:
        vectors.update(exchange.vectors_by_hop)
    terms = total(
        [
            *(operator.terms for operator in operators),
            *(
                Terms(
                    link_latency_ps=exchange.link_latency_ps,
                    link_serialisation_ps=exchange.link_serialisation_ps,
                )
                for exchange in used
            ),
            Terms(compute_ps=work_to_ps(added_flop, chip.vector_flop_per_s)),
        ]
    )
    return BlockTiming(block.name, operators, tuple(e.algorithm for e in used), terms, vectors)


def _shared_cache(block: Block, group: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The parts of a group that share a key-value head; none where each chip has its own."""
    if not block.kv_head_count or len(group) <= block.kv_head_count:
        return []
    sharing = len(group) // block.kv_head_count
    return [group[i : i + sharing] for i in range(0, len(group), sharing)]


def _exchange(
    known: ExchangeCache, router: Router, group: tuple[int, ...], shard_bytes: int
) -> CollectiveTiming:
    # Messages that fill the same vectors take the same time.
    kinds = router.topology.link_types.values()
    key = (group, tuple(kind.vectors(shard_bytes) for kind in kinds))
    if key not in known:
        known[key] = time_exchange(router, group, shard_bytes)
    return known[key]
