"""Run tables: what the directory of a finished run holds, as data frames; reports are made of it.

A report can so be made again from its directory alone, without a replay.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.column import text_types
from rack_sim.metrics.columns import FILES
from rack_sim.metrics.summary import Value
from rack_sim.study.finished_run import read_finished_run

if TYPE_CHECKING:
    import pandas as pd

REQUEST_STATUSES = ("finished", "rejected", "timed_out")


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

    def _read(self, name: str) -> "pd.DataFrame":
        import pandas as pd  # imports slowly, and only who reads a run needs it

        path = self.folder / name
        try:
            frame = pd.read_csv(
                path, keep_default_na=False, na_values=[""], dtype=text_types(FILES[name])
            )
        except (OSError, ValueError) as error:
            raise InputError(Problem(f"cannot be read: {error}", str(path))) from None
        wanted = [column.name for column in FILES[name]]
        if list(frame.columns) != wanted:
            raise InputError(
                Problem(
                    "has other columns than this version writes",
                    str(path),
                    suggestion="run its scenario again: rack-sim run",
                )
            )
        refuse_garbled(frame, path)
        return frame


def refuse_garbled(frame: "pd.DataFrame", path: Path) -> None:
    """Raises InputError where a number is infinite, or a status is none that a request has."""
    problems = list(_garbled(frame, path))
    if problems:
        raise InputError(problems)


def _garbled(frame: "pd.DataFrame", path: Path) -> Iterator[Problem]:
    """Numbers without an end, and statuses of requests that are none; a problem for each column."""
    import numpy as np

    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind == "f":
            bad, said = np.isinf(column.to_numpy()), "is no finite number"
        elif (path.name, name) == ("requests.csv", "status"):
            bad = ~column.isin(REQUEST_STATUSES).to_numpy()
            said = f"is none of {', '.join(REQUEST_STATUSES)}"
        else:
            continue
        rows = np.flatnonzero(bad)
        if len(rows):
            more = f", and so {len(rows) - 1:,} more" if len(rows) > 1 else ""
            yield Problem(
                f"{column.iloc[rows[0]]} {said}{more}",
                str(path),
                line=int(rows[0]) + 2,  # the header is the first line
                field=name,
                suggestion="run its scenario again: rack-sim run",
            )


def read_run_tables(folder: Path) -> RunTables:
    """The run in `folder`.

    Raises InputError where it is no run, is not whole, or was written by another version.
    """
    run = read_finished_run(folder)
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(Problem(f"cannot be read: {error}", str(path))) from None
    if not isinstance(manifest, dict):
        raise InputError(Problem("is no manifest of a run", str(path)))
    return RunTables(folder, manifest, run.resolved, run.summary)
