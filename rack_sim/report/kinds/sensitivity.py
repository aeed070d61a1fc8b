"""Sensitivity: which inputs move cost and speed most."""

from rack_sim.record.record import Record
from rack_sim.report.charts.sensitivity import sensitivity_charts
from rack_sim.report.draw.excel import write_charts
from rack_sim.report.html.sensitivity import sensitivity_answers, sensitivity_page
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import write_inputs
from rack_sim.report.sheets.overview import start_overview, write_contents
from rack_sim.report.sheets.sensitivity import write_sensitivity_answer
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.sheets.table import whole, write_table
from rack_sim.report.story import Story
from rack_sim.report.text.sensitivity import sensitivity_content, sensitivity_text

_FILE = "sensitivity.csv"
_PURPOSE = "Each input, changed alone; the largest effect on cost first."


def _title(record: Record) -> str:
    return f"Sensitivity: {record.name}"


def _sheets(book: Book, record: Record) -> None:
    purpose = f"{record.facts['change']:.0%} less and more of each input, one at a time."
    overview = start_overview(book, _title(record), purpose)
    charts = write_charts(book, sensitivity_charts(record))
    write_table(book, "Sensitivity", _PURPOSE, whole(record, _FILE))
    write_inputs(book, record)
    write_definitions(book, record)
    write_contents(overview, write_sensitivity_answer(overview, record, charts))


STORY = Story(
    title=_title,
    answers=sensitivity_answers,
    text=sensitivity_text,
    content=sensitivity_content,
    page=sensitivity_page,
    sheets=_sheets,
    charts=sensitivity_charts,
)
