"""Sizing tables: what the directory of `rack-sim size` holds, read back; reports are made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.column import Column
from rack_sim.metrics.sizing_columns import (
    CANDIDATES,
    SIZING,
    fixed_columns,
    objective_columns,
)
from rack_sim.record.csv import plain_text
from rack_sim.record.garbled import refuse_garbled, unreadable
from rack_sim.record.kinds import KINDS
from rack_sim.scenario import read_resolved
from rack_sim.study.sizing import GOALS

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
KEY = ("tensor_parallel", "stage_count", "replica_count")
_AGAIN = KINDS["size"].again


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
    row: Row
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class SizingTables:
    """A finished sizing. Rows have None for what is not there, and true or false as such."""

    folder: Path
    manifest: Mapping[str, Any]
    resolved: Mapping[str, Any]
    frames: Mapping[str, "pd.DataFrame"]
    columns: Mapping[str, tuple[Column, ...]]

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.manifest["sizing"])

    @property
    def rate_rps(self) -> float:
        """The rate that was asked for."""
        return float(self.manifest["question"]["rate_rps"])

    @property
    def objectives(self) -> tuple[Asked, ...]:
        """What was asked for."""
        return tuple(Asked(**item) for item in self.manifest["question"]["objectives"])

    @cached_property
    def answers(self) -> tuple[Row, ...]:
        """The rows of sizing.csv."""
        return _rows(self.frames["sizing.csv"], self.columns["sizing.csv"])

    @cached_property
    def candidates(self) -> tuple[Row, ...]:
        """The rows of candidates.csv."""
        return _rows(self.frames["candidates.csv"], self.columns["candidates.csv"])

    @cached_property
    def winners(self) -> tuple[Winner, ...]:
        """Each best candidate once."""
        by_goal = {row["goal"]: row for row in self.answers}
        return tuple(
            Winner(tuple(entry["goals"]), by_goal[entry["goals"][0]], entry)
            for entry in self.manifest["answers"]
        )

    @property
    def tightest(self) -> Asked:
        """The objective of which the system of the fewest chips uses most."""
        name = self.winners[0].row["tightest_objective"]
        return next((o for o in self.objectives if o.name == name), self.objectives[0])

    def candidate(self, name: str | None) -> Row | None:
        """The row of a candidate that is named as ``8 x 54 x 3``."""
        return next((row for row in self.candidates if name_of(row) == name), None)


def name_of(row: Row) -> str:
    """A candidate as tables name it: tensor parallel x stages x replicas."""
    return " x ".join(str(row[key]) for key in KEY)


def read_sizing_tables(folder: Path, manifest: Mapping[str, Any]) -> SizingTables:
    """The sizing in `folder`, of which `manifest` is what `read_manifest` read.

    Raises InputError with every problem: a file that is missing or garbled, columns of another
    version, answers that are not in both.
    """
    asked = [str(item["column"]) for item in manifest["question"]["objectives"]]
    goals = [goal for entry in manifest["answers"] for goal in entry["goals"]]
    problems: list[Problem] = []
    frames: dict[str, pd.DataFrame] = {}
    columns: dict[str, tuple[Column, ...]] = {}
    for name, known in (("sizing.csv", SIZING), ("candidates.csv", CANDIDATES)):
        columns[name] = (*fixed_columns(known), *objective_columns(asked))
        found = _read(folder / name, columns[name], problems)
        if found is not None:
            frames[name] = found
    if problems:
        raise InputError(problems)
    tables = SizingTables(
        folder, manifest, read_resolved(folder / "resolved.yaml"), frames, columns
    )
    answered = [row["goal"] for row in tables.answers]
    if sorted(goals) != sorted(GOALS) or sorted(answered) != sorted(GOALS) or not asked:
        said = "does not have the answers that its manifest.json has"
        raise InputError(Problem(said, str(folder / "sizing.csv"), suggestion=_AGAIN))
    return tables


def _read(path: Path, columns: Sequence[Column], problems: list[Problem]) -> "pd.DataFrame | None":
    import pandas as pd  # imports slowly

    texts = {column.name: str for column in columns if not column.is_numeric}
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=texts)
    except (OSError, ValueError) as error:
        problems.append(unreadable(path, error, _AGAIN))
        return None
    if list(frame.columns) != [column.name for column in columns]:
        said = "has other columns than this version writes"
        problems.append(Problem(said, str(path), suggestion=_AGAIN))
        return None
    numbers = [c._replace(unit=c.unit or "any") for c in columns if c.name not in texts]
    try:
        refuse_garbled(frame, path, numbers, _AGAIN)
    except InputError as error:
        problems += error.problems
        return None
    return frame


def _rows(frame: "pd.DataFrame", columns: Sequence[Column]) -> tuple[Row, ...]:
    truths = {column.name for column in columns if column.kind == "flag"}
    found = []
    for record in frame.to_dict("records"):
        row: dict[str, Any] = {}
        for key, value in record.items():
            text = plain_text(value) if isinstance(value, str) else value
            row[str(key)] = None if text != text else text == "true" if key in truths else text
        found.append(row)
    return tuple(found)
