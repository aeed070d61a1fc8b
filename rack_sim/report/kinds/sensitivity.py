"""Sensitivity: which inputs move cost and speed most."""

from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.record.record import Record
from rack_sim.report.charts.sensitivity import sensitivity_charts
from rack_sim.report.draw.excel import write_charts
from rack_sim.report.html.sensitivity import sensitivity_page
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import chosen_of, write_inputs
from rack_sim.report.sheets.overview import start_overview, write_contents
from rack_sim.report.sheets.sensitivity import write_sensitivity_answer, write_sensitivity_table
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.story import Story
from rack_sim.report.text.sensitivity import sensitivity_content, sensitivity_text

_FILE = "sensitivity.csv"


def _title(record: Record) -> str:
    return f"Sensitivity: {record.name}"


def _sheets(book: Book, record: Record, row_limit: int) -> None:
    facts = record.facts
    purpose = f"{facts['change']:.0%} less and more of each input, one at a time."
    overview = start_overview(book, _title(record), purpose)
    write_charts(book, sensitivity_charts(record))
    write_sensitivity_table(book, record, row_limit)
    write_inputs(book, facts, chosen_of(record.resolved))
    write_definitions(book, [("Sensitivity", SENSITIVITY)])
    write_contents(overview, write_sensitivity_answer(overview, record))


STORY = Story(
    title=_title,
    text=sensitivity_text,
    content=sensitivity_content,
    page=sensitivity_page,
    sheets=_sheets,
    charts=sensitivity_charts,
)
