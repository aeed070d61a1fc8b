"""Schedules of random tasks: nothing overlaps, nothing is early, nothing waits without a reason.

A reason is a need, or that the resource is held. The checks read starts only; how a schedule was
found is no matter to them.
"""

from collections import Counter
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.timing.schedule import Schedule, busiest_ps, longest_chain_ps, schedule
from rack_sim.timing.tasks import UNITS, Resource, Task, Work
from rack_sim.timing.terms import Terms, total

RESOURCES: tuple[Resource, ...] = (
    *((unit, chip) for chip in (0, 1) for unit in UNITS),
    (0, 1),
    (1, 0),
    (1, 2),
)


@st.composite
def tasks(
    draw: st.DrawFn, resources: tuple[Resource, ...] = RESOURCES, longest: int = 25
) -> list[Task]:
    """Operators and messages with needs among earlier ones, in lags that a graph can have.

    Whoever needs a message's next vector may start before it has all arrived: lags reach from 0 to
    the time when the result is there.
    """
    found: list[Task] = []
    for number in range(draw(st.integers(0, longest))):
        resource = draw(st.sampled_from(resources))
        duration_ps = draw(st.integers(0, 9))
        latency_ps = 0 if isinstance(resource[0], str) else draw(st.integers(0, 9))
        needs = draw(st.lists(st.integers(0, number - 1), max_size=3)) if number else []
        lags = [
            (need, draw(st.sampled_from([found[need].done_ps, found[need].done_ps // 2])))
            for need in needs
        ]
        fixed_ps = draw(st.integers(0, duration_ps))
        on_link = not isinstance(resource[0], str)
        found.append(
            Task(
                Work(f"task {number}", "operator"),
                resource,
                duration_ps,
                duration_ps + latency_ps,
                tuple(lags),
                Terms()
                if on_link
                else Terms(fixed_latency_ps=fixed_ps, weight_feed_ps=duration_ps - fixed_ps),
                latency_ps=latency_ps,
                traffic="message" if on_link else "",
                vectors=duration_ps if on_link else 0,
            )
        )
    return found


def ready_ps(placed: Schedule, number: int) -> int:
    """When everything that a task needs is there."""
    needs = placed.tasks[number].needs
    return max((placed.starts_ps[need] + lag_ps for need, lag_ps in needs), default=0)


def by_resource(placed: Schedule) -> dict[Resource, list[tuple[int, int]]]:
    """When each resource is held: starts and ends, in order."""
    held: dict[Resource, list[tuple[int, int]]] = {}
    for task, at in zip(placed.tasks, placed.starts_ps, strict=True):
        held.setdefault(task.resource, []).append((at, at + task.duration_ps))
    return {resource: sorted(times) for resource, times in held.items()}


@given(tasks())
def test_a_resource_does_one_thing_at_a_time(given_tasks: list[Task]) -> None:
    for times in by_resource(schedule(given_tasks)).values():
        assert all(end <= start for (_, end), (start, _) in pairwise(times))


@given(tasks())
def test_nothing_starts_before_what_it_needs(given_tasks: list[Task]) -> None:
    placed = schedule(given_tasks)
    assert placed.tasks == tuple(given_tasks)
    for number, at in enumerate(placed.starts_ps):
        assert at >= ready_ps(placed, number)


@given(tasks())
def test_no_resource_idles_while_a_task_is_ready_for_it(given_tasks: list[Task]) -> None:
    """From the moment a task is ready until it starts its resource is held without a gap."""
    placed = schedule(given_tasks)
    held = by_resource(placed)
    for number, (task, at) in enumerate(zip(placed.tasks, placed.starts_ps, strict=True)):
        now_ps = ready_ps(placed, number)
        for start, end in held[task.resource]:
            if start <= now_ps < end:
                now_ps = end
        assert now_ps >= at


@given(tasks())
def test_bounds_are_bounds(given_tasks: list[Task]) -> None:
    placed = schedule(given_tasks)
    assert placed.duration_ps >= longest_chain_ps(given_tasks)
    assert placed.duration_ps >= busiest_ps(given_tasks)
    apart = [task._replace(resource=("matrix", number)) for number, task in enumerate(given_tasks)]
    assert schedule(apart).duration_ps == longest_chain_ps(given_tasks)


@given(tasks())
def test_the_critical_path_is_the_whole_duration(given_tasks: list[Task]) -> None:
    """Each step begins when the one before lets it, and adds what it takes from there."""
    placed = schedule(given_tasks)
    path = placed.critical_path
    assert placed.terms == total(step.terms for step in path)
    assert placed.terms.total_ps == placed.duration_ps
    if not given_tasks:
        assert path == ()
        return
    assert path[0].start_ps == 0
    for before, then in pairwise([*path, None]):
        task = placed.tasks[before.task]
        assert before.start_ps == placed.starts_ps[before.task]
        end_ps = placed.duration_ps if then is None else then.start_ps
        assert before.terms.total_ps == end_ps - before.start_ps
        # A link's time is latency and serialisation, an operator's what it is made of.
        if task.traffic:
            assert before.terms.link_latency_ps <= task.latency_ps
        else:
            assert before.terms.link_latency_ps == before.terms.link_serialisation_ps == 0
            assert before.terms.fixed_latency_ps <= task.terms.fixed_latency_ps
        if then is None:
            assert end_ps == before.start_ps + task.done_ps
            continue
        behind = placed.tasks[then.task]
        lets_it = {before.start_ps + lag for need, lag in behind.needs if need == before.task}
        if behind.resource == task.resource:
            lets_it.add(before.start_ps + task.duration_ps)
        assert end_ps in lets_it


@given(tasks())
def test_equal_tasks_are_placed_equally(given_tasks: list[Task]) -> None:
    assert schedule(given_tasks).starts_ps == schedule(list(given_tasks)).starts_ps


@given(tasks())
def test_what_is_counted_is_what_is_held(given_tasks: list[Task]) -> None:
    placed = schedule(given_tasks)
    held = by_resource(placed)
    assert placed.busy_ps == {
        resource: sum(end - start for start, end in times) for resource, times in held.items()
    }
    assert placed.spans_ps == {
        resource: (times[0][0], max(end for _, end in times)) for resource, times in held.items()
    }
    counted: Counter[Resource] = Counter()
    for task in given_tasks:
        if task.traffic:
            counted[task.resource] += task.vectors
    assert placed.vectors_by_hop == counted


TAILS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30)), min_size=1, max_size=6)


@given(TAILS)
def test_one_link_and_different_latencies_behind_it(jobs: list[tuple[int, int]]) -> None:
    """One machine, each job with a delivery time: Jackson's rule, the longest first, is optimal.

    Against all orders, tried one by one.
    """
    given_tasks = [
        Task(
            Work("m", "message"),
            (0, 1),
            duration,
            duration + latency,
            (),
            latency_ps=latency,
            traffic="m",
        )
        for duration, latency in jobs
    ]

    def in_order(order: tuple[tuple[int, int], ...]) -> int:
        now_ps = ends_ps = 0
        for duration, latency in order:
            now_ps += duration
            ends_ps = max(ends_ps, now_ps + latency)
        return ends_ps

    assert schedule(given_tasks).duration_ps == min(map(in_order, permutations(jobs)))


@given(tasks(resources=(("vector", 0),)))
def test_one_unit_without_gaps_takes_the_sum(given_tasks: list[Task]) -> None:
    """Work that is never waited for: needs only ask for an order."""
    chained = [
        task._replace(needs=tuple((need, given_tasks[need].duration_ps) for need, _ in task.needs))
        for task in given_tasks
    ]
    assert schedule(chained).duration_ps == sum(task.duration_ps for task in chained)
    assert busiest_ps(chained) == sum(task.duration_ps for task in chained)


def test_the_longest_way_to_go_is_first() -> None:
    """Two tasks on unit 0, the later one feeds ten picoseconds of unit 1: it goes first."""
    placed = schedule(
        [
            Task(Work("alone", "operator"), ("matrix", 0), 5, 5, ()),
            Task(Work("feeds", "operator"), ("matrix", 0), 2, 2, ()),
            Task(Work("fed", "operator"), ("vector", 0), 10, 10, ((1, 2),)),
        ]
    )
    assert placed.starts_ps == (2, 0, 2)
    assert placed.duration_ps == 12


def test_no_tasks_take_no_time() -> None:
    placed = schedule([])
    assert (placed.duration_ps, placed.terms, placed.critical_path) == (0, Terms(), ())
    assert busiest_ps([]) == longest_chain_ps([]) == 0


@pytest.mark.parametrize("held_ps", [0, 3])
def test_a_task_of_no_time_holds_nothing(held_ps: int) -> None:
    """Two of them and one that takes time share a unit at one instant, and none is lost."""
    placed = schedule(
        [
            Task(Work(str(n), "operator"), ("switch", 0), n * held_ps, n * held_ps, ())
            for n in (0, 1, 0)
        ]
    )
    assert placed.duration_ps == held_ps
