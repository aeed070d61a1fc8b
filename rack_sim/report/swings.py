"""Swings: what less and more of each input does, from the record of `rack-sim sensitivity`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rack_sim.record.record import Record
from rack_sim.study.sensitivity import SPEED, USD

VISIBLE = 0.0005
"""Less than this share of change is none to be seen."""

_FILE = "sensitivity.csv"


class MovedNumber(NamedTuple):
    """What inputs move: the column of the share by which, and that of the number itself."""

    name: str
    column: str
    base: str
    words: str
    unit: str


_UNIT = "USD per million output tokens"
MOVED_NUMBERS = (
    MovedNumber("usd-change", "usd_change_share", USD, "Cost of an output token", _UNIT),
    MovedNumber(
        "speed-change", "speed_change_share", SPEED, "Speed of the median user", "tokens/s"
    ),
)


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


def swings_of(record: Record) -> tuple[Swing, ...]:
    """The inputs, that with the largest effect on cost first."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in record.rows(_FILE):
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


def still_of(record: Record) -> list[str]:
    """The inputs that move neither."""
    return [
        swing.name
        for swing in swings_of(record)
        if all(swing.widest(effect.column) < VISIBLE for effect in MOVED_NUMBERS)
    ]


def notes_of(record: Record) -> tuple[str, ...]:
    """What could not be changed, or not as far as asked."""
    said = (f"{row['input']}: {row['note']}" for row in record.rows(_FILE) if row["note"])
    return tuple(dict.fromkeys(said))
