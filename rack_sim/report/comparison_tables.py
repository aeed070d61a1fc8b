"""Comparison tables: what the directory of a comparison holds, read back."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.column import Column, read_cell
from rack_sim.metrics.compare_columns import CHANGES, COMPARE
from rack_sim.metrics.summary import Value
from rack_sim.record.kinds import KINDS
from rack_sim.study.difference import Change

_AGAIN = KINDS["compare"].again


@dataclass(frozen=True)
class ComparisonTables:
    """A finished comparison: its manifest, the rows of compare.csv, the changes between two."""

    manifest: Mapping[str, Any]
    rows: Sequence[Mapping[str, Value]]
    changes: tuple[Change, ...]

    def said(self, key: str) -> tuple[str, ...]:
        """A list of sentences of the manifest."""
        found = self.manifest.get(key)
        return tuple(map(str, found)) if isinstance(found, list) else ()


def read_comparison_tables(folder: Path, manifest: Mapping[str, Any]) -> ComparisonTables:
    """The comparison in `folder`. Raises InputError where a table is missing or garbled."""
    rows = _read(folder / "compare.csv", COMPARE)
    changes: tuple[Change, ...] = ()
    if len(rows) == 2:
        changes = tuple(
            Change(str(row["kind"]), str(row["key"]), row["before"], row["after"])
            for row in _read(folder / "changes.csv", CHANGES)
        )
    return ComparisonTables(manifest, rows, changes)


def _read(path: Path, columns: Sequence[Column]) -> list[dict[str, Value]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            names = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            Problem(f"cannot be read: {error}", str(path), suggestion=_AGAIN)
        ) from None
    if names != [column.name for column in columns] or any(None in row.values() for row in rows):
        raise InputError(
            Problem("has other columns than this version writes", str(path), suggestion=_AGAIN)
        )
    problems: list[Problem] = []
    read = [
        {
            column.name: _value(column, row[column.name], path, number, problems)
            for column in columns
        }
        for number, row in enumerate(rows, start=2)  # the header is the first line
    ]
    if problems:
        raise InputError(problems)
    return read


def _value(column: Column, cell: str, path: Path, line: int, problems: list[Problem]) -> Value:
    """The value of a cell; what is wrong with it is noted."""
    try:
        value = read_cell(column.kind, cell)
    except ValueError as error:
        problems.append(Problem(str(error), str(path), line, field=column.name, suggestion=_AGAIN))
        return None
    return value.removeprefix("'") if isinstance(value, str) else value
