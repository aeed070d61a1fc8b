"""Traffic: the sheets of requests and of time."""

from collections import Counter
from typing import TYPE_CHECKING

from rack_sim.metrics.frames import Cell
from rack_sim.metrics.latency import LATENCY_METRICS, PERCENTS
from rack_sim.metrics.summary import number_of
from rack_sim.record.csv import plain_text
from rack_sim.record.record import Record
from rack_sim.report.chart import Chart, Series, axis_of, in_order, things_axis
from rack_sim.report.colours import PERCENTILE_LOOKS
from rack_sim.report.draw.excel import LARGE_PX, Numbered, Spot, place_charts
from rack_sim.report.sheets.sheet import (
    ASIDE,
    LABEL,
    NOTE,
    Book,
    Formula,
    Range,
    Sheet,
    Style,
    number_format,
)
from rack_sim.report.sheets.table import Rows, whole, write_table

if TYPE_CHECKING:
    import pandas as pd

_ROWS = "Request rows"
_PARTS = ("mean", *(f"p{percent}" for percent in PERCENTS))
_METRICS = {**LATENCY_METRICS, "itl": "pooled gaps between output tokens of a request"}
_COUNT: Style = {"num_format": "#,##0"}
_MS = [{"num_format": number_format("ms")}] * len(_PARTS)


def write_requests(book: Book, run: Record) -> None:
    """How requests ended, percentiles of every latency, and the rows themselves."""
    sheet = book.sheet(
        "Requests",
        "How requests ended, and percentiles of their latencies (linear between neighbours). The "
        f"requests themselves stand on the sheet {_ROWS}.",
    )
    sheet.widths(24, *[14] * 7, 3, *[14] * 6)
    table = whole(run, "requests.csv")
    purpose = "Every request in order of issue, with its times and latencies."
    rows = write_table(book, _ROWS, purpose, table)
    first = _write_outcomes(sheet, table.frame) + 1
    row = _write_percentiles(sheet, run, first)
    row = _write_formulas(sheet, run, rows, row + 1)
    place_charts(sheet, Spot(row + 1, 0, size_px=LARGE_PX), [_percentiles(sheet, run, first + 2)])


def _write_outcomes(sheet: Sheet, frame: "pd.DataFrame") -> int:
    """A line for each way that requests ended; the next row."""
    # A reason that is not there is read as no number.
    reasons = [text if isinstance(text, str) else "" for text in frame["reason"].tolist()]
    pairs = zip(frame["status"].tolist(), reasons, strict=True)
    lines = [
        (plain_text(status), count, count / len(frame), plain_text(reason))
        for (status, reason), count in sorted(Counter(pairs).items())
    ]
    heads = ("status", "requests", "share\n[%]", "why")
    styles = [LABEL, _COUNT, {"num_format": "0.00%"}, ASIDE]
    return sheet.put_block(3, "How they ended", heads, lines, styles)


def _write_percentiles(sheet: Sheet, run: Record, row: int) -> int:
    """Percentiles of all requests as the run counted them; the next row."""
    lines = [
        (f"{metric} [ms]", *(run.summary[f"{metric}_ms_{part}"] for part in _PARTS), text)
        for metric, text in _METRICS.items()
    ]
    heads = ("latency", *_PARTS, "what it is")
    title = "Latency of all finished requests, ms"
    return sheet.put_block(row, title, heads, lines, [LABEL, *_MS, ASIDE])


def _write_formulas(sheet: Sheet, run: Record, rows: Rows, row: int) -> int:
    """The same from the rows of this workbook, as formulas, where all are in it; the next row."""
    title, table = f"The same from the sheet {_ROWS}, as formulas", run.frame("requests.csv")
    if rows.shown < len(table):
        said = "not all requests are in this workbook: their percentiles would be others"
        return sheet.put_block(row, title, lines=[(said,)], styles=[NOTE])
    if not rows.shown:
        return sheet.put_block(row, title, lines=[("no request arrived",)], styles=[NOTE])
    lines = list[tuple[Cell | Formula, ...]]()
    for metric in LATENCY_METRICS:
        cells = rows.cells(f"{metric}_ms").address
        asked = (f"PERCENTILE({cells},{percent / 100})" for percent in PERCENTS)
        formulas = [
            Formula(f'IF(COUNT({cells})=0,"",{text})', run.summary[f"{metric}_ms_{part}"])
            for part, text in zip(_PARTS, (f"AVERAGE({cells})", *asked), strict=True)
        ]
        count = Formula(f"COUNT({cells})", int(table[f"{metric}_ms"].notna().sum()))
        lines.append((f"{metric} [ms]", *formulas, count))
    heads = ("latency", *_PARTS, "requests")
    return sheet.put_block(row, title, heads, lines, [LABEL, *_MS, _COUNT])


def _percentiles(sheet: Sheet, run: Record, first: int) -> Numbered | None:
    """The percentiles of each latency on a logarithmic scale; nothing where there are none."""
    last, series, ranges = first + len(_METRICS) - 1, [], []
    for column, percent in enumerate(PERCENTS, start=2):
        found = (number_of(run.summary, f"{metric}_ms_p{percent}") for metric in _METRICS)
        # Points, not bars: on a logarithmic scale the length of a bar says nothing.
        look = PERCENTILE_LOOKS[percent]
        series.append(
            Series(f"p{percent}", in_order(_METRICS), tuple(found), look, "points", mark_size=1.3)
        )
        along, up = (Range(sheet.name, first, at, last, at) for at in (0, column))
        ranges.append((along, up))
    above_0 = [value for one in series for value in one.y if value]
    if not above_0:
        return None
    x, y = things_axis("", _METRICS), axis_of("latency", "ms", above_0, scale="log")
    return Numbered(Chart("percentiles", "Latency percentiles", x, y, tuple(series)), ranges)
