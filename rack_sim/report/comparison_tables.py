"""Comparison tables: what the record of `rack-sim compare` says, as its reports tell it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.study.difference import RunChange


@dataclass(frozen=True)
class ComparisonTables:
    """A finished comparison."""

    record: Record

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of compare.csv."""
        return self.record.rows("compare.csv")

    @cached_property
    def changes(self) -> tuple[RunChange, ...]:
        """The changes between two runs."""
        if len(self.rows) != 2:
            return ()
        return tuple(
            RunChange(str(row["kind"]), str(row["key"]), row["before"], row["after"])
            for row in self.record.rows("changes.csv")
        )

    def said(self, key: str) -> tuple[str, ...]:
        """A list of sentences of the manifest."""
        return tuple(self.record.facts[key])
