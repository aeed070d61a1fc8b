"""Sweep: the tables of a study, whatever its kind."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import SUMMARY
from rack_sim.record.csv import plain_text
from rack_sim.record.record import Record
from rack_sim.report.sheets.sheet import SHEET_ROWS, Book
from rack_sim.report.sheets.table import write_table_sheet
from rack_sim.scenario import STUDIES

if TYPE_CHECKING:
    import pandas as pd

_AXIS = "a key of the grid: its value"


def columns_of(kind: str, file: str, names: Sequence[str]) -> list[Column]:
    """The columns of a table with units and definitions, where any table of ours knows them."""
    known = {column.name: column for column in SUMMARY}
    known |= {column.name: column for column in STUDIES[kind].tables.get(file, ())}
    return [
        known.get(name, Column(name, "", "any", _AXIS if name.startswith("grid.") else ""))
        for name in names
    ]


def write_sweep(
    book: Book,
    kind: str,
    tables: Mapping[str, "pd.DataFrame"],
    row_limit: int = SHEET_ROWS,
) -> list[tuple[str, list[Column]]]:
    """A sheet for each table; their names and columns are given back."""
    written = []
    for number, (file, frame) in enumerate(tables.items()):
        columns = columns_of(kind, file, list(frame.columns))
        stem = Path(file).stem
        name = "Sweep" if not number else stem[:31].title()
        write_table_sheet(
            book,
            name,
            f"Sweep: {file}" if not number else file,
            "Every row of the study's table.",
            columns,
            frame,
            file=file,
            row_limit=row_limit,
        )
        written.append((name, columns))
    return written


def collected_of(study: Record) -> list[str]:
    """The columns that the study says it is about."""
    named = study.resolved.get("collect") or study.facts.get("collect") or []
    if isinstance(named, str):
        named = [named]
    return [name if isinstance(name, str) else json.dumps(name) for name in named]


def study_answers(study: Record) -> list[tuple[str, str]]:
    """How the points of a study ended, a line for each of its tables."""
    lines = []
    for file in study.tables:
        frame = study.frame(file)
        if "status" in frame.columns:
            counts = frame["status"].value_counts().sort_index()
            said = ", ".join(f"{count:,} {plain_text(str(name))}" for name, count in counts.items())
            lines.append((f"Points of {file}", said))
    return lines
