"""Sensitivity sheets: what a token costs, and what each input, changed alone, does to that."""

from collections.abc import Mapping

from rack_sim.metrics.frames import Cell
from rack_sim.record.record import Record
from rack_sim.report.draw.excel import Numbered, Spot, place_charts
from rack_sim.report.sheets.overview import AnswerLine, below, write_answer, write_answer_lines
from rack_sim.report.sheets.sheet import LABEL, Sheet
from rack_sim.report.swings import notes_of, swings_of
from rack_sim.study.sensitivity import SPEED, USD

_CHANGE = "usd_change_share"
_SHOWN = 12  # inputs: those that move the cost most
_LEAST = 0.0005  # what is less reads as 0.0 %
_SHARE = {"num_format": "+0.0%;-0.0%;0.0%"}


def write_sensitivity_answer(sheet: Sheet, record: Record, charts: Mapping[str, Numbered]) -> int:
    """Cost and speed as they are, what moves the cost most, and what to mind; the next free row."""
    lines = [
        AnswerLine("A million output tokens, as it is", (record.facts["base"][USD],), "USD"),
        AnswerLine("Output tokens for a user, as it is", (record.facts["base"][SPEED],), "token/s"),
    ]
    row = write_answer_lines(sheet, 3, ("Before any change", ""), lines)
    row = _write_swings(sheet, record, row) + 1
    end = place_charts(sheet, Spot(3, 3, right_px=60), [charts.get("usd-change")])
    said = [("Replayed", str(record.facts["replayed"])), *below("Mind", notes_of(record))]
    return write_answer(sheet, max(row, end), said)


def _write_swings(sheet: Sheet, record: Record, row: int) -> int:
    """What less and more of each input does to the cost; the next row."""
    lines = list[tuple[Cell, ...]]()
    for swing in swings_of(record)[:_SHOWN]:
        if swing.widest(_CHANGE) >= _LEAST:
            is_less = {side["change_share"] < 0: side[_CHANGE] for side in swing.sides}
            lines.append((swing.name, is_less.get(True), is_less.get(False)))
    heads = ("input", "with less of it", "with more of it")
    styles = [LABEL, _SHARE, _SHARE]
    said = lines or [("no input moves it",)]
    return sheet.put_block(row, "By how much that cost changes", heads, said, styles)
