"""Comparison: what changed between two runs, from the record of `rack-sim compare`."""

from rack_sim.record.record import Record
from rack_sim.study.difference import RunChange

RUNS = "compare.csv"
_CHANGES = "changes.csv"


def changes_of(record: Record) -> tuple[RunChange, ...]:
    """The changes from one run to the other; none where more than two were compared."""
    if len(record.rows(RUNS)) != 2:
        return ()
    return tuple(
        RunChange(str(row["kind"]), str(row["key"]), row["before"], row["after"])
        for row in record.rows(_CHANGES)
    )
