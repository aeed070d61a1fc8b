"""Excel: native charts on a sheet, each of numbers in cells; heat maps are tinted cells."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, NamedTuple

from rack_sim.foundation.visible import shortened, visible
from rack_sim.report.chart import Axis, Cells, Chart, Limit, Panels, Series
from rack_sim.report.colours import INK, Dash, Look, Marker
from rack_sim.report.sheets.sheet import (
    ASIDE,
    HEADER,
    NOTE,
    SECTION,
    STRONG,
    Book,
    Range,
    Sheet,
)

if TYPE_CHECKING:
    from xlsxwriter.chart import Chart as Native

NAME = "Charts"
_DASHES: Mapping[Dash, str] = {
    "solid": "solid",
    "dash": "dash",
    "dot": "round_dot",
    "dashdot": "dash_dot",
}
_MARKERS: Mapping[Marker, str] = {
    "circle": "circle",
    "square": "square",
    "diamond": "diamond",
    "triangle": "triangle",
    "triangle down": "triangle",
    "plus": "plus",
    "cross": "x",
    "ring": "circle",
    "": "none",
}
_PATTERNS = {
    "/": "wide_upward_diagonal",
    "\\": "wide_downward_diagonal",
    ".": "percent_20",
    "x": "diagonal_brick",
    "+": "small_grid",
    "-": "narrow_horizontal",
    "|": "narrow_vertical",
}
_FIRST_ROW = 3
_DATA_COLUMN = 11  # right of the charts
_CHART_WIDTH, _DATA_WIDTH = 10, 15
_PAGE_ROWS = 76  # of A4 upright, printed as wide as a chart: no chart is cut in two
_ROW_PX = 20
_BAR_PX, _AROUND_BARS_PX = 32, 90
_ROWS_MAX = 2_000
_NUMBER = {"num_format": "#,##0.######"}
# unit -> how an axis shows numbers that stand in their cells as their file has them
_AXIS_FORMATS = {"bytes": '#,##0,,"\u00a0MB"', "share": "0.0##%"}
_TEXT_CHARACTERS = 255  # Excel's limit for a text of a chart
_FONT = {"size": 9, "color": INK, "bold": False}
_GRID = {"visible": True, "line": {"color": "#D9D9D9", "width": 0.5}}


class Numbered(NamedTuple):
    """A chart whose numbers stand in cells: of each series, those along it and their values."""

    chart: Chart
    ranges: Sequence[tuple[Range | None, Range]]


Drawn = Mapping[str, Numbered]
"""The charts of a workbook by name."""


class Spot(NamedTuple):
    """Where charts are: from which cell on, so many pixels into it, and how large each is.

    With many bars that lie on their side, one is as high as they need.
    """

    row: int
    column: int
    right_px: int = 0
    size_px: tuple[int, int] = (560, 220)


LARGE_PX = (760, 350)


def write_charts(book: Book, groups: Iterable[Panels]) -> Drawn:
    """A sheet with every chart of every group, where there are any; by name, for other sheets."""
    found = [one for panels in groups for one in panels.charts if one.cells or one.values_of]
    if not found:
        return {}
    sheet = book.sheet(NAME, "Every chart, and to the right of it the numbers it shows.")
    numbered = dict[str, Numbered]()
    row, page, breaks = _FIRST_ROW, _FIRST_ROW, list[int]()
    taken = dict[int, int]()  # by column, the first row that is free
    for chart in found:
        if chart.cells is not None:
            end = _put_cells(sheet, row, chart, chart.cells)
        else:
            numbered[chart.name] = one = _put_numbers(sheet, row, taken, chart)
            end = place_charts(sheet, Spot(row, 0, size_px=LARGE_PX), [one]) + 1
        if end - page > _PAGE_ROWS and row > page:
            page = row
            breaks.append(row)
        row = end
    sheet.widths(*[_CHART_WIDTH] * _DATA_COLUMN, *[_DATA_WIDTH] * len(taken))
    sheet.page.set_portrait()
    sheet.page.set_h_pagebreaks(breaks)
    sheet.page.print_area(0, 0, row, _DATA_COLUMN - 1)
    return numbered


def place_first(sheet: Sheet, row: int, groups: Iterable[Panels], by_name: Drawn) -> int:
    """Draws the first chart of all again, on another sheet; the first row below it."""
    charts = (one for panels in groups for one in panels.charts)
    first = next((one for one in charts if one.cells or one.name in by_name), None)
    if first is None:
        return row
    if first.cells is not None:
        return _put_cells(sheet, row, first, first.cells)
    return place_charts(sheet, Spot(row, 0, size_px=LARGE_PX), [by_name[first.name]])


def place_charts(sheet: Sheet, spot: Spot, charts: Iterable[Numbered | None]) -> int:
    """Draws those charts that there are below each other; the first row below them."""
    row, (width, least) = spot.row, spot.size_px
    for one in charts:
        if one is None:
            continue
        chart, native = one.chart, _native(sheet.book, one)
        bars = len(chart.x.labels) if chart.is_sideways else 0
        height = max(least, _AROUND_BARS_PX + _BAR_PX * bars)
        native.set_size({"width": width, "height": height})
        where = one.ranges[0][1].sheet
        said = (f"{chart.title}.", chart.says, f"The numbers stand on the sheet {where}.")
        words = " ".join(filter(None, said))
        sheet.place(row, spot.column, native, words, right_px=spot.right_px)
        row += ceil(height / _ROW_PX) + 1
    return row


def _free_column(taken: dict[int, int], row: int, columns: int, rows: int) -> int:
    """The first of so many columns that are free from a row on, which are taken then.

    They stand right of their chart, and of longer ones that began above it.
    """
    first = _DATA_COLUMN
    while any(taken.get(column, 0) > row for column in range(first, first + columns)):
        first += 1
    taken.update(dict.fromkeys(range(first, first + columns), row + rows + 1))
    return first


def _native(book: Book, numbered: Numbered) -> "Native":
    """A chart over cells that have its numbers."""
    chart, series = numbered.chart, _drawn(numbered.chart)
    bars = any(one.kind in ("bars", "gap") for one in series)
    areas = any(one.kind == "area" for one in series)
    in_order = bool(chart.x.labels) or numbered.ranges[0][0] is None
    along = "area" if areas else "line" if in_order else "scatter"
    options = {"type": ("bar" if chart.is_sideways else "column") if bars else along}
    if options["type"] == "scatter":
        options["subtype"] = "straight_with_markers"
    elif chart.is_stacked and not _stand_alone(chart):
        options["subtype"] = "stacked"
    native: Native = book.file.add_chart(options)
    for one, (places, values) in zip(series, numbered.ranges, strict=True):
        content = _bar_style(chart, one) if bars or areas else _line_style(chart, one)
        content |= {"name": _chart_text(one.name or chart.y.name), "values": list(values)}
        if places is not None:
            content["categories"] = list(places)
        native.add_series(content)
    _dress(native, chart, named=sum(1 for one in series if one.name) > 1, bars=bars)
    return native


def _drawn(chart: Chart) -> list[Series]:
    return [*chart.series, *_limit_series(chart)]


def _put_numbers(sheet: Sheet, row: int, taken: dict[int, int], chart: Chart) -> Numbered:
    """The numbers of each series in two columns from a row on, with their chart."""
    series, ranges = _drawn(chart), []
    longest = min(_ROWS_MAX, max(len(one.x) for one in series))
    column = _free_column(taken, row, 2 * len(series), longest + 2)
    for one in series:
        sheet.put(row, column, one.name or chart.title, STRONG)
        sheet.put(row + 1, column, chart.x.words or "what", HEADER)
        sheet.put(row + 1, column + 1, chart.y.words, HEADER)
        pairs = list(zip(one.x, one.y, strict=True))[:_ROWS_MAX]
        for place, (x, y) in enumerate(pairs, start=row + 2):
            label = chart.x.labels[round(x)] if chart.x.labels else x
            sheet.put(place, column, label, ASIDE if chart.x.labels else _NUMBER)
            sheet.put(place, column + 1, y, _NUMBER)
        last = row + 1 + max(1, len(pairs))
        across, up = (Range(NAME, row + 2, at, last, at) for at in (column, column + 1))
        ranges.append((across, up))
        column += 2
    return Numbered(chart, ranges)


def _limit_series(chart: Chart) -> Iterator[Series]:
    """Limits as lines across; a span as the line where it begins."""
    if chart.x.labels:
        return
    for limit in chart.near:
        if not limit.words and limit.end is not None:
            continue  # only a shade
        axis = chart.y if limit.axis == "x" else chart.x
        low, high = (_power_low(axis), _power_high(axis)) if axis.scale == "log" else (0.0, 0.0)
        ends = (low, high) if axis.scale == "log" else (axis.low, axis.high)
        along = (limit.value, limit.value)
        x, y = (along, ends) if limit.axis == "x" else (ends, along)
        look = limit.look._replace(marker="", dash="dot" if limit.end else limit.look.dash)
        yield Series(_limit_name(limit), x, y, look)


def _limit_name(limit: Limit) -> str:
    return f"{limit.words} from here on" if limit.end is not None else limit.words


def _line_style(chart: Chart, one: Series) -> dict[str, Any]:
    look = one.look
    is_line = one.kind != "points"
    line: dict[str, Any] = {
        "color": look.colour, "width": 1.75, "dash_type": _DASHES[look.dash],
    }  # fmt: skip
    ring = look.marker == "ring"
    marked = bool(look.marker) and not (is_line and chart.always)
    marker: dict[str, Any] = {
        "type": _MARKERS[look.marker] if marked else "none",
        "size": 13 if ring else max(3, round(6 * one.mark_size)),
        "fill": {"none": True} if ring else {"color": look.colour},
        "border": {"color": look.colour, "width": 2 if ring else 1},
    }
    return {"line": line if is_line else {"none": True}, "marker": marker}


def _stand_alone(chart: Chart) -> bool:
    """Whether no bar stands on another: such bars lie over each other, labels beside their ends."""
    places = [x for one in chart.series for x, y in zip(one.x, one.y, strict=True) if y is not None]
    return chart.series[0].kind == "bars" and len(places) == len(set(places))


def _bar_style(chart: Chart, one: Series) -> dict[str, Any]:
    if one.kind == "gap":
        return {"gap": 30, "fill": {"none": True}, "border": {"none": True}}
    found: dict[str, Any] = {"gap": 30, **_fill(one.look)}
    if chart.is_stacked and _stand_alone(chart):
        found["overlap"] = 100
    if one.looks:
        found["points"] = [_fill(look) for look in one.looks]
    # Excel writes nothing beside bars that stand on others, only across them.
    if one.labels and ("overlap" in found or not chart.is_stacked):
        labels = [{"value": _chart_text(text)} if text else {"delete": True} for text in one.labels]
        found["data_labels"] = {
            "value": True, "custom": labels, "font": _FONT, "position": "outside_end",
        }  # fmt: skip
    return found


def _fill(look: Look) -> dict[str, Any]:
    if look.hatch:
        tint = {"pattern": _PATTERNS[look.hatch], "fg_color": "#FFFFFF", "bg_color": look.colour}
        return {"pattern": tint, "border": {"color": look.colour, "width": 0.5}}
    return {"fill": {"color": look.colour}, "border": {"color": "#FFFFFF", "width": 0.5}}


def _dress(native: "Native", chart: Chart, *, named: bool, bars: bool) -> None:
    """Title, axes and legend."""
    far = "; ".join(f"{limit.words} lies beyond the axis" for limit in chart.far)
    title = chart.title
    if chart.always and "always" not in title:
        title = f"{title}: {chart.always}"
    title = f"{title} ({far})" if far else title
    native.set_title(
        {"name": _chart_text(title), "name_font": {"size": 12, "color": INK}, "overlay": False}
    )
    x, y = _axis(chart.x), _axis(chart.y) | {"major_gridlines": _GRID}
    if bars and chart.is_sideways:  # lies on its side: the first row of the table on top
        native.set_x_axis(y)
        native.set_y_axis(x | {"reverse": True})
    else:
        native.set_x_axis(x)
        native.set_y_axis(y)
    native.set_legend({"position": "bottom", "font": _FONT} if named else {"none": True})
    native.show_blanks_as("gap")


def _axis(axis: Axis) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": _chart_text(axis.words),
        "name_font": _FONT,
        "num_font": _FONT,
    }
    if axis.labels:
        return found | {"label_position": "low"}
    plain = '#,##0.0##,," M"' if axis.high >= 1e6 else "#,##0.######"
    found["num_format"] = _AXIS_FORMATS.get(axis.unit, plain)
    if axis.scale == "log":
        low, high = _power_low(axis), _power_high(axis)
        return found | {"log_base": 10, "min": low, "max": high, "crossing": "min"}
    places = [place for place, _ in axis.ticks()]
    if len(places) < 2 or axis.marks:
        return found | {"min": axis.low, "max": axis.high}
    step = places[1] - places[0]
    low, high = floor(axis.low / step + 1e-9) * step, ceil(axis.high / step - 1e-9) * step
    return found | {"min": low, "max": high, "major_unit": step}


def _power_low(axis: Axis) -> float:
    """A logarithmic axis begins at a power of ten: its labels would be 46, 460, 4,600 else."""
    return float(10 ** floor(log10(axis.low) + 1e-9))


def _power_high(axis: Axis) -> float:
    return float(10 ** ceil(log10(axis.high) - 1e-9))


def _put_cells(sheet: Sheet, row: int, chart: Chart, cells: Cells) -> int:
    """A heat map: tinted cells, the best one framed; the first row below it."""
    sheet.put(row, 0, chart.title, SECTION)
    sheet.put(row + 1, 0, f"down: {chart.y.words}; across: {chart.x.words}. {chart.says}", NOTE)
    for place, label in enumerate(chart.x.labels, start=1):
        sheet.put(row + 2, place, label, HEADER)
    for line, (label, values) in enumerate(
        zip(chart.y.labels, cells.values, strict=True), start=row + 3
    ):
        sheet.put(line, 0, label, HEADER)
        for place, value in enumerate(values, start=1):
            best = cells.best == (line - row - 3, place - 1)
            frame = {"bold": True, "border": 2} if best else {}
            shown = "×" if value is None else value
            sheet.put(line, place, shown, {"num_format": "#,##0.###", "align": "center", **frame})
    last = row + 2 + len(chart.y.labels)
    sheet.page.conditional_format(
        row + 3,
        1,
        last,
        len(chart.x.labels),
        {"type": "2_color_scale", "min_color": "#EEF5FB", "max_color": "#66A8D4"},
    )
    return last + 3


def _chart_text(text: str) -> str:
    """Text of a chart; xlsxwriter would take ``name!A1`` in it for a cell's address."""
    return shortened(visible(text), _TEXT_CHARACTERS).replace("!", "! ").rstrip(" ")
