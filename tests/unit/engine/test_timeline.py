"""The timeline counts what happened, where it happened, exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.timeline import ARRIVED, COLUMNS, Timeline
from rack_sim.foundation.errors import ConservationError


def collected(bin_ps):
    rows = []

    def emit(first_bin, new):
        assert first_bin == len(rows)
        rows.extend(dict(zip(COLUMNS, row, strict=True)) for row in new)

    return Timeline(bin_ps, emit), rows


@given(
    bin_ps=st.integers(1, 50),
    first_ps=st.integers(0, 300),
    gap_ps=st.integers(1, 120),
    tokens=st.integers(1, 40),
)
def test_a_run_of_tokens_is_counted_like_single_tokens(bin_ps, first_ps, gap_ps, tokens):
    """The closed form equals one call per token."""
    line, rows = collected(bin_ps)
    line.add_output_tokens(first_ps, gap_ps, tokens)
    end_ps = first_ps + gap_ps * tokens
    line.close(end_ps)
    expected = [0] * len(rows)
    for number in range(tokens):
        expected[(first_ps + number * gap_ps) // bin_ps] += 1
    assert [row["output_tokens"] for row in rows] == expected


@given(
    bin_ps=st.integers(1, 50),
    steps=st.lists(
        st.tuples(st.integers(0, 70), st.integers(0, 3), st.integers(0, 3)), max_size=15
    ),
)
def test_levels_integrate_to_area(bin_ps, steps):
    """The sum over bins is the area under the steps."""
    line, rows = collected(bin_ps)
    now, area = 0, 0
    waiting = running = 0
    for gap, next_waiting, next_running in steps:
        area += (waiting + running) * gap
        now += gap
        more = next_running - running
        line.change_levels(now, next_waiting - waiting, more, more * 7)
        waiting, running = next_waiting, next_running
    line.change_levels(now, -waiting, -running, -running * 7)
    line.close(now)
    assert sum(row["kv_token_ps"] for row in rows) == 7 * sum(row["running_ps"] for row in rows)
    assert sum(row["waiting_ps"] + row["running_ps"] for row in rows) == area


def test_final_bins_are_handed_on_and_forgotten():
    """Memory does not grow with time: after a flush only the last bins are kept."""
    line, rows = collected(10)
    for second in range(5000):
        line.count(ARRIVED, second * 10)
        if second:
            line.change_levels(second * 10, 0, -1, -5)
        line.change_levels(second * 10, 0, 1, 5)
        line.flush(second * 10)
    assert len(line._bins) < 600
    line.change_levels(50_000, 0, -1, -5)
    line.close(50_000)
    assert len(rows) == 5000
    assert all(row["arrived"] == 1 for row in rows)
    assert all(row["running_ps"] == 10 for row in rows)


def test_a_bin_that_was_handed_on_is_closed():
    """Counting into the past is a bug of ours and is raised, not lost."""
    line, _ = collected(10)
    line.change_levels(10_000, 0, 0, 0)
    line.count(ARRIVED, 9_990)
    line.flush(10_000)
    with pytest.raises(ConservationError, match="handed on already"):
        line.count(ARRIVED, 5)


@given(
    bin_ps=st.integers(1, 20),
    events=st.lists(
        st.tuples(st.sampled_from(range(8)), st.integers(0, 9), st.integers(0, 5)), max_size=30
    ),
)
def test_counts_are_put_into_the_bin_of_their_instant(bin_ps, events):
    """Every counting column, also where the bin changes between two calls."""
    line, rows = collected(bin_ps)
    now, expected = 0, {}
    for column, gap, amount in events:
        now += gap
        line.count(column, now, amount)
        key = (now // bin_ps, COLUMNS[column])
        expected[key] = expected.get(key, 0) + amount
    line.close(now)
    found = {
        (number, name): amount
        for number, row in enumerate(rows)
        for name, amount in row.items()
        if amount
    }
    assert found == {key: amount for key, amount in expected.items() if amount}


def test_levels_that_are_left_are_named():
    """Whoever still waits or runs at the end was forgotten."""
    line, _ = collected(10)
    line.change_levels(0, 1, 0, 0)
    with pytest.raises(ConservationError, match=r"\(1, 0, 0\) at the end"):
        line.close(5)
