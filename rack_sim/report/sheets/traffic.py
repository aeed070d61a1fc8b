"""Traffic: the sheets of requests and of time."""

from collections import Counter
from typing import TYPE_CHECKING

from rack_sim.metrics.columns import REQUESTS, TIMELINE
from rack_sim.metrics.latency import LATENCY_METRICS, PERCENTS
from rack_sim.record.csv import plain_text
from rack_sim.record.record import Record
from rack_sim.report.sheets.charts import Series, new_chart
from rack_sim.report.sheets.sheet import (
    ASIDE,
    HEADER,
    LABEL,
    NOTE,
    SECTION,
    Book,
    Cell,
    Formula,
    Sheet,
    number_format,
)
from rack_sim.report.sheets.table import FIRST_ROW, write_table_sheet

if TYPE_CHECKING:
    import pandas as pd

_ROWS = "Request rows"
_PARTS = ("mean", *(f"p{percent}" for percent in PERCENTS))
_MS = {"num_format": number_format("ms")}


def write_requests(book: Book, run: Record, row_limit: int) -> None:
    """How requests ended, percentiles of every latency, and the rows themselves."""
    frame = run.frame("requests.csv")
    shown = max(0, min(len(frame), row_limit - FIRST_ROW))
    sheet = book.sheet(
        "Requests",
        "Requests",
        "How requests ended, and percentiles of their latencies (linear between neighbours). The "
        f"requests themselves stand on the sheet {_ROWS}.",
    )
    sheet.link(2, 0, "Summary", "to the summary")
    sheet.widths(24, *[14] * 7, 3, *[14] * 6)
    row = _write_outcomes(sheet, frame, 3)
    row = _write_summary_percentiles(sheet, run, row + 2)
    _write_formulas(sheet, run, row + 2, shown, whole=shown == len(frame))
    _draw_percentiles(book, sheet, row - len(LATENCY_METRICS))
    write_table_sheet(
        book,
        _ROWS,
        "Request rows",
        "Every request in order of issue, with its times and latencies.",
        REQUESTS,
        frame,
        file="requests.csv",
        row_limit=row_limit,
    )


def _write_outcomes(sheet: Sheet, frame: "pd.DataFrame", row: int) -> int:
    """A row for each way that requests ended; the last row is given back."""
    sheet.put_row(row, 0, ("How they ended", *[""] * 7), SECTION)
    sheet.put_row(row + 1, 0, ("status", "requests", "share\n[%]", "why"), HEADER)
    # A reason that is not there is read as no number.
    reasons = [text if isinstance(text, str) else "" for text in frame["reason"].tolist()]
    pairs = zip(frame["status"].tolist(), reasons, strict=True)
    row += 1
    for (status, reason), count in sorted(Counter(pairs).items()):
        row += 1
        cells = (plain_text(status), count, count / len(frame), plain_text(reason))
        sheet.put_row(
            row, 0, cells, [LABEL, {"num_format": "#,##0"}, {"num_format": "0.00%"}, ASIDE]
        )
    return row


def _write_summary_percentiles(sheet: Sheet, run: Record, row: int) -> int:
    """Percentiles of all requests as the run counted them; the last row is given back."""
    sheet.put_row(row, 0, ("Latency of all finished requests, ms", *[""] * 7), SECTION)
    sheet.put_row(row + 1, 0, ("latency", *_PARTS, "what it is"), HEADER)
    row += 1
    texts = {**LATENCY_METRICS, "itl": "pooled gaps between output tokens of a request"}
    for metric, text in texts.items():
        row += 1
        cells: list[Cell] = [run.summary[f"{metric}_ms_{part}"] for part in _PARTS]
        sheet.put(row, 0, f"{metric} [ms]", LABEL)
        sheet.put_row(row, 1, cells, _MS)
        sheet.put(row, 1 + len(_PARTS), text, ASIDE)
    return row


def _write_formulas(sheet: Sheet, run: Record, row: int, shown: int, *, whole: bool) -> None:
    """The same from the rows of this workbook, as formulas, where all are in it."""
    sheet.put_row(row, 0, (f"The same from the sheet {_ROWS}, as formulas", *[""] * 7), SECTION)
    if not whole:
        text = "not all requests are in this workbook: their percentiles would be others"
        sheet.put(row + 1, 0, text, NOTE)
        return
    if not shown:
        sheet.put(row + 1, 0, "no request arrived", NOTE)
        return
    sheet.put_row(row + 1, 0, ("latency", *_PARTS, "requests"), HEADER)
    names = [column.name for column in REQUESTS]
    for number, metric in enumerate(LATENCY_METRICS, start=row + 2):
        cells = _range(names.index(f"{metric}_ms"), shown)
        found = [run.summary[f"{metric}_ms_{part}"] for part in _PARTS]
        formulas = [f"AVERAGE({cells})"]
        formulas += [f"PERCENTILE({cells},{percent / 100})" for percent in PERCENTS]
        sheet.put(number, 0, f"{metric} [ms]", LABEL)
        for place, (text, value) in enumerate(zip(formulas, found, strict=True), start=1):
            sheet.put(number, place, Formula(f'IF(COUNT({cells})=0,"",{text})', value), _MS)
        count = int(run.frame("requests.csv")[f"{metric}_ms"].notna().sum())
        sheet.put(number, 6, Formula(f"COUNT({cells})", count), {"num_format": "#,##0"})


def _range(column: int, count: int) -> str:
    from xlsxwriter.utility import xl_range_abs

    return f"'{_ROWS}'!{xl_range_abs(FIRST_ROW, column, FIRST_ROW + count - 1, column)}"


def _draw_percentiles(book: Book, sheet: Sheet, first: int) -> None:
    """Percentiles of each latency as bars on a logarithmic scale."""
    metrics = [*LATENCY_METRICS, "itl"]
    series = [
        Series(
            part,
            ("Requests", first, 2 + number, first + len(metrics) - 1, 2 + number),
            ("Requests", first, 0, first + len(metrics) - 1, 0),
        )
        for number, part in enumerate(_PARTS[1:])
    ]
    chart = new_chart(book, "column", series, title="Latency percentiles", x="", y="ms", log=True)
    sheet.place(
        first + 2 * len(metrics) + 6,
        0,
        chart,
        "Bars: percentiles 50, 90, 95 and 99 of each latency in milliseconds, on a logarithmic "
        "scale. The same numbers stand in the table above.",
    )


def write_over_time(book: Book, run: Record, row_limit: int) -> None:
    """timeline.csv, bin by bin."""
    frame = run.frame("timeline.csv")
    write_table_sheet(
        book,
        "Timeline",
        "Timeline",
        "What happened in each bin of time; the sheet Charts draws it.",
        TIMELINE,
        frame,
        file="timeline.csv",
        row_limit=row_limit,
    )
