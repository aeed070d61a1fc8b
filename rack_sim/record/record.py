"""Record: what a command leaves behind, whatever the command: facts, tables, the question.

One is made of every result, and read back from every directory of ours; whatever shows a result
(terminal, page, workbook, figures) is made of it alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from rack_sim.record.kinds import KINDS, Facts
from rack_sim.record.table import Table
from rack_sim.scenario import read_resolved


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

    @cached_property
    def resolved(self) -> Mapping[str, Any]:
        """The question with every default, as keys and values; of a record that was read.

        Raises InputError where resolved.yaml cannot be read.
        """
        return read_resolved(self.folder / "resolved.yaml") if self.folder else {}


class Outcome(Protocol):
    """What a command gave, in memory."""

    def record(self, wall_s: float = 0.0) -> Record:
        """The record of it. `wall_s` is how long it took."""
        ...
