"""Sensitivity tables: what the record of `rack-sim sensitivity` says, as its reports tell it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rack_sim.record.record import Record
from rack_sim.study.sensitivity import SPEED, USD


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
    """A finished sensitivity."""

    record: Record

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.record.name

    @property
    def base(self) -> Mapping[str, float | None]:
        """Cost and speed of the scenario as it is."""
        found = self.record.facts["base"]
        return {USD: found[USD], SPEED: found[SPEED]}

    @property
    def swings(self) -> tuple[Swing, ...]:
        """The inputs, that with the largest effect on cost first."""
        rows: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.record.rows("sensitivity.csv"):
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
        rows = self.record.rows("sensitivity.csv")
        said = (f"{row['input']}: {row['note']}" for row in rows if row["note"])
        return tuple(dict.fromkeys(said))
