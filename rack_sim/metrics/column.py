"""Column: what every table is made of.

The kind of a column is stated where the column is, never guessed from its name, its unit or the
look of its cells: CSV, Parquet, data frames, sheets and pages all read it from here.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeVar

ColumnKind = Literal["words", "count", "number", "flag", "any"]
"""What the cells of a column hold; any cell may be empty.

`words`: text, however much like a number it looks. `count`: whole numbers. `number`: numbers.
`flag`: true or false. `any`: values of other columns, numbers as numbers and the rest as text.
"""


LARGEST = 1e30
"""No number of ours is nearly so large: a larger one was never written by rack-sim."""

Number = TypeVar("Number", int, float)


class Column(NamedTuple):
    """One column: its name, its unit, what its cells hold, what it means."""

    name: str
    unit: str
    kind: ColumnKind
    definition: str

    @property
    def is_numeric(self) -> bool:
        """Whether its cells are numbers."""
        return self.kind in ("count", "number")


def words(name: str, definition: str) -> Column:
    """A column of text, which has no unit."""
    return Column(name, "", "words", definition)


def count(name: str, unit: str, definition: str) -> Column:
    """A column of whole numbers."""
    return Column(name, unit, "count", definition)


def number(name: str, unit: str, definition: str) -> Column:
    """A column of numbers."""
    return Column(name, unit, "number", definition)


def flag(name: str, definition: str) -> Column:
    """A column of true and false."""
    return Column(name, "true/false", "flag", definition)


def taken(columns: Iterable[Column], *names: str) -> tuple[Column, ...]:
    """Columns of another table, by their names: what they mean is stated there."""
    known = {column.name: column for column in columns}
    return tuple(known[name] for name in names)


def read_cell(kind: ColumnKind, cell: str) -> str | int | float | bool | None:
    """The value of a cell of CSV; None where it is empty.

    Words stay as they are in the cell. Raises ValueError where the cell is not of the kind.
    """
    if cell == "":
        return None
    if kind == "words":
        return cell
    if kind == "flag":
        if cell not in ("true", "false"):
            raise ValueError(f"{cell!r} is not true or false")
        return cell == "true"
    try:
        return _within(int(cell))
    except ValueError:
        if kind == "count":
            raise ValueError(f"{_short(cell)} is not a whole number") from None
    try:
        return _within(float(cell))
    except ValueError:
        if kind == "any":
            return cell
        raise ValueError(f"{_short(cell)} is not a number") from None


def fits(kind: ColumnKind, value: object) -> bool:
    """Whether a value may stand in a column of the kind; nothing may in each."""
    if value is None:
        return True
    if isinstance(value, bool):
        return kind == "flag"
    if isinstance(value, str):
        return kind in ("words", "any")
    if isinstance(value, int) or (isinstance(value, float) and kind != "count"):
        return kind in ("count", "number", "any") and abs(value) < LARGEST
    return False


def _within(number: Number) -> Number:
    """The number, where a table of ours can hold it. Raises ValueError for an endless one."""
    if abs(number) < LARGEST:  # which what is no number is not, either
        return number
    raise ValueError


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else f"{cell[:39]}…")


def text_types(columns: Iterable[Column]) -> dict[str, type]:
    """Columns that a reader of CSV must take as text, by name, as pandas wants them."""
    return {column.name: str for column in columns if column.kind == "words"}
