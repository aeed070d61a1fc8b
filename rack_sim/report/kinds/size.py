"""Size: which system meets the objectives."""

from rack_sim.record.record import Record
from rack_sim.report.charts.size import size_charts
from rack_sim.report.draw.excel import place_first, write_charts
from rack_sim.report.html.sizing import sizing_page
from rack_sim.report.sheets.capacity import write_capacity
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import write_inputs
from rack_sim.report.sheets.overview import start_overview, write_contents
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.sheets.sizing import sizing_question, write_sizing, write_sizing_answer
from rack_sim.report.sheets.sizing_capacity import sizing_facts
from rack_sim.report.sizing_tables import SizingTables
from rack_sim.report.story import Story
from rack_sim.report.text.size import size_answers, size_content, size_text, size_warnings


def _sheets(book: Book, record: Record) -> None:
    sizing = SizingTables(record)
    title, count = f"Size: {sizing.name}", len(sizing.winners)
    overview = start_overview(book, title, sizing_question(sizing), values=count)
    write_sizing(book, sizing)
    charts = tuple(size_charts(record))
    by_name = write_charts(book, charts)
    for number, winner in enumerate(sizing.winners, start=1):
        write_capacity(book, sizing_facts(sizing, winner), number=number)
    write_inputs(book, record)
    write_definitions(book, record)
    row = place_first(overview, write_sizing_answer(overview, sizing), charts, by_name)
    write_contents(overview, row)


STORY = Story(
    title=lambda record: f"Size {record.name}",
    answers=size_answers,
    text=size_text,
    content=size_content,
    page=lambda record: sizing_page(SizingTables(record)),
    sheets=_sheets,
    charts=size_charts,
    warnings=size_warnings,
)
