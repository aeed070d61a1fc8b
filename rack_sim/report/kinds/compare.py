"""Compare: scenarios and finished runs side by side."""

from rack_sim.record.record import Record
from rack_sim.report.charts.compare import compare_charts
from rack_sim.report.draw.excel import write_charts
from rack_sim.report.html.comparison import comparison_page
from rack_sim.report.sheets.comparison import write_comparison_answer, write_comparison_sheets
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.overview import start_overview, write_contents
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.story import Story
from rack_sim.report.text.compare import compare_answers, compare_content, compare_text


def _title(record: Record) -> str:
    names = [str(row["name"]) for row in record.rows("compare.csv")]
    return "Compare: " + (" and ".join(names) if len(names) == 2 else f"{len(names)} runs")


def _sheets(book: Book, record: Record) -> None:
    purpose, count = "What was compared, and what changed.", len(record.rows("compare.csv"))
    overview = start_overview(book, _title(record), purpose, values=count)
    charts = write_charts(book, compare_charts(record))
    write_comparison_sheets(book, record)
    write_definitions(book, record)
    write_contents(overview, write_comparison_answer(overview, record, charts))


STORY = Story(
    title=_title,
    answers=compare_answers,
    text=compare_text,
    content=compare_content,
    page=comparison_page,
    sheets=_sheets,
    charts=compare_charts,
)
