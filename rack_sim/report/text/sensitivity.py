"""Sensitivity text: what each input, changed alone, does to cost and speed."""

from collections.abc import Iterator

from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.text import Line, TextTable
from rack_sim.study.sensitivity import SPEED, USD

_FILE = "sensitivity.csv"
_COLUMNS = [
    ("input", "left"),
    ("change", "right"),
    ("from", "right"),
    ("to", "right"),
    ("USD per million", "right"),
    ("", "right"),
    ("tokens/s per user", "right"),
    ("", "right"),
]


def sensitivity_text(record: Record) -> Iterator[Line]:
    """A row for each input and side of it."""
    rows, base = record.rows(_FILE), record.facts["base"]
    title = (
        f"{record.name}: one input at a time, {record.facts['replayed']}; now {_cell(base[USD])} "
        f"USD per million output tokens, {_cell(base[SPEED])} tokens/s per user"
    )
    yield TextTable(title, _COLUMNS, list(map(_cells, rows)))
    for row in rows:
        if row["note"]:
            yield f"{row['input']}: {row['note']}"


def sensitivity_content(record: Record) -> dict[str, object]:
    """The scenario as it is, and every effect under the names of the table's columns."""
    facts = record.facts
    return {
        "scenario": record.name,
        "scenario_hash": facts["scenario_hash"],
        "change": facts["change"],
        "replayed": facts["replayed"],
        "base": facts["base"],
        "effects": record.rows(_FILE),
    }


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"{row['input']}, {row['unit']}",
        _percent(row["change_share"], 0),
        _cell(row["before"]),
        _cell(row["after"]),
        _cell(row[USD]),
        _percent(row["usd_change_share"], 1),
        _cell(row[SPEED]),
        _percent(row["speed_change_share"], 1),
    )


def _cell(value: Value) -> str:
    return f"{value:,.6g}" if isinstance(value, int | float) else "-"


def _percent(value: Value, digits: int) -> str:
    if not isinstance(value, int | float):
        return "-"
    percent = round(value * 100, digits)
    return f"{percent:+.{digits}f} %" if percent else "0 %"
