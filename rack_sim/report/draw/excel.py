"""Excel: native charts on a sheet, each with its numbers beside it; heat maps are tinted cells."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from rack_sim.report.chart import Axis, Cells, Chart, Limit, Panels, Series
from rack_sim.report.colours import INK, Dash, Look, Marker
from rack_sim.report.sheets.charts import chart_text
from rack_sim.report.sheets.sheet import ASIDE, HEADER, NOTE, SECTION, STRONG, Book, Sheet

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
_CHART_ROWS = 19
_PAGE_ROWS = 76  # of A4 upright, printed as wide as a chart: no chart is cut in two
_SIZE_PX = (760, 350)
_ROW_PX = 26
_ROWS_MAX = 2_000
_NUMBER = {"num_format": "#,##0.######"}
_FONT = {"size": 9, "color": INK, "bold": False}
_GRID = {"visible": True, "line": {"color": "#D9D9D9", "width": 0.5}}


def write_charts(book: Book, groups: Iterable[Panels]) -> None:
    """A sheet with every chart of every group, where there are any."""
    found = [chart for panels in groups for chart in panels.charts]
    if not found:
        return
    sheet = book.sheet(NAME, "Charts", "Every chart, and to the right of it the numbers it shows.")
    sheet.link(2, 0, "Summary", "to the summary")
    row, page, breaks = _FIRST_ROW, 0, []
    taken = dict[int, int]()  # by column, the first row that is free
    for chart in found:
        if chart.cells is not None:
            rows = _put_cells(sheet, row, chart, chart.cells)
        elif chart.values_of:
            rows = _put_chart(book, sheet, row, taken, chart)
        else:
            continue
        if row + rows - page > _PAGE_ROWS and page:
            page = row
            breaks.append(row)
        page = page or row
        row += rows
    sheet.widths(*[_CHART_WIDTH] * _DATA_COLUMN, *[_DATA_WIDTH] * len(taken))
    sheet.page.set_portrait()
    sheet.page.set_h_pagebreaks(breaks)
    sheet.page.print_area(0, 0, row, _DATA_COLUMN - 1)


def _free_column(taken: dict[int, int], row: int, columns: int, rows: int) -> int:
    """The first of so many columns that are free from a row on, which are taken then.

    They stand right of their chart, and of longer ones that began above it.
    """
    first = _DATA_COLUMN
    while any(taken.get(column, 0) > row for column in range(first, first + columns)):
        first += 1
    taken.update(dict.fromkeys(range(first, first + columns), row + rows + 1))
    return first


def _put_chart(book: Book, sheet: Sheet, row: int, taken: dict[int, int], chart: Chart) -> int:
    """Puts a chart and its numbers from a row on; how many rows the chart takes."""
    series = [*chart.series, *_limit_series(chart)]
    bars = any(one.kind in ("bars", "gap") for one in series)
    longest = min(_ROWS_MAX, max(len(one.x) for one in series))
    column = _free_column(taken, row, 2 * len(series), longest + 2)
    ranges = _put_numbers(sheet, row, column, chart, series)
    areas = any(one.kind == "area" for one in series)
    along = "area" if areas else "line" if chart.x.labels else "scatter"
    options = {"type": ("bar" if chart.is_sideways else "column") if bars else along}
    if options["type"] == "scatter":
        options["subtype"] = "straight_with_markers"
    elif chart.is_stacked and not _stand_alone(chart):
        options["subtype"] = "stacked"
    native: Native = book.file.add_chart(options)
    for one, (categories, values) in zip(series, ranges, strict=True):
        native.add_series(
            {
                "name": chart_text(one.name or chart.y.name),
                "categories": categories,
                "values": values,
                **(_bar_style(chart, one) if bars or areas else _line_style(chart, one)),
            }
        )
    _dress(native, chart, named=sum(1 for one in series if one.name) > 1, bars=bars)
    height = _SIZE_PX[1]
    if chart.is_sideways:
        height = max(height, 90 + _ROW_PX * len(chart.x.labels))
    native.set_size({"width": _SIZE_PX[0], "height": height})
    words = f"{chart.title}. {chart.says} The numbers stand to the right."
    sheet.place(row, 0, native, words)
    return max(_CHART_ROWS, ceil(height / 20) + 2)


def _put_numbers(
    sheet: Sheet, row: int, column: int, chart: Chart, series: Sequence[Series]
) -> list[tuple[list[Any], list[Any]]]:
    """The numbers of each series in two columns; where they stand, as xlsxwriter wants it."""
    ranges = []
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
        ranges.append(
            (
                [NAME, row + 2, column, last, column],
                [NAME, row + 2, column + 1, last, column + 1],
            )
        )
        column += 2
    return ranges


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
        labels = [{"value": chart_text(text)} if text else {"delete": True} for text in one.labels]
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
        {"name": chart_text(title), "name_font": {"size": 12, "color": INK}, "overlay": False}
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
        "name": chart_text(axis.words),
        "name_font": _FONT,
        "num_font": _FONT,
    }
    if axis.labels:
        return found | {"label_position": "low"}
    found["num_format"] = '#,##0.0##,," M"' if axis.high >= 1e6 else "#,##0.######"
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
    """A heat map: tinted cells, the best one framed."""
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
    return last - row + 3
