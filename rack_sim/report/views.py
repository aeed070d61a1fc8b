"""Views: everything that a result leaves in its directory: the record, and what is made of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rack_sim.record.record import Record, Recordable
from rack_sim.record.store import read, write
from rack_sim.report.kinds import story_of

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
    record = outcome.record(wall_s)
    write(record, folder, parquet=wanted.parquet)
    if wanted.workbook:
        from rack_sim.report.workbook import write_workbook  # imports slowly

        on_step("writing the workbook")
        limit = {"row_limit": _ROWS_OF_A_RUN} if record.kind == "run" else {}
        write_workbook(folder, folder / "report.xlsx", **limit)
    if wanted.html:
        from rack_sim.report.html import write_html  # reads the tables again

        on_step("writing report.html")
        write_html(folder, folder / "report.html")
    if wanted.figures:
        on_step("drawing figures")
        draw_figures(outcome, read(folder), folder)


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
