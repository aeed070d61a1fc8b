"""Finished run: what a directory of `rack-sim run` says, read back."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.version import VERSION
from rack_sim.metrics.column import Column, read_cell
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.summary import Value
from rack_sim.record.kinds import KINDS, kind_of
from rack_sim.record.manifest import read_manifest
from rack_sim.scenario import read_resolved

RUN_AGAIN = KINDS["run"].again


@dataclass(frozen=True)
class FinishedRun:
    """The summary row of a run, the scenario as it was resolved, and the manifest."""

    summary: Mapping[str, Value]
    resolved: Mapping[str, Any]
    manifest: Mapping[str, Any]


def read_finished_run(folder: Path) -> FinishedRun:
    """The run in `folder`.

    Raises InputError where it is no run, is not whole, or was written by another version, whose
    numbers may mean something else.
    """
    path = folder / "summary.csv"
    manifest = read_manifest(folder)
    kind = kind_of(manifest)
    if kind != "run":
        raise InputError(Problem(f"holds a {kind}, not a run", str(folder), suggestion=RUN_AGAIN))
    if not path.is_file():
        message = "summary.csv is missing: the run is not whole any more"
        raise InputError(Problem(message, str(folder), suggestion=RUN_AGAIN))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            names = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(Problem(f"cannot be read: {error}", str(path))) from None
    if len(rows) != 1:
        raise InputError(Problem(f"has {len(rows)} rows, and a run's has one", str(path)))
    row = rows[0]
    missing = [column.name for column in SUMMARY if row.get(column.name) is None]
    if missing:
        few = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        raise InputError(_other_version(path, f"lacks columns of this version ({few})"))
    if names != [column.name for column in SUMMARY]:
        raise InputError(_other_version(path, "has other columns than this version writes"))
    if row["version"] != VERSION:
        raise InputError(_other_version(path, f"was written by rack-sim {row['version']}"))
    values = {column.name: _value(path, column, row[column.name]) for column in SUMMARY}
    return FinishedRun(values, read_resolved(folder / "resolved.yaml"), manifest)


def _other_version(path: Path, what: str) -> Problem:
    return Problem(f"{what}; this is rack-sim {VERSION}", str(path), suggestion=RUN_AGAIN)


def _value(path: Path, column: Column, cell: str) -> Value:
    try:
        value = read_cell(column.kind, cell)
    except ValueError as error:
        raise InputError(
            Problem(str(error), str(path), 2, field=column.name, suggestion=RUN_AGAIN)
        ) from None
    return value.removeprefix("'") if isinstance(value, str) else value
