"""Text columns say what formatting number by number says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.units import format_ms
from rack_sim.metrics import text_columns
from rack_sim.metrics.cells import share

WHOLE = st.integers(0, 2**63 - 1)


def column(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@given(st.lists(st.one_of(st.integers(-3, 12_000), WHOLE), min_size=1))
def test_numbers_and_times_are_those_of_single_cells(values: list[int]) -> None:
    lines = text_columns.lines(
        [text_columns.numbers(column(values)), text_columns.milliseconds(column(values))]
    )
    wanted = [f"{value},{format_ms(value)}" if value >= 0 else "," for value in values]
    assert lines == wanted


@given(st.lists(WHOLE, min_size=1), st.one_of(st.just(10**12), st.integers(1, 10**15)))
def test_shares_are_those_of_single_cells(parts: list[int], whole: int) -> None:
    lines = text_columns.lines([text_columns.shares(column(parts), whole)])
    assert lines == [share(part, whole) for part in parts]


def test_no_rows_are_no_lines() -> None:
    assert text_columns.lines([text_columns.milliseconds(column([]))]) == []
