"""Gaps: the times between tokens of all requests, pooled, as runs that share a formula.

A run of iterations in which only the context grows gives gaps that are an arithmetic series; a
static machine knows one gap. Both are stored in one row whatever the number of tokens, and their
percentiles are exact.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from rack_sim.foundation.arrays import Int64Array
from rack_sim.metrics.column_log import ColumnLog
from rack_sim.metrics.quantiles import exact_sum, interpolated, weighted_order_statistics

# Different gaps that are only counted; a machine with more of them keeps runs.
_COUNTED_MAX = 64
_GAPS_AT_ONCE = 2**18


class GapLog:
    """Runs of gaps: `weight` sequences had the gaps first, first + step, … (`count` of them)."""

    def __init__(self) -> None:
        self._runs = ColumnLog(("first_ps", "step_ps", "count", "weight"))
        self._counted: Counter[int] = Counter()
        self.gap_count = 0

    def add(self, first_ps: int, step_ps: int, count: int, weight: int) -> None:
        """Adds a run of gaps."""
        self.gap_count += count * weight
        if not step_ps or count == 1:
            counted = self._counted
            if first_ps in counted or len(counted) < _COUNTED_MAX:
                counted[first_ps] += count * weight
            else:
                self._runs.append((first_ps, 0, 1, count * weight))
            return
        while count > _GAPS_AT_ONCE:  # a run is expanded at once
            self._runs.append((first_ps, step_ps, _GAPS_AT_ONCE, weight))
            first_ps += _GAPS_AT_ONCE * step_ps
            count -= _GAPS_AT_ONCE
        self._runs.append((first_ps, step_ps, count, weight))

    def add_all(self, other: "GapLog") -> None:
        """Adds every run of another log."""
        for gap_ps, count in other._counted.items():
            self.add(gap_ps, 0, count, 1)
        for chunk in other._runs.chunks():
            for row in zip(*(chunk[name].tolist() for name in self._runs.columns), strict=True):
                self.add(*row)

    def as_runs(self) -> ColumnLog:
        """The log of runs, with everything that was only counted in it."""
        for gap_ps, count in sorted(self._counted.items()):
            self._runs.append((gap_ps, 0, 1, count))
        self._counted.clear()
        return self._runs

    def chunks(self) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Every gap in ps, and how often it occurred, in pieces of bounded size."""
        if self._counted:
            pairs = np.array(sorted(self._counted.items()), dtype=np.int64)
            yield pairs[:, 0], pairs[:, 1]
        for chunk in self._runs.chunks():
            yield from _expanded(*(chunk[name] for name in self._runs.columns))


def mean_and_percentiles(log: GapLog, percents: Sequence[int]) -> list[Fraction]:
    """The mean of all gaps, then their percentiles, linear between neighbours; empty if none."""
    count, amount = 0, 0
    for values, counts in log.chunks():
        count += exact_sum(counts)
        amount += _exact_dot(values, counts)
    if not count:
        return []
    found = interpolated(
        lambda ranks: weighted_order_statistics(log.chunks, ranks), count, percents
    )
    return [Fraction(amount, count), *found]


def _exact_dot(values: Int64Array, counts: Int64Array) -> int:
    """The sum of all products. Parts of 32 and 31 bits are multiplied apart: none overflows."""
    if int(counts.max()) >> 31:  # a gap of 3 ms, three thousand million times, is beyond 64 bits
        high, low = counts >> 31, counts & 0x7FFFFFFF
        return (_exact_dot(values, high) << 31) + _exact_dot(values, low)
    high, low = (values >> 32) * counts, (values & 0xFFFFFFFF) * counts
    return (exact_sum(high) << 32) + exact_sum(low)


def _expanded(
    first: Int64Array,
    step: Int64Array,
    count: Int64Array,
    weight: Int64Array,
) -> Iterator[tuple[Int64Array, Int64Array]]:
    """The gaps of runs, one by one, in pieces of about `_GAPS_AT_ONCE`."""
    ends = np.cumsum(count)
    start = 0
    while start < len(count):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _GAPS_AT_ONCE, side="right")))
        part = slice(start, end)
        times = count[part]
        starts = ends[part] - times - before
        place = np.arange(int(ends[end - 1]) - before) - np.repeat(starts, times)
        values = np.repeat(first[part], times) + place * np.repeat(step[part], times)
        yield values, np.repeat(weight[part], times)
        start = end
