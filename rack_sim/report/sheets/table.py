"""Table: a file's rows on a sheet of their own, with units, a filter and a frozen header."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rack_sim.metrics.column import Column
from rack_sim.record.csv import plain_text
from rack_sim.report.sheets.sheet import (
    ASIDE,
    HEADER,
    SHEET_ROWS,
    Book,
    Cell,
    Sheet,
    number_style,
)

if TYPE_CHECKING:
    import pandas as pd

HEADER_ROW = 3
FIRST_ROW = HEADER_ROW + 1
_WIDTH_MIN, _WIDTH_MAX = 9, 46
_PAGE_CHARACTERS = 190  # across a page of A4, still read with ease
_SAMPLE_ROWS = 200  # widths are taken from so many rows; wider cells below them are rare


def heading(column: Column) -> str:
    """A column's name with its unit below it."""
    return f"{column.name}\n[{unit_words(column.unit)}]" if column.unit else column.name


def unit_words(unit: str) -> str:
    """A unit as headers say it, where the number is shown otherwise than it is stored."""
    return {"bytes": "bytes, shown in MB", "share": "share, shown in %"}.get(unit, unit)


def write_table_sheet(
    book: Book,
    name: str,
    title: str,
    purpose: str,
    columns: Sequence[Column],
    frame: "pd.DataFrame",
    *,
    file: str,
    row_limit: int = SHEET_ROWS,
) -> Sheet:
    """A sheet with the rows of `frame` under a header; those beyond the limit are counted on it."""
    room = max(0, min(row_limit, SHEET_ROWS) - FIRST_ROW)
    left_out = max(0, len(frame) - room)
    if left_out:
        purpose = (
            f"{purpose} The first {len(frame) - left_out:,} of {len(frame):,} rows; "
            f"{left_out:,} are left out here and stand in {file}."
        )
    sheet = book.sheet(name, title, purpose)
    sheet.link(2, 0, "Summary", "to the summary")
    total = 0.0
    cells = [cells_of(frame[column.name].head(room)) for column in columns]
    for number, (column, values) in enumerate(zip(columns, cells, strict=True)):
        sheet.put(HEADER_ROW, number, heading(column), HEADER)
        width = _width(column, values)
        total += width
        words = any(isinstance(value, str) for value in values[:_SAMPLE_ROWS])
        sheet.width(number, width, ASIDE if words else number_style(column.unit))
    sheet.pages_wide(max(1, round(total / _PAGE_CHARACTERS)))
    if total > _PAGE_CHARACTERS:
        sheet.page.repeat_columns(0, 0)
    sheet.page.freeze_panes(FIRST_ROW, 1)
    last = FIRST_ROW + max(1, min(len(frame), room)) - 1
    sheet.page.autofilter(HEADER_ROW, 0, last, max(0, len(columns) - 1))
    sheet.page.repeat_rows(HEADER_ROW)
    sheet.stream(FIRST_ROW, cells)
    return sheet


def cells_of(values: "pd.Series[Any]") -> list[Cell]:
    """A column of a frame as cells; text loses the apostrophe that made it safe in CSV."""
    found: list[Any] = values.tolist()
    if values.dtype.kind in "iufb":
        return found
    return [plain_text(value) if isinstance(value, str) else value for value in found]


def _width(column: Column, values: Iterable[Cell]) -> float:
    words = max((len(part) for part in heading(column).split("\n")), default=0)
    longest = max((_shown_length(value) for value in list(values)[:_SAMPLE_ROWS]), default=0)
    # The button of the filter covers about two characters of the header.
    return max(_WIDTH_MIN, min(_WIDTH_MAX, max(words + 3, longest + 2)))


def _shown_length(value: Cell) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, bool) or value is None:
        return 5
    return len(f"{value:,.3f}")
