"""Reports: a page or a workbook of a directory, as `rack-sim report` makes it."""

from pathlib import Path

from rack_sim.record.store import read
from rack_sim.report.views import view_of


def report(folder: Path, target: Path, row_limit: int | None = None) -> None:
    """Writes what the ending of `target` says."""
    target.write_bytes(view_of(read(folder), target.suffix, row_limit))
