"""Views: everything that a result leaves in its directory: the record, and what is made of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rack_sim.foundation.errors import naming
from rack_sim.record.manifest import told_if_altered
from rack_sim.record.record import Record, Recordable
from rack_sim.record.store import read, write
from rack_sim.report.kinds import story_of

ENDINGS = (".html", ".xlsx")
"""Of the files that are made of a record alone: a page, a workbook."""

# What `rack-sim run` puts on a sheet. A run of 100,000 requests takes five seconds, and so many
# rows on a sheet 13: it would wait for its workbook. `rack-sim report` puts in all that fit.
_ROWS_OF_A_RUN = 20_000


@dataclass(frozen=True)
class Wanted:
    """What is to be made of a record: pictures, a workbook, a page, and tables as Parquet, too."""

    figures: bool = True
    workbook: bool = True
    html: bool = True
    parquet: bool = False


def leave(
    outcome: Recordable,
    folder: Path,
    *,
    wall_s: float,
    wanted: Wanted = Wanted(),
    on_step: Callable[[str], None] = lambda _text: None,
) -> None:
    """Writes what a result leaves behind into `folder`, which exists and is empty.

    `wall_s` is how long it took; `on_step` is told what is being written.
    """
    on_step("writing tables")
    made = outcome.record(wall_s)
    write(made, folder, parquet=wanted.parquet)
    record = read(folder)
    if wanted.workbook:
        on_step("writing the workbook")
        row_limit = _ROWS_OF_A_RUN if record.kind == "run" else None
        _write(folder / "report.xlsx", view_of(record, ".xlsx", row_limit))
    if wanted.html:
        on_step("writing report.html")
        _write(folder / "report.html", view_of(record, ".html"))
    if wanted.figures:
        on_step("drawing figures")
        draw_figures(outcome, record, folder)


def _write(path: Path, content: bytes) -> None:
    with naming(path):
        path.write_bytes(content)


def view_of(record: Record, ending: str, row_limit: int | None = None) -> bytes:
    """The file of a record with this ending, of `ENDINGS`: its page, or its workbook.

    No sheet has more than `row_limit` rows, where it is given. Raises InputError where the files of
    the record were changed and make no sense.
    """
    with told_if_altered(record.folder):
        if ending == ".xlsx":
            from rack_sim.report.workbook import workbook_of  # imports slowly

            return workbook_of(record, row_limit)
        from rack_sim.report.html.page import html_of

        return html_of(story_of(record.kind).page(record)).encode()


def draw_figures(outcome: Recordable, record: Record, folder: Path) -> list[Path]:
    """Writes the figures of a result and its record as PNG and as SVG; returns the files.

    Two runs of one scenario give byte-identical SVGs.
    """
    from rack_sim.report.draw.matplotlib import draw
    from rack_sim.report.figures.canvas import drawing_style, write_figure

    story, paths = story_of(record.kind), list[Path]()
    with drawing_style():
        for panels in story.charts(record):
            paths += write_figure(draw(panels), folder / panels.name)
        for name, figure in story.figures(outcome):
            paths += write_figure(figure, folder / name)
    return paths
