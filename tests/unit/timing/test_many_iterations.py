"""What many iterations take and put on links: the sum of what each does, message by message."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier, Tiers
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.precision import Precision
from rack_sim.timing.terms import Terms

VECTOR_PS = 26_240  # 328 bytes at 12.5 GB/s
LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)
FIXED, LAUNCH, HOST, EACH_HOST = 100_000, 130_000, 7_000_000, 30_000
CHIP = Chip(
    name="small",
    execution="reactive",
    memory=(MemoryTier("hbm", 10**12, 10**12),),
    matrix=MatrixUnit({"fp16": 10**14}, None),
    vector_flop_per_s=10**12,
    operator_fixed_latency_ps=FIXED,
    collective_latency_ps=LAUNCH,
    iteration_host_ps=HOST,
    sequence_host_ps=EACH_HOST,
    program_text_bytes=0,
    port_count=8,
    idle_watts=1.0,
    peak_watts=2.0,
    price_usd=1.0,
)
HIDDEN, LAYERS = 1024, 3
MODEL = Architecture.dense("small", LAYERS, HIDDEN, 8, 4, 128, 4096, 8000, False, 4096)
BLOCKS = blocks_of(MODEL)
PRECISION = Precision(weights="int8", kv="fp16", activations="fp16", compute="fp16")
BOX = Routing(fully_connected(name="node", chips=8, local=LINK, port_count=8))
# Four chips; and two stages of four, cut behind the first feed-forward block.
ONE = IterationTimer(CHIP, BOX, [(0, 1, 2, 3)], [BLOCKS], PRECISION, residual_elements=HIDDEN)
TWO = IterationTimer(
    CHIP,
    BOX,
    [(0, 1, 2, 3), (4, 5, 6, 7)],
    [BLOCKS[:3], BLOCKS[3:]],
    PRECISION,
    residual_elements=HIDDEN,
)
# Numbers of rows that are points of the grid, and how many iterations have them.
BY_ROWS, BY_SAMPLED = {1: 7, 4: 2, 96: 5}, {0: 3, 1: 6, 16: 5}


def shard_vectors(rows: int) -> int:
    """A chip's quarter of the residual stream, in vectors of 320 bytes."""
    return ceil(2 * rows * HIDDEN // 4 / 320)


def candidate_vectors(sampled: int) -> int:
    return ceil(8 * sampled / 320)


def pairs(*chips: int) -> list[tuple[int, int]]:
    return [(a, b) for a in chips for b in chips if a != b]


def exact(by_rows: Mapping[int, int], by_sampled: Mapping[int, int]) -> dict[str, Counter]:
    """Vectors on each link: one and two stages.

    A gather sends a shard to every other chip, an all-reduce two; one chip's shard goes on to its
    counterpart, and sampled tokens of four bytes come back.
    """
    shards = sum(times * shard_vectors(rows) for rows, times in by_rows.items())
    candidates = sum(times * candidate_vectors(rows) for rows, times in by_sampled.items())
    tokens = sum(times * ceil(4 * rows / 320) for rows, times in by_sampled.items())
    one = Counter(dict.fromkeys(pairs(0, 1, 2, 3), shards * (1 + 4 * LAYERS) + candidates))
    # The first stage: the gather of embeddings, one all-reduce, and the scatter that ends it.
    two = Counter(dict.fromkeys(pairs(0, 1, 2, 3), shards * (1 + 2 + 1)))
    two.update(dict.fromkeys(pairs(4, 5, 6, 7), shards * (1 + 4 * (LAYERS - 1)) + candidates))
    two.update({(n, n + 4): shards for n in range(4)})
    two.update({(n + 4, n): tokens for n in range(4)})
    return {"one": one, "two": two}


@pytest.mark.parametrize(("name", "timer"), [("one", ONE), ("two", TWO)])
def test_links_carry_what_every_iteration_puts_on_them(name: str, timer: IterationTimer) -> None:
    expected = exact(BY_ROWS, BY_SAMPLED)[name]
    vectors, held = timer.on_links_of(BY_ROWS, BY_SAMPLED)
    assert vectors == expected
    assert held == {hop: count * VECTOR_PS for hop, count in expected.items()}
    assert list(vectors) == sorted(vectors)


@pytest.mark.parametrize(("name", "timer"), [("one", ONE), ("two", TWO)])
@pytest.mark.parametrize(("rows", "sampled"), [(1, 1), (4, 0), (96, 16)])
def test_one_iteration_is_many_of_one(
    name: str, timer: IterationTimer, rows: int, sampled: int
) -> None:
    """Nothing is on the way back where nothing is sampled."""
    expected = {hop: n for hop, n in exact({rows: 1}, {sampled: 1})[name].items() if n}
    assert timer.vectors_by_hop(rows, sampled) == expected
    assert list(timer.vectors_by_hop(rows, sampled)) == sorted(expected)
    held = {hop: count * VECTOR_PS for hop, count in expected.items()}
    assert timer.link_busy_ps(rows, sampled) == held
    vectors, busy = timer.on_links_of({rows: 1}, {sampled: 1})
    assert (vectors, busy) == (expected, held)


def test_all_rows_are_sampled_where_it_is_not_said() -> None:
    for rows in (1, 6, 96):
        assert TWO.vectors_by_hop(rows) == TWO.vectors_by_hop(rows, rows)
        assert TWO.link_busy_ps(rows) == TWO.link_busy_ps(rows, rows)
        assert TWO.vectors_by_hop(rows) != TWO.vectors_by_hop(rows, 0)


@pytest.mark.parametrize(
    ("timer", "of_rows", "of_sampled", "messages", "sampled_messages"),
    [
        # Lookup, norm, nine a layer less the first norm's partner; the projection and the sample.
        (ONE, 1 + 1 + 9 * LAYERS, 2, 1 + 2 * LAYERS, 1),
        # Between stages the add stands alone and a norm begins: one kernel more. A scatter and a
        # gather in place of an all-reduce, a transfer, and one back.
        (TWO, 1 + 1 + 9 * LAYERS + 1, 2, 1 + 2 * LAYERS + 1 + 1, 2),
    ],
)
def test_launches_are_kernels_collectives_and_transfers(
    timer: IterationTimer, of_rows: int, of_sampled: int, messages: int, sampled_messages: int
) -> None:
    assert timer.launch_count(0) == of_rows + messages
    for sampled in (1, 2, 50):
        assert timer.launch_count(sampled) == of_rows + messages + of_sampled + sampled_messages
        fixed_ps = (of_rows + of_sampled) * FIXED + (messages + sampled_messages) * LAUNCH
        terms = timer.base_terms(max(sampled, 3), sampled)
        assert terms.fixed_latency_ps == HOST + fixed_ps + EACH_HOST * sampled
    unsampled = timer.base_terms(5, 0)
    assert unsampled.fixed_latency_ps == HOST + of_rows * FIXED + messages * LAUNCH


@pytest.mark.parametrize("timer", [ONE, TWO])
def test_terms_of_many_iterations_are_the_sum_of_those_of_each(timer: IterationTimer) -> None:
    """But for the norm that knows rows and sampled rows, which counts as memory beside its launch.

    Here the vector unit binds it: what is memory in the one is compute in the other.
    """
    iterations = [(1, 1), (1, 0), (96, 16), (96, 16), (4, 1)]
    each = [timer.base_terms(rows, sampled) for rows, sampled in iterations]
    base_ps = sum(timer.base_ps(rows, sampled) for rows, sampled in iterations)
    assert base_ps == sum(terms.total_ps for terms in each)
    together = timer.terms_of_all({1: 2, 96: 2, 4: 1}, {1: 2, 0: 1, 16: 2}, base_ps)
    assert together.total_ps == base_ps
    summed = sum(each, Terms())
    for name in ("fixed_latency_ps", "weight_feed_ps", "link_latency_ps", "link_serialisation_ps"):
        assert getattr(together, name) == getattr(summed, name)
    busy = (together.compute_ps + together.memory_ps, summed.compute_ps + summed.memory_ps)
    assert busy[0] == busy[1]


@pytest.mark.parametrize("timer", [ONE, TWO])
@pytest.mark.parametrize(
    ("rows", "sampled"), [(0, 0), (-1, 0), (1, -1), (1, 2), (0, 1), (16, 17), (2, -2)]
)
def test_at_least_one_row_and_at_most_all_of_them_sampled(
    timer: IterationTimer, rows: int, sampled: int
) -> None:
    for asked in (timer.base_ps, timer.base_terms):
        with pytest.raises(ValueError, match=f"{sampled} sampled of {rows} rows"):
            asked(rows, sampled)


def test_messages_that_are_known_are_taken_over() -> None:
    """Of the same model on the same links; a chip that is faster computes faster with them."""
    faster = replace(CHIP, matrix=MatrixUnit({"fp16": 10**15}, None))
    other = IterationTimer(
        faster,
        BOX,
        [(0, 1, 2, 3)],
        [BLOCKS],
        PRECISION,
        residual_elements=HIDDEN,
        messages_of=ONE,
    )
    fresh = IterationTimer(
        faster, BOX, [(0, 1, 2, 3)], [BLOCKS], PRECISION, residual_elements=HIDDEN
    )
    for rows, sampled in ((1, 1), (96, 0), (1000, 50)):
        assert other.base_ps(rows, sampled) == fresh.base_ps(rows, sampled)
        assert other.vectors_by_hop(rows, sampled) == ONE.vectors_by_hop(rows, sampled)
    assert other.base_ps(4096, 1) < ONE.base_ps(4096, 1)


def test_a_head_on_a_stage_of_its_own_has_no_norm_that_knows_both() -> None:
    """The last add stands at the end of the stage before; all terms are then known one by one."""
    timer = IterationTimer(
        CHIP,
        BOX,
        [(0, 1, 2, 3), (4, 5, 6, 7)],
        [BLOCKS[:-1], BLOCKS[-1:]],
        PRECISION,
        residual_elements=HIDDEN,
    )
    each = [timer.base_terms(rows, sampled) for rows, sampled in ((4, 1), (96, 0), (96, 16))]
    base_ps = sum(terms.total_ps for terms in each)
    assert timer.terms_of_all({4: 1, 96: 2}, {0: 1, 1: 1, 16: 1}, base_ps) == sum(each, Terms())


def test_chips_that_share_a_head_combine_with_one_another_only() -> None:
    """Eight chips, four heads: chips 0 and 1 share one, 2 and 3 the next."""
    eight = IterationTimer(
        CHIP, BOX, [tuple(range(8))], [BLOCKS], PRECISION, residual_elements=HIDDEN
    )
    rows = 64
    shard, candidates = ceil(2 * rows * HIDDEN // 8 / 320), ceil(8 * rows / 320)
    combined = ceil(2 * ceil(rows * BLOCKS[1].combined_per_row / 8) / 320)
    everywhere = shard * (1 + 4 * LAYERS) + candidates
    assert eight.vectors_by_hop(rows) == {
        (a, b): everywhere + (LAYERS * combined if a // 2 == b // 2 else 0)
        for a, b in pairs(*range(8))
    }


@pytest.mark.parametrize("parts", [1, 3, 4])
@pytest.mark.parametrize("buffer_bytes", [0, 10**6])
def test_every_weight_of_a_matrix_is_fed_whatever_the_unit_could_keep(
    parts: int, buffer_bytes: int
) -> None:
    """A nanosecond a byte binds every matmul; a chip of three has its third rounded up."""
    slow = replace(CHIP, matrix=MatrixUnit({"fp16": 10**18}, 10**9, buffer_bytes))
    timer = IterationTimer(
        slow, BOX, [tuple(range(parts))], [BLOCKS], PRECISION, residual_elements=HIDDEN
    )
    weights = [
        operator.parameters
        for block in BLOCKS
        for operator in block.operators
        if operator.unit == "matrix"
    ]
    fed_bytes = sum(-(-count // parts) for count in weights)
    assert timer.base_terms(1, 1).weight_feed_ps == 1_000 * fed_bytes


@pytest.mark.parametrize(
    "tiers", [Tiers(0, 0, 0), Tiers(0, 1, 2), Tiers(2, 1, 0), Tiers(1, 0, 0), Tiers(0, 2, 1)]
)
def test_attention_moves_every_kind_of_bytes_at_the_rate_of_its_tier(tiers: Tiers) -> None:
    """Per cached token keys and values, per row queries in and values out; nothing else binds.

    Rates of which none divides another; each coefficient is rounded up once for all layers.
    """
    rates = (7 * 10**9, 5 * 10**9, 3 * 10**9)
    chip = replace(
        CHIP,
        memory=tuple(MemoryTier(f"tier {n}", 10**12, rate) for n, rate in enumerate(rates)),
        matrix=MatrixUnit({"fp16": 10**18}, None),
        vector_flop_per_s=10**18,
    ).placed(tiers)
    timer = IterationTimer(chip, BOX, [(0,)], [BLOCKS], PRECISION, residual_elements=HIDDEN)
    (roof,) = (one for one in timer.roofs if one.name == "memory")
    token_bytes, row_bytes = 2 * 2 * 4 * 128 * LAYERS, 2 * 2 * 8 * 128 * LAYERS
    assert roof.per_token_ps == ceil(Fraction(token_bytes * 10**12, rates[tiers.kv]))
    assert roof.per_row_ps == ceil(Fraction(row_bytes * 10**12, rates[tiers.activations]))
    assert roof.per_pair_ps == 0
    # A kernel that writes to the cache does so at the cache's rate.
    scores = BLOCKS[1].operators[3]
    assert scores.name == "attention.scores"
    writing = replace(scores, kv_write_per_row=11)
    block = replace(BLOCKS[1], operators=(writing,))
    wrote = IterationTimer(chip, BOX, [(0,)], [[block]], PRECISION, residual_elements=HIDDEN)
    (more,) = (one for one in wrote.roofs if one.name == "memory")
    read = Fraction(2 * scores.activations_per_row * 10**12, rates[tiers.activations])
    assert more.per_row_ps == ceil(read + Fraction(2 * 11 * 10**12, rates[tiers.kv]))
