"""Sensitivity sheets: what a token costs, and what each input, changed alone, does to that."""

from collections.abc import Sequence

from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.record.record import Record
from rack_sim.report.sheets.charts import Series, new_chart
from rack_sim.report.sheets.overview import AnswerLine, write_answer, write_answer_lines
from rack_sim.report.sheets.sheet import HEADER, LABEL, NUMBER_HEADER, Book, Sheet
from rack_sim.report.sheets.table import write_table_sheet
from rack_sim.report.swings import notes_of, swings_of
from rack_sim.study.sensitivity import SPEED, USD

_CHANGE = "usd_change_share"
_SHOWN = 12  # inputs in the chart: those that move the cost most
_LEAST = 0.0005  # what is less reads as 0.0 %
_CHART_ROWS = 17
_SHARE = {"num_format": "+0.0%;-0.0%;0.0%"}


def write_sensitivity_table(book: Book, record: Record, row_limit: int) -> None:
    """The rows of sensitivity.csv."""
    write_table_sheet(
        book,
        "Sensitivity",
        "Sensitivity",
        "Each input, changed alone; the largest effect on cost first.",
        SENSITIVITY,
        record.frame("sensitivity.csv"),
        file="sensitivity.csv",
        row_limit=row_limit,
    )


def write_sensitivity_answer(sheet: Sheet, record: Record) -> int:
    """Cost and speed as they are, what moves the cost most, and what to mind; the next free row."""
    lines = [
        AnswerLine("A million output tokens, as it is", (record.facts["base"][USD],), "USD"),
        AnswerLine("Output tokens for a user, as it is", (record.facts["base"][SPEED],), "token/s"),
    ]
    row = write_answer_lines(sheet, 3, ("Before any change", ""), lines)
    row = _write_swings(sheet, record, row)
    said = [("Replayed", str(record.facts["replayed"]))]
    said += [("Mind" if not number else "", text) for number, text in enumerate(notes_of(record))]
    return write_answer(sheet, row, said)


def _write_swings(sheet: Sheet, record: Record, row: int) -> int:
    """What less and more of each input does to the cost, with bars; the next free row."""
    heads = ("By how much that cost changes", "with less of it", "with more of it")
    sheet.put_row(row, 0, heads, [HEADER, NUMBER_HEADER, NUMBER_HEADER])
    first = row + 1
    for swing in swings_of(record)[:_SHOWN]:
        if swing.widest(_CHANGE) < _LEAST:
            continue
        row += 1
        sheet.put(row, 0, swing.name, LABEL)
        for side in swing.sides:
            sheet.put(row, 1 if side["change_share"] < 0 else 2, side[_CHANGE], _SHARE)
    if row < first:
        sheet.put(first, 0, "no input moves it", LABEL)
        return first + 2
    _draw(sheet, heads, first, row)
    return max(row, _CHART_ROWS + 3) + 2


def _draw(sheet: Sheet, heads: Sequence[str], first: int, last: int) -> None:
    names = ("Summary", first, 0, last, 0)
    series = [Series(heads[at], ("Summary", first, at, last, at), names) for at in (1, 2)]
    title = "What moves the cost of a token most"
    size = (640, 20 * _CHART_ROWS)
    chart = new_chart(sheet.book, "bar", series, title=title, x="", y="", size=size)
    # Changes go both ways, and the names stand left of all bars.
    chart.set_x_axis({"num_format": "+0%;-0%;0%", "major_gridlines": {"visible": False}})
    chart.set_y_axis({"reverse": True, "label_position": "low"})
    text = "Bars: by how much the cost of a token changes with less and with more of each input. "
    sheet.place(3, 3, chart, f"{text}The same numbers stand in the table beside it.", right_px=60)
