"""Table: columns and rows of one file; CSV, Parquet and data frames are views of it.

The rows are made anew each time that somebody asks, so a million requests stream. In memory they
come from what a replay has counted; in a directory from the file, which is read without trust.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.column import Column, read_cell
from rack_sim.metrics.frames import frame_of
from rack_sim.metrics.summary import Value
from rack_sim.record.csv import cell_of, plain_text, write_lines, write_table
from rack_sim.record.garbled import other_columns, read_table, unreadable

if TYPE_CHECKING:
    import pandas as pd

Cells = Iterable[Value]
Row = dict[str, Value]


@dataclass(frozen=True, eq=False)
class Table:
    """A table: its columns, and a function that gives its rows.

    A row has a cell for each column: a value, or what the file says (a number as text). See
    `table_of_lines` for tables of very many rows, and `read_back` for those of a directory.
    """

    columns: tuple[Column, ...]
    rows: Callable[[], Iterable[Cells]]

    def frame(self, only: Sequence[str] = ()) -> "pd.DataFrame":
        """It as a new data frame, typed by the kinds of its columns (see `metrics.frames`).

        Of the columns `only`, where some are named.
        """
        whole = frame_of(self.columns, map(tuple, self.rows()))
        return whole[list(only)] if only else whole

    @cached_property
    def records(self) -> tuple[Row, ...]:
        """Its rows by column, None where there is no value; for tables that fit in memory."""
        return tuple(
            {
                column.name: _value(column, cell)
                for column, cell in zip(self.columns, row, strict=True)
            }
            for row in self.rows()
        )

    def write(self, path: Path) -> None:
        """Writes it as CSV."""
        kinds = [column.kind for column in self.columns]
        texts = (
            [
                # A number may stand there as its text, with a sign that is no formula.
                cell if isinstance(cell, str) and kind not in ("words", "any") else cell_of(cell)
                for kind, cell in zip(kinds, row, strict=True)
            ]
            for row in self.rows()
        )
        write_table(path, self.columns, texts)


@dataclass(frozen=True, eq=False)
class LongTable(Table):
    """A table of very many rows: `lines` gives them as CSV, whose cells need no quotes."""

    lines: Callable[[], Iterable[str]] = tuple

    def write(self, path: Path) -> None:
        """Writes it as CSV."""
        write_lines(path, self.columns, self.lines())


def table_of(
    columns: Sequence[Column], records: Callable[[], Iterable[Mapping[str, Value]]]
) -> Table:
    """A table whose rows come as values by column, those that are no columns left out."""
    names = [column.name for column in columns]
    return Table(tuple(columns), lambda: ([row.get(name) for name in names] for row in records()))


def table_of_lines(columns: Sequence[Column], lines: Callable[[], Iterable[str]]) -> LongTable:
    """A table whose rows come as lines of CSV without quotes."""
    return LongTable(tuple(columns), lambda: (line.split(",") for line in lines()), lines)


@dataclass(frozen=True, eq=False)
class FiledTable(Table):
    """A table that stands at `path`; `again` says how its directory is made again."""

    path: Path = Path()
    again: str = ""

    def frame(self, only: Sequence[str] = ()) -> "pd.DataFrame":
        """It as a data frame; the whole one is read once, and nobody writes into it.

        Of the columns `only`, where some are named: of a million requests few fit in memory.
        Raises InputError where the file cannot be read or is garbled.
        """
        return read_table(self.path, self.columns, self.again, only) if only else self._frame

    @cached_property
    def _frame(self) -> "pd.DataFrame":
        return read_table(self.path, self.columns, self.again)

    @cached_property
    def records(self) -> tuple[Row, ...]:
        """Its rows by column. Raises InputError with every cell that is not of its kind."""
        problems: list[Problem] = []
        found = [
            {
                column.name: self._checked(column, cell, line, problems)
                for column, cell in zip(self.columns, row, strict=True)
            }
            for line, row in enumerate(self.rows(), start=2)  # the header is the first line
        ]
        if problems:
            raise InputError(problems)
        return tuple(found)

    def _checked(self, column: Column, cell: Value, line: int, problems: list[Problem]) -> Value:
        try:
            return _value(column, cell)
        except ValueError as error:
            place = str(self.path)
            problems.append(
                Problem(str(error), place, line, field=column.name, suggestion=self.again)
            )
            return None


def read_back(path: Path, columns: Sequence[Column], again: str) -> FiledTable:
    """The table at `path`, which has these columns and no others. Nothing is read yet."""

    def rows() -> Iterator[Cells]:
        def refuse(said: str, line: int) -> InputError:
            return InputError(Problem(said, str(path), line, suggestion=again))

        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.reader(file, strict=True)
                if said := other_columns(next(reader, []), [column.name for column in columns]):
                    raise refuse(said, 1)
                for row in reader:
                    if len(row) != len(columns):
                        said = f"has {len(row)} cells, and there are {len(columns)} columns"
                        raise refuse(said, reader.line_num)
                    yield row
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(unreadable(path, error, again)) from None

    return FiledTable(tuple(columns), rows, path, again)


def _value(column: Column, cell: Value) -> Value:
    """The value of a cell, as it was before it was made safe for a file."""
    if not isinstance(cell, str):
        return cell
    value = read_cell(column.kind, cell)
    return plain_text(value) if isinstance(value, str) else value
