"""Order statistics by narrowing: every rank of small samples, at the bounds of every range."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from rack_sim.metrics import quantiles
from rack_sim.metrics.quantiles import exact_sum, order_statistics, percentiles


def in_chunks(values: Sequence[int], size: int):
    """Pieces, and an empty one before and after them."""
    starts = [0, *range(0, len(values), size)]
    pieces = [values[start : start + size] for start in starts]
    pieces[0] = []
    return lambda: iter([np.array(piece, dtype=np.int64) for piece in [*pieces, []]])


@pytest.mark.parametrize("low", [-(10**6), -1, 0, 1, 10**17])
@pytest.mark.parametrize("spread", [1, 2, 4, 5, 6, 24, 25, 26, 1000, 10**15])
@pytest.mark.parametrize("at_once", [1, 2, 7])
def test_every_rank(monkeypatch: pytest.MonkeyPatch, low: int, spread: int, at_once: int) -> None:
    """Sixty values, some equal, in five bins at a time."""
    monkeypatch.setattr(quantiles, "_HISTOGRAM_BINS", 5)
    values = [low + number * number * 7919 % (spread + 1) for number in range(60)]
    ranks = list(range(60))
    found = order_statistics(in_chunks(values, 11), ranks, sorted_at_once=at_once)
    assert found == sorted(values)


def test_ranks_in_any_order_and_twice() -> None:
    values = [5, -3, 8, 8, 0]
    assert order_statistics(in_chunks(values, 2), [4, 0, 4, 1], sorted_at_once=1) == [8, -3, 8, 0]
    assert order_statistics(in_chunks(values, 2), []) == []


@pytest.mark.parametrize(
    "values", [[7], [-7], [7, 7], [-9, -7], [7, 9], [9, 7], [-1, 1], [2**63 - 1, 0], [-5, -5, -9]]
)
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("at_once", [1, 100])
def test_the_least_and_the_largest(values: list[int], size: int, at_once: int) -> None:
    """Also where all are above or below zero, and whatever comes first."""
    last = len(values) - 1
    found = order_statistics(in_chunks(values, size), [0, last], sorted_at_once=at_once)
    assert found == [min(values), max(values)]


def test_as_many_as_may_be_are_sorted_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_sizes: list[int] = []
    sort = np.sort

    def watched(values):
        sorted_sizes.append(len(values))
        return sort(values)

    monkeypatch.setattr(quantiles.np, "sort", watched)
    chunks = in_chunks(range(10), 4)
    assert order_statistics(chunks, [3], sorted_at_once=10) == [3]
    assert sorted_sizes == [10]
    assert order_statistics(chunks, [3], sorted_at_once=9) == [3]
    assert sorted_sizes == [10], "each value has a bin of its own: nothing is left to sort"


@pytest.mark.parametrize(
    ("values", "percents", "wanted"),
    [
        ([10, 20], (0, 25, 50, 99, 100), [10, Fraction(25, 2), 15, Fraction(199, 10), 20]),
        ([20, 10, 40], (50, 75, 100), [20, 30, 40]),
        ([5], (0, 50, 100), [5, 5, 5]),
        (range(101), (0, 1, 50, 90, 95, 99, 100), [0, 1, 50, 90, 95, 99, 100]),
        (range(0, 202, 2), (1, 33), [2, 66]),
        ([0, 2**62], (50, 99), [2**61, Fraction(99 * 2**62, 100)]),
    ],
)
def test_percentiles_between_neighbours(values, percents, wanted) -> None:
    assert percentiles(in_chunks(values, 3), len(values), percents) == wanted


def test_sums_of_halves() -> None:
    """Numbers about which half of 32 bits is which."""
    values = [2**32 - 1, 2**32, 2**32 + 1, -1, -(2**32), 2**62, 2**62, 2**62, -(2**63)]
    assert exact_sum(np.array(values, dtype=np.int64)) == sum(values)
    for value in values:
        assert exact_sum(np.array([value], dtype=np.int64)) == value
    assert exact_sum(np.array([], dtype=np.int64)) == 0
