"""Record: what a command leaves behind, whatever the command: facts, tables, the question.

One is made of every result, and read back from every directory of ours; whatever shows a result
(terminal, page, workbook, figures) is made of it alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.summary import Value
from rack_sim.record.kinds import KINDS, Facts
from rack_sim.record.table import Row, Table
from rack_sim.scenario import read_resolved, read_resolved_study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Record:
    """What a command leaves behind.

    `kind` is a name in `KINDS`, `facts` what manifest.json says, `tables` stand by the names of
    their files. `resolved_text` is the question with every default, as resolved.yaml has it; empty
    where a command has none. `folder` is where it was read.
    """

    kind: str
    facts: Facts
    tables: Mapping[str, Table]
    resolved_text: str = ""
    folder: Path | None = None

    @property
    def name(self) -> str:
        """What it is of: a scenario's or a study's name."""
        named = self.facts[KINDS[self.kind].key]
        return named if isinstance(named, str) else " and ".join(one["name"] for one in named)

    @property
    def summary(self) -> Mapping[str, Value]:
        """The row of summary.csv; of a run."""
        return self.rows("summary.csv")[0]

    @cached_property
    def resolved(self) -> Mapping[str, Any]:
        """The question with every default, as keys and values; of a record that was read.

        Raises InputError where resolved.yaml cannot be read.
        """
        path = self.folder / "resolved.yaml" if self.folder else None
        if path is None or not (self.kind == "run" or path.is_file()):
            return {}
        of_a_study = KINDS[self.kind].key == "study"
        return read_resolved_study(path) if of_a_study else read_resolved(path)

    def rows(self, file: str) -> tuple[Row, ...]:
        """The rows of a table by column, None where there is no value.

        Raises InputError where it is missing or garbled.
        """
        return self._table(file).records

    def frame(self, file: str, only: Sequence[str] = ()) -> "pd.DataFrame":
        """A table as a data frame; of the columns `only`, where some are named.

        Raises InputError where it is missing or garbled.
        """
        return self._table(file).frame(only)

    def read_all(self) -> None:
        """Reads every table. Raises InputError with the problems of all of them."""
        problems: list[Problem] = []
        for file in self.tables:
            try:
                self.frame(file)
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(problems)

    def _table(self, file: str) -> Table:
        if file not in self.tables:
            place = str(self.folder / file) if self.folder else file
            said = "is missing: the result is not whole"
            raise InputError(Problem(said, place, suggestion=KINDS[self.kind].again))
        return self.tables[file]


class Recordable(Protocol):
    """What a command gave, in memory."""

    def record(self, wall_s: float = 0.0) -> Record:
        """The record of it. `wall_s` is how long it took."""
        ...
