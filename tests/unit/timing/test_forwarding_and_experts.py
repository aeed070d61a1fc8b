"""Forwarding between unlike links as early as can be, and operators of experts by hand."""

import pytest

from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.model.choice import Choice
from rack_sim.model.operators import Operator
from rack_sim.timing.operators import time_operator
from rack_sim.timing.precision import Precision
from rack_sim.timing.tasks import Crossing

# A byte on the wire takes a picosecond: vectors of four, seven and three.
SMALL, LARGE, THIN = (
    LinkType("small", 10**12, 5, 3, 4),
    LinkType("large", 10**12, 11, 5, 7),
    LinkType("thin", 10**12, 2, 2, 3),
)


@pytest.mark.parametrize("first", [(SMALL, 1), (LARGE, 1), (THIN, 2), (SMALL, 3)])
@pytest.mark.parametrize("then", [(SMALL, 1), (LARGE, 2), (THIN, 1), (LARGE, 1)])
@pytest.mark.parametrize("size_bytes", [1, 2, 3, 5, 6, 15, 16, 40])
def test_a_message_is_forwarded_as_soon_as_every_batch_has_come(
    first: tuple[LinkType, int], then: tuple[LinkType, int], size_bytes: int
) -> None:
    """The least wait at which no batch leaves before its last byte is there; tried one by one."""
    before, after = Crossing.of(*first, size_bytes), Crossing.of(*then, size_bytes)
    batch_1, batch_2 = (lanes * kind.payload_bytes for kind, lanes in (first, then))
    vector_1, vector_2 = first[0].wire_bytes, then[0].wire_bytes

    def in_time(wait_ps: int) -> bool:
        return all(
            wait_ps + (byte // batch_2) * vector_2 >= (byte // batch_1 + 1) * vector_1
            for byte in range(size_bytes)
        )

    least_ps = next(ps for ps in range(1000) if in_time(ps))
    found_ps = before.lag_to(after) - first[0].latency_ps
    assert in_time(found_ps)
    assert found_ps == least_ps


def chip(fixed_ps: int, execution: str = "static") -> Chip:
    return Chip(
        name="small",
        execution=execution,  # type: ignore[arg-type]
        memory=(MemoryTier("sram", 10**9, 10**12),),
        matrix=MatrixUnit({"int8": 10**12}, None),
        vector_flop_per_s=10**12,
        operator_fixed_latency_ps=fixed_ps,
        program_text_bytes=0,
        port_count=8,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )


INT8 = Precision("int8", "int8", "int8", "int8")


@pytest.mark.parametrize(
    ("fixed_ps", "binding"), [(999, "compute"), (1000, "fixed_latency"), (1001, "fixed_latency")]
)
def test_a_fixed_latency_of_as_much_as_the_roof_binds(fixed_ps: int, binding: str) -> None:
    operator = Operator("p", "matrix", 1, flop_per_row=1000)
    timing = time_operator(
        operator, chip=chip(fixed_ps), precision=INT8, rows=1, context_tokens=0, group_size=1
    )
    assert (timing.binding, timing.duration_ps) == (binding, fixed_ps + 1000)


@pytest.mark.parametrize(
    ("choice", "group", "pairs", "experts"),
    [
        # Three rows of two experts: six pairs; sliced, every chip has its part of all of them.
        (Choice(8, 2), 1, 6, 6),
        (Choice(8, 2), 2, 3, 3),
        # Whole experts: all three rows may go to both experts of one of four chips.
        (Choice(8, 2, apart=True), 4, 6, 2),
        (Choice(8, 2, apart=True), 8, 3, 1),
    ],
)
def test_a_static_chip_works_for_the_most_rows_and_reads_the_most_experts(
    choice: Choice, group: int, pairs: int, experts: int
) -> None:
    """An expert has 100 weights; a pair of a row and an expert takes 200 FLOP and 10 elements."""
    operator = Operator(
        "experts",
        "matrix",
        8 * 100,
        flop_per_row=2 * 200,
        activations_per_row=2 * 10,
        choice=choice,
    )
    timing = time_operator(
        operator, chip=chip(0), precision=INT8, rows=3, context_tokens=0, group_size=group
    )
    assert timing.flop == 200 * pairs
    assert timing.live_bytes == 10 * pairs
    assert timing.memory_bytes == 10 * pairs + 100 * experts
