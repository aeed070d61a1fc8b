"""Comparison tables: what the directory of a comparison holds, read back."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.column import Column
from rack_sim.metrics.compare_columns import CHANGES, COMPARE
from rack_sim.metrics.summary import Value
from rack_sim.study.difference import Change
from rack_sim.study.record import KINDS

_AGAIN = KINDS["comparison"]
# Columns whose cells are text, however much like a number they look.
_TEXT = {"name", "source", "status", "reason", "model", "system", "scenario_hash", "version"}


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
    rows = [
        {name: _value(cell, is_text=name in _TEXT) for name, cell in row.items()}
        for row in _read(folder / "compare.csv", COMPARE)
    ]
    changes: tuple[Change, ...] = ()
    if len(rows) == 2:
        changes = tuple(
            Change(
                row["kind"],
                str(_value(row["key"], is_text=True)),
                _value(row["before"], is_text=False),
                _value(row["after"], is_text=False),
            )
            for row in _read(folder / "changes.csv", CHANGES)
        )
    return ComparisonTables(manifest, rows, changes)


def _read(path: Path, columns: Sequence[Column]) -> list[dict[str, str]]:
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
    return rows


def _value(cell: str, *, is_text: bool) -> Value:
    if cell == "":
        return None
    if not is_text:
        for kind in (int, float):
            try:
                return kind(cell)
            except ValueError:
                continue
    return cell.removeprefix("'")
