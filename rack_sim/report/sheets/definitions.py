"""Definitions: what every column of every table means, in one list."""

from rack_sim.record.record import Record
from rack_sim.report.sheets.sheet import LABEL, WRAPPED, Book
from rack_sim.report.sheets.table import write_list

_HEADS = {"table": 20, "column": 42, "unit": 14, "definition": 100}


def write_definitions(book: Book, record: Record) -> None:
    """A row for each column of each table, with its unit and definition."""
    sheet = book.sheet("Definitions", "What every column means, and its unit.")
    lines = [
        ((file, *column[:2], column.definition), [LABEL, LABEL, LABEL, WRAPPED])
        for file, table in record.tables.items()
        for column in table.columns
    ]
    write_list(sheet, _HEADS, lines, still=2)
