"""Finished run: what a directory of `rack-sim run` says, read back."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.summary import Value
from rack_sim.pipeline import VERSION
from rack_sim.scenario import read_resolved

# Columns without a unit that hold text, however much like a number it looks.
_TEXT = {
    "scenario",
    "system",
    "model",
    "policy",
    "window_kind",
    "ttft_bound_by",
    "tpot_bound_by",
    "bottleneck",
    "api_price",
    "slo_asked",
    "slo_met",
    "scenario_hash",
    "version",
}
_AGAIN = "run its scenario again: rack-sim run"


@dataclass(frozen=True)
class FinishedRun:
    """The summary row of a run and the scenario as it was resolved."""

    summary: Mapping[str, Value]
    resolved: Mapping[str, Any]


def read_finished_run(folder: Path) -> FinishedRun:
    """The run in `folder`.

    Raises InputError where it is no run, is not whole, or was written by another version, whose
    numbers may mean something else.
    """
    path = folder / "summary.csv"
    if not path.is_file():
        there = (
            "it holds a study, a comparison or a sizing"
            if (folder / "manifest.json").is_file()
            else "it is no directory of `rack-sim run`"
        )
        raise InputError(Problem(f"has no summary.csv: {there}", str(folder)))
    version = _version(folder)
    if version is not None and version != VERSION:
        raise InputError(_other_version(path, f"was written by rack-sim {version}"))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(Problem(f"cannot be read: {error}", str(path))) from None
    if len(rows) != 1:
        raise InputError(Problem(f"has {len(rows)} rows, and a run's has one", str(path)))
    row = rows[0]
    missing = [column.name for column in SUMMARY if row.get(column.name) is None]
    if missing:
        few = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        raise InputError(_other_version(path, f"lacks columns of this version ({few})"))
    if row["version"] != VERSION:
        raise InputError(_other_version(path, f"was written by rack-sim {row['version']}"))
    values = {column.name: _value(path, column.name, row[column.name]) for column in SUMMARY}
    return FinishedRun(values, read_resolved(folder / "resolved.yaml"))


def _version(folder: Path) -> str | None:
    """What the manifest says; None where there is none, or it cannot be read."""
    try:
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    version = content.get("version") if isinstance(content, dict) else None
    return version if isinstance(version, str) else None


def _other_version(path: Path, what: str) -> Problem:
    return Problem(f"{what}; this is rack-sim {VERSION}", str(path), suggestion=_AGAIN)


def _value(path: Path, name: str, cell: str) -> Value:
    if cell == "":
        return None
    if name in _TEXT:
        return cell.removeprefix("'")
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        return float(cell)
    except ValueError:
        raise InputError(
            Problem(f"{cell!r} is not a number", str(path), field=name, suggestion=_AGAIN)
        ) from None
