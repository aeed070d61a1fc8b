"""Bytes by precision, shares that sum exactly, and durations that split into their causes."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.chip import PRECISION_BITS
from rack_sim.model.operators import Operator
from rack_sim.timing.precision import Precision, bytes_of, shard
from rack_sim.timing.terms import Terms, total


@given(st.integers(0, 10**15), st.integers(1, 10_000))
def test_shares_sum_exactly_and_differ_by_at_most_one(amount: int, parts: int) -> None:
    shares = [shard(amount, parts, index) for index in range(parts)]
    assert sum(shares) == amount
    assert max(shares) - min(shares) <= 1
    assert max(shares) == ceil(Fraction(amount, parts))


@pytest.mark.parametrize(
    ("precision", "bits"), [("fp32", 32), ("fp16", 16), ("bf16", 16), ("fp8", 8), ("int8", 8)]
)
def test_bits_are_those_of_the_format(precision: str, bits: int) -> None:
    assert PRECISION_BITS[precision] == bits
    assert bytes_of(1000, precision) == 125 * bits


@given(st.integers(0, 10**12))
def test_half_bytes_are_rounded_up(elements: int) -> None:
    assert bytes_of(elements, "int4") == bytes_of(elements, "fp4") == ceil(Fraction(elements, 2))


@given(st.integers(0, 10**12))
def test_block_floating_point_has_one_more_byte_for_sixteen_numbers(elements: int) -> None:
    assert bytes_of(16 * elements, "bfp8") == 17 * elements
    assert bytes_of(elements, "bfp8") == ceil(Fraction(17 * elements, 16))


def test_each_kind_of_data_has_its_own_precision() -> None:
    mixed = Precision(weights="int4", kv="fp8", activations="fp16", compute="fp32")
    weights = Operator("o", "matrix", parameters=8)
    assert mixed.weight_bytes([weights]) == mixed.part_bytes(weights, 8) == 4
    assert (mixed.kv_bytes(8), mixed.activation_bytes(8)) == (8, 16)


terms = st.builds(Terms, *[st.integers(0, 10**15)] * 7)


@given(st.lists(terms, max_size=5))
def test_terms_add_cause_by_cause(parts: list[Terms]) -> None:
    summed = total(parts)
    for name, amount in summed.by_name().items():
        assert amount == sum(getattr(part, f"{name}_ps") for part in parts)
    assert summed.total_ps == sum(part.total_ps for part in parts)


def test_terms_know_their_names_and_the_largest() -> None:
    split = Terms(1, 2, 3, 4, 50, 6, 7)
    assert split.by_name() == {
        "fixed_latency": 1,
        "compute": 2,
        "weight_feed": 3,
        "memory": 4,
        "link_latency": 50,
        "link_serialisation": 6,
        "slack": 7,
    }
    assert (split.total_ps, split.largest) == (73, "link_latency")
