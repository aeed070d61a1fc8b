"""Machine: the sheets of chips, memory and links."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.metrics.column import number
from rack_sim.metrics.frames import Cell
from rack_sim.record.csv import plain_text
from rack_sim.record.record import Record
from rack_sim.report.chart import Axis, Chart, Series, axis_of, in_order, things_axis
from rack_sim.report.colours import BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, Look
from rack_sim.report.draw.excel import LARGE_PX, Numbered, Spot, place_charts
from rack_sim.report.sheets.sheet import ASIDE, LABEL, Book, Range, Sheet, number_style
from rack_sim.report.sheets.table import FileTable, Rows, amounts, whole, write_table

if TYPE_CHECKING:
    import pandas as pd

# What lies in memory: column, words, colour
_KINDS = (
    ("weight_bytes", "weights", BLUE),
    ("kv_bytes", "cached keys and values", ORANGE),
    ("activation_bytes", "activations", PURPLE),
    ("program_bytes", "program", GREEN),
    ("free_bytes", "free", PALE),
)
_USED = number("used", "share", "bytes in use over capacity")
_LINK_ROWS = "Link rows"
_COUNT = {"num_format": "#,##0"}
_SHARE = {"num_format": "0.000%"}
_NO_TRAFFIC = "Nothing is sent: one chip holds the model, or nothing was served."
_UNKNOWN_TRAFFIC = (
    "Reactive chips send what their iterations need: links.csv knows sums, not kinds."
)


def write_chips(book: Book, run: Record) -> None:
    """A row for each chip of the first system, with bars behind its use."""
    table = whole(run, "chips.csv")
    purpose = "Every chip of the first system: what it does, how full it is, how busy."
    rows = write_table(book, "Chips", purpose, table)
    rows.draw_bars("used_bytes", BLUE, _capacity(table.frame))
    rows.draw_bars("utilisation", BLUE, 1.0)


def write_sram_rows(book: Book, run: Record) -> None:
    """memory.csv, a row for each chip."""
    table = whole(run, "memory.csv")
    purpose = (
        "The memory of every chip that holds a part of the first replica. Cells hold exact bytes."
    )
    _draw_bars(write_table(book, "SRAM by chip", purpose, table), table.frame)


def write_sram_map(book: Book, run: Record) -> None:
    """The fullest chip of each stage as bars, and what they are made of."""
    file, columns, frame = "memory.csv", run.tables["memory.csv"].columns, run.frame("memory.csv")
    by, what = "chip", "every chip that holds the model"
    if len(set(frame["stage"])) > 1:
        order = frame.sort_values(["stage", "free_bytes", "chip"], kind="stable")
        frame = order.drop_duplicates("stage")  # the first of equals
        by, what = "stage", "the fullest chip of each stage"
    frame = frame.assign(used=1 - frame["free_bytes"] / frame["capacity_bytes"])
    purpose = (
        f"What lies in the memory of {what}. Every chip stands on the sheet SRAM by chip. Cells "
        "hold exact bytes, shown in MB (10^6)."
    )
    shown = FileTable(file, [*columns[:2], _USED, *columns[2:]], frame)
    rows = write_table(book, "SRAM map", purpose, shown)
    rows.sheet.pages_wide(2)  # the chart stands to the right of the table
    _draw_bars(rows, frame)
    rows.draw_bars("used", BLUE, 1.0)
    if rows.shown:
        beside = Spot(3, len(shown.columns) + 1, size_px=LARGE_PX)
        place_charts(rows.sheet, beside, [_memory(rows, frame.head(rows.shown), by, what)])


def _memory(rows: Rows, frame: "pd.DataFrame", by: str, what: str) -> Numbered:
    """Stacked bars of what lies in memory."""
    used = [share or 0.0 for share in amounts(frame["used"])]
    fullest = used.index(max(used))
    chart = Chart(
        "memory",
        f"Memory of {what}",
        things_axis(by, map(str, frame[by])),
        Axis("memory", "bytes", high=_capacity(frame)),
        tuple(
            Series(words, in_order(used), amounts(frame[name]), Look(colour), "bars")
            for name, words, colour in _KINDS
        ),
        f"The fullest is {by} {frame[by].iloc[fullest]}, {used[fullest]:.1%} full.",
        is_stacked=True,
    )
    return Numbered(chart, [(rows.cells(by), rows.cells(name)) for name, *_ in _KINDS])


def _draw_bars(rows: Rows, frame: "pd.DataFrame") -> None:
    for name, _, colour in _KINDS:
        rows.draw_bars(name, GREY if name == "free_bytes" else colour, _capacity(frame))


def _capacity(frame: "pd.DataFrame") -> float:
    return max((size for size in amounts(frame["capacity_bytes"]) if size), default=1.0)


def write_links(book: Book, run: Record) -> None:
    """Totals by kind of link and of traffic, how loads are spread, and the links themselves."""
    table = whole(run, "links.csv")
    frame, order = table.frame, ["utilisation", "source_chip", "target_chip", "lane"]
    busy = frame[frame["busy_ms"] > 0].sort_values(
        order, ascending=[False, True, True, True], kind="stable"
    )
    sheet = book.sheet(
        "Links",
        f"{len(busy):,} of {len(frame):,} links of the first system carry something; the busiest "
        f"are first on the sheet {_LINK_ROWS}.",
    )
    sheet.widths(26, 13, 13, 17, 17, 24, 19)
    row, charts = _write_traffic(sheet, frame, _write_link_kinds(sheet, frame) + 1)
    still = {name for name in TRAFFICS if not frame[f"{name}_step_vectors"].fillna(0).any()}
    kept = [column for column in table.columns if column.name.partition("_step_")[0] not in still]
    rows = write_table(
        book,
        _LINK_ROWS,
        f"Links, busiest first. {len(frame) - len(busy):,} idle links, and kinds of traffic that "
        "do not occur, are left out here; links.csv has them.",
        FileTable(table.file, kept, busy),
    )
    if rows.shown:
        charts.append(_utilisation(rows, busy))
    place_charts(sheet, Spot(row + 1, 0), charts)


def _utilisation(rows: Rows, busy: "pd.DataFrame") -> Numbered:
    """A falling line over the rows of links."""
    shown = amounts(busy["utilisation"].head(rows.shown))
    chart = Chart(
        "links",
        "Utilisation of links, busiest first",
        Axis("links in order", low=1, high=max(2, len(shown))),
        axis_of("of the simulated time", "share", shown, scale="linear"),
        (Series("", in_order(shown), shown, Look(BLUE, marker="")),),
    )
    return Numbered(chart, [(None, rows.cells("utilisation"))])


def _write_link_kinds(sheet: Sheet, frame: "pd.DataFrame") -> int:
    """A line for each kind of link; the next row."""
    heads = (
        "kind of link",
        "links",
        "of these in use",
        "utilisation, mean\n[%]",
        "utilisation, max\n[%]",
        "payload capacity sent\n[bytes, shown in MB]",
        "busy, sum\n[ms]",
    )
    lines = [
        (
            plain_text(str(kind)),
            len(links),
            int((links["busy_ms"] > 0).sum()),
            float(links["utilisation"].mean()),  # what is no number leaves its cell empty
            float(links["utilisation"].max()),
            int(links["payload_bytes"].sum()),
            float(links["busy_ms"].sum()),
        )
        for kind, links in frame.groupby("kind", sort=True)
    ]
    styles = [LABEL, _COUNT, _COUNT, _SHARE, _SHARE, number_style("bytes"), number_style("ms")]
    return sheet.put_block(3, "By kind of link", heads, lines, styles)


def _write_traffic(sheet: Sheet, frame: "pd.DataFrame", row: int) -> tuple[int, list[Numbered]]:
    """What one step sends over all links of the first replica; the next row, and its chart."""
    title, lines = "By kind of traffic, one step", list(_traffics(frame))
    if not lines:
        said = _UNKNOWN_TRAFFIC if frame["busy_ms"].any() else _NO_TRAFFIC
        return sheet.put_block(row, title, lines=[(said,)], styles=[LABEL]), []
    heads = (
        "kind of traffic",
        "links",
        "vectors",
        "share of vectors\n[%]",
        "held, sum\n[ms]",
        "what it is",
        "",
    )
    styles = [LABEL, _COUNT, _COUNT, {"num_format": "0.00%"}, number_style("ms"), ASIDE]
    end = sheet.put_block(row, title, heads, lines, styles)
    kinds, vectors = [str(line[0]) for line in lines], tuple(float(line[2] or 0) for line in lines)
    chart = Chart(
        "traffic",
        "Vectors of one step by kind of traffic",
        things_axis("", kinds),
        axis_of("vectors", "", vectors, scale="linear"),
        (Series("", in_order(lines), vectors, Look(BLUE), "bars"),),
        is_sideways=True,
    )
    names, cells = (Range(sheet.name, row + 2, at, end - 1, at) for at in (0, 2))
    return end, [Numbered(chart, [(names, cells)])]


def _traffics(frame: "pd.DataFrame") -> Iterator[tuple[Cell, ...]]:
    """A line for each kind of traffic that there is."""
    total = float(frame["step_vectors"].fillna(0).sum())
    for name, text in TRAFFICS.items():
        vectors = frame[f"{name}_step_vectors"].fillna(0)
        if vectors.any() and total:
            held = float(frame[f"{name}_step_busy_ms"].fillna(0).sum())
            count = int(vectors.sum())
            yield name, int((vectors > 0).sum()), count, count / total, held, text
