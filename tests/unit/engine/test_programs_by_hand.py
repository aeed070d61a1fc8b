"""A program of five tasks replayed by hand, as compiled, with extra times, and out of order."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from rack_sim.engine import programs as replayed
from rack_sim.engine.programs import Entry, replay_programs, steady_entries
from rack_sim.engine.recurrence import slip
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import DeadlockError, ScheduleError

UNITS = (("matrix", 0), ("vector", 0))


def whole(*numbers: int) -> Int64Array:
    return np.array(numbers, dtype=np.int64)


@dataclass(frozen=True)
class Tiny:
    """On unit 0: task 0 at 0, task 2 at 5, task 3 at 11; on unit 1: task 1 at 7, task 4 at 12.

    Task 0 holds its unit for 5 ps, and its result is there after 7, when task 1 begins, which needs
    it. Task 2 takes no time. Task 3 needs task 1, and task 4 task 3, a picosecond after its start.
    """

    resources: tuple[tuple[str, int], ...] = UNITS
    resource: Int64Array = field(default_factory=lambda: whole(0, 1, 0, 0, 1))
    work: Int64Array = field(default_factory=lambda: whole(0, 1, 2, 3, 4))
    start_ps: Int64Array = field(default_factory=lambda: whole(0, 7, 5, 11, 12))
    duration_ps: Int64Array = field(default_factory=lambda: whole(5, 3, 0, 4, 2))
    done_ps: Int64Array = field(default_factory=lambda: whole(7, 4, 0, 4, 9))
    part: Int64Array = field(default_factory=lambda: whole(0, 0, 0, 1, 1))
    need_of: Int64Array = field(default_factory=lambda: whole(1, 3, 4))
    need_task: Int64Array = field(default_factory=lambda: whole(0, 1, 3))
    need_lag_ps: Int64Array = field(default_factory=lambda: whole(7, 4, 1))
    parts: tuple[SimpleNamespace, ...] = (
        SimpleNamespace(stage=0, block=0, start_ps=0),
        SimpleNamespace(stage=1, block=0, start_ps=11),
    )
    plan: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(stage_count=2))

    def __len__(self) -> int:
        return 5


@pytest.fixture(autouse=True)
def described(monkeypatch):
    monkeypatch.setattr(replayed, "describe", lambda program, task: f"task {task}")


def test_as_compiled():
    """Two steps 20 ps apart, the second after the first, whose token is there at 12 + 9 = 21."""
    entries = [Entry(0, 3), Entry(0, 24, 0)]
    found = replay_programs([Tiny()], entries)
    assert found.begun_ps.tolist() == [3, 10, 8, 14, 15, 24, 31, 29, 35, 36]
    assert (found.first_task, found.task_count) == ((0, 5), 10)
    assert found.token_ps == (3 + 21, 24 + 21)
    assert [slips.tolist() for slips in found.slips_ps([Tiny()], entries)] == [[0] * 5] * 2


def test_a_token_that_is_not_back_is_missing():
    """A picosecond too early: the first task of step 1 needs the last of step 0."""
    with pytest.raises(ScheduleError) as caught:
        replay_programs([Tiny()], [Entry(0, 3), Entry(0, 23, 0)])
    said = str(caught.value)
    assert "step 1: task 0 finds its input missing: step 0: task 4 needs 1 ps more" in said


@pytest.mark.parametrize(("apart_ps", "busy"), [(15, 0), (14, 1), (12, 3)])
def test_steps_that_meet_on_a_unit(apart_ps, busy):
    """Task 3 holds unit 0 until 15: the next step may enter then, and no sooner."""
    entries = [Entry(0, 0), Entry(0, apart_ps)]
    if not busy:
        assert replay_programs([Tiny()], entries).token_ps == (21, 36)
        return
    with pytest.raises(ScheduleError) as caught:
        replay_programs([Tiny()], entries)
    assert f"step 1: task 0 finds its resource busy for {busy} ps more with step 0: task 3" in str(
        caught.value
    )


@pytest.mark.parametrize(("lag_ps", "missing"), [(4, 0), (5, 1)])
def test_a_result_that_comes_late_is_missing(lag_ps, missing):
    late = replace(Tiny(), need_lag_ps=whole(7, lag_ps, 1))
    if not missing:
        assert replay_programs([late], [Entry(0, 0)]).token_ps == (21,)
        return
    said = "task 3 finds its input missing: step 0: task 1 needs 1 ps more"
    with pytest.raises(ScheduleError, match=said):
        replay_programs([late], [Entry(0, 0)])


def test_a_need_may_begin_at_the_same_picosecond():
    """Task 3 on unit 0 needs task 4 on unit 1, both at 12, and nothing of it but its beginning."""
    together = replace(
        Tiny(),
        start_ps=whole(0, 7, 5, 12, 12),
        need_of=whole(1, 3),
        need_task=whole(0, 4),
        need_lag_ps=whole(7, 0),
    )
    assert replay_programs([together], [Entry(0, 0)]).begun_ps.tolist() == [0, 7, 5, 12, 12]


EXTRA = [
    # Nothing; the first task; the one that takes no time; the last but one.
    ((0, 0, 0, 0, 0), (0, 7, 5, 11, 12), 21),
    ((2, 0, 0, 0, 0), (0, 9, 7, 13, 14), 23),
    ((0, 0, 9, 0, 0), (0, 7, 5, 14, 15), 24),
    ((0, 0, 0, 3, 1), (0, 7, 5, 11, 15), 15 + 9 + 1),
]


@pytest.mark.parametrize(("extra", "begun", "token"), EXTRA)
def test_what_waits_for_extra_time_begins_later(extra, begun, token):
    """Whoever needs the result, and whoever is next on the unit."""
    program, entries = Tiny(), [Entry(0, 100)]
    found = replay_programs([program], entries, [whole(*extra)])
    assert found.begun_ps.tolist() == [100 + at for at in begun]
    assert found.token_ps == (100 + token,)
    (slips,) = found.slips_ps([program], entries)
    assert slips.tolist() == [a - b for a, b in zip(begun, program.start_ps, strict=True)]
    solved = slip(program, entries, [whole(*extra)[:, None]])
    assert solved.token_ps.tolist() == [[100 + token]]
    assert solved.stage_ps.tolist() == [[[100], [100 + begun[3]]]]


def test_a_step_waits_for_the_token_of_another():
    """Compiled to enter at 21; the token of the first is there 40 ps late, at 61."""
    extra = [whole(0, 0, 0, 0, 40), whole(0, 0, 0, 0, 0)]
    entries = [Entry(0, 0), Entry(0, 21, 0)]
    found = replay_programs([Tiny()], entries, extra)
    # Task 2 needs nothing either, so it is a first task as well.
    assert found.begun_ps.tolist()[5:] == [61, 68, 66, 72, 73]
    assert found.token_ps == (61, 82)
    solved = slip(Tiny(), entries, [item[:, None] for item in extra])
    assert solved.token_ps.tolist() == [[61], [82]]


def test_tasks_that_never_begin_are_counted_and_the_first_is_named():
    """Task 1 needs task 3, which needs task 1; tasks 0 and 2 begin."""
    knot = replace(Tiny(), need_task=whole(3, 1, 3))
    with pytest.raises(DeadlockError) as caught:
        replay_programs([knot], [Entry(0, 0)], [whole(0, 0, 0, 0, 0)])
    assert str(caught.value) == (
        "3 of 5 tasks never started, the first is step 0: task 1; it waits for step 0: task 3"
    )


def test_steady_steps():
    """An interval apart, each after the last of its slot."""
    assert steady_entries(7, 2, 4) == [
        Entry(0, 0, -1),
        Entry(0, 7, -1),
        Entry(0, 14, 0),
        Entry(0, 21, 1),
    ]
    assert steady_entries(7, 1, 2, program=3) == [Entry(3, 0, -1), Entry(3, 7, 0)]
