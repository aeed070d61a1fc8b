"""Sensitivity tables: what the directory of `rack-sim sensitivity` holds, read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.record.csv import plain_text
from rack_sim.record.garbled import read_table
from rack_sim.record.kinds import KINDS
from rack_sim.scenario import read_resolved
from rack_sim.study.sensitivity import SPEED, USD

if TYPE_CHECKING:
    import pandas as pd


class Swing(NamedTuple):
    """One input, its unit and its value, and the rows of less and of more of it, if there are."""

    name: str
    unit: str
    value: float | None
    sides: tuple[Mapping[str, Any], ...]

    def widest(self, column: str) -> float:
        """The larger of the effects on a number, as a share."""
        shares = [row[column] for row in self.sides if row[column] is not None]
        return max(map(abs, shares), default=0.0)


@dataclass(frozen=True)
class SensitivityTables:
    """A finished sensitivity: its manifest, the scenario as resolved, and its table."""

    manifest: Mapping[str, Any]
    resolved: Mapping[str, Any]
    frame: "pd.DataFrame"

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.manifest["sensitivity"])

    @property
    def base(self) -> Mapping[str, float | None]:
        """Cost and speed of the scenario as it is."""
        found = self.manifest["base"]
        return {USD: found[USD], SPEED: found[SPEED]}

    @property
    def swings(self) -> tuple[Swing, ...]:
        """The inputs, that with the largest effect on cost first."""
        rows: dict[str, list[Mapping[str, Any]]] = {}
        for row in _plain(self.frame):
            rows.setdefault(str(row["input"]), []).append(row)
        return tuple(
            Swing(
                name,
                str(sides[0]["unit"] or ""),
                sides[0]["before"],
                tuple(side for side in sides if side["after"] is not None),
            )
            for name, sides in rows.items()
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be changed, or not as far as asked."""
        said = (f"{row['input']}: {row['note']}" for row in _plain(self.frame) if row["note"])
        return tuple(dict.fromkeys(said))


def read_sensitivity_tables(folder: Path, manifest: Mapping[str, Any]) -> SensitivityTables:
    """The sensitivity in `folder`. Raises InputError where a file is missing or garbled."""
    path = folder / "sensitivity.csv"
    frame = read_table(path, SENSITIVITY, KINDS["sensitivity"].again)
    if frame.empty or frame["input"].isna().any():
        said = "names no input" if frame.empty else "has a row without an input"
        raise InputError(Problem(said, str(path), suggestion=KINDS["sensitivity"].again))
    return SensitivityTables(manifest, read_resolved(folder / "resolved.yaml"), frame)


def _plain(frame: "pd.DataFrame") -> Sequence[Mapping[str, Any]]:
    """Rows with None for what is not there, and text as it was before it was safe for CSV."""
    found = []
    for record in frame.to_dict("records"):
        row = {
            str(key): plain_text(value) if isinstance(value, str) else value
            for key, value in record.items()
        }
        found.append({key: None if value != value else value for key, value in row.items()})
    return found
