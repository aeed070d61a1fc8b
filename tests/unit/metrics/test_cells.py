"""Cells of single numbers and of whole columns, at the places where digits are cut or carried."""

import numpy as np
import pytest

from rack_sim.metrics import text_columns
from rack_sim.metrics.cells import share

TOP = 2**63 - 1


def column(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 7, "0.000000000"),
        (1, 1, "1.000000000"),
        (1, 2 * 10**9, "0.000000001"),  # half of the last digit: up
        (1, 2 * 10**9 + 1, "0.000000000"),
        (3, 2 * 10**9, "0.000000002"),
        (2 * 10**9 - 1, 2 * 10**9, "1.000000000"),  # carried into the whole
        (123_456_789_987, 10**9, "123.456789987"),
        (10**10, 10**9, "10.000000000"),
        (1, 3, "0.333333333"),
        (2, 3, "0.666666667"),
        (5, 0, ""),
    ],
)
def test_shares_have_nine_decimals_rounded_half_up(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text
    if whole:
        assert text_columns.lines([text_columns.shares(column(part), whole)]) == [text]


@pytest.mark.parametrize(
    "whole", [1, 2, 3, 9, 11, 77, 10**9, 2**60, 2**61 - 1, 2**61, 2**61 + 1, TOP]
)
def test_shares_of_any_whole(whole: int) -> None:
    """Also where twice the quotient, or its digits, need more than 64 bits."""
    parts = sorted({0, 1, 2, whole // 3, whole // 2, whole - 1, whole, min(TOP, 7 * whole), TOP})
    wanted = []
    for part in parts:
        nano = (part * 10**9 * 2 + whole) // (2 * whole)
        digits = str(nano).rjust(10, "0")
        wanted.append(f"{digits[:-9]}.{digits[-9:]}")
    assert text_columns.lines([text_columns.shares(column(*parts), whole)]) == wanted


@pytest.mark.parametrize("digits", range(1, 20))
def test_numbers_of_every_length(digits: int) -> None:
    """The least and the largest of so many digits, beside short ones and empty cells."""
    values = [10 ** (digits - 1), min(10**digits - 1, TOP), 0, 7, -1, -2, 10 ** (digits // 2)]
    assert text_columns.lines([text_columns.numbers(column(*values))]) == [
        str(value) if value >= 0 else "" for value in values
    ]  # fmt: skip


def test_every_number_of_four_digits() -> None:
    values = np.arange(10_001, dtype=np.int64)
    assert text_columns.lines([text_columns.numbers(values)]) == [str(n) for n in range(10_001)]


def test_times_are_milliseconds_to_the_picosecond() -> None:
    times = column(0, 1, 999_999_999, 10**9, 1_234_567_890_123, -1, -(10**9), TOP)
    assert text_columns.lines([text_columns.milliseconds(times)]) == [
        "0.000000000",
        "0.000000001",
        "0.999999999",
        "1.000000000",
        "1234.567890123",
        "",
        "",
        "9223372036.854775807",
    ]


@pytest.mark.parametrize(("places", "text"), [(1, "3.7"), (4, "3.0007"), (6, "3.000007")])
def test_digits_behind_the_point(places: int, text: str) -> None:
    assert text_columns.lines([text_columns.decimals(column(3), column(7), places=places)]) == [
        text
    ]


def test_columns_stand_side_by_side() -> None:
    columns = [
        text_columns.words("a word", 2),
        text_columns.numbers(column(5, -1)),
        text_columns.words("", 2),
        text_columns.numbers(column(-1, 12_345)),
    ]
    assert text_columns.lines(columns) == ["a word,5,,", "a word,,,12345"]
    assert text_columns.lines([text_columns.numbers(column(-1, -5))]) == ["", ""]
