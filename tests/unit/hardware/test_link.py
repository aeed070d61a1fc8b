"""A link carries whole vectors: 328 bytes of wire for 320 of payload, rounded up to picoseconds."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.link import LinkType

GROQ = LinkType("c2c", 12_500_000_000, 240_000, 320, 328)


@pytest.mark.parametrize(
    ("message_bytes", "vectors", "ps"),
    [
        (0, 0, 0),
        (1, 1, 26_240),  # 328 B at 12.5 GB/s = 26.24 ns
        (320, 1, 26_240),
        (321, 2, 52_480),
        (640, 2, 52_480),
        (16_384, 52, 52 * 26_240),  # ceil(51.2) vectors
    ],
)
def test_groq_vectors_by_hand(message_bytes: int, vectors: int, ps: int) -> None:
    assert GROQ.vectors(message_bytes) == vectors
    assert GROQ.serialisation_ps(message_bytes) == ps


@given(
    st.integers(0, 10**12),
    st.integers(1, 10**13),
    st.integers(1, 4096),
    st.integers(0, 512),
)
def test_serialisation_is_the_formula(size: int, rate: int, payload: int, framing: int) -> None:
    link = LinkType("any", rate, 0, payload, payload + framing)
    vectors = ceil(Fraction(size, payload))
    assert link.serialisation_ps(size) == ceil(
        Fraction(vectors * (payload + framing) * 10**12, rate)
    )
