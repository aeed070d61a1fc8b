"""Order statistics and percentiles against sorting everything and against numpy, always exact."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rack_sim.metrics import quantiles
from rack_sim.metrics.quantiles import exact_sum, order_statistics, percentiles

TOP = 2**62


@st.composite
def samples(draw: st.DrawFn) -> list[int]:
    """Few or many values apart, close together, or far apart: all force narrowing in their way."""
    top = draw(st.sampled_from([1, 5, 2**17, 10**12, TOP]))
    low = draw(st.sampled_from([0, -top, 10**9]))
    return draw(st.lists(st.integers(low, low + top), min_size=1, max_size=60))


def in_chunks(values: list[int], size: int) -> Iterator[NDArray[np.int64]]:
    yield np.array([], dtype=np.int64)  # an empty chunk must not disturb
    for start in range(0, len(values), size):
        yield np.array(values[start : start + size], dtype=np.int64)


@given(samples(), st.integers(1, 70), st.integers(1, 8), st.data())
@settings(max_examples=150, deadline=None)
def test_order_statistics_are_those_of_sorting(
    values: list[int], chunk: int, at_once: int, data: st.DataObject
) -> None:
    ranks = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=6))
    found = order_statistics(lambda: in_chunks(values, chunk), ranks, sorted_at_once=at_once)
    ordered = sorted(values)
    assert found == [ordered[rank] for rank in ranks]


@given(samples(), st.lists(st.integers(0, 100), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None)
def test_percentiles_are_linear_between_neighbours(values: list[int], percents: list[int]) -> None:
    found = percentiles(lambda: in_chunks(values, 7), len(values), percents)
    ordered = sorted(values)
    for percent, value in zip(percents, found, strict=True):
        place = Fraction(percent * (len(values) - 1), 100)
        below, above = ordered[int(place)], ordered[-int(-place // 1)]
        assert value == below + (above - below) * (place - int(place))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60), st.integers(0, 100))
@settings(deadline=None)
def test_percentiles_are_those_of_numpy(values: list[int], percent: int) -> None:
    (found,) = percentiles(lambda: in_chunks(values, 9), len(values), (percent,))
    # numpy interpolates in floats: a handful of roundings of numbers up to 10**9.
    assert float(found) == pytest.approx(np.percentile(values, percent), rel=1e-12, abs=1e-6)


def test_many_values_through_the_histogram(monkeypatch: pytest.MonkeyPatch) -> None:
    """200,000 log-normal values, of which at most 1,000 may be sorted at once."""
    values = (np.random.default_rng(3).lognormal(18, 2, 200_000)).astype(np.int64)
    largest = 0
    sort = np.sort

    def watched(part: NDArray[np.int64]) -> NDArray[np.int64]:
        nonlocal largest
        largest = max(largest, len(part))
        return sort(part)

    ranks = [0, 1, 100_000, 180_000, 198_000, 199_999]
    expected = sort(values)[ranks].tolist()
    monkeypatch.setattr(quantiles.np, "sort", watched)
    found = order_statistics(lambda: iter(np.array_split(values, 13)), ranks, sorted_at_once=1000)
    assert found == expected
    assert 0 < largest <= 1000


def test_equal_values_are_never_sorted() -> None:
    values = np.full(5000, 42, dtype=np.int64)
    assert order_statistics(lambda: iter([values]), [0, 4999], sorted_at_once=2) == [42, 42]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=100))
def test_sums_do_not_overflow(values: list[int]) -> None:
    assert exact_sum(np.array(values, dtype=np.int64)) == sum(values)


def test_a_sum_beyond_64_bits() -> None:
    huge = np.full(100_000, 2**63 - 1, dtype=np.int64)
    assert exact_sum(huge) == 100_000 * (2**63 - 1)
    assert exact_sum(-huge) == -100_000 * (2**63 - 1)
