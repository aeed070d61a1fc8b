"""Comparison sheets: what was compared side by side, and what changed between two."""

from collections.abc import Iterator, Mapping

from rack_sim.metrics.compare_columns import COMPARE, COMPARED, DENSITIES, LIMITS
from rack_sim.record.record import Record
from rack_sim.report.comparison import changes_of
from rack_sim.report.draw.excel import Numbered, Spot, place_charts
from rack_sim.report.sheets.overview import AnswerLine, below, write_answer, write_answer_lines
from rack_sim.report.sheets.sheet import Book, Sheet
from rack_sim.report.sheets.table import whole, write_table
from rack_sim.report.sizing_words import plain
from rack_sim.study.difference import RunChange, causes


def _line(words: str) -> str:
    """Words of a line, whose unit stands behind the numbers."""
    return f"{words[0].upper()}{words[1:]}".removesuffix(", ms")


# column of compare.csv -> words of its line
_LABELS = {
    "model": "Model",
    "system": "System",
    **{name: _line(words) for name, words in {**COMPARED, **DENSITIES}.items()},
    "mean_kilowatts": "Mean power",
    "request_goodput_rps": "Requests with every objective met",
    "tpot_bound_by": "TPOT is bound by",
    "ttft_bound_by": "TTFT is bound by",
    "bottleneck": "Bottleneck",
}
_DRAWN = ("compared-output-tok-s-per-user-p50", "compared-usd-per-million-output-tokens")


def write_comparison_sheets(book: Book, record: Record) -> None:
    """A sheet for each table."""
    rows = record.rows("compare.csv")
    names = " to ".join(str(row["name"]) for row in rows)
    write_table(book, "Comparison", "Every run that was compared.", whole(record, "compare.csv"))
    if len(rows) == 2:
        purpose = f"Inputs and outputs that changed from {names}."
        write_table(book, "Changes", purpose, whole(record, "changes.csv"))


def write_comparison_answer(sheet: Sheet, record: Record, charts: Mapping[str, Numbered]) -> int:
    """The runs side by side, bars of speed and cost, and what to mind; the next free row."""
    heads = ("", *(str(row["name"]) for row in record.rows("compare.csv")))
    row = write_answer_lines(sheet, 3, heads, list(_lines(record)))
    end = place_charts(sheet, Spot(3, 1 + len(heads), right_px=130), map(charts.get, _DRAWN))
    return max(end, write_answer(sheet, row, list(_answers(record))))


def _lines(record: Record) -> Iterator[AnswerLine]:
    """A line for each number that is compared; of two, with the change from one to the other."""
    for column in COMPARE:
        if column.name not in _LABELS:
            continue
        values = tuple(row[column.name] for row in record.rows("compare.csv"))
        if column.name in LIMITS:
            values = tuple(plain(value or "") for value in values)
        change = RunChange("output", column.name, *values).share if len(values) == 2 else None
        remark = f"{change:+.1%}" if change else ""
        yield AnswerLine(_LABELS[column.name], values, column.unit, remark)


def _answers(record: Record) -> Iterator[tuple[str, str]]:
    """What is not alike first, then what a mean latency changed by, and what could not run."""
    unlike = record.facts["not_alike"]
    if unlike:
        yield "Not alike in all", "; ".join(unlike)
    yield "All are judged by", str(record.facts["judged_by"])
    yield from below("Why", causes(changes_of(record)))
    for row in record.rows("compare.csv"):
        if row["status"] != "ran":
            yield str(row["name"]), f"cannot run: {row['reason']}"
