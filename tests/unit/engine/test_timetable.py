"""Timetables by hand: phases that end, phases that repeat, and entries that come by themselves."""

from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.policies.timetable import Timetable

# Two programs: a token every 300 ps, and every 500; from entry to entry 10 to 40.
LATENCY_PS, APART_PS = [300, 500], [[10, 20], [40, 30]]


def table(slots: int = 3) -> Timetable:
    return Timetable(slots, LATENCY_PS, APART_PS)


def test_entries_by_themselves():
    """Each is as far from the one before as both programs say, and its slot's last is back."""
    made = table()
    assert made.earliest(0, 0, 7) == 7
    made.enter(0, 0, 7)
    assert made.earliest(1, 1, 7) == 27
    assert made.earliest(1, 0, 7) == 17
    assert made.earliest(1, 0, 18) == 18
    made.enter(1, 1, 27)
    assert made.earliest(2, 1, 0) == 57
    made.enter(2, 0, 67)
    assert made.earliest(3, 0, 0) == 307, "slot 0 has a short program"
    made.enter(3, 0, 307)
    assert made.earliest(4, 0, 0) == 527, "slot 1 has a long one"


def test_a_phase_repeats():
    """Slots 0 and 2 short, slot 1 long, which is back after 500 and leads.

    Slot 0 comes 300 after its last, but not within 10 of slot 2: from 1070 on it is close behind.
    """
    made = table()
    made.begin(0, [0, 1, 0], None, 0)
    times = [made.time(entry) for entry in range(12)]
    assert times == [0, 20, 60, 300, 520, 560, 600, 1020, 1060, 1070, 1520, 1560]
    assert made.time(3 * 1000) == 1070 + 997 * 500
    assert made.time(3 * 1000 + 1) == 20 + 1000 * 500
    assert made.period_ps == 500
    assert not made.holding


def test_a_phase_begins_where_the_last_one_ended():
    """After short ones at 0, 10 and 20 long ones from 300 on, 30 apart, and every 500."""
    made = table()
    made.begin(0, [0, 0, 0], 3, 0)
    assert [made.time(entry) for entry in range(3)] == [0, 10, 20]
    made.leave(0, 3)
    made.begin(3, [1, 1, 1], None, 100)  # not before 100, which is long past by then
    assert [made.time(entry) for entry in (3, 4, 5)] == [300, 330, 360]
    assert [made.time(entry) for entry in (6, 7, 8)] == [800, 830, 860]
    made.leave(3, 5)
    made.begin(5, [0, 0, 0], None, 700)
    assert made.time(5) == 700
    assert made.time(6) == 800, "slot 0 had a long program at 300"


def test_to_hold_is_to_have_no_phase():
    made = table()
    made.begin(0, [0, 0, 0], None, 0)
    made.hold(5)
    assert made.holding
    assert made.period_ps == 0
    assert made.entry_at(10**9) == 5
    assert made.entry_at(0) == 5


@given(
    slots=st.integers(1, 5),
    latency=st.lists(st.integers(1, 200), min_size=2, max_size=2),
    separation=st.lists(
        st.lists(st.integers(1, 60), min_size=2, max_size=2), min_size=2, max_size=2
    ),
    buckets=st.lists(st.integers(0, 1), min_size=5, max_size=5),
    first=st.integers(0, 9),
    length=st.integers(1, 40),
    start_ps=st.integers(0, 99),
)
def test_a_phase_with_an_end_is_the_beginning_of_one_without(
    slots, latency, separation, buckets, first, length, start_ps
):
    """Entry by entry up to the end, and which is the first not before an instant."""
    ended, endless = (Timetable(slots, latency, separation) for _ in range(2))
    ended.begin(first, buckets[:slots], first + length, start_ps)
    endless.begin(first, buckets[:slots], None, start_ps)
    for entry in range(first, first + length):
        at = endless.time(entry)
        assert ended.time(entry) == at
        assert ended.entry_at(at) == endless.entry_at(at) == entry
        assert endless.entry_at(at + 1) == entry + 1
        assert ended.entry_at(at + 1) == entry + 1
    for entry in range(first, first + length):
        if not endless.written_out(entry):
            for turn in range(3):
                later = endless.time(entry + turn * slots)
                assert later == endless.time(entry) + turn * endless.period_ps
