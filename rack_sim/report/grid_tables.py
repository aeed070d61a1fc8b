"""Grid tables: results.csv of a grid study."""

from collections.abc import Iterator
from typing import Any

from rack_sim.report.csv import cell_of
from rack_sim.report.grid_titles import axis_title, column_title
from rack_sim.study.grid import GridResult
from rack_sim.study.grid_point import STATUSES

# What the study takes for granted, for whoever reads the numbers without the documentation.
GRID_ASSUMED = (
    "every point replays the same workload with the same seed, unless the grid changes them",
    "a point without numbers has its reason in its row; nothing is filled in for it",
)


def grid_table(result: GridResult) -> Iterator[tuple[str, ...]]:
    """One row for each point, in order of the grid."""
    for record in result.records():
        yield tuple(cell_of(value) for value in record.values())


def grid_facts(result: GridResult) -> dict[str, Any]:
    """What the manifest says of a grid besides what it says of all studies."""
    study, counts = result.study, result.counts
    return {
        "mode": study.mode,
        "grid": {axis.key: list(axis.choices) for axis in study.axes},
        "titles": {axis.key: axis_title(axis) for axis in study.axes},
        "collect": {name: column_title(name) for name in study.collect},
        "point_count": study.point_count,
        "points_by_status": {status: counts[status] for status in STATUSES},
    }
