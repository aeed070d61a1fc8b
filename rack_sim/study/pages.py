"""Pages: documentation that is written from numbers. Its prose stands in docs/templates."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rack_sim.foundation.errors import InputError
from rack_sim.scenario.library import data_root


def docs_folder() -> Path:
    """The documentation of the checkout. Raises InputError where there is none."""
    folder = data_root() / "docs"
    if not folder.is_dir():
        raise InputError("--write-docs needs a checkout of the source, which has docs/")
    return folder


def page(name: str, **values: object) -> str:
    """The text of a page: its template with the values put in."""
    template = (docs_folder() / "templates" / name).read_text(encoding="utf-8")
    return template.format(**values)


def table_lines(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as the lines of a table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
