"""Machine: the sheets of chips, memory and links."""

from typing import TYPE_CHECKING

from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import CHIPS, LINKS, MEMORY
from rack_sim.record.csv import plain_text
from rack_sim.record.record import Record
from rack_sim.report.colours import BLUE, GREEN, ORANGE, PALE, PURPLE
from rack_sim.report.sheets.charts import Series, new_chart
from rack_sim.report.sheets.sheet import (
    ASIDE,
    HEADER,
    LABEL,
    SECTION,
    Book,
    Sheet,
    number_style,
)
from rack_sim.report.sheets.table import FIRST_ROW, cells_of, heading, write_table_sheet

if TYPE_CHECKING:
    import pandas as pd

_KINDS = ("weight", "kv", "activation", "program", "free")
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, PALE)
_LINK_ROWS = "Link rows"


def write_chips(book: Book, run: Record, row_limit: int) -> None:
    """A row for each chip of the first system, with bars behind its use."""
    frame = run.frame("chips.csv")
    sheet = write_table_sheet(
        book,
        "Chips",
        "Chips",
        "Every chip of the first system: what it does, how full it is, how busy.",
        CHIPS,
        frame,
        file="chips.csv",
        row_limit=row_limit,
    )
    last = FIRST_ROW + max(1, min(len(frame), row_limit - FIRST_ROW)) - 1
    names = [column.name for column in CHIPS]
    capacity = float(frame["capacity_bytes"].max()) if len(frame) else 1.0
    for name, longest in (("used_bytes", capacity), ("utilisation", 1.0)):
        place = names.index(name)
        sheet.page.conditional_format(
            FIRST_ROW, place, last, place, _data_bar(BLUE, longest=longest)
        )


def write_sram_map(book: Book, run: Record) -> None:
    """The fullest chip of each stage as bars, and what they are made of."""
    frame = run.frame("memory.csv")
    stages = len(set(frame["stage"])) > 1
    if stages:  # the fullest chip of each stage, the first of equals
        order = frame.sort_values(["stage", "free_bytes", "chip"], kind="stable")
        shown, what = order.drop_duplicates("stage"), "the fullest chip of each stage"
    else:
        shown, what = frame, "every chip that holds the model"
    sheet = book.sheet(
        "SRAM map",
        "SRAM map",
        f"What lies in the memory of {what}. Every chip stands on the sheet SRAM by chip. Cells "
        "hold exact bytes, shown in MB (10^6).",
    )
    sheet.link(2, 0, "Summary", "to the summary")
    used = Column("used", "share", "number", "bytes in use over capacity")
    shown = shown.assign(used=1 - shown["free_bytes"] / shown["capacity_bytes"])
    columns = [*MEMORY[:2], used, *MEMORY[2:]]
    sheet.put_row(3, 0, map(heading, columns), HEADER)
    for number, column in enumerate(columns):
        sheet.width(number, 15 if column.unit else 16 if "tier" in column.name else 8)
    sheet.pages_wide(2)  # the chart stands to the right of the table
    names = [column.name for column in columns]
    last = 3 + len(shown)
    cells = [cells_of(shown[name]) for name in names]
    styles = [number_style(column.unit) for column in columns]
    for row, values in enumerate(zip(*cells, strict=True), start=4):
        sheet.put_row(row, 0, values, styles)
    sheet.page.freeze_panes(4, 2)
    sheet.page.autofilter(3, 0, max(last, 4), len(columns) - 1)
    sheet.page.repeat_rows(3)
    if not len(shown):
        return
    by = "stage" if stages else "chip"
    capacity = float(shown["capacity_bytes"].max())
    for kind, colour in zip(_KINDS, _COLOURS, strict=True):
        place = names.index(f"{kind}_bytes")
        bar = _data_bar("#B8B8B8" if kind == "free" else colour, longest=capacity)
        sheet.page.conditional_format(4, place, last, place, bar)
    sheet.page.conditional_format(4, 2, last, 2, _data_bar(BLUE, longest=1.0))
    series = [
        Series(
            {"kv": "cached keys and values"}.get(kind, kind),
            ("SRAM map", 4, names.index(f"{kind}_bytes"), last, names.index(f"{kind}_bytes")),
            ("SRAM map", 4, names.index(by), last, names.index(by)),
            colour,
        )
        for kind, colour in zip(_KINDS, _COLOURS, strict=True)
    ]
    chart = new_chart(
        book,
        "column",
        series,
        subtype="stacked",
        title=f"Memory of {what}",
        x=by,
        y="MB",
        size=(980, 420),
        number_format="#,##0,,",
    )
    fullest = shown[by].iloc[int(shown["used"].to_numpy().argmax())]
    sheet.place(
        3,
        len(columns) + 1,
        chart,
        f"Stacked bars, one for each {by}: weights, cached keys and values, activations, program "
        f"and free bytes of {what}. The fullest is {by} {fullest}, {shown['used'].max():.1%} full. "
        "The same numbers stand in the table beside it.",
    )


def write_sram_rows(book: Book, run: Record, row_limit: int) -> None:
    """memory.csv, a row for each chip."""
    frame = run.frame("memory.csv")
    sheet = write_table_sheet(
        book,
        "SRAM by chip",
        "SRAM by chip",
        "The memory of every chip that holds a part of the first replica. Cells hold exact bytes.",
        MEMORY,
        frame,
        file="memory.csv",
        row_limit=row_limit,
    )
    last = FIRST_ROW + max(1, min(len(frame), row_limit - FIRST_ROW)) - 1
    capacity = float(frame["capacity_bytes"].max()) if len(frame) else 1.0
    names = [column.name for column in MEMORY]
    for kind, colour in zip(_KINDS, _COLOURS, strict=True):
        place = names.index(f"{kind}_bytes")
        bar = _data_bar("#B8B8B8" if kind == "free" else colour, longest=capacity)
        sheet.page.conditional_format(FIRST_ROW, place, last, place, bar)


def write_links(book: Book, run: Record, row_limit: int) -> None:
    """Totals by kind of link and of traffic, how loads are spread, and the links themselves."""
    frame = run.frame("links.csv")
    order = ["utilisation", "source_chip", "target_chip", "lane"]
    busy = frame[frame["busy_ms"] > 0].sort_values(
        order, ascending=[False, True, True, True], kind="stable"
    )
    sheet = book.sheet(
        "Links",
        "Links",
        f"{len(busy):,} of {len(frame):,} links of the first system carry something; the busiest "
        f"are first on the sheet {_LINK_ROWS}.",
    )
    sheet.link(2, 0, "Summary", "to the summary")
    sheet.widths(26, 13, 13, 17, 17, 24, 19)
    row = _write_link_kinds(sheet, frame, 4)
    row = _write_traffic(sheet, frame, row + 2)
    moving = [name for name in TRAFFICS if frame[f"{name}_step_vectors"].fillna(0).any()]
    kept = [
        column
        for column in LINKS
        if not any(
            column.name in (f"{name}_step_vectors", f"{name}_step_busy_ms")
            for name in TRAFFICS.keys() - set(moving)
        )
    ]
    write_table_sheet(
        book,
        _LINK_ROWS,
        "Links, busiest first",
        f"{len(frame) - len(busy):,} idle links, and kinds of traffic that do not occur, are left "
        "out here; links.csv has them.",
        kept,
        busy,
        file="links.csv",
        row_limit=row_limit,
    )
    shown = min(len(busy), row_limit - FIRST_ROW)
    if shown <= 0:
        return
    place = [column.name for column in kept].index("utilisation")
    chart = new_chart(
        book,
        "line",
        [Series("utilisation", (_LINK_ROWS, FIRST_ROW, place, FIRST_ROW + shown - 1, place))],
        title="Utilisation of links, busiest first",
        x="links in order",
        y="share of the simulated time",
        number_format="0.0%",
        size=(760, 220),
    )
    top = float(busy["utilisation"].iloc[0])
    sheet.place(
        row + 2,
        0,
        chart,
        f"A falling line: the utilisation of each of the {shown:,} busiest links, from {top:.2%} "
        f"down. The numbers stand on the sheet {_LINK_ROWS}.",
    )


def _write_link_kinds(sheet: Sheet, frame: "pd.DataFrame", row: int) -> int:
    """A row for each kind of link; the last row is given back."""
    sheet.put_row(row - 1, 0, ("By kind of link", *[""] * 6), SECTION)
    heads = (
        "kind of link",
        "links",
        "of these in use",
        "utilisation, mean\n[%]",
        "utilisation, max\n[%]",
        "payload capacity sent\n[bytes, shown in MB]",
        "busy, sum\n[ms]",
    )
    sheet.put_row(row, 0, heads, HEADER)
    styles = [LABEL, *({"num_format": f} for f in ("#,##0", "#,##0", "0.000%", "0.000%"))]
    styles += [number_style("bytes"), number_style("ms")]
    for kind, links in frame.groupby("kind", sort=True):
        row += 1
        use = links["utilisation"]
        cells = (
            plain_text(str(kind)),
            len(links),
            int((links["busy_ms"] > 0).sum()),
            float(use.mean()) if use.notna().any() else None,
            float(use.max()) if use.notna().any() else None,
            int(links["payload_bytes"].sum()),
            float(links["busy_ms"].sum()),
        )
        sheet.put_row(row, 0, cells, styles)
    return row


def _write_traffic(sheet: Sheet, frame: "pd.DataFrame", row: int) -> int:
    """A row for each kind of traffic: what one step sends, over all links of the first replica.

    The last row in use is given back, a chart's included.
    """
    sheet.put_row(row, 0, ("By kind of traffic, one step", *[""] * 6), SECTION)
    total = float(frame["step_vectors"].fillna(0).sum())
    if not total:
        text = (
            "Reactive chips send what their iterations need: links.csv knows sums, not kinds."
            if frame["busy_ms"].any()
            else "Nothing is sent: one chip holds the model, or nothing was served."
        )
        sheet.put(row + 1, 0, text, LABEL)
        return row + 1
    heads = ("kind of traffic", "links", "vectors", "share of vectors\n[%]", "held, sum\n[ms]")
    sheet.put_row(row + 1, 0, (*heads, "what it is", ""), HEADER)
    styles = [LABEL, {"num_format": "#,##0"}, {"num_format": "#,##0"}, {"num_format": "0.00%"}]
    styles += [number_style("ms"), ASIDE]
    number = row + 1
    for name, text in TRAFFICS.items():
        vectors = frame[f"{name}_step_vectors"].fillna(0)
        if not vectors.any():
            continue
        number += 1
        held = float(frame[f"{name}_step_busy_ms"].fillna(0).sum())
        count = int(vectors.sum())
        cells = (name, int((vectors > 0).sum()), count, count / total, held, text)
        sheet.put_row(number, 0, cells, styles)
    chart = new_chart(
        sheet.book,
        "bar",
        [Series("vectors", ("Links", row + 2, 2, number, 2), ("Links", row + 2, 0, number, 0))],
        title="Vectors of one step by kind of traffic",
        x="",
        y="vectors",
        size=(760, 200),
    )
    sheet.place(
        number + 2,
        0,
        chart,
        "Bars: how many vectors each kind of traffic sends in one step. The same numbers stand in "
        "the table By kind of traffic.",
    )
    return number + 12


def _data_bar(colour: str, *, longest: float) -> dict[str, object]:
    """Bars behind numbers, all on one scale from 0."""
    return {
        "type": "data_bar",
        "bar_color": _tint(colour),
        "bar_solid": True,
        "min_type": "num",
        "min_value": 0,
        "max_type": "num",
        "max_value": longest,
        "data_bar_2010": True,
    }


def _tint(colour: str) -> str:
    """A colour mixed with white, so that numbers are read on it."""
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{(part + 2 * 255) // 3:02X}" for part in parts)
