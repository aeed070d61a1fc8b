"""Runs of iterations in closed form against their iterations added up one by one."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rack_sim.engine.policies.run_books import _area_until, _ended_by
from rack_sim.engine.runs import (
    Stretch,
    first_of,
    iterations_until,
    product_sum,
    stretches,
    total_ps,
)

lines = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), min_size=1, max_size=4)


def times_of(run: list[Stretch]) -> list[int]:
    """How long each iteration takes."""
    return [s.first_ps + s.step_ps * i for s in run for i in range(s.iterations)]


def ends_of(run: list[Stretch]) -> list[int]:
    return list(accumulate(times_of(run)))


@example(base_ps=1, roofs=[(9, 0), (9, 0), (0, 2), (0, 2)], count=20)  # equal all along
@example(base_ps=1, roofs=[(8, 0), (0, 4), (4, 2)], count=20)  # three meet
@given(base_ps=st.integers(1, 50), roofs=lines, count=st.integers(1, 40))
def test_every_iteration_is_bound_by_the_highest_roof(base_ps, roofs, count):
    """Of equal roofs by the one that grows faster, then the first; stretches are as few as can."""
    run = stretches(base_ps, roofs, count)
    assert times_of(run) == [base_ps + max(s + g * i for s, g in roofs) for i in range(count)]
    bound = [stretch.roof for stretch in run for _ in range(stretch.iterations)]
    for i, roof in enumerate(bound):
        best = max((s + g * i, g) for s, g in roofs)
        assert roof == next(n for n, (s, g) in enumerate(roofs) if (s + g * i, g) == best)
    assert all(before.roof != after.roof for before, after in pairwise(run))
    assert all(stretch.iterations > 0 for stretch in run)
    assert total_ps(run) == sum(times_of(run))


@given(base_ps=st.integers(1, 50), roofs=lines, count=st.integers(1, 30), data=st.data())
def test_what_has_ended_by_an_instant(base_ps, roofs, count, data):
    """Around the end of any iteration: how many have ended, and whose end is the next."""
    run = stretches(base_ps, roofs, count)
    ends = ends_of(run)
    at = data.draw(st.sampled_from([0, *ends])) + data.draw(st.integers(-1, 1))
    ended = sum(end <= at for end in ends)
    assert _ended_by(run, at) == ended
    until = next((n for n, end in enumerate(ends, 1) if end >= at), count)
    assert iterations_until(run, at) == until


@given(
    first_ps=st.integers(1, 40),
    step_ps=st.integers(0, 9),
    count=st.integers(1, 30),
    at=st.integers(-5, 3000),
)
def test_iterations_of_one_stretch(first_ps, step_ps, count, at):
    stretch = Stretch(count, first_ps, step_ps, 0)
    ends = ends_of([stretch])
    assert stretch.ends_by(at) == sum(end <= at for end in ends)
    for number, end in enumerate([0, *ends]):
        assert stretch.elapsed_ps(number) == end


@given(base_ps=st.integers(1, 50), roofs=lines, count=st.integers(1, 30), data=st.data())
def test_the_first_iterations_of_a_run(base_ps, roofs, count, data):
    run = stretches(base_ps, roofs, count)
    wanted = data.draw(st.integers(1, count))
    kept = first_of(run, wanted)
    assert times_of(kept) == times_of(run)[:wanted]
    assert [stretch.roof for stretch in kept] == [stretch.roof for stretch in run][: len(kept)]
    assert all(stretch.iterations > 0 for stretch in kept)


@given(
    base_ps=st.integers(1, 50),
    roofs=lines,
    count=st.integers(1, 30),
    level=st.integers(0, 9),
    growth=st.integers(0, 5),
    data=st.data(),
)
def test_the_area_under_a_level_that_grows(base_ps, roofs, count, level, growth, data):
    """Picosecond by picosecond: the level grows as each iteration ends."""
    run = stretches(base_ps, roofs, count)
    levels = [level + growth * n for n, took in enumerate(times_of(run)) for _ in range(took)]
    at = data.draw(st.sampled_from([0, *ends_of(run)])) + data.draw(st.integers(-1, 1))
    at = min(max(at, 0), len(levels))
    assert _area_until(run, level, growth, at) == sum(levels[:at])
    if len(run) == 1:
        assert product_sum(run[0], level, growth) == sum(levels)


@pytest.mark.parametrize(("elapsed_ps", "count"), [(-5, 1), (0, 1), (1, 1), (10, 1), (11, 2)])
def test_at_least_one_iteration_runs(elapsed_ps, count):
    assert iterations_until([Stretch(9, 10, 0, 0)], elapsed_ps) == count
