"""Separations of steps of two or three tasks by hand: which unit asks, what links add, in words."""

import numpy as np
import pytest

from rack_sim.compiler.interval import Separations, collides, revolution, separations
from rack_sim.compiler.program import Program
from rack_sim.timing.tasks import Resource, Work

Row = tuple[Resource, int, int]
"""A resource, when it is taken, and for how long."""


def program(*rows: Row, latency_ps: int = 0) -> Program:
    """Nothing but times; the last result is there after the last task, or later."""
    resources = tuple(dict.fromkeys(resource for resource, _, _ in rows))
    start = np.array([at for _, at, _ in rows], dtype=np.int64)
    duration = np.array([ps for _, _, ps in rows], dtype=np.int64)
    done = duration.copy()
    done[0] = max(int(done[0]), latency_ps - int(start[0]))
    none = np.zeros(len(rows), dtype=np.int64)
    return Program(
        plan=None,  # type: ignore[arg-type] # of no matter here
        shape=None,  # type: ignore[arg-type]
        parts=(),
        resources=resources,
        works=(Work("", "operator"),),
        traffics=("",),
        resource=np.array([resources.index(row[0]) for row in rows], dtype=np.int64),
        start_ps=start,
        duration_ps=duration,
        done_ps=done,
        **dict.fromkeys(
            (
                *("work", "traffic", "vectors", "payload_bytes", "leaves_bytes", "source"),
                *("target", "message", "part", "need_of", "need_task", "need_lag_ps"),
            ),
            none,
        ),
    )


def test_a_unit_asks_for_the_time_from_its_first_task_to_its_last() -> None:
    """Five to twelve, the gap in between included; the chip with the longest span is named."""
    step = program((("matrix", 3), 5, 2), (("matrix", 3), 10, 2), (("vector", 1), 0, 6))
    found = separations([step])
    assert (found.pair_ps, found.interval_ps) == (((7,),), 7)
    assert (found.unit_ps, found.unit, found.chip) == (7, "matrix", 3)
    assert found.bound_by == "matrix unit of chip 3"


def test_of_equal_units_that_of_the_first_chip_is_named_across_programs() -> None:
    high, low = program((("matrix", 7), 0, 5)), program((("memory", 2), 0, 5))
    for order in ([high, low], [low, high]):
        found = separations(order)
        assert (found.unit_ps, found.unit, found.chip) == (5, "memory", 2)
        assert sorted(ps for row in found.pair_ps for ps in row) == [1, 1, 5, 5]


def test_links_ask_for_more_and_it_is_said() -> None:
    """A link is taken at 0 to 4 and at 6 to 10: what enters before 10 meets one or the other.

    Up to 3 later it meets the same hold, from 3 to 9 later the second one. The unit asks for 3.
    """
    step = program((("matrix", 0), 0, 3), ((0, 1), 0, 4), ((0, 1), 6, 4))
    found = separations([step])
    assert (found.unit_ps, found.interval_ps) == (3, 10)
    assert found.bound_by == "matrix unit of chip 0, and 7 ps more for links"
    assert [ps for ps in range(1, 12) if collides([step], ps)] == list(range(1, 10))


def test_a_gap_of_a_link_lets_a_step_in_between() -> None:
    """Held from 0 to 2 and from 5 to 7: a step 2 or 3 later goes in between, but then 4 or 6 ...

    Every multiple counts: 2, 4 meets the second hold; 3, 6 as well; 7 is free.
    """
    step = program(((0, 1), 0, 2), ((0, 1), 5, 2))
    free = [ps for ps in range(1, 9) if not collides([step], ps)]
    found = separations([step])
    assert found.pair_ps == ((2,),)
    assert found.interval_ps == free[0] == 7
    assert (found.unit_ps, found.unit, found.chip) == (0, "", 0)


def test_pairs_of_programs_ask_for_what_they_share() -> None:
    """The first ends on the unit at 9; the second begins there at 4, and ends at 5."""
    long, short = program((("matrix", 0), 1, 8)), program((("matrix", 0), 4, 1))
    found = separations([long, short])
    assert found.pair_ps == ((8, 5), (4, 1))
    assert found.interval_ps == 8
    apart = program((("matrix", 1), 0, 100))
    assert separations([short, apart]).pair_ps == ((1, 1), (1, 100))


@pytest.mark.parametrize(
    ("latency_ps", "interval_ps", "most", "first"),
    [(100, 100, 1, (1, 100)), (101, 100, 2, (1, 101)), (200, 100, 2, (2, 100)),
     (250, 100, 3, (2, 125)), (99, 100, 1, (1, 99)), (1001, 100, 11, (10, 101))],
)  # fmt: skip
def test_slots_are_as_many_as_fill_a_step_or_as_fit_into_it(
    latency_ps: int, interval_ps: int, most: int, first: tuple[int, int]
) -> None:
    """Without links nothing meets: with latency first a slot waits for rounding only."""
    step = program((("matrix", 0), 0, 1), latency_ps=latency_ps)
    apart = Separations(((interval_ps,),), interval_ps, interval_ps, "matrix", 0)
    assert revolution(step, apart, latency_first=False) == (most, interval_ps)
    assert revolution(step, apart, latency_first=True) == first


@pytest.mark.parametrize(("latency_ps", "slots"), [(20_000, 2), (19_999, 1)])
def test_a_slot_may_wait_for_a_thousandth_of_a_step(latency_ps: int, slots: int) -> None:
    """A link that is held at the start and half a step later: two slots each move on by ten.

    Together they wait for twenty picoseconds: a thousandth of 20,000.
    """
    half = -(-latency_ps // 2)
    step = program(((0, 1), 0, 10), ((0, 1), half, 10), latency_ps=latency_ps)
    apart = Separations(((1,),), half, 1, "matrix", 0)
    found = revolution(step, apart, latency_first=True)
    if slots == 2:
        assert found == (2, half + 10)
    else:
        assert found[0] == 1


def test_a_step_of_no_time_enters_every_picosecond() -> None:
    """Time goes forward: an interval is never nothing."""
    step = program((("matrix", 0), 0, 0))
    found = separations([step])
    assert (found.pair_ps, found.interval_ps) == (((1,),), 1)
    assert revolution(step, found, latency_first=True) == (1, 1)
