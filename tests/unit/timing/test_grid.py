"""The grid of rows: exact at its points, on straight lines between them, rounded up once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.timing.grid import Grid, around, on_links, point_below

ROWS = range(1, 200)
POINTS = sorted({2**power for power in range(9)} | {3 * 2**power for power in range(8)})


def messages(
    duration_ps: Callable[[int], int], vectors: Callable[[int], Mapping[Any, int]]
) -> Callable[[int], list[Any]]:
    """One message whose latency is a third of its duration, and which holds links for thrice."""
    return lambda rows: [
        SimpleNamespace(
            duration_ps=duration_ps(rows),
            link_latency_ps=duration_ps(rows) // 3,
            vectors_by_hop=vectors(rows),
            placed=SimpleNamespace(
                held_by_hop={hop: 3 * count for hop, count in vectors(rows).items()}
            ),
        )
    ]


def squares(rows: int) -> int:
    """Rises faster than a line, so that points and lines differ."""
    return rows**2


def line(rows: int, of: Callable[[int], int]) -> Fraction:
    """On the straight line between the grid points next to `rows`."""
    low = max(point for point in POINTS if point <= rows)
    high = min(point for point in POINTS if point >= rows)
    share = Fraction(rows - low, high - low) if high > low else Fraction(0)
    return of(low) + share * (of(high) - of(low))


def test_points_are_powers_of_two_and_halfway_between_them() -> None:
    for rows in ROWS:
        below, above = around(rows)
        assert below == max(point for point in POINTS if point <= rows)
        assert above == min(point for point in POINTS if point >= rows)
    for lower, point in pairwise(POINTS):
        assert point_below(point) == lower
    with pytest.raises(ValueError, match="0 rows"):
        around(0)


def test_between_points_everything_is_on_the_line_and_rounded_up() -> None:
    grid = Grid(messages(squares, lambda rows: {(0, 1): rows**2}))
    for rows in ROWS:
        point = grid.at(rows)
        assert point.duration_ps == ceil(line(rows, squares))
        assert point.link_latency_ps == ceil(line(rows, lambda rows: rows**2 // 3))
        assert point.vectors_by_hop == {(0, 1): ceil(line(rows, squares))}
        assert point.held_by_hop == {(0, 1): ceil(line(rows, lambda rows: 3 * rows**2))}
        assert grid.durations_ps(rows) == (point.duration_ps, point.link_latency_ps)


def test_a_link_that_only_one_of_two_points_has_begins_at_nothing() -> None:
    grid = Grid(messages(squares, lambda rows: {(0, 1): 1} if rows < 8 else {(1, 0): 12}))
    assert grid.at(7).vectors_by_hop == {(0, 1): 1, (1, 0): 6}


def test_more_rows_never_take_less() -> None:
    """Where a larger message would be faster, it takes as long as the slowest smaller one."""
    grid = Grid(messages(lambda rows: 1_000 - rows if rows != 6 else 2_000, lambda _: {}))
    found = [grid.at(rows).duration_ps for rows in ROWS]
    assert found == sorted(found)
    assert (found[0], found[5], found[-1]) == (999, 2_000, 2_000)


def test_messages_at_one_time_take_as_long_as_the_longest_and_share_links() -> None:
    long, short = messages(lambda _: 90, lambda _: {(0, 1): 5}), messages(
        lambda _: 30, lambda _: {(0, 1): 2, (1, 0): 1}
    )  # fmt: skip
    for measure in (lambda rows: [*long(rows), *short(rows)],
                    lambda rows: [*short(rows), *long(rows)]):  # fmt: skip
        point = Grid(measure).at(4)
        assert (point.duration_ps, point.link_latency_ps) == (90, 30)
        assert point.vectors_by_hop == {(0, 1): 7, (1, 0): 1}
        assert point.held_by_hop == {(0, 1): 21, (1, 0): 3}


COUNTS = st.dictionaries(st.integers(1, 100), st.integers(1, 50), min_size=1, max_size=8)


@given(COUNTS)
def test_weights_keep_how_often_and_how_many_rows(counts: dict[int, int]) -> None:
    weights = [
        (point.duration_ps, weight)
        for point, weight in Grid(messages(lambda rows: rows, lambda _: {})).weights(counts)
    ]
    assert {rows for rows, _ in weights} <= set(POINTS)
    assert [rows for rows, _ in weights] == sorted({rows for rows, _ in weights})
    assert all(weight > 0 for rows, weight in weights if rows not in counts)
    assert sum(weight for _, weight in weights) == sum(counts.values())
    asked = sum(rows * times for rows, times in counts.items())
    assert sum(rows * weight for rows, weight in weights) == asked


@given(st.lists(COUNTS, min_size=1, max_size=3))
def test_links_carry_the_sum_of_the_lines_rounded_up_once(
    carried: Sequence[dict[int, int]],
) -> None:
    grids = [
        (Grid(messages(squares, lambda rows, way=way: {(way % 2, 2): way + rows**2})), counts)
        for way, counts in enumerate(carried)
    ]
    exact: Counter[Any] = Counter()
    for way, counts in enumerate(carried):
        for rows, times in counts.items():
            exact[way % 2, 2] += times * line(rows, lambda rows, way=way: way + rows**2)
    vectors, held = on_links(grids)
    assert vectors == {hop: ceil(amount) for hop, amount in exact.items()}
    assert held == {hop: ceil(3 * amount) for hop, amount in exact.items()}
    assert list(vectors) == list(held) == sorted(exact)
    none = [(grid, {**counts, 0: 9}) for grid, counts in grids]
    assert on_links(none) == (vectors, held), "no rows put nothing on links"


def test_messages_that_take_no_time_take_none_at_any_number_of_rows() -> None:
    grid = Grid(messages(lambda _: 0, lambda _: {}))
    assert {grid.at(rows).duration_ps for rows in (1, 2, 5, 100)} == {0}
