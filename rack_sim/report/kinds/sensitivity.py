"""Sensitivity: which inputs move cost and speed most."""

from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.record.record import Record
from rack_sim.report.charts.sensitivity import sensitivity_charts
from rack_sim.report.draw.excel import write_charts
from rack_sim.report.html.sensitivity import sensitivity_page
from rack_sim.report.sensitivity_tables import SensitivityTables
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import chosen_of, write_inputs
from rack_sim.report.sheets.overview import start_overview, write_answer, write_contents
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.sheets.table import write_table_sheet
from rack_sim.report.story import Story
from rack_sim.report.text.sensitivity import sensitivity_content, sensitivity_text
from rack_sim.study.sensitivity import SPEED, USD

_FILE = "sensitivity.csv"


def _title(record: Record) -> str:
    return f"Sensitivity: {record.name}"


def _sheets(book: Book, record: Record, row_limit: int) -> None:
    facts, found = record.facts, SensitivityTables(record)
    purpose = f"{facts['change']:.0%} less and more of each input, one at a time."
    overview = start_overview(book, _title(record), purpose)
    write_charts(book, sensitivity_charts(record))
    write_table_sheet(
        book,
        "Sensitivity",
        "Sensitivity",
        "Each input, changed alone; the largest effect on cost first.",
        SENSITIVITY,
        record.frame(_FILE),
        file=_FILE,
        row_limit=row_limit,
    )
    write_inputs(book, facts, chosen_of(record.resolved))
    write_definitions(book, [("Sensitivity", SENSITIVITY)])
    lines = [
        (words, "none" if found.base[name] is None else f"{found.base[name]:,.6g}")
        for words, name in (
            ("USD per million output tokens, as it is", USD),
            ("tokens/s per user, as it is", SPEED),
        )
    ]
    lines.append(("Replayed", facts["replayed"]))
    lines += [("Mind" if not number else "", text) for number, text in enumerate(found.notes)]
    write_contents(overview, write_answer(overview, 3, lines))


STORY = Story(
    title=_title,
    text=sensitivity_text,
    content=sensitivity_content,
    page=lambda record: sensitivity_page(SensitivityTables(record)),
    sheets=_sheets,
    charts=sensitivity_charts,
)
