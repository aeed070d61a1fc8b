"""Shapes of steps, shares of terms, roofs of attention and what rows to experts take, by hand."""

from fractions import Fraction
from itertools import permutations

import pytest

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Flow, Routing
from rack_sim.model.choice import Choice
from rack_sim.model.operators import Block, BlockKind
from rack_sim.timing.attention_roofs import (
    AffineWork,
    Attended,
    AttentionRoof,
    kv_bytes_per_token,
    without_dominated,
)
from rack_sim.timing.exchanges import Exchanges, dispatched_elements, logit_bytes
from rack_sim.timing.messages import time_flows
from rack_sim.timing.pipeline import PipelineTiming
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import ProgramKind, StepShape
from rack_sim.timing.terms import Terms, total, weighted_total

FP16 = Precision("int8", "fp8", "fp16", "fp16")


@pytest.mark.parametrize(
    ("program", "rows", "each", "sequences", "sampled"),
    [
        ("decode", 1, 1, 1, 1),
        ("decode", 12, 1, 12, 12),
        ("decode", 12, 3, 4, 12),
        ("decode", 13, 3, 4, 13),
        ("decode", 2, 3, 1, 2),  # fewer rows than a sequence has: still a sequence
        ("prefill", 12, 1, 1, 1),
        ("prefill", 1, 1, 1, 1),
    ],
)
def test_rows_are_of_sequences_or_of_one_prompt(
    program: ProgramKind, rows: int, each: int, sequences: int, sampled: int
) -> None:
    shape = StepShape(rows, 100, FP16, program, each)
    assert (shape.sequence_count, shape.sampled_count) == (sequences, sampled)
    kinds: dict[BlockKind, int] = {
        "head": sampled, "embedding": rows, "attention": rows, "feed_forward": rows,
    }  # fmt: skip
    for kind, passing in kinds.items():
        assert shape.rows_of(Block(kind, kind, (), False)) == passing


@pytest.mark.parametrize(
    ("rows", "residual", "group", "elements"),
    [(1, 8, 4, 2), (1, 9, 4, 3), (3, 9, 4, 7), (4, 9, 4, 9), (1, 1, 8, 1), (5, 7, 1, 35)],
)
def test_a_shard_is_the_largest_share_of_all_rows(
    rows: int, residual: int, group: int, elements: int
) -> None:
    shape = StepShape(rows, 100, FP16)
    assert shape.shard_elements(residual, group) == elements
    assert shape.shard_bytes(residual, group) == 2 * elements


# Terms --------------------------------------------------------------------------------------------

ODD = Terms(11, 12, 13, 14, 15, 16, 17)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 20])
def test_pieces_of_an_operator_add_up_to_it(count: int) -> None:
    """The first has the fixed latency; of the rest each has its share, to a picosecond."""
    pieces = [ODD.piece(number, count) for number in range(count)]
    assert total(pieces) == ODD
    assert [piece.fixed_latency_ps for piece in pieces] == [11] + [0] * (count - 1)
    for name in ("compute_ps", "weight_feed_ps", "memory_ps", "slack_ps"):
        shares = [getattr(piece, name) for piece in pieces]
        assert max(shares) - min(shares) <= 1


def test_terms_are_multiplied_and_summed_with_weights() -> None:
    assert ODD.times(3) == Terms(33, 36, 39, 42, 45, 48, 51)
    assert ODD.times(0) == Terms()
    other = Terms(1, 0, 2, 0, 3, 0, 4)
    found = weighted_total([(ODD, 2), (other, 10), (ODD, 0)])
    assert found == Terms(32, 24, 46, 28, 60, 32, 74)
    assert weighted_total([]) == Terms()


@pytest.mark.parametrize(
    ("terms", "largest"),
    [
        (Terms(5, 5, 5, 5, 5, 5, 5), "fixed_latency"),
        (Terms(1, 2, 3, 4, 5, 6, 7), "slack"),
        (Terms(1, 2, 9, 4, 9, 6, 7), "weight_feed"),
        (Terms(), "fixed_latency"),
    ],
)
def test_of_equal_terms_the_first_is_the_largest(terms: Terms, largest: str) -> None:
    assert terms.largest == largest


@pytest.mark.parametrize(
    ("latency_ps", "interval_ps", "slots"), [(100, 100, 1), (101, 100, 2), (200, 100, 2), (1, 7, 1)]
)
def test_slots_that_enter_a_pipeline_are_back_in_time(
    latency_ps: int, interval_ps: int, slots: int
) -> None:
    timing = PipelineTiming((), (), latency_ps, interval_ps)
    assert (timing.slot_count, timing.revolution_ps) == (slots, slots * interval_ps)


# Attention ----------------------------------------------------------------------------------------


def test_a_roof_is_the_sum_of_pairs_tokens_and_rows() -> None:
    roof = AttentionRoof("memory", 3, 50, 700)
    assert roof.time_ps(Attended(6, 2, 4)) == 6 + 200 + 4200
    assert roof.time_ps(Attended(0, 0, 0)) == 0


def test_each_coefficient_is_rounded_up_to_picoseconds() -> None:
    work = AffineWork()
    assert work.roof("memory", 7) == AttentionRoof("memory", 0, 0, 0)
    work.pair[None] += Fraction(1, 3)
    work.token[None] += 10
    work.row += 21
    assert work.roof("compute", 10**12) == AttentionRoof("compute", 1, 10, 21)
    assert work.roof("compute", 10**13) == AttentionRoof("compute", 1, 1, 3)


LOW, WIDE, TALL, TOP = (
    AttentionRoof("low", 1, 1, 1),
    AttentionRoof("wide", 5, 1, 1),
    AttentionRoof("tall", 1, 1, 5),
    AttentionRoof("top", 5, 1, 5),
)


@pytest.mark.parametrize(
    ("roofs", "kept"),
    [
        ((LOW, WIDE), {WIDE}),
        ((LOW, TALL), {TALL}),
        ((LOW, AttentionRoof("x", 1, 2, 1)), {AttentionRoof("x", 1, 2, 1)}),
        ((WIDE, TALL), {WIDE, TALL}),
        ((LOW, WIDE, TALL), {WIDE, TALL}),
        ((LOW, WIDE, TALL, TOP), {TOP}),
        ((AttentionRoof("a", 2, 1, 1), AttentionRoof("b", 1, 2, 1), AttentionRoof("c", 1, 1, 2)),
         {AttentionRoof("a", 2, 1, 1), AttentionRoof("b", 1, 2, 1), AttentionRoof("c", 1, 1, 2)}),
    ],
)  # fmt: skip
def test_roofs_that_never_are_the_largest_are_left_out(
    roofs: tuple[AttentionRoof, ...], kept: set[AttentionRoof]
) -> None:
    """In whatever order they come; those that are kept keep theirs."""
    for order in permutations(roofs):
        assert without_dominated(order) == tuple(roof for roof in order if roof in kept)


def test_of_equal_roofs_the_first_is_kept() -> None:
    same = AttentionRoof("same", 1, 1, 1)
    assert without_dominated([LOW, same]) == (LOW,)
    assert without_dominated([same, LOW]) == (same,)
    assert without_dominated([]) == ()


@pytest.mark.parametrize(
    ("elements", "group", "size_bytes"),
    [
        (((10,), (4, 4)), 1, 10),
        (((10,), (4, 4)), 4, 3),
        (((4, 4), (10,)), 4, 3),
        (((3,), (5, 4)), 2, 5),
    ],
)
def test_a_cached_token_takes_its_share_of_the_fullest_stage(
    elements: tuple[tuple[int, ...], ...], group: int, size_bytes: int
) -> None:
    """A byte an element, rounded up once for all blocks of a stage."""
    stages = [
        [Block("a", "attention", (), True, kv_elements_per_token=count) for count in counts]
        for counts in elements
    ]
    assert kv_bytes_per_token(stages, group, FP16) == size_bytes


# Experts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3, 10])
def test_logits_are_one_for_each_expert_and_a_sum_of_squares(rows: int) -> None:
    """In fp32."""
    assert logit_bytes(Choice(8, 2), rows) == rows * 9 * 4


@pytest.mark.parametrize(
    ("choice", "rows", "group", "residual", "elements"),
    [
        # A static program sends all rows to any chip: they may all choose an expert there.
        (Choice(8, 2, apart=True), 3, 4, 100, 75),
        (Choice(8, 2, apart=True), 1, 4, 101, 26),
        (Choice(8, 2, apart=True), 1, 8, 100, 13),
        # At most an equal share, rounded up for each expert: 3 x 2 / 8 is a row for each of two
        # experts; 16 x 2 / 8 are four, eight in all.
        (Choice(8, 2, apart=True, capacity_factor=1.0), 3, 4, 100, 50),
        (Choice(8, 2, apart=True, capacity_factor=1.0), 16, 4, 100, 200),
    ],
)
def test_a_chip_sends_its_shard_of_as_many_rows_as_the_fullest_gets(
    choice: Choice, rows: int, group: int, residual: int, elements: int
) -> None:
    found = dispatched_elements(
        choice, rows, group_size=group, residual_elements=residual, execution="static"
    )
    assert found == elements


def test_on_average_a_row_goes_to_a_chip_once_however_many_of_its_experts_are_there() -> None:
    """All eight experts of every row: to each of four chips, and once."""
    for rows in (1, 5):
        for execution in ("reactive", "static"):
            assert (
                dispatched_elements(
                    Choice(8, 8, apart=True),
                    rows,
                    group_size=4,
                    residual_elements=100,
                    execution=execution,
                )
                == rows * 25
            )
    # Eight rows of one expert each over eight chips are less on average than at most.
    one = Choice(8, 1, apart=True)
    averaged, most = (
        dispatched_elements(one, 8, group_size=8, residual_elements=800, execution=execution)
        for execution in ("reactive", "static")
    )
    assert 100 < averaged < most == 800


# Messages -----------------------------------------------------------------------------------------

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)
BOX = Routing(fully_connected(name="node", chips=4, local=LINK, port_count=8))


@pytest.mark.parametrize(
    ("flow", "takes_ps"),
    [
        (Flow(0, 1, 1), 533_000 + 26_240),
        (Flow(0, 1, 320), 533_000 + 26_240),
        (Flow(0, 1, 321), 533_000 + 2 * 26_240),
        (Flow(0, 1, 0), 0),
        (Flow(1, 1, 100), 0),
    ],
)
def test_what_sends_nothing_or_stays_takes_no_time(flow: Flow, takes_ps: int) -> None:
    timing = time_flows(BOX, [flow])
    assert timing.duration_ps == takes_ps
    assert timing.link_latency_ps == (533_000 if takes_ps else 0)
    assert timing.link_serialisation_ps == max(takes_ps - 533_000, 0)
    assert [part.flow for part in timing.flows] == [flow]


def test_an_exchange_is_found_once_for_its_size_group_and_algorithm() -> None:
    exchanges = Exchanges(BOX)
    first = exchanges.fastest("all_gather", (0, 1, 2), 100)
    assert exchanges.fastest("all_gather", (0, 1, 2), 100) is first
    assert first.size_bytes == 300
    for other in (
        exchanges.fastest("reduce_scatter", (0, 1, 2), 100),
        exchanges.fastest("all_gather", (0, 1, 3), 100),
        exchanges.fastest("all_gather", (0, 1, 2), 101),
        exchanges.fastest("all_gather", (0, 1, 2), 100, "ring"),
    ):
        assert other is not first
    assert exchanges.fastest("all_gather", (0, 1, 2), 100, "ring").algorithm == "ring"
