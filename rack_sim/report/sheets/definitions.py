"""Definitions: what every column of every sheet means, in one list."""

from collections.abc import Iterable, Sequence

from rack_sim.metrics.column import Column
from rack_sim.report.sheets.sheet import HEADER, LABEL, WRAPPED, Book, Sheet


def write_definitions(book: Book, tables: Iterable[tuple[str, Sequence[Column]]]) -> Sheet:
    """A row for each column of each table, with its unit and definition."""
    sheet = book.sheet("Definitions", "Definitions", "What every column means, and its unit.")
    sheet.link(2, 0, "Summary", "to the summary")
    sheet.widths(20, 42, 14, 100)
    sheet.put_row(3, 0, ("table", "column", "unit", "definition"), HEADER)
    row = 3
    for name, columns in tables:
        for column in columns:
            row += 1
            sheet.put_row(row, 0, (name, column.name, column.unit), LABEL)
            sheet.put(row, 3, column.definition, WRAPPED)
    sheet.page.freeze_panes(4, 2)
    sheet.page.autofilter(3, 0, max(row, 4), 3)
    sheet.page.repeat_rows(3)
    return sheet
