"""Charts: native ones, in colours that everybody can tell apart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rack_sim.foundation.visible import shortened, visible
from rack_sim.report.colours import INK, LOOK_COUNT, look_of
from rack_sim.report.sheets.sheet import Book

if TYPE_CHECKING:
    from xlsxwriter.chart import Chart

PALETTE = tuple(look_of(number).colour for number in range(LOOK_COUNT))
# Lines differ by their dashes, too, for who prints in grey.
_DASHES = ("solid", "dash", "square_dot", "long_dash", "dash_dot", "round_dot")

# Excel's limit for a text of a chart.
_TEXT_CHARACTERS = 255

# Markers that go round another.
_OPEN = ("ring circle", "ring square", "ring diamond")

# A range of cells: sheet, first row, first column, last row, last column.
Cells = tuple[str, int, int, int, int]


class Series(NamedTuple):
    """What one line or one colour of bars shows."""

    name: str
    values: Cells
    categories: Cells | None = None
    colour: str | None = None
    marker: str | None = None


def new_chart(
    book: Book,
    kind: str,
    series: Sequence[Series],
    *,
    title: str,
    x: str,
    y: str,
    subtype: str | None = None,
    log: bool = False,
    size: tuple[int, int] = (760, 340),
    number_format: str | None = None,
) -> "Chart":
    """A chart of `kind` (column, bar, line, scatter, area) with its axes named.

    Of a scatter chart, a series with a `marker` (a word of xlsxwriter) has no line.
    """
    options: dict[str, Any] = {"type": kind}
    if subtype:
        options["subtype"] = subtype
    chart: Chart = book.file.add_chart(options)
    for number, one in enumerate(series):
        colour = one.colour or PALETTE[number % len(PALETTE)]
        content: dict[str, Any] = {"name": chart_text(one.name), "values": list(one.values)}
        if one.categories:
            content["categories"] = list(one.categories)
        if kind in ("line", "scatter"):
            dash = _DASHES[number % len(_DASHES)]
            content["line"] = {"color": colour, "width": 1.75, "dash_type": dash}
            content["marker"] = {"type": "none"}
            if kind == "scatter" and subtype == "straight_with_markers":
                content["marker"] = {
                    "type": ("circle", "square", "diamond", "triangle")[number % 4],
                    "size": 6,
                    "fill": {"color": colour},
                    "border": {"color": INK},
                }
            if one.marker:
                content["line"] = {"none": True}
                filled = {"none": True} if one.marker in _OPEN else {"color": colour}
                content["marker"] = {
                    "type": one.marker.removeprefix("ring "),
                    "size": 13 if one.marker in _OPEN else 7,
                    "fill": filled,
                    "border": {"color": colour, "width": 2 if one.marker in _OPEN else 1},
                }
        else:
            content["fill"] = {"color": colour}
            content["border"] = {"color": "#FFFFFF", "width": 0.5}
            content["gap"] = 30
        chart.add_series(content)
    chart.set_title(
        {"name": chart_text(title), "name_font": {"size": 12, "color": INK}, "overlay": False}
    )
    font = {"size": 9, "color": INK, "bold": False}
    y_axis: dict[str, Any] = {
        "name": chart_text(y),
        "name_font": font,
        "num_font": font,
        "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9", "width": 0.5}},
    }
    if log:
        y_axis |= {"log_base": 10, "crossing": "min"}
    else:
        y_axis["min"] = 0
    if number_format:
        y_axis["num_format"] = number_format
    x_axis: dict[str, Any] = {"name": chart_text(x), "name_font": font, "num_font": font}
    if kind == "bar":  # lies on its side: categories go up, the first row of the table on top
        x_axis |= {"reverse": True}
        chart.set_x_axis(y_axis)
        chart.set_y_axis(x_axis)
    else:
        chart.set_x_axis(x_axis)
        chart.set_y_axis(y_axis)
    chart.set_legend({"none": True} if len(series) == 1 else {"position": "bottom", "font": font})
    chart.set_size({"width": size[0], "height": size[1]})
    chart.show_blanks_as("gap")
    return chart


def chart_text(text: str) -> str:
    """Text of a chart; xlsxwriter would take ``name!A1`` in it for a cell's address."""
    return shortened(visible(text), _TEXT_CHARACTERS).replace("!", "! ").rstrip(" ")
