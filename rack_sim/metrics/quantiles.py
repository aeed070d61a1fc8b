"""Quantiles: exact order statistics of more integers than fit in memory.

Values come in chunks that can be read again. A histogram narrows each rank to a range of values;
ranges that are still too full are narrowed again; the rest is sorted. No estimate anywhere.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from rack_sim.foundation.arrays import Int64Array

Chunks = Callable[[], Iterator[Int64Array]]
Weighted = tuple[Int64Array, Int64Array | None]
"""Values, and how often each occurred; None where each did once."""

# Values sorted at once (8 MiB); fewer than this are never histogrammed.
SORTED_AT_ONCE = 2**20
_HISTOGRAM_BINS = 2**16


def order_statistics(
    chunks: Chunks, ranks: Sequence[int], *, sorted_at_once: int | None = None
) -> list[int]:
    """The values at `ranks` (from 0) of all chunks sorted together, so many sorted at once."""
    return weighted_order_statistics(
        lambda: ((chunk, None) for chunk in chunks()), ranks, sorted_at_once=sorted_at_once
    )


def weighted_order_statistics(
    chunks: Callable[[], Iterator[Weighted]],
    ranks: Sequence[int],
    *,
    sorted_at_once: int | None = None,
) -> list[int]:
    """The same of values that occurred as often as their weights say."""
    ends = [(int(v.min()), int(v.max()), len(v)) for v, _ in chunks() if len(v)]
    if not ranks or not ends:
        return []
    lows, highs, counts = zip(*ends, strict=True)
    select = _Selection(chunks, sorted_at_once or SORTED_AT_ONCE)
    select.among(sorted(set(ranks)), 0, min(lows), max(highs), sum(counts))
    return [select.found[rank] for rank in ranks]


def percentiles(chunks: Chunks, count: int, percents: Sequence[int]) -> list[Fraction]:
    """Percentiles of `count` values, linear between neighbours (the usual definition), exact."""
    return interpolated(lambda ranks: order_statistics(chunks, ranks), count, percents)


def interpolated(
    values_at: Callable[[Sequence[int]], list[int]], count: int, percents: Sequence[int]
) -> list[Fraction]:
    """Percentiles of `count` values, of which `values_at` gives those at some ranks."""
    places = [Fraction(percent * (count - 1), 100) for percent in percents]
    ranks = sorted({rank for place in places for rank in (int(place), -int(-place // 1))})
    values = dict(zip(ranks, values_at(ranks), strict=True))
    return [
        values[int(place)] + (values[-int(-place // 1)] - values[int(place)]) * (place - int(place))
        for place in places
    ]


def exact_sum(values: Int64Array) -> int:
    """The sum without overflow: halves of 32 bits are added apart."""
    high, low = values >> 32, values & 0xFFFFFFFF
    return (int(high.sum()) << 32) + int(low.sum())


class _Selection:
    """Order statistics being looked for; `found` has those that are known, by rank."""

    def __init__(self, chunks: Callable[[], Iterator[Weighted]], sorted_at_once: int) -> None:
        self._chunks, self._sorted_at_once = chunks, sorted_at_once
        self.found: dict[int, int] = {}

    def among(self, ranks: list[int], below: int, lowest: int, highest: int, count: int) -> None:
        """Finds `ranks`, all of them among `count` values in [lowest, highest].

        `below` occurrences are smaller than `lowest`.
        """
        if lowest == highest:
            self.found.update(dict.fromkeys(ranks, lowest))
            return
        if count <= self._sorted_at_once:
            self._sort(ranks, below, lowest, highest)
            return
        width = (highest - lowest) // _HISTOGRAM_BINS + 1
        sizes = np.zeros(_HISTOGRAM_BINS, dtype=np.int64)
        weights = np.zeros(_HISTOGRAM_BINS, dtype=np.int64)
        for values, times in self._within(lowest, highest):
            numbers = (values - lowest) // width
            inside = np.bincount(numbers, minlength=len(sizes))
            sizes += inside
            if times is None:
                weights += inside
            else:
                np.add.at(weights, numbers, times)
        ends = below + np.cumsum(weights)
        bins = np.searchsorted(ends, np.asarray(ranks), side="right").tolist()
        for number in sorted(set(bins)):
            start = lowest + number * width
            self.among(
                [rank for rank, place in zip(ranks, bins, strict=True) if place == number],
                int(ends[number] - weights[number]),
                start,
                min(highest, start + width - 1),
                int(sizes[number]),
            )

    def _sort(self, ranks: list[int], below: int, lowest: int, highest: int) -> None:
        parts = list(self._within(lowest, highest))
        values = np.concatenate([part for part, _ in parts])
        times = [part for _, part in parts if part is not None]
        if not times:
            values, places = np.sort(values), np.asarray(ranks) - below
        else:
            order = np.argsort(values, kind="stable")
            values, ends = values[order], below + np.cumsum(np.concatenate(times)[order])
            places = np.searchsorted(ends, np.asarray(ranks), side="right")
        self.found.update(zip(ranks, values[places].tolist(), strict=True))

    def _within(self, lowest: int, highest: int) -> Iterator[Weighted]:
        for values, times in self._chunks():
            keep = (values >= lowest) & (values <= highest)
            yield values[keep], None if times is None else times[keep]
