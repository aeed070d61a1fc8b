"""Table: rows under a header that stays in view: those of a file, lists of ours, numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Any, NamedTuple

from rack_sim.metrics.column import Column
from rack_sim.metrics.frames import Cell
from rack_sim.metrics.summary import Value
from rack_sim.record.csv import plain_text
from rack_sim.record.record import Record
from rack_sim.report.sheets.sheet import (
    ASIDE,
    HEADER,
    LABEL,
    NUMBER_HEADER,
    UNIT,
    WRAPPED,
    Book,
    Range,
    Sheet,
    Style,
    number_style,
)

if TYPE_CHECKING:
    import pandas as pd

_HEADER_ROW = 3
FIRST_ROW = _HEADER_ROW + 1
_WIDTH_MIN, _WIDTH_MAX = 9, 46
_PAGE_CHARACTERS = 190  # across a page of A4, still read with ease
_SAMPLE_ROWS = 200  # widths are taken from so many rows; wider cells below them are rare


@dataclass(frozen=True)
class FileTable:
    """What of a file stands on a sheet: some of its columns, some of its rows, in some order."""

    file: str
    columns: Sequence[Column]
    frame: "pd.DataFrame"


class Rows(NamedTuple):
    """Rows of a table on a sheet: what its columns are called, and how many rows there are."""

    sheet: Sheet
    columns: tuple[str, ...]
    shown: int

    def cells(self, column: str) -> Range:
        """The cells of a column."""
        place = self.columns.index(column)
        return Range(self.sheet.name, FIRST_ROW, place, _last_row(self.shown), place)

    def draw_bars(self, column: str, colour: str, longest: float) -> None:
        """Bars behind the numbers of a column, all on one scale from 0."""
        rule = {"type": "data_bar", "bar_color": _tint(colour), "bar_solid": True}
        rule |= {"min_type": "num", "min_value": 0, "max_type": "num", "max_value": longest}
        self.sheet.page.conditional_format(*self.cells(column)[1:], rule | {"data_bar_2010": True})


def whole(record: Record, file: str) -> FileTable:
    """A table as the record has it."""
    columns, frame = record.tables[file].columns, record.frame(file)
    mixed = [column.name for column in columns if column.kind == "any"]
    if mixed:  # a frame has numbers among words as text
        rows = record.rows(file)
        found: dict[str, Any] = {name: [row[name] for row in rows] for name in mixed}
        frame = frame.assign(**found)
    return FileTable(file, columns, frame)


def write_table(book: Book, name: str, purpose: str, table: FileTable) -> Rows:
    """A sheet with the rows of a file under a header; those beyond the limit are counted on it."""
    count, shown = len(table.frame), min(len(table.frame), max(0, book.row_limit - FIRST_ROW))
    if shown < count:
        purpose = (
            f"{purpose} The first {shown:,} of {count:,} rows; {count - shown:,} are left out here "
            f"and stand in {table.file}."
        )
    sheet = book.sheet(name, purpose)
    cells = [cells_of(table.frame[column.name].head(shown)) for column in table.columns]
    widths = list(map(_width, table.columns, cells))
    for number, (column, values) in enumerate(zip(table.columns, cells, strict=True)):
        words = any(isinstance(value, str) for value in values[:_SAMPLE_ROWS])
        sheet.width(number, widths[number], ASIDE if words else number_style(column.unit))
    sheet.pages_wide(max(1, round(sum(widths) / _PAGE_CHARACTERS)))
    if sum(widths) > _PAGE_CHARACTERS:
        sheet.page.repeat_columns(0, 0)
    _write_header(sheet, list(map(_heading, table.columns)), shown)
    sheet.stream(FIRST_ROW, cells)
    return Rows(sheet, tuple(column.name for column in table.columns), shown)


def write_list(
    sheet: Sheet,
    heads: Mapping[str, float],
    lines: Sequence[tuple[Iterable[Cell], Style | Sequence[Style]]],
    *,
    still: int = 1,
) -> None:
    """Lines, each with its styles, under heads with their widths; so many columns stay in view."""
    sheet.widths(*heads.values())
    for row, (cells, styles) in enumerate(lines, start=FIRST_ROW):
        sheet.put_row(row, 0, cells, styles)
    _write_header(sheet, list(heads), len(lines), still)


def _write_header(sheet: Sheet, heads: Sequence[str], count: int, still: int = 1) -> None:
    """A header over so many rows, with a filter."""
    sheet.put_row(_HEADER_ROW, 0, heads, HEADER)
    sheet.page.freeze_panes(FIRST_ROW, still)
    sheet.page.autofilter(_HEADER_ROW, 0, _last_row(count), max(0, len(heads) - 1))
    sheet.page.repeat_rows(_HEADER_ROW)


def _last_row(count: int) -> int:
    return _HEADER_ROW + max(1, count)  # a table without rows keeps one free


def head_numbers(sheet: Sheet, row: int, names: Sequence[str]) -> None:
    """The header of lines of numbers, with the names of what they are numbers of."""
    styles = [HEADER, *[NUMBER_HEADER] * len(names), HEADER, HEADER]
    sheet.put_row(row, 0, ("number", *names, "unit", "what it is"), styles)
    sheet.page.repeat_rows(row)


def write_numbers(
    sheet: Sheet, row: int, columns: Sequence[Column], of: Sequence[Mapping[str, Value]]
) -> int:
    """A line for each column: its values side by side, its unit and meaning; the next row."""
    for at, column in enumerate(columns, start=row):
        numbers = [number_style(column.unit, align="right")] * len(of)
        values = (one[column.name] for one in of)
        cells = (column.name, *values, unit_words(column.unit), column.definition)
        sheet.put_row(at, 0, cells, [LABEL, *numbers, UNIT, WRAPPED])
    return row + len(columns)


def unit_words(unit: str) -> str:
    """A unit as headers say it, where the number is shown otherwise than it is stored."""
    return {"bytes": "bytes, shown in MB", "share": "share, shown in %"}.get(unit, unit)


def cells_of(values: "pd.Series[Any]") -> list[Cell]:
    """A column of a frame as cells; text loses the apostrophe that made it safe in CSV."""
    found: list[Any] = values.tolist()
    if values.dtype.kind in "iufb":
        return found
    return [plain_text(value) if isinstance(value, str) else value for value in found]


def amounts(values: "pd.Series[Any]") -> tuple[float | None, ...]:
    """A column of a frame as numbers of a chart."""
    found: list[float] = values.to_numpy(dtype=float, na_value=nan).tolist()
    return tuple(None if isnan(value) else value for value in found)


def _heading(column: Column) -> str:
    """A column's name with its unit below it."""
    return f"{column.name}\n[{unit_words(column.unit)}]" if column.unit else column.name


def _width(column: Column, values: Sequence[Cell]) -> float:
    words = max(map(len, _heading(column).split()), default=0)
    longest = max(map(_shown_length, values[:_SAMPLE_ROWS]), default=0)
    # The button of the filter covers about two characters of the header.
    return max(_WIDTH_MIN, min(_WIDTH_MAX, max(words + 3, longest + 2)))


def _shown_length(value: Cell) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, bool) or value is None:
        return 5
    return len(f"{value:,.3f}")


def _tint(colour: str) -> str:
    """A colour mixed with white, so that numbers are read on it."""
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{(part + 2 * 255) // 3:02X}" for part in parts)
