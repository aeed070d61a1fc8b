"""Grid view: what `rack-sim sweep` says of a grid study, in the terminal and as JSON."""

from collections.abc import Iterator

from rich.table import Table

from rack_sim.cli.console import table
from rack_sim.foundation.units import counted
from rack_sim.metrics.summary import Value
from rack_sim.metrics.words import STATUSES
from rack_sim.scenario.studies import last_words
from rack_sim.study.grid import GridResult, GridRow
from rack_sim.study.grid_point import FAILED, INFEASIBLE, OK

# Rows of the terminal's table; results.csv has all.
_ROW_COUNT_MAX = 60
_REASON_COUNT_MAX = 5


def grid_tables(result: GridResult) -> Iterator[Table]:
    """A row for each point: where it stands, and the collected columns."""
    study = result.study
    named = len(study.bases) > 1 or not study.axes
    columns = [
        *([("machine", "left")] if named else []),
        *((last_words(axis.key), "right" if axis.is_numeric else "left") for axis in study.axes),
        *((name, "right") for name in study.collect),
    ]
    rows = []
    for row in result.rows[:_ROW_COUNT_MAX]:
        where = [
            *([row.point.base.name] if named else []),
            *(
                axis.labels[chosen]
                for axis, chosen in zip(study.axes, row.point.chosen, strict=True)
            ),
        ]
        rows.append((*where, *_cells(row, study.collect)))
    left = len(result.rows) - len(rows)
    more = f" (the first {len(rows)}; results.csv has all)" if left else ""
    title = f"{study.name}: {counted(len(result.rows), 'point')}, {result.ok_count} with numbers"
    yield table(title + more, columns, rows)


def grid_content(result: GridResult) -> list[dict[str, object]]:
    """Every point under the names of the columns of results.csv."""
    return list(result.records())


def grid_warnings(result: GridResult) -> Iterator[str]:
    """Why points have no numbers, each reason once."""
    reasons: dict[tuple[str, str], list[GridRow]] = {}
    for row in result.rows:
        if row.status != OK:
            reasons.setdefault((row.status, row.reason), []).append(row)
    shown = list(reasons.items())[:_REASON_COUNT_MAX]
    for (status, reason), rows in shown:
        also = f" and {counted(len(rows) - 1, 'other point')}" if len(rows) > 1 else ""
        yield f"{rows[0].point.name}{also}: {STATUSES[status].name}: {reason}"
    if len(reasons) > len(shown):
        rest = sum(len(rows) for rows in list(reasons.values())[len(shown) :])
        yield f"{counted(rest, 'more point')} without numbers: results.csv has their reasons"


def grid_exit_code(result: GridResult) -> int:
    """0 where any point has numbers; else 1 where one failed, 3 where one is infeasible, else 2."""
    counts = result.counts
    if counts[OK]:
        return 0
    return 1 if counts[FAILED] else 3 if counts[INFEASIBLE] else 2


def _cells(row: GridRow, names: tuple[str, ...]) -> list[str]:
    if row.status != OK:
        return [STATUSES[row.status].name, *("" for _ in names[1:])]
    return [_cell(row.summary.get(name)) for name in names]


def _cell(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else value
