"""Quantiles: exact order statistics of more integers than fit in memory.

Values come in chunks that can be read again. A histogram narrows each rank to a range of values;
ranges that are still too full are narrowed again; the rest is sorted. No estimate anywhere.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Chunks = Callable[[], Iterator[NDArray[np.int64]]]

# Values sorted at once (8 MiB); fewer than this are never histogrammed.
SORTED_AT_ONCE = 2**20
_HISTOGRAM_BINS = 2**16


def order_statistics(
    chunks: Chunks, ranks: Sequence[int], *, sorted_at_once: int = SORTED_AT_ONCE
) -> list[int]:
    """The values at `ranks` (from 0) of all chunks sorted together."""
    lowest, highest = 0, 0
    count = 0
    for chunk in chunks():
        if len(chunk):
            low, high = int(chunk.min()), int(chunk.max())
            lowest = min(lowest, low) if count else low
            highest = max(highest, high) if count else high
            count += len(chunk)
    found: dict[int, int] = {}
    _select(chunks, sorted(set(ranks)), 0, lowest, highest, count, sorted_at_once, found)
    return [found[rank] for rank in ranks]


def percentiles(chunks: Chunks, count: int, percents: Sequence[int]) -> list[Fraction]:
    """Percentiles of `count` values, linear between neighbours (the usual definition), exact."""
    places = [Fraction(percent * (count - 1), 100) for percent in percents]
    ranks = sorted({rank for place in places for rank in (int(place), -int(-place // 1))})
    values = dict(zip(ranks, order_statistics(chunks, ranks), strict=True))
    return [
        values[int(place)] + (values[-int(-place // 1)] - values[int(place)]) * (place - int(place))
        for place in places
    ]


def exact_sum(values: NDArray[np.int64]) -> int:
    """The sum without overflow: halves of 32 bits are added apart."""
    high, low = values >> 32, values & 0xFFFFFFFF
    return (int(high.sum()) << 32) + int(low.sum())


def _select(
    chunks: Chunks,
    ranks: list[int],
    below: int,
    lowest: int,
    highest: int,
    count: int,
    limit: int,
    found: dict[int, int],
) -> None:
    """Finds `ranks`, all of which lie among the `count` values in [lowest, highest].

    `below` values are smaller than `lowest`.
    """
    if not ranks:
        return
    if lowest == highest:
        found.update(dict.fromkeys(ranks, lowest))
        return
    if count <= limit:
        inside = [c[(c >= lowest) & (c <= highest)] for c in chunks()]
        ordered = np.sort(np.concatenate(inside))
        found.update({rank: int(ordered[rank - below]) for rank in ranks})
        return
    width = (highest - lowest) // _HISTOGRAM_BINS + 1
    counts = np.zeros(_HISTOGRAM_BINS, dtype=np.int64)
    for chunk in chunks():
        inside_chunk = chunk[(chunk >= lowest) & (chunk <= highest)]
        counts += np.bincount((inside_chunk - lowest) // width, minlength=len(counts))
    ends = below + np.cumsum(counts)
    bins = np.searchsorted(ends, np.asarray(ranks), side="right")
    for number in sorted(set(bins.tolist())):
        start = lowest + number * width
        _select(
            chunks,
            [rank for rank, place in zip(ranks, bins.tolist(), strict=True) if place == number],
            int(ends[number] - counts[number]),
            start,
            min(highest, start + width - 1),
            int(counts[number]),
            limit,
            found,
        )
