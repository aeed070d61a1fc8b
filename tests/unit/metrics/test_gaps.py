"""Pooled gaps are those of every token written out one by one, however they were put in."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.metrics import gaps, quantiles
from rack_sim.metrics.gaps import GapLog, mean_and_percentiles

PERCENTS = (0, 1, 50, 90, 95, 99, 100)
Run = tuple[int, int, int, int]


def expected(runs: list[Run]) -> list[Fraction]:
    """The mean and percentiles of every gap written out and sorted."""
    pooled = [
        np.repeat(first + step * np.arange(count), weight) for first, step, count, weight in runs
    ]
    ordered = np.sort(np.concatenate(pooled)).tolist()
    found = [Fraction(sum(ordered), len(ordered))]
    for percent in PERCENTS:
        place = Fraction(percent * (len(ordered) - 1), 100)
        below, above = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
        found.append(below + (above - below) * (place - int(place)))
    return found


def filled(runs: list[Run]) -> GapLog:
    log = GapLog()
    for run in runs:
        log.add(*run)
    return log


@contextmanager
def sizes(**values: int) -> Iterator[None]:
    """Limits so low that every path is taken."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(gaps if hasattr(gaps, name) else quantiles, name, value)
        yield


RUN = st.tuples(
    st.integers(0, 10**12), st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 5)
)


@settings(deadline=None)
@given(
    st.lists(RUN, min_size=1, max_size=30),
    st.sampled_from([1, 7, 2**20]),
    st.sampled_from([10, 2**18]),
    st.sampled_from([0, 2, 64]),
    st.sampled_from([5, 2**16]),
)
def test_gaps_are_those_written_out(
    runs: list[Run], sorted_at_once: int, gaps_at_once: int, counted_max: int, bins: int
) -> None:
    with sizes(
        SORTED_AT_ONCE=sorted_at_once,
        _GAPS_AT_ONCE=gaps_at_once,
        _COUNTED_MAX=counted_max,
        _HISTOGRAM_BINS=bins,
    ):
        assert mean_and_percentiles(filled(runs), PERCENTS) == expected(runs)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    run_count=st.integers(1000, 5000),
    spread=st.sampled_from([10, 10**6, 10**14]),
    sorted_at_once=st.sampled_from([100, 2**12]),
)
def test_thousands_of_runs_are_narrowed_by_histograms(
    seed: int, run_count: int, spread: int, sorted_at_once: int
) -> None:
    """Up to 5,000 runs of about 10 gaps: with the real limits nothing would be histogrammed."""
    rng = np.random.default_rng(seed)
    columns = (
        rng.integers(0, spread, run_count),
        rng.integers(0, 50, run_count),
        rng.integers(1, 20, run_count),
        rng.integers(1, 4, run_count),
    )
    runs = list(zip(*(column.tolist() for column in columns), strict=True))
    with sizes(SORTED_AT_ONCE=sorted_at_once, _GAPS_AT_ONCE=1000, _HISTOGRAM_BINS=50):
        assert mean_and_percentiles(filled(runs), PERCENTS) == expected(runs)


def test_more_gaps_than_are_sorted_at_once() -> None:
    """The limits as they are: 1.2 million gaps."""
    runs = [(number * 977 % 10_007, 13, 300, 1) for number in range(4000)]
    assert mean_and_percentiles(filled(runs), PERCENTS) == expected(runs)


@given(st.lists(st.tuples(st.integers(0, 2**60), st.integers(1, 2**55)), min_size=1, max_size=8))
def test_sums_beyond_64_bits(pairs: list[tuple[int, int]]) -> None:
    """Two 63-bit numbers are multiplied: a long silence, or one gap for thousands of millions."""
    log = GapLog()
    for gap_ps, times in pairs:
        log.add(gap_ps, 0, times, 1)
    count = sum(times for _, times in pairs)
    mean, lowest, highest = mean_and_percentiles(log, (0, 100))
    assert mean == Fraction(sum(gap_ps * times for gap_ps, times in pairs), count)
    assert (lowest, highest) == (min(pairs)[0], max(pairs)[0])


def test_a_static_machine_for_a_long_time() -> None:
    """A gap of 3.3 ms for a million requests of 3,000 tokens; this sum was once negative."""
    log = GapLog()
    for _ in range(1000):
        log.add(3_300_000_000, 0, 3_000_000, 1)
    assert mean_and_percentiles(log, (50,)) == [3_300_000_000] * 2


def test_what_is_beyond_the_counted_is_not_written_out() -> None:
    """Equal gaps take one row however many they are, also once 64 others are counted."""
    log = GapLog()
    for gap_ps in range(64):
        log.add(gap_ps, 0, 1, 1)
    log.add(100, 0, 10**12, 3)
    assert sum(len(values) for values, _ in log.chunks()) == 65
    assert mean_and_percentiles(log, (50,))[1] == 100


def test_one_long_run_comes_in_pieces() -> None:
    """A run of a million gaps is no reason to hold all of them in memory."""
    log = filled([(5, 3, 10**6, 2)])
    pieces = [len(values) for values, _ in log.chunks()]
    assert sum(pieces) == 10**6
    assert max(pieces) <= 2**18
    mean, lowest, median, highest = mean_and_percentiles(log, (0, 50, 100))
    last = 5 + 3 * (10**6 - 1)
    assert mean == median == Fraction(5 + last, 2)
    assert (lowest, highest) == (5, last)


@given(st.lists(RUN, max_size=20), st.lists(RUN, max_size=20), st.sampled_from([0, 1, 64]))
def test_two_logs_merge_into_one(one: list[Run], other: list[Run], counted_max: int) -> None:
    with sizes(_COUNTED_MAX=counted_max):
        merged = filled(one)
        merged.add_all(filled(other))
        if one or other:
            assert mean_and_percentiles(merged, PERCENTS) == expected(one + other)
        else:
            assert mean_and_percentiles(merged, PERCENTS) == []
