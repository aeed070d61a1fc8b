"""Comparison sheets: what was compared side by side, and what changed between two."""

from collections.abc import Mapping, Sequence
from typing import Any

from rack_sim.metrics.column import Column
from rack_sim.metrics.compare_columns import CHANGES, COMPARE, COMPARED, DENSITIES, LIMITS
from rack_sim.record.record import Record
from rack_sim.report.comparison import changes_of
from rack_sim.report.sheets.charts import Series
from rack_sim.report.sheets.overview import (
    AnswerLine,
    Bars,
    place_bars,
    write_answer,
    write_answer_lines,
)
from rack_sim.report.sheets.sheet import Book, Sheet
from rack_sim.report.sheets.table import write_table_sheet
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
_DRAWN = (
    ("output_tok_s_per_user_p50", "tokens/s"),
    ("usd_per_million_output_tokens", "USD"),
)


def write_comparison_sheets(
    book: Book, record: Record, row_limit: int
) -> list[tuple[str, Sequence[Column]]]:
    """A sheet for each table; their names and columns are given back."""
    import pandas as pd

    sheets: list[tuple[str, str, str, Sequence[Column], list[Mapping[str, Any]]]] = [
        (
            "Comparison",
            "compare.csv",
            "Every run that was compared.",
            COMPARE,
            [*record.rows("compare.csv")],
        )
    ]
    if len(record.rows("compare.csv")) == 2:
        names = " to ".join(str(row["name"]) for row in record.rows("compare.csv"))
        purpose = f"Inputs and outputs that changed from {names}."
        rows: list[Mapping[str, Any]] = [
            {
                "kind": change.kind,
                "key": change.key,
                "before": change.before,
                "after": change.after,
                "change_share": change.share,
            }
            for change in changes_of(record)
        ]
        sheets.append(("Changes", "changes.csv", purpose, CHANGES, rows))
    for name, file, purpose, columns, told in sheets:
        frame = pd.DataFrame(told, columns=[c.name for c in columns], dtype=object)
        frame = frame.where(frame.notna(), None)
        write_table_sheet(book, name, name, purpose, columns, frame, file=file, row_limit=row_limit)
    return [(name, columns) for name, _, _, columns, _ in sheets]


def write_comparison_answer(sheet: Sheet, record: Record) -> int:
    """The runs side by side, bars of speed and cost, and what to mind; the next free row."""
    rows, top, count = record.rows("compare.csv"), 3, len(record.rows("compare.csv"))
    lines = comparison_lines(record)
    row = write_answer_lines(sheet, top, ("", *(str(one["name"]) for one in rows)), lines)
    names = ("Summary", top, 1, top, count)
    charts = []
    for words, unit in ((_LABELS[column], unit) for column, unit in _DRAWN):
        at = top + 1 + [line.label for line in lines].index(words)
        charts.append(Bars(words, unit, (Series(words, ("Summary", at, 1, at, count), names),)))
    place_bars(sheet, 2 + count, charts)
    return write_answer(sheet, row, comparison_answers(record))


def comparison_lines(record: Record) -> list[AnswerLine]:
    """A line for each number that is compared; of two, with the change from one to the other."""
    found = []
    for column in COMPARE:
        if column.name not in _LABELS:
            continue
        values = tuple(row[column.name] for row in record.rows("compare.csv"))
        if column.name in LIMITS:
            values = tuple(plain(value or "") for value in values)
        change = RunChange("output", column.name, *values).share if len(values) == 2 else None
        remark = f"{change:+.1%}" if change else ""
        found.append(AnswerLine(_LABELS[column.name], values, column.unit, remark))
    return found


def comparison_answers(record: Record) -> list[tuple[str, str]]:
    """What is not alike first, then what a mean latency changed by, and what could not run."""
    lines = []
    unlike = record.facts["not_alike"]
    if unlike:
        lines.append(("Not alike in all", "; ".join(unlike)))
    lines.append(("All are judged by", str(record.facts["judged_by"])))
    lines += [("Why" if not n else "", text) for n, text in enumerate(causes(changes_of(record)))]
    lines += [
        (str(row["name"]), f"cannot run: {row['reason']}")
        for row in record.rows("compare.csv")
        if row["status"] != "ran"
    ]
    return lines
