"""Grid study: every combination of some values, run in any order and place, told in one order.

A point's row depends on nothing but the point, so that the table is the same, byte for byte,
whatever ran where and however often it was interrupted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.executor import open_executor
from rack_sim.foundation.version import VERSION
from rack_sim.foundation.work_estimate import Note, Progress, Work, no_note, no_progress, tell
from rack_sim.foundation.work_limits import over_limit
from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.grid_columns import COMPILED, GRID_HEAD, GRID_STATUS
from rack_sim.metrics.summary import Value
from rack_sim.pipeline import expected_work
from rack_sim.record.record import Record
from rack_sim.record.table import Table
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
from rack_sim.study.study_record import study_record

if TYPE_CHECKING:
    import pandas as pd

POINT_COUNT_MAX = 1000
"""Points that run without being asked for twice (assumed: ten minutes at half a second each)."""

# assumed: what a point takes to load and compile; see POINT_COUNT_MAX.
_POINT_S = 0.5


# What the study takes for granted, for whoever reads the numbers without the documentation.
GRID_ASSUMED = (
    "every point replays the same workload with the same seed, unless the grid changes them",
    "a point without numbers has its reason in its row; nothing is filled in for it",
)


@dataclass(frozen=True, repr=False)
class GridRow(Brief):
    """A point and what came of it. `summary` is empty where its status is not ok."""

    point: GridPoint
    status: str
    reason: str
    summary: dict[str, Value]


@dataclass(frozen=True, repr=False)
class GridResult(Brief):
    """What a grid study gave: one row for each point, in order.

    `resumed_count` rows were there from an interrupted run; `notes` say what was odd about that.
    """

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
        """The rows of results.csv, each value by its column; None where there is none."""
        names = [column.name for column in (*COMPILED, *SUMMARY)]
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
                **{name: row.summary.get(name) for name in names},
            }

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """results.csv, a row for each point in order of the grid."""
        columns = result_columns(self.study)
        rows = lambda: (record.values() for record in self.records())  # noqa: E731
        return {"results.csv": Table(columns, rows)}

    def frame(self) -> "pd.DataFrame":
        """One row per point, as in results.csv."""
        return self.tables["results.csv"].frame()

    def record(self, wall_s: float = 0.0) -> Record:
        """What the study leaves behind; `wall_s` is how long it took."""
        study, counts = self.study, self.counts
        facts = {
            "mode": study.mode,
            "grid": {axis.key: list(axis.choices) for axis in study.axes},
            "titles": {axis.key: axis_title(axis) for axis in study.axes},
            "collect": {name: column_title(name) for name in study.collect},
            "point_count": study.point_count,
            "points_by_status": {status: counts[status] for status in STATUSES},
        }
        varied = [key for axis in study.axes for key in axis.keys]
        varied += _keys_apart([base.changes for base in study.bases])
        return study_record(
            study, self.tables, wall_s, assumed=GRID_ASSUMED, facts=facts, varied=varied
        )


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


def run_grid_study(
    study: GridStudy,
    *,
    on_progress: Progress = no_progress,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    journal: Path | None = None,
    fresh: bool = False,
    point_count_max: int | None = POINT_COUNT_MAX,
    on_note: Note = no_note,
) -> GridResult:
    """Runs every point of a grid, with `jobs` at a time on a `backend` (see `foundation.executor`).

    Finished rows are kept in the file `journal`, where one is named, and taken from it when the
    same study runs again; `fresh` sets an older one aside. It stays when the study is finished:
    whoever has written the rows elsewhere removes it. `on_progress` is told how far it is,
    `on_note` what was odd, and what takes long before it begins. Raises InputError where the grid
    has more than `point_count_max` points, or the executor or the journal cannot be opened.
    """
    refuse_large(study, point_count_max)
    head = {
        "study": study.name,
        "study_hash": study.study_hash,
        "version": VERSION,
        "code": code_state(),
    }
    keeping = (
        open_journal(journal, head, is_row=is_finished_row, fresh=fresh)
        if journal
        else nullcontext(None)
    )
    with keeping as kept:
        points = list(study.combinations())
        tasks = {point.number: task_of(study, point) for point in points}
        rows: dict[int, PointRow] = {}
        notes: list[str] = list(kept.notes) if kept else []
        if kept:
            rows = {n: kept.rows[task.key] for n, task in tasks.items() if task.key in kept.rows}
        resumed = len(rows)
        if resumed:
            notes.append(f"{resumed} of {len(points)} points were there already")
        for note in notes:
            on_note(note)
        missing = [task for number, task in tasks.items() if number not in rows]
        if missing:
            tell(_expected_work(missing), on_note)
        _run(tasks, rows, kept, on_progress, jobs=jobs, backend=backend, scheduler=scheduler)
    found = tuple(
        GridRow(point, row["status"], row["reason"], row["values"])
        for point in points
        for row in (rows[point.number],)
    )
    return GridResult(study, found, resumed, tuple(notes))


def refuse_large(study: GridStudy, point_count_max: int | None = POINT_COUNT_MAX) -> None:
    """Raises InputError where a grid has more points than that, or than the limit allows."""
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


def _expected_work(tasks: Sequence[PointTask]) -> Work:
    """About what these points take one after the other, if the others are like the first."""
    first = tasks[0]
    work = Work("a compile", _POINT_S, 0, "fewer values in the grid or more --jobs")
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


def _run(
    tasks: dict[int, Any],
    rows: dict[int, PointRow],
    kept: Journal | None,
    on_progress: Progress,
    *,
    jobs: int | None,
    backend: str,
    scheduler: str | None,
) -> None:
    """Runs the tasks that have no row yet; adds their rows as they are finished."""
    missing = [number for number in tasks if number not in rows]
    failed = sum(row["status"] != OK for row in rows.values())

    def show() -> None:
        without = f", {failed} without numbers" if failed else ""
        on_progress(f"{len(rows)} of {len(tasks)} points{without}", len(rows) / len(tasks))

    show()
    if not missing:
        return
    with open_executor(backend, jobs=jobs, scheduler=scheduler) as executor:
        found = executor.run(run_point, (tasks[number] for number in missing))
        for order, row in found:
            number = missing[order]
            rows[number] = row
            if kept and row["status"] != FAILED:  # another try may mend those
                kept.add(tasks[number].key, row)
            failed += row["status"] != OK
            show()
