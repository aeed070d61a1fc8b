"""Grid text: a row for each point, and why points have no numbers."""

from collections.abc import Iterator

from rack_sim.foundation.units import counted
from rack_sim.metrics.words import STATUSES
from rack_sim.record.kinds import AXIS
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.numbers import number_text
from rack_sim.report.text import Line, TextTable, digits4, study_head
from rack_sim.scenario.studies import last_words
from rack_sim.study.grid_point import FAILED, INFEASIBLE, OK

RESULTS = "results.csv"
# Rows of the table; results.csv has all.
_ROWS_MAX = 60
_REASONS_MAX = 5


def grid_text(study: Record) -> Iterator[Line]:
    """A row for each point: where it stands, and the collected columns."""
    rows = study.rows(RESULTS)
    axes = [column.name for column in study.tables[RESULTS].columns if column.name.startswith(AXIS)]
    named = [] if axes and len({row["machine"] for row in rows}) == 1 else ["machine"]
    collected = list(study.facts["collect"])
    columns = [
        *((name, "left") for name in named),
        *((last_words(axis.removeprefix(AXIS)), _side(rows, axis)) for axis in axes),
        *((name, "right") for name in collected),
    ]
    cells = [
        (*(_where(row[name]) for name in (*named, *axes)), *_cells(row, collected))
        for row in rows[:_ROWS_MAX]
    ]
    ok_count = sum(row["status"] == OK for row in rows)
    more = f" (the first {_ROWS_MAX}; {RESULTS} has all)" if len(rows) > _ROWS_MAX else ""
    title = f"{study.name}: {counted(len(rows), 'point')}, {ok_count} with numbers{more}"
    yield TextTable(title, columns, cells)


def grid_answers(study: Record) -> Iterator[str]:
    """Between which values each collected column lies, and where."""
    rows = study.rows(RESULTS)
    done = [row for row in rows if row["status"] == OK]
    yield f"{counted(len(rows), 'point')}, {len(done):,} of them with numbers"
    units = {column.name: column.unit for column in study.tables[RESULTS].columns}
    for name, title in study.facts["collect"].items():
        known = [row for row in done if isinstance(row.get(name), int | float)]
        if not known:
            continue
        low, high = (end(float(row[name] or 0) for row in known) for end in (min, max))
        if low == high:
            yield f"{title}: {number_text(low, 4)} {units[name]} at every point"
        else:
            ends = (
                f"{number_text(end, 4)} at {_points_with(known, name, end)}" for end in (low, high)
            )
            yield f"{title} ({units[name] or 'number'}): from {' to '.join(ends)}"


def _points_with(rows: list[Row], name: str, value: float) -> str:
    names = [row["point_name"] for row in rows if row[name] == value]
    others = f" and {counted(len(names) - 1, 'other')}" if len(names) > 1 else ""
    return f"{names[0]}{others}"


def grid_content(study: Record) -> dict[str, object]:
    """Every point under the names of the columns of results.csv."""
    return {**study_head(study), "points": study.rows(RESULTS)}


def grid_warnings(study: Record) -> Iterator[str]:
    """Why points have no numbers, each reason once."""
    reasons: dict[tuple[str, str], list[Row]] = {}
    for row in study.rows(RESULTS):
        if row["status"] != OK:
            key = (str(row["status"]), str(row["reason"]))
            reasons.setdefault(key, []).append(row)
    shown = list(reasons.items())[:_REASONS_MAX]
    for (status, reason), rows in shown:
        also = f" and {counted(len(rows) - 1, 'other point')}" if len(rows) > 1 else ""
        yield f"{rows[0]['point_name']}{also}: {STATUSES[status].name}: {reason}"
    if len(reasons) > len(shown):
        rest = sum(len(rows) for rows in list(reasons.values())[len(shown) :])
        yield f"{counted(rest, 'more point')} without numbers: {RESULTS} has their reasons"


def grid_exit_code(study: Record) -> int:
    """0 where any point has numbers; else 1 where one failed, 3 where one is infeasible, else 2."""
    found = {row["status"] for row in study.rows(RESULTS)}
    if OK in found:
        return 0
    return 1 if FAILED in found else 3 if INFEASIBLE in found else 2


def _side(rows: tuple[Row, ...], axis: str) -> str:
    return "left" if any(isinstance(row[axis], str) for row in rows) else "right"


def _where(value: object) -> str:
    return f"{value}" if value is not None else "none"


def _cells(row: Row, names: list[str]) -> list[str]:
    if row["status"] != OK:
        return [STATUSES[str(row["status"])].name, *("" for _ in names[1:])]
    return [digits4(row[name]) for name in names]
