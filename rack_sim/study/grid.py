"""Grid study: every combination of some values, run in any order and place, told in one order.

A point's row depends on nothing but the point, so that the table is the same, byte for byte,
whatever ran where and however often it was interrupted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.executor import open_executor
from rack_sim.foundation.version import VERSION
from rack_sim.foundation.work_estimate import WorkEstimate, tell
from rack_sim.foundation.work_limits import over_limit
from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.grid_columns import COMPILED, GRID_HEAD, GRID_STATUS
from rack_sim.metrics.summary import Value
from rack_sim.pipeline import expected_work
from rack_sim.record.table import Table, table_of
from rack_sim.scenario import GridPoint, GridStudy, scenario_of_point_keys
from rack_sim.study.code_state import code_state
from rack_sim.study.grid_point import (
    FAILED,
    OK,
    STATUSES,
    PointRow,
    PointTask,
    is_finished_row,
    run_point,
    task_of,
)
from rack_sim.study.grid_titles import axis_title, column_title
from rack_sim.study.journal import Journal, open_journal
from rack_sim.study.options import DEFAULTS, StudyOptions
from rack_sim.study.study_result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

# assumed: what a point takes to load and compile; see POINT_COUNT_MAX.
_POINT_S = 0.5


@dataclass(frozen=True, repr=False)
class GridRow(Brief):
    """A point and what came of it. `summary` is empty where its status is not ok."""

    point: GridPoint
    status: str
    reason: str
    summary: dict[str, Value]


@dataclass(frozen=True, repr=False)
class GridResult(StudyResult):
    """What a grid study gave: one row for each point, in order.

    `resumed_count` rows were there from an interrupted run; `notes` say what was odd about that.
    """

    assumed = (
        "every point replays the same workload with the same seed, unless the grid changes them",
        "a point without numbers has its reason in its row; nothing is filled in for it",
    )

    study: GridStudy
    rows: tuple[GridRow, ...]
    resumed_count: int
    notes: tuple[str, ...]

    def _facts(self) -> Mapping[str, object]:
        return {
            "study": self.study.name,
            "grid": " x ".join(axis.key for axis in self.study.axes),
            "points": len(self.rows),
            **dict(sorted(self.counts.items())),
        }

    @property
    def counts(self) -> Counter[str]:
        """Points by status."""
        return Counter(row.status for row in self.rows)

    @property
    def ok_count(self) -> int:
        """Points with numbers."""
        return self.counts[OK]

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows of results.csv, each value by its column."""
        for row in self.rows:
            yield {
                "study": self.study.name,
                "point": row.point.number,
                "point_name": row.point.name,
                "machine": row.point.base.name,
                **{
                    f"grid.{axis.key}": axis.choices[value]
                    if axis.is_numeric
                    else axis.labels[value]
                    for axis, value in zip(self.study.axes, row.point.chosen, strict=True)
                },
                "status": row.status,
                "reason": row.reason or None,
                **row.summary,
            }

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """results.csv, a row for each point in order of the grid."""
        return {"results.csv": table_of(result_columns(self.study), self.records)}

    def frame(self) -> "pd.DataFrame":
        """One row per point, as in results.csv."""
        return self.tables["results.csv"].frame()

    def facts(self) -> Mapping[str, Any]:
        """The grid, what its keys and columns are called, and how many points ended how."""
        study, counts = self.study, self.counts
        return {
            "mode": study.mode,
            "grid": {axis.key: list(axis.choices) for axis in study.axes},
            "titles": {axis.key: axis_title(axis) for axis in study.axes},
            "collect": {name: column_title(name) for name in study.collect},
            "point_count": study.point_count,
            "points_by_status": {status: counts[status] for status in STATUSES},
        }

    def varied(self) -> Iterable[str]:
        """The keys of the grid, and those in which its machines differ."""
        varied = [key for axis in self.study.axes for key in axis.keys]
        return varied + _keys_apart([base.changes for base in self.study.bases])


def _keys_apart(changes: Sequence[Sequence[str]]) -> list[str]:
    """Keys that some points of a study set and others leave or set to something else."""
    shared = set(changes[0]).intersection(*changes[1:])
    apart = dict.fromkeys(text for texts in changes for text in texts if text not in shared)
    return [text.partition("=")[0] for text in apart]


def result_columns(study: GridStudy) -> tuple[Column, ...]:
    """The columns of results.csv of a study: one for each key of its grid among them."""
    axes = (
        Column(
            f"grid.{axis.key}",
            axis.unit,
            "count" if axis.is_whole else "number" if axis.is_numeric else "words",
            f"{axis.title}: the value at the point",
        )
        for axis in study.axes
    )
    return (*GRID_HEAD, *axes, *GRID_STATUS, *COMPILED, *SUMMARY)


def run(study: GridStudy, options: StudyOptions = DEFAULTS) -> GridResult:
    """Runs every point of a grid that its journal has not.

    Raises InputError where the grid has more points than the options allow, or the executor or the
    journal cannot be opened.
    """
    _refuse_large(study, options.point_count_max)
    with _journal(study, options) as journal:
        points = list(study.combinations())
        tasks = {point.number: task_of(study, point) for point in points}
        rows: dict[int, PointRow] = {}
        notes: list[str] = []
        if journal:
            rows = {n: journal.rows[t.key] for n, t in tasks.items() if t.key in journal.rows}
            notes += journal.notes
        resumed = len(rows)
        if resumed:
            notes.append(f"{resumed} of {len(points)} points were there already")
        for note in notes:
            options.on_note(note)
        missing = [task for number, task in tasks.items() if number not in rows]
        if missing:
            tell(_expected_work(missing), options.on_note)
        _run_missing(tasks, rows, journal, options)
    found = tuple(
        GridRow(point, row["status"], row["reason"], row["values"])
        for point in points
        for row in (rows[point.number],)
    )
    return GridResult(study, found, resumed, tuple(notes))


def _journal(
    study: GridStudy, options: StudyOptions
) -> AbstractContextManager[Journal] | nullcontext[None]:
    """The journal that the options name, open; None where they name none."""
    if options.journal is None:
        return nullcontext()
    head = {
        "study": study.name,
        "study_hash": study.study_hash,
        "version": VERSION,
        "code": code_state(),
    }
    return open_journal(options.journal, head, is_row=is_finished_row, fresh=options.fresh)


def _refuse_large(study: GridStudy, point_count_max: int | None) -> None:
    count = study.point_count
    sides = " x ".join(
        [
            *([f"{len(study.bases)} machines"] if len(study.bases) > 1 else []),
            *(str(len(axis.choices)) for axis in study.axes),
        ]
    )
    too_many = over_limit("points", count, sides, place=study.place, field="grid")
    if too_many:
        raise InputError(too_many)
    if point_count_max is not None and count > point_count_max:
        message = f"{count:,} points ({sides}) are more than {point_count_max:,}"
        raise InputError(Problem(message, study.place, field="grid", suggestion="--yes to go on"))


def _expected_work(tasks: Sequence[PointTask]) -> WorkEstimate:
    """About what these points take one after the other, if the others are like the first."""
    first = tasks[0]
    work = WorkEstimate("a compile", _POINT_S, 0, "fewer values in the grid or more --jobs")
    if first.mode != "explain":
        try:
            scenario = scenario_of_point_keys(first.keys, first.folder, first.changes)
        except InputError:  # its row will say so
            return work.times(len(tasks), "points")
        replay = expected_work(scenario)
        work = replace(
            work,
            what=replay.what,
            seconds=work.seconds + replay.seconds,
            memory_bytes=replay.memory_bytes,
        )
    return work.times(len(tasks), "points")


def _run_missing(
    tasks: Mapping[int, PointTask],
    rows: dict[int, PointRow],
    journal: Journal | None,
    options: StudyOptions,
) -> None:
    """Runs the tasks that have no row yet; adds their rows as they are finished."""
    missing = [number for number in tasks if number not in rows]
    failed = sum(row["status"] != OK for row in rows.values())

    def show() -> None:
        without = f", {failed} without numbers" if failed else ""
        done = f"{len(rows)} of {len(tasks)} points{without}"
        options.on_progress(done, len(rows) / len(tasks))

    show()
    if not missing:
        return
    with open_executor(options.workers) as executor:
        found = executor.run(run_point, (tasks[number] for number in missing))
        for order, row in found:
            number = missing[order]
            rows[number] = row
            if journal and row["status"] != FAILED:  # another try may mend those
                journal.add(tasks[number].key, row)
            failed += row["status"] != OK
            show()
