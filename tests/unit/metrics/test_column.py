"""Cells of every kind of column: which texts and values they hold, and which they refuse."""

import pytest

from rack_sim.metrics.column import LARGEST, Column, fits, read_cell, text_types

KINDS = ("words", "count", "number", "flag", "any")


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_cell_is_no_value_whatever_the_kind(kind):
    assert read_cell(kind, "") is None
    assert fits(kind, None)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("words", "007", "007"),
        ("words", "true", "true"),
        ("flag", "true", True),
        ("flag", "false", False),
        ("count", "007", 7),
        ("count", "-3", -3),
        ("number", "7", 7),
        ("number", "0.25", 0.25),
        ("number", "1e3", 1000.0),
        ("any", "7", 7),
        ("any", "0.25", 0.25),
        ("any", "seven", "seven"),
        ("any", "nan", "nan"),
        ("any", "inf", "inf"),
        ("any", "true", "true"),
    ],
)
def test_a_cell_is_read_as_its_kind(kind, cell, value):
    found = read_cell(kind, cell)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "cell", "said"),
    [
        ("flag", "yes", "'yes' is not true or false"),
        ("flag", "True", "'True' is not true or false"),
        ("count", "1.5", "'1.5' is not a whole number"),
        ("count", "seven", "'seven' is not a whole number"),
        ("number", "seven", "'seven' is not a number"),
        ("number", "nan", "'nan' is not a number"),
        ("number", "-inf", "'-inf' is not a number"),
        ("number", "1e30", "'1e30' is not a number"),
        ("number", "-1e30", "'-1e30' is not a number"),
        ("count", f"1{'0' * 31}", f"'1{'0' * 31}' is not a whole number"),
    ],
)
def test_a_cell_that_is_not_of_its_kind_is_refused(kind, cell, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        read_cell(kind, cell)


def test_a_long_cell_is_told_by_its_beginning():
    """Forty characters are shown whole; of more the first 39, and a sign that there are more."""
    with pytest.raises(ValueError, match=f"^'{'x' * 40}' is not a number$"):
        read_cell("number", "x" * 40)
    with pytest.raises(ValueError, match=f"^'{'x' * 39}…' is not a number$"):
        read_cell("number", "x" * 41)


def test_numbers_are_below_the_largest_one():
    """A thousand quintillion quintillions are too many, whichever way they are written."""
    assert float("1" + 30 * "0") == LARGEST
    below = 9.99e29
    assert read_cell("number", "9.99e29") == below
    assert read_cell("number", "-9.99e29") == -below
    assert read_cell("any", "1e30") == "1e30", "no number of ours: text"
    for kind in ("number", "any"):
        assert fits(kind, below) and fits(kind, -below)
        assert not fits(kind, LARGEST) and not fits(kind, -LARGEST)
        assert not fits(kind, float("nan"))
    assert fits("count", 10**29) and not fits("count", 10**31)


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (True, {"flag"}),
        (False, {"flag"}),
        ("text", {"words", "any"}),
        (7, {"count", "number", "any"}),
        (0.5, {"number", "any"}),
        (7.0, {"number", "any"}),
        ([7], set()),
    ],
)
def test_a_value_fits_these_kinds_and_no_others(value, kinds):
    assert {kind for kind in KINDS if fits(kind, value)} == kinds


def test_columns_say_whether_they_are_numeric_and_which_stay_text():
    columns = [Column(kind, "", kind, "a column") for kind in KINDS]
    assert [column.name for column in columns if column.is_numeric] == ["count", "number"]
    assert text_types(columns) == {"words": str}
