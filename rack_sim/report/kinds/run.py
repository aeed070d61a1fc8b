"""Run: what a machine does with its traffic."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.pipeline import Result
from rack_sim.record.record import Record
from rack_sim.report.charts.run import run_charts
from rack_sim.report.draw.excel import write_charts
from rack_sim.report.html.answer import headline
from rack_sim.report.html.run import run_page
from rack_sim.report.numbers import spaced
from rack_sim.report.sheets.capacity import write_capacity, write_no_capacity
from rack_sim.report.sheets.capacity_facts import run_facts
from rack_sim.report.sheets.cost import write_cost
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import write_inputs
from rack_sim.report.sheets.machine import write_chips, write_links, write_sram_map, write_sram_rows
from rack_sim.report.sheets.overview import start_overview, write_overview
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.sheets.table import whole, write_table
from rack_sim.report.sheets.traffic import write_requests
from rack_sim.report.story import Story
from rack_sim.report.text.run import run_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TIMELINE = "What happened in each bin of time; the sheet Charts draws it."
# Tables that stand on a sheet as they are: its name, what is in it.
_AS_THEY_ARE = {
    "replicas.csv": ("Replicas", "What each replica did."),
    "stages.csv": ("Stages", "The stages of the first replica, and their time."),
    "iterations.csv": ("Iterations", "Iterations by their number of rows."),
}


def _sheets(book: Book, run: Record) -> None:
    purpose = f"{run.summary['model']} on {run.summary['system']}. {run.facts['workload']}"
    overview = start_overview(book, run.name, purpose)
    charts = write_charts(book, run_charts(run))
    facts = run_facts(run)
    if isinstance(facts, str):
        write_no_capacity(book, facts)
    else:
        write_capacity(book, facts)
    write_inputs(book, run)
    write_requests(book, run)
    write_sram_map(book, run)
    write_links(book, run)
    write_cost(book, run, charts)
    write_table(book, "Timeline", _TIMELINE, whole(run, "timeline.csv"))
    write_chips(book, run)
    write_sram_rows(book, run)
    for file in filter(run.tables.__contains__, _AS_THEY_ARE):
        write_table(book, *_AS_THEY_ARE[file], whole(run, file))
    write_definitions(book, run)
    write_overview(overview, run, charts)


def _answers(run: Record) -> Iterator[str]:
    yield spaced(headline(run.summary))


def _figures(result: Result) -> "Iterator[tuple[str, Figure]]":
    from rack_sim.report.figures import figures_of  # imports slowly

    yield from figures_of(result)


STORY = Story(
    title=lambda run: run.name,
    answers=_answers,
    text=run_text,
    content=lambda run: run.summary,
    page=run_page,
    sheets=_sheets,
    charts=run_charts,
    figures=_figures,
)
