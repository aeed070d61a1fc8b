"""An iteration takes the sum of its kernels and collectives, each by its own formula.

- kernel: fixed latency + max(FLOP / peak, weights / feed, bytes / bandwidth), on the largest shard
- direct all-reduce on a fully connected group of n: two times latency + M/n in whole vectors
- attention: max over roofs of pair x Q + token x K + row x R
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.model.architecture import Architecture
from rack_sim.model.attention_blocks import attention_block
from rack_sim.model.blocks import blocks_of
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.operators import Block
from rack_sim.scenario import load_system
from rack_sim.scenario.library import presets
from rack_sim.timing.attention_roofs import Attended
from rack_sim.timing.collectives import time_collective
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.precision import Precision
from rack_sim.timing.terms import Terms
from rack_sim.timing.window import Window

LATENCY, VECTOR = 533_000, 26_240
LINK = LinkType("c2c", 12_500_000_000, LATENCY, 320, 328)
FIXED = 100_000
CHIP = Chip(
    name="small",
    execution="reactive",
    memory=(MemoryTier("hbm", 10**12, 10**12),),
    matrix=MatrixUnit({"fp16": 10**14}, None),
    vector_flop_per_s=10**12,
    operator_fixed_latency_ps=FIXED,
    program_text_bytes=0,
    port_count=8,
    idle_watts=1.0,
    peak_watts=2.0,
    price_usd=1.0,
)
HIDDEN, QUERY, KV, INNER, VOCABULARY, LAYERS = 1024, 1024, 512, 4096, 8000, 3
MODEL = Architecture.dense("small", LAYERS, HIDDEN, 8, 4, 128, INNER, VOCABULARY, False, 4096)
BLOCKS = blocks_of(MODEL)
PRECISION = Precision(weights="int8", kv="fp16", activations="fp16", compute="fp16")
BOX = Routing(fully_connected(name="node", chips=8, local=LINK, port_count=8))


def timer(
    group: int = 4,
    *,
    chip: Chip = CHIP,
    stages: Sequence[Sequence[Block]] = (BLOCKS,),
    model: Architecture = MODEL,
) -> IterationTimer:
    groups = [tuple(range(n * group, (n + 1) * group)) for n in range(len(stages))]
    return IterationTimer(chip, BOX, groups, stages, PRECISION, residual_elements=model.hidden_size)


ONE, FOUR, EIGHT = timer(1), timer(4), timer(8)


def roof(chip_count: int, *, matrix: int = 0, vector: int = 0, read: int = 0) -> int:
    """FLOP of either unit and bytes, all of the whole group: 100 FLOP a ps, 1 FLOP, 1 byte."""
    return max(ceil(matrix / chip_count / 100), ceil(vector / chip_count), ceil(read / chip_count))


def norm(rows: int) -> int:
    """On whole rows: in and out of two bytes each, a weight of one byte."""
    return roof(1, vector=4 * HIDDEN * rows, read=HIDDEN * (1 + 4 * rows))


def add_and_norm(rows: int, scaled: int) -> int:
    """The add reads twice and writes; the norm of `scaled` rows reads weights and writes."""
    return roof(1, vector=HIDDEN * (rows + 4 * scaled), read=HIDDEN * (1 + 6 * rows + 2 * scaled))


def roofs_ps(chips: int, rows: int, sampled: int) -> int:
    """Every kernel of an iteration without its fixed latency, attention left out, by hand.

    At least one row is sampled.
    """

    def matmul(inputs: int, outputs: int, carried: int) -> int:
        weights = inputs * outputs
        read = weights + 2 * carried * (inputs + outputs)
        return roof(chips, matrix=2 * carried * weights, read=read)

    layer = (
        matmul(HIDDEN, QUERY + 2 * KV, rows)
        + roof(
            chips,
            vector=3 * rows * (QUERY + KV),
            read=2 * rows * (2 * (QUERY + KV) + 2 * KV),
        )
        + matmul(QUERY, HIDDEN, rows)
        + add_and_norm(rows, rows)
        + matmul(HIDDEN, 2 * INNER, rows)
        + roof(chips, vector=5 * rows * INNER, read=2 * rows * 3 * INNER)
        + matmul(INNER, HIDDEN, rows)
    )
    lookup = roof(chips, read=rows * HIDDEN + 2 * rows * HIDDEN)
    between = (LAYERS - 1) * add_and_norm(rows, rows)
    head = (
        add_and_norm(rows, sampled)
        + matmul(HIDDEN, VOCABULARY, sampled)
        + roof(chips, vector=5 * sampled * VOCABULARY, read=2 * sampled * VOCABULARY)
    )
    return lookup + norm(rows) + LAYERS * layer + between + head


@pytest.mark.parametrize(("rows", "sampled"), [(1, 1), (3, 2), (64, 64), (1000, 1), (4096, 300)])
def test_on_one_chip_base_is_the_sum_of_its_kernels(rows: int, sampled: int) -> None:
    """Nine kernels a layer and four, attention's fixed latency among them; no links."""
    terms = ONE.base_terms(rows, sampled)
    assert terms.fixed_latency_ps == (9 * LAYERS + 4) * FIXED
    assert terms.link_latency_ps == terms.link_serialisation_ps == terms.slack_ps == 0
    assert ONE.base_ps(rows, sampled) == terms.total_ps
    assert terms.total_ps - terms.fixed_latency_ps == roofs_ps(1, rows, sampled)
    assert not ONE.vectors_by_hop(rows)


def all_gather_ps(shard_bytes: int) -> int:
    return LATENCY + ceil(shard_bytes / 320) * VECTOR


def links_ps(rows: int, sampled: int) -> int:
    """On four chips: the embedding's gather, an all-reduce for every block, the candidates."""
    shard = all_gather_ps(2 * rows * HIDDEN // 4)
    candidates = all_gather_ps(8 * sampled) if sampled else 0
    return shard + 2 * LAYERS * 2 * shard + candidates


@pytest.mark.parametrize(("rows", "sampled"), [(1, 1), (3, 2), (64, 64), (1024, 0), (12288, 48)])
def test_on_four_chips_every_block_ends_with_one_all_reduce(rows: int, sampled: int) -> None:
    terms = FOUR.base_terms(rows, sampled)
    assert terms.link_latency_ps + terms.link_serialisation_ps == links_ps(rows, sampled)
    assert terms.link_latency_ps == LATENCY * (1 + 4 * LAYERS + bool(sampled))
    # One chip's kernels, the last three not without a sample; and as many collectives.
    kernels = 9 * LAYERS + (4 if sampled else 2)
    collectives = 1 + 2 * LAYERS + bool(sampled)
    assert terms.fixed_latency_ps == (kernels + collectives) * FIXED
    if sampled:
        spent = terms.compute_ps + terms.memory_ps + terms.weight_feed_ps
        assert spent == roofs_ps(4, rows, sampled)
    assert FOUR.launch_count(sampled) == kernels + collectives


def test_between_grid_points_collectives_are_on_a_line() -> None:
    for low, rows, high in ((4, 5, 6), (64, 71, 96), (8192, 12_000, 12_288)):
        below, at, above = (FOUR.base_terms(n, 1) for n in (low, rows, high))
        for name in ("link_latency", "link_serialisation"):
            first, last = below.by_name()[name], above.by_name()[name]
            exact = first + Fraction((last - first) * (rows - low), high - low)
            # Rounded up once for each kind of collective, times how often it is launched.
            assert abs(at.by_name()[name] - exact) <= 2 * LAYERS + 2


def test_links_carry_what_the_collectives_send() -> None:
    """Direct on every link of the group: a shard for the gather, two for each all-reduce."""
    shard_vectors = ceil(2 * 64 * HIDDEN // 4 / 320)
    vectors = shard_vectors * (1 + 4 * LAYERS) + ceil(8 * 64 / 320)
    pairs = {(a, b) for a in range(4) for b in range(4) if a != b}
    assert FOUR.vectors_by_hop(64) == dict.fromkeys(sorted(pairs), vectors)
    assert FOUR.link_busy_ps(64) == dict.fromkeys(sorted(pairs), vectors * VECTOR)
    without = vectors - ceil(8 * 64 / 320)
    assert set(FOUR.vectors_by_hop(64, 0).values()) == {without}


def test_without_a_sample_the_head_costs_nothing() -> None:
    """What is left is the model without its head; the last residual add is a kernel of its own."""
    headless = timer(1, stages=(BLOCKS[:-1],))
    for rows in (1, 17, 2048):
        assert ONE.base_ps(rows, 0) == headless.base_ps(rows, 0)


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_chips_that_share_a_head_combine(rows: int) -> None:
    """8 chips, 4 heads: in pairs, each chip keeps an eighth of 8 x 130 elements."""
    one_head_each = Architecture.dense(
        "small", LAYERS, HIDDEN, 8, 8, 128, INNER, VOCABULARY, False, 4096
    )
    plain = timer(8, stages=(blocks_of(one_head_each),), model=one_head_each)
    combine = all_gather_ps(2 * ceil(rows * 8 * 130 / 8))
    by_links = [
        t.link_latency_ps + t.link_serialisation_ps
        for t in (EIGHT.base_terms(rows, 1), plain.base_terms(rows, 1))
    ]
    assert by_links[0] - by_links[1] == LAYERS * combine
    more = EIGHT.base_terms(rows, 1).fixed_latency_ps - plain.base_terms(rows, 1).fixed_latency_ps
    assert more == LAYERS * FIXED


def test_stages_follow_each_other() -> None:
    """Each stage alone, a shard sent on for every cut, sampled tokens of four bytes sent back."""
    halves = (BLOCKS[:4], BLOCKS[4:])
    both = timer(4, stages=halves)
    first, second = timer(4, stages=halves[:1]), timer(4, stages=halves[1:])
    for rows, sampled in ((1, 1), (64, 12), (1024, 0)):
        sent = FIXED + all_gather_ps(2 * rows * HIDDEN // 4)
        back = FIXED + all_gather_ps(4 * sampled) if sampled else 0
        alone = first.base_ps(rows, sampled) + second.base_ps(rows, sampled)
        assert both.base_ps(rows, sampled) == alone + sent + back
    assert both.kv_bytes_per_token == max(first.kv_bytes_per_token, second.kv_bytes_per_token)
    assert ONE.kv_bytes_per_token == LAYERS * 2 * KV * 2 == 4 * FOUR.kv_bytes_per_token


def test_stages_of_different_sizes_are_refused() -> None:
    """Between stages each chip sends to its counterpart."""
    with pytest.raises(ValueError, match=r"stages of \[2, 3\] chips"):
        IterationTimer(
            CHIP,
            BOX,
            [(0, 1), (2, 3, 4)],
            (BLOCKS[:4], BLOCKS[4:]),
            PRECISION,
            residual_elements=HIDDEN,
        )


# Attention ----------------------------------------------------------------------------------------


def exact_attention_ps(chip: Chip, chips: int, rows: int, pairs: int, tokens: int) -> Fraction:
    """Layer by layer, unrounded: the largest roof of each."""
    elements = 2 * KV * tokens  # keys and values
    memory_bytes = 2 * elements + 2 * 2 * QUERY * rows  # queries in, values out
    roofs = [
        Fraction(4 * QUERY * pairs, chips * chip.matrix.peak_flop_per_s["fp16"]),
        Fraction(5 * 8 * pairs, chips * chip.vector_flop_per_s),
        Fraction(memory_bytes, chips * chip.fast_memory.bandwidth_bytes_per_s),
    ]
    if chip.matrix.feed_bytes_per_s:
        roofs.append(Fraction(2 * elements, chips * chip.matrix.feed_bytes_per_s))
    return sum((max(roofs) * 10**12 for _ in range(LAYERS)), Fraction(0))


FED = replace(CHIP, matrix=replace(CHIP.matrix, feed_bytes_per_s=3 * 10**11))
SLOW_VECTOR = replace(CHIP, vector_flop_per_s=10**11)


@given(
    chip=st.sampled_from([CHIP, FED, SLOW_VECTOR]),
    group=st.sampled_from([1, 3, 4, 8]),
    rows=st.integers(1, 8192),
    pairs=st.integers(0, 10**8),
    tokens=st.integers(0, 10**7),
)
@settings(deadline=None, max_examples=60)
def test_attention_is_the_sum_over_layers_within_the_stated_rounding(
    chip: Chip, group: int, rows: int, pairs: int, tokens: int
) -> None:
    timed = timer(group, chip=chip)
    exact = exact_attention_ps(chip, group, rows, pairs, tokens)
    found = max(
        each.per_pair_ps * pairs + each.per_token_ps * tokens + each.per_row_ps * rows
        for each in timed.roofs
    )
    assert exact <= found < exact + pairs + tokens + rows
    assert timed.attention(Attended(rows, pairs, tokens))[1] == found


@pytest.mark.parametrize("chip", [CHIP, FED, SLOW_VECTOR])
def test_duration_is_base_and_the_largest_roof(chip: Chip) -> None:
    timed = timer(1, chip=chip)
    for rows, pairs, tokens in ((1, 1000, 1000), (512, 512 * 513 // 2, 512), (64, 9999, 9999)):
        exact = timed.base_ps(rows, 1) + exact_attention_ps(chip, 1, rows, pairs, tokens)
        assert (
            exact
            <= timed.duration_ps(1, Attended(rows, pairs, tokens))
            < exact + rows + pairs + tokens
        )


def test_every_kind_of_work_of_an_attention_kernel_counts_once() -> None:
    """Scores that also write 5 and compute 7 a row; a vector operator that reads 11 a token."""
    block = BLOCKS[1]
    *before, scores, softmax, values, projection, add = block.operators
    odd = replace(
        block,
        operators=(
            *before,
            replace(scores, kv_write_per_row=5, flop_per_row=7 * 10**9),
            replace(softmax, kv_read_per_row_token=11),
            *(values, projection, add),
        ),
    )
    compute, memory, feed = timer(1, chip=FED, stages=((odd,),)).roofs
    assert compute.per_row_ps == 7 * 10**9 // 100
    assert memory.per_row_ps == 2 * (2 * QUERY + 5)
    assert memory.per_token_ps == 2 * (2 * KV + 11)
    assert feed.per_token_ps == ceil(Fraction(2 * 2 * KV * 10, 3))  # 0.3 bytes a picosecond


@pytest.mark.parametrize(("rows", "sampled"), [(1, 1), (7, 0), (64, 5)])
def test_the_host_and_the_launch_of_collectives_are_fixed_latency(rows: int, sampled: int) -> None:
    host = {"iteration_host_ps": 7, "sequence_host_ps": 3}
    changed = timer(chip=replace(CHIP, **host, collective_latency_ps=FIXED + 11))
    # Two all-reduces a layer and the gather of embeddings; candidates where rows are sampled.
    more_ps = 7 + 3 * sampled + 11 * (2 * LAYERS + 1 + bool(sampled))
    assert changed.base_ps(rows, sampled) == FOUR.base_ps(rows, sampled) + more_ps
    terms = changed.base_terms(rows, sampled)
    assert terms == FOUR.base_terms(rows, sampled) + Terms(fixed_latency_ps=more_ps)
    twice = changed.terms_of_all({rows: 2}, {sampled: 2}, 2 * terms.total_ps)
    assert twice.fixed_latency_ps == 2 * terms.fixed_latency_ps


def test_a_buffer_for_weights_makes_no_difference() -> None:
    """Nothing is loaded ahead: kernels do not overlap. Also where three shards are rounded."""
    buffered = replace(FED, matrix=replace(FED.matrix, buffer_bytes=10**6))
    for rows, group in ((1, 1), (64, 1), (1, 3), (64, 3)):
        with_buffer, without = (
            timer(group, chip=chip).base_terms(rows, 1) for chip in (buffered, FED)
        )
        assert with_buffer == without
        assert without.weight_feed_ps > 0


def test_only_roofs_that_can_bind_are_kept() -> None:
    """Softmax binds where 5 FLOP a head take longer than 4 x 128 on the matrix unit."""
    assert [each.name for each in ONE.roofs] == ["compute", "memory"]
    assert [each.name for each in timer(1, chip=FED).roofs] == ["compute", "memory", "weight_feed"]
    slow = timer(1, chip=SLOW_VECTOR).roofs
    assert [each.name for each in slow] == ["memory", "compute"]
    assert slow[1].per_pair_ps == ceil(Fraction(LAYERS * 5 * 8 * 10**12, 10**11))


def test_layers_with_a_window_have_rates_of_their_own() -> None:
    """Two layers that look at all, one at 512: each by the tokens it attends to."""
    (head, *layers, tail) = BLOCKS
    short = attention_block(HIDDEN, replace(MODEL.layers[0].attention, window_tokens=512))
    block = replace(
        layers[0],
        operators=tuple(
            replace(o, window_tokens=512) if o.flop_per_row_token else o
            for o in layers[0].operators
        ),
    )
    assert [o.window_tokens for o in block.operators if o.flop_per_row_token] == [
        o.window_tokens for o in short.operators if o.flop_per_row_token
    ]
    timed = timer(1, stages=((head, block, *layers[1:], tail),))
    assert timed.windows == (Window(512),)
    whole = {roof.name: roof for roof in ONE.roofs}
    for roof in timed.roofs:
        (within,) = roof.windowed
        assert within.window == Window(512)
        assert 3 * within.per_pair_ps == pytest.approx(whole[roof.name].per_pair_ps, abs=3)
        assert 3 * within.per_token_ps == pytest.approx(whole[roof.name].per_token_ps, abs=3)
        assert roof.per_row_ps == whole[roof.name].per_row_ps
    # A prompt of 600 after 100, and 10 sequences that decode at 1,000.
    prompt = Attended.of_equals(1, 100, 600, timed.windows)
    assert prompt.pairs == sum(range(101, 701))
    assert prompt.within == {Window(512): (sum(min(n, 512) for n in range(101, 701)), 700)}
    decode = Attended.of_equals(10, 999, 1, timed.windows)
    assert (decode.cached_tokens, decode.within) == (10_000, {Window(512): (5120, 5120)})
    assert timed.attention(decode)[1] < ONE.attention(decode)[1]


def test_without_attention_there_is_one_roof_of_nothing() -> None:
    (nothing,) = timer(1, stages=((BLOCKS[0], BLOCKS[-1]),)).roofs
    assert nothing.time_ps(Attended(10, 10, 10)) == 0


# Properties ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("timed", [ONE, FOUR, EIGHT], ids=["one", "four", "eight"])
@given(rows=st.integers(1, 16_384), more=st.integers(0, 200), sampled=st.integers(0, 16_384))
@settings(deadline=None, max_examples=150)
def test_more_rows_or_samples_never_take_less(
    timed: IterationTimer, rows: int, more: int, sampled: int
) -> None:
    sampled = min(sampled, rows)
    base = timed.base_ps(rows, sampled)
    assert timed.base_ps(rows + more, sampled) >= base
    assert timed.base_ps(rows + more, min(sampled + more, rows + more)) >= base
    assert timed.base_terms(rows, sampled).total_ps == base
    assert min(timed.base_terms(rows, sampled).by_name().values()) >= 0


@pytest.mark.parametrize(("rows", "sampled"), [(0, 0), (1, 2), (1, -1)])
def test_an_iteration_that_cannot_be_is_refused(rows: int, sampled: int) -> None:
    with pytest.raises(ValueError, match=f"{sampled} sampled of {rows} rows"):
        ONE.base_ps(rows, sampled)


# Presets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bytes_per_s", "measured_tok_s"),
    [("nvidia-a100-80-x4", 2039 * 10**9, 28.4), ("nvidia-h100-x4", 3350 * 10**9, 51.6)],
)
def test_a_70b_on_four_chips_is_between_its_bytes_and_what_was_measured(
    name: str, bytes_per_s: int, measured_tok_s: float
) -> None:
    """LLM-Inference-Bench (commit 4211f5d4): 1,024 tokens in, 1,024 out, fp16, batch 1.

    No slower than measured where nothing is counted for the host and every byte moves at the
    published rate, before anything is fitted; no faster than weights and cache can be read. On the
    way are 9 kernels a layer and 2 collectives, the lookup's and the head's.
    """
    config = yaml.safe_load(Path(presets("model")["llama-3.1-70b"]).read_text(encoding="utf-8"))
    model = architecture_from_config("llama", config)
    system = load_system(name)
    routing, group = Routing(system.topology), tuple(range(4))
    full = {"memory_efficiency": Fraction(1), "collective_latency_ps": None, "sequence_host_ps": 0}
    chip = replace(system.chip, **full)
    timed = IterationTimer(
        chip,
        routing,
        [group],
        [blocks_of(model)],
        Precision("bf16", "bf16", "bf16", "bf16"),
        residual_elements=8192,
    )
    duration_ps = timed.duration_ps(1, Attended(1, 1536, 1536))
    read_bytes = 2 * (model.parameter_count - 128_256 * 8192) + 1536 * 327_680
    assert read_bytes / 4 / bytes_per_s * 1e12 < duration_ps < 1e12 / measured_tok_s
    terms = timed.base_terms(1, 1)
    assert terms.fixed_latency_ps == (9 * 80 + 4 + 2 * 80 + 2) * 3_000_000
    reduce = time_collective(routing, group, operation="all_reduce", size_bytes=2 * 8192)
    links_ps = terms.link_latency_ps + terms.link_serialisation_ps
    assert 160 * reduce.duration_ps <= links_ps <= 162 * reduce.duration_ps
