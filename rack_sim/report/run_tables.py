"""Run tables: what the directory of a finished run holds, as data frames; reports are made of it.

A report can so be made again from its directory alone, without a replay.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.columns import FILES
from rack_sim.metrics.summary import Value
from rack_sim.record.garbled import read_table
from rack_sim.study.finished_run import RUN_AGAIN, read_finished_run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunTables:
    """A finished run: its manifest, its resolved scenario, its summary row, and its tables.

    `manifest` is manifest.json, `resolved` what resolved.yaml says, `summary` the row of
    summary.csv with numbers as numbers and None for empty cells. Tables are read when asked for.
    """

    folder: Path
    manifest: Mapping[str, Any]
    resolved: Mapping[str, Any]
    summary: Mapping[str, Value]
    _frames: dict[str, "pd.DataFrame"] = field(default_factory=dict, repr=False)

    def has(self, name: str) -> bool:
        """Whether the run left a table of this name (``iterations.csv`` only reactive chips do)."""
        return (self.folder / name).is_file()

    def table(self, name: str) -> "pd.DataFrame":
        """The table in a file of the run, with the columns of `metrics.columns.FILES`.

        Raises InputError where it is not there, cannot be read, has other columns, or holds a
        number that is infinite or a status that no request has.
        """
        if name not in self._frames:
            self._frames[name] = self._read(name)
        return self._frames[name]

    def read_all(self) -> None:
        """Reads every table that is there. Raises InputError with the problems of all of them."""
        problems: list[Problem] = []
        for name in filter(self.has, FILES):
            try:
                self.table(name)
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(problems)

    def _read(self, name: str) -> "pd.DataFrame":
        return read_table(self.folder / name, FILES[name], RUN_AGAIN)


def read_run_tables(folder: Path) -> RunTables:
    """The run in `folder`.

    Raises InputError where it is no run, is not whole, or was written by another version.
    """
    run = read_finished_run(folder)
    return RunTables(folder, run.manifest, run.resolved, run.summary)
