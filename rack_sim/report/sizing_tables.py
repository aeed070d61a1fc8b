"""Sizing tables: what the record of `rack-sim size` says, as its reports tell it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rack_sim.record.record import Record

SizingRow = Mapping[str, Any]
KEY = ("tensor_parallel", "stage_count", "replica_count")


class Asked(NamedTuple):
    """An objective that was asked for: its name, the column that it bounds, the bound, its unit."""

    name: str
    column: str
    bound: float
    unit: str

    @property
    def is_share(self) -> bool:
        """Whether more is better: a share of requests, at least so large."""
        return self.unit == "share"


class Winner(NamedTuple):
    """A best candidate: what it is best for, its row of sizing.csv, its entry in manifest.json."""

    goals: tuple[str, ...]
    row: SizingRow
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class SizingTables:
    """A finished sizing. Rows have None for what is not there, and true or false as such."""

    record: Record

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.record.name

    @property
    def rate_rps(self) -> float:
        """The rate that was asked for."""
        return float(self.record.facts["question"]["rate_rps"])

    @property
    def objectives(self) -> tuple[Asked, ...]:
        """What was asked for."""
        return tuple(Asked(**item) for item in self.record.facts["question"]["objectives"])

    @property
    def candidates(self) -> tuple[SizingRow, ...]:
        """The rows of candidates.csv."""
        return self.record.rows("candidates.csv")

    @cached_property
    def winners(self) -> tuple[Winner, ...]:
        """Each best candidate once."""
        by_goal = {row["goal"]: row for row in self.record.rows("sizing.csv")}
        return tuple(
            Winner(tuple(entry["goals"]), by_goal[entry["goals"][0]], entry)
            for entry in self.record.facts["answers"]
        )

    @property
    def tightest(self) -> Asked:
        """The objective of which the system of the fewest chips uses most."""
        name = self.winners[0].row["tightest_objective"]
        return next((o for o in self.objectives if o.name == name), self.objectives[0])

    def candidate(self, name: str | None) -> SizingRow | None:
        """The row of a candidate that is named as ``8 x 54 x 3``."""
        return next((row for row in self.candidates if name_of(row) == name), None)


def name_of(row: SizingRow) -> str:
    """A candidate as tables name it: tensor parallel x stages x replicas."""
    return " x ".join(str(row[key]) for key in KEY)
