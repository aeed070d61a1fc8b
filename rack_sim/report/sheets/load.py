"""Load sheets: what each machine of a load study bears, and what to plan with."""

from collections.abc import Sequence

from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.chart import Chart, Series, axis_of, in_order, things_axis
from rack_sim.report.colours import CAPACITY, FINISHED, GOODPUT
from rack_sim.report.draw.excel import Numbered, Spot, place_charts
from rack_sim.report.sheets.capacity import write_capacity, write_no_capacity
from rack_sim.report.sheets.capacity_facts import study_facts
from rack_sim.report.sheets.overview import AnswerLine, write_answer_lines
from rack_sim.report.sheets.sheet import Book, Range, Sheet

_LINES = (
    ("Meets its objectives up to", "slo_met_rps", "1/s"),
    ("Keeps up with", "kept_up_rps", "1/s"),
    ("Every row in use at", "capacity_limit_rps", "1/s"),
    ("Output tokens at most", "output_throughput_tok_s_max", "token/s"),
    ("Chips", "chip_count", "chips"),
)
_LOOKS = (GOODPUT, FINISHED, CAPACITY)  # of the first lines, which are rates
_ROW = 3


def machine_count(study: Record) -> int:
    """Machines that are loaded."""
    return len(study.rows("knee.csv"))


def write_knees(sheet: Sheet, study: Record) -> int:
    """What each machine bears, side by side, and bars of the rates; the next free row."""
    knees = study.rows("knee.csv")
    names = [str(knee["machine"]) for knee in knees]
    lines = [AnswerLine(words, _values(knees, name), unit) for words, name, unit in _LINES]
    row = write_answer_lines(sheet, _ROW, ("Offered load", *names), lines)
    spot = Spot(_ROW, 2 + len(knees), right_px=100)
    return max(row, place_charts(sheet, spot, [_rates(knees, names)]))


def _values(knees: Sequence[Row], column: str) -> tuple[float | None, ...]:
    values = (knee[column] for knee in knees)
    return tuple(value if isinstance(value, int | float) else None for value in values)


def _rates(knees: Sequence[Row], names: Sequence[str]) -> Numbered:
    """The rates as a chart over the cells of the figures."""
    series, ranges = [], []
    along = Range("Summary", _ROW, 1, _ROW, len(names))
    for row, (look, (words, column, _)) in enumerate(zip(_LOOKS, _LINES, strict=False), _ROW + 1):
        values = _values(knees, column)
        series.append(Series(words, in_order(names), values, look, "bars"))
        ranges.append((along, Range("Summary", row, 1, row, len(names))))
    shown = [value for one in series for value in one.values]
    chart = Chart(
        "knees",
        "Offered load that each bears",
        things_axis("", names),
        axis_of("offered load", "requests/s", shown, scale="linear"),
        tuple(series),
    )
    return Numbered(chart, ranges)


def write_capacities(book: Book, study: Record) -> None:
    """A sheet to plan with for each machine that served anything."""
    found = study_facts(study.facts, study.resolved, study.rows("knee.csv"), study.rows("load.csv"))
    for number, one in enumerate(found, start=1):
        write_capacity(book, one, number=number)
    if not found:
        write_no_capacity(book, "No machine of this study served anything.")
