"""Matplotlib: charts as PNG and SVG figures."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product
from math import cos, inf, pi, sin
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from rack_sim.foundation.visible import shortened, visible
from rack_sim.report.chart import Axis, Cells, Chart, Limit, Panels, Series
from rack_sim.report.colours import FAINT_INK, GREY, INK, PALE, Dash, Marker
from rack_sim.report.figures.canvas import new_sheet, say_instead

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox
    from numpy.typing import NDArray

_DASHES: Mapping[Dash, Any] = {
    "solid": "-",
    "dash": (0, (4, 2)),
    "dot": (0, (1, 1.6)),
    "dashdot": (0, (5, 2, 1, 2)),
}
_MARKERS: Mapping[Marker, str] = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle": "^",
    "triangle down": "v",
    "plus": "P",
    "cross": "x",
    "ring": "o",
    "": "",
}
_MARK_POINTS = 6.0
_RING_POINTS = 13.0
_RING_SPACING = 1.1  # between lines of a legend, in which rings stand below each other
# Width of a picture by how many charts stand side by side, and the height of each.
_WIDTHS_INCHES = {1: 9.0, 2: 11.0, 3: 14.0, 4: 14.0}
_BAR_INCHES = 0.36
_DENSE_COUNT, _DENSE_BAR_INCHES = 16, 0.27
_SENTENCE_INCHES = 0.8
_BESIDE_INCHES = 0.8  # left of a chart, beside names of bars
_LABEL_CHARACTERS_PER_INCH = 15.0
_CHARACTERS_PER_INCH = 10.0  # of a chart's title
_LABEL_CHARACTERS = 30
_TICK_CHARACTERS = 60  # below a chart; more lie aslant
_NAME_CHARACTERS = 34
_LEGEND_NAME_CHARACTERS = 64
_POINT_RADIUS = 9.0
_PIECE = 12.0  # of a slanting line, in points
_DISTANCES = (8, 16, 28, 44, 64)
_DIRECTIONS = tuple(n * pi / 8 for n in (0, 1, -1, 8, 7, -7, 4, -4, 2, -2, 6, -6, 3, -3, 5, -5))
_WHITE = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
_LEGEND_CHARACTERS = 130


def draw(panels: Panels) -> "Figure":
    """A picture of charts that belong together, with one legend below where they share it."""
    columns = max(1, min(panels.columns, len(panels.charts)))
    width = _WIDTHS_INCHES[columns]
    lines = [panels.charts[n : n + columns] for n in range(0, len(panels.charts), columns)]
    heights = [
        max(_height_inches(chart, panels.height_inches) for chart in line) for line in lines
    ] or [panels.height_inches]
    figure = new_sheet(
        panels.title, panels.says, width_inches=width, height_inches=sum(heights) + 0.5
    )
    if not panels.charts:
        say_instead(figure.subplots(), "There is nothing to draw.")
        return figure
    grid = list(figure.subplots(len(lines), columns, squeeze=False, height_ratios=heights).flat)
    drawn = list(zip(grid, panels.charts, strict=False))
    for axes, chart in drawn:
        _draw_chart(axes, chart, width / columns)
        if chart.title == panels.title:
            axes.set_title("")
    for axes in grid[len(drawn) :]:
        axes.set_axis_off()
    _explain(figure, drawn)
    _name_points(figure, drawn)
    return figure


def _height_inches(chart: Chart, least: float) -> float:
    if chart.cells is None and not chart.values_of:
        return _SENTENCE_INCHES
    if chart.is_sideways:
        return 1.2 + (_DENSE_BAR_INCHES if _is_dense(chart) else _BAR_INCHES) * len(chart.x.labels)
    if chart.cells is not None:
        return max(least - 0.6, 1.4 + 0.42 * len(chart.y.labels))
    return least


def _is_dense(chart: Chart) -> bool:
    return chart.is_sideways and len(chart.x.labels) > _DENSE_COUNT


def _draw_chart(axes: "Axes", chart: Chart, inches: float) -> None:
    names = max(map(len, chart.x.labels), default=0) if chart.is_sideways else 0
    beside = _BESIDE_INCHES + min(names, _LABEL_CHARACTERS) / _LABEL_CHARACTERS_PER_INCH
    characters = int((inches - beside) * _CHARACTERS_PER_INCH)
    axes.set_title("\n".join(wrap(visible(chart.title), characters)))
    if chart.cells is not None:
        _draw_cells(axes, chart, chart.cells)
        return
    if not chart.values_of:
        says = chart.says or "There is nothing to draw."
        say_instead(axes, "\n".join(wrap(visible(says), int(inches * _CHARACTERS_PER_INCH))))
        return
    place = _Stack(chart)
    for number, one in enumerate(chart.series):
        if one.kind in ("bars", "gap"):
            _draw_bars(axes, chart, one, place.of(number))
        elif one.kind == "area":
            low, high = place.area(one)
            axes.fill_between(
                one.x, low, high, color=one.look.colour, linewidth=0, label=_label(one)
            )
        else:
            _draw_line(axes, chart, one)
    upright, along = (chart.x, chart.y) if chart.is_sideways else (chart.y, chart.x)
    _scale(axes, "x", along)
    _scale(axes, "y", upright)
    if chart.is_sideways:
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        if _is_dense(chart):
            axes.tick_params(axis="y", labelsize=8)
    if chart.x.labels:
        axes.grid(visible=False, axis="y" if chart.is_sideways else "x")
    if min(chart.values_of) < 0:
        (axes.axvline if chart.is_sideways else axes.axhline)(0, color=FAINT_INK, linewidth=1)
    for limit in chart.near:
        _draw_limit(axes, chart, limit)
    _say_inside(axes, chart)
    if chart.notes:
        lines = wrap(" ".join(chart.notes), int(inches * _CHARACTERS_PER_INCH))
        axes.set_xlabel("\n".join([along.words, *lines]))


class _Stack:
    """Where bars and areas begin: beside each other, or on what is below them."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._bars = [n for n, one in enumerate(chart.series) if one.kind == "bars"]
        self._tops: dict[float, float] = {}

    def of(self, number: int) -> tuple[float, float, dict[float, float]]:
        """How wide the bars of a series are, how far from their place, and what they stand on."""
        if self._chart.is_stacked:
            below = dict(self._tops)
            self._raise(self._chart.series[number])
            return 0.8, 0.0, below
        wide = 0.8 / len(self._bars)
        return wide, (self._bars.index(number) - (len(self._bars) - 1) / 2) * wide, {}

    def area(self, one: Series) -> tuple[list[float], list[float]]:
        """The lower and the upper edge of an area."""
        low = [self._tops.get(x, 0.0) if self._chart.is_stacked else 0.0 for x in one.x]
        self._raise(one)
        return low, [base + (value or 0.0) for base, value in zip(low, one.y, strict=True)]

    def _raise(self, one: Series) -> None:
        for x, value in zip(one.x, one.y, strict=True):
            self._tops[x] = self._tops.get(x, 0.0) + (value or 0.0)


def _label(one: Series) -> str:
    # matplotlib leaves out what begins with an underscore; points with names beside them need none.
    is_told = one.kind == "points" and one.labels
    return legend_words(one.name) if one.name and not is_told else "_"


def _draw_line(axes: "Axes", chart: Chart, one: Series) -> None:
    look, is_line = one.look, one.kind == "line"
    marked = not is_line or (not chart.always and bool(look.marker))
    is_ring = look.marker == "ring"
    values = [np.nan if value is None else value for value in one.y]
    axes.plot(
        *((values, one.x) if chart.is_sideways else (one.x, values)),
        color=look.colour,
        linestyle=_DASHES[look.dash] if is_line else "none",
        linewidth=2,
        marker=_MARKERS[look.marker] if marked else "",
        markersize=(_RING_POINTS if is_ring else _MARK_POINTS) * one.mark_size,
        markerfacecolor="none" if is_ring else "white" if one.is_hollow else look.colour,
        markeredgewidth=2 if look.marker in ("ring", "cross") else 1.4 if one.is_hollow else 0.5,
        label=_label(one),
        clip_on=is_line,
        zorder=4 if is_ring else 3 if look.marker else 2,
    )


def _draw_bars(
    axes: "Axes", chart: Chart, one: Series, place: tuple[float, float, dict[float, float]]
) -> None:
    if one.kind == "gap":
        return
    wide, aside, below = place
    bar = axes.barh if chart.is_sideways else axes.bar
    for number, (x, value) in enumerate(zip(one.x, one.y, strict=True)):
        look = one.look_at(number)
        start = below.get(x, 0.0)
        made: Any = bar(
            x + aside,
            value or 0.0,
            wide * 0.94,
            start,
            facecolor=look.colour,
            hatch=look.hatch * 3,
            edgecolor="white",
            linewidth=0,
            label=_label(one) if not number else None,
        )
        del made
        if one.labels and one.labels[number]:
            _write_beside(axes, chart, (x + aside, start + (value or 0.0)), one.labels[number])


def _write_beside(axes: "Axes", chart: Chart, end: tuple[float, float], words: str) -> None:
    """A word at the end of a bar, on the side to which it grows."""
    x, value = end
    out = -1 if value < 0 else 1
    sideways = chart.is_sideways
    axes.annotate(
        words,
        (value, x) if sideways else (x, value),
        xytext=(4 * out, 0) if sideways else (0, 3 * out),
        textcoords="offset points",
        ha=("left" if out > 0 else "right") if sideways else "center",
        va="center" if sideways else "bottom" if out > 0 else "top",
        fontsize=9,
        annotation_clip=False,
    )


def _scale(axes: "Axes", letter: str, axis: Axis) -> None:
    """Limits, ticks and the title of one of the two axes."""
    ruler = {"x": axes.xaxis, "y": axes.yaxis}[letter]
    ruler.set_label_text(axis.words)
    axes.set(**{f"{letter}scale": axis.scale})
    ticks = axis.ticks(10 if letter == "y" else 7)
    if axis.labels:
        ticks = ticks[:: 1 if letter == "y" else -(-len(ticks) // 24)]
    texts = [_short_label(text) for _, text in ticks]
    ruler.set_ticks([place for place, _ in ticks], texts)
    ruler.set_ticks([], minor=True)
    if letter == "x" and sum(map(len, texts)) > _TICK_CHARACTERS:
        axes.tick_params(axis="x", labelrotation=30)
        for label in ruler.get_ticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set(**{f"{letter}lim": (axis.low, axis.high)})


def _short_label(text: str) -> str:
    return "\n".join(wrap(shortened(visible(text), 2 * _LABEL_CHARACTERS), _LABEL_CHARACTERS)[:2])


def _draw_limit(axes: "Axes", chart: Chart, limit: Limit) -> None:
    upright = (limit.axis == "x") != chart.is_sideways
    look = limit.look
    if limit.end is not None:
        span = axes.axvspan if upright else axes.axhspan
        span(limit.value, limit.end, color=PALE, linewidth=0, zorder=0)
    else:
        (axes.axvline if upright else axes.axhline)(
            limit.value, color=look.colour, linestyle=_DASHES[look.dash], linewidth=1.3
        )
    if not limit.words:
        return
    axis = chart.x if limit.axis == "x" else chart.y
    is_late = upright and _place_on(axis, limit.value) > 0.6
    axes.annotate(
        "\n".join(wrap(limit.words, 9)) if limit.end is not None else limit.words,
        (limit.value, 0.5 if limit.end is not None else 0.02) if upright else (0, limit.value),
        xycoords=("data", "axes fraction") if upright else ("axes fraction", "data"),
        xytext=(-5 if is_late and limit.end is None else 5, 3),
        textcoords="offset points",
        va="bottom",
        ha="right" if is_late and limit.end is None else "left",
        fontsize=9,
        color=FAINT_INK if limit.end is not None else look.colour,
        fontweight="normal" if limit.end is not None else "bold",
        bbox=_WHITE if limit.end is None else None,
        zorder=5,
    )


def _place_on(axis: Axis, value: float) -> float:
    """How far along an axis a value is, from 0 to 1."""
    if axis.scale == "log":
        low, high, at = np.log10([axis.low, axis.high, value])
    else:
        low, high, at = axis.low, axis.high, value
    return float((at - low) / (high - low))


def _say_inside(axes: "Axes", chart: Chart) -> None:
    """What is said inside: limits beyond the edge, a value that never changes."""
    far = [chart.far_words(limit) for limit in chart.far]
    if far:
        axes.text(
            0.02,
            0.98,
            "\n".join(far),
            transform=axes.transAxes,
            va="top",
            color=chart.far[0].look.colour,
            fontweight="bold",
            fontsize=9,
            bbox=_WHITE,
        )
    if chart.always:
        value = chart.values_of[0]
        axes.annotate(
            chart.always,
            (0.03, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 8),
            textcoords="offset points",
            fontweight="bold",
            bbox=_WHITE,
        )


def _draw_cells(axes: "Axes", chart: Chart, cells: Cells) -> None:
    """A heat map: pale is low, dark is high; a hatched cell has no value."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
    from matplotlib.patches import Rectangle

    values = np.array([[np.nan if v is None else v for v in row] for row in cells.values])
    low, high = cells.span
    norm = LogNorm(low, high) if cells.by_powers else Normalize(low, high)
    shades = LinearSegmentedColormap.from_list("values", ["#eef5fb", "#66a8d4", "#08457a"])
    shown = shades.with_extremes(bad=PALE)
    axes.imshow(values, cmap=shown, norm=norm, aspect="auto", origin="lower")
    for row, line in enumerate(cells.values):
        for place, value in enumerate(line):
            is_best = (row, place) == cells.best
            dark = value is not None and high > low and float(norm(value)) > 0.55
            axes.text(
                place,
                row,
                "×" if value is None else Axis("").text(value) + ("\nbest" if is_best else ""),
                ha="center",
                va="center",
                color="white" if dark else INK,
                fontsize=9,
                fontweight="bold" if is_best else "normal",
            )
    if cells.best is not None:
        row, place = cells.best
        corner = (place - 0.48, row - 0.48)
        axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, edgecolor=INK, linewidth=2))
    for letter, axis in (("x", chart.x), ("y", chart.y)):
        _scale(axes, letter, axis)
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)


def _explain(figure: "Figure", drawn: Sequence[tuple["Axes", Chart]]) -> None:
    """Legends below: one for all charts that have the same, else one below each."""
    found = [
        (axes, *axes.get_legend_handles_labels()) for axes, chart in drawn if len(chart.series) > 1
    ]
    found = [(axes, handles, labels) for axes, handles, labels in found if labels]
    rings = any(one.look.marker == "ring" for _, chart in drawn for one in chart.series)
    style: Any = {"fontsize": 9, "labelspacing": _RING_SPACING if rings else 0.5}
    shared = all(labels == found[0][2] for _, _, labels in found) and len(found) == len(drawn)
    for axes, handles, labels in found[:1] if shared else found:
        width = axes.get_position().width * figure.get_figwidth()
        room = _LEGEND_CHARACTERS if shared else int(width * 12)
        columns = max(1, min(len(labels), room // (max(map(len, labels)) + 8)))
        if shared:
            figure.legend(handles, labels, loc="outside lower left", ncols=columns, **style)
        else:
            below: Any = {"loc": "upper left", "bbox_to_anchor": (0, 0), "borderaxespad": 4.6}
            axes.legend(handles, labels, ncols=columns, **below, **style)


def _name_points(figure: "Figure", drawn: Sequence[tuple["Axes", Chart]]) -> None:
    """Names beside points, placed on the finished arrangement."""
    named = {
        number: [
            (y, x, label) if chart.is_sideways else (x, y, label)
            for one in chart.series
            if one.kind == "points" and one.labels
            for x, y, label in zip(one.x, one.y, one.labels, strict=True)
            if y is not None
        ]
        for number, (_, chart) in enumerate(drawn)
    }
    if not any(named.values()):
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for number, (axes, chart) in enumerate(drawn):
        if named[number]:
            name_points(figure, axes, named[number], lines=list(_lines_of(chart)))


def _lines_of(chart: Chart) -> Iterator[list[tuple[float, float]]]:
    """What names keep off: lines, in parts where they are broken, and points, each a part."""
    for one in chart.series:
        part: list[tuple[float, float]] = []
        for x, y in zip(one.x, one.y, strict=True):
            if part and (y is None or one.kind != "line"):
                yield part
                part = []
            if y is not None and (one.kind == "line" or one.look.marker):
                part.append((y, x) if chart.is_sideways else (x, y))
        if part:
            yield part


def legend_words(name: str) -> str:
    """A name as a legend shows it: cut, and never left out for an underscore in front.

    >>> legend_words("_hidden")
    '\u200b_hidden'
    """
    words = shortened(visible(name), _LEGEND_NAME_CHARACTERS)
    return f"\u200b{words}" if words.startswith("_") else words


def name_points(
    figure: "Figure",
    axes: "Axes",
    points: Sequence[tuple[float, float, str]],
    *,
    lines: Sequence[Sequence[tuple[float, float]]] = (),
) -> None:
    """Writes the name of every point beside it: near if there is room, else with a line to it.

    Names keep off `lines`, too, each a chain of corners, or one point. The figure must be arranged
    for good: positions are measured on it.
    """
    from matplotlib.transforms import Bbox

    canvas: Any = figure.canvas
    renderer = canvas.get_renderer()
    dot = figure.dpi / 72
    centres = [tuple(axes.transData.transform((x, y))) for x, y, _ in points]
    around = [Bbox([centre, centre]).padded(_POINT_RADIUS * dot / 2) for centre in centres]
    chains = [axes.transData.transform(line) for line in lines]
    taken = around + [box for chain in chains for box in _boxes_along(chain, dot)]
    room = axes.get_window_extent(renderer)
    for (x, y, given), centre in zip(points, centres, strict=True):
        name = shortened(visible(given), _NAME_CHARACTERS)
        text = axes.text(x, y, name, fontsize=9, color=INK, zorder=6)
        extent = text.get_window_extent(renderer)
        text.remove()
        size = (extent.width + 4 * dot, extent.height + 2 * dot)
        middle, distance = _place(centre, size, taken, room, dot)
        axes.annotate(
            name,
            (x, y),
            xytext=((middle[0] - centre[0]) / dot, (middle[1] - centre[1]) / dot),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            color=INK,
            zorder=6,
            arrowprops=(
                {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4}
                if distance > _DISTANCES[0]
                else None
            ),
        )


def _boxes_along(chain: "NDArray[np.float64]", dot: float) -> "Iterator[Bbox]":
    """Small boxes that cover a chain of corners; a single one is a point."""
    from matplotlib.transforms import Bbox

    if len(chain) == 1:
        yield Bbox([chain[0], chain[0]]).padded(_POINT_RADIUS * dot / 2)
    for start, end in pairwise(chain):
        count = 1 if (start == end).any() else int(np.hypot(*(end - start)) / (_PIECE * dot)) + 1
        for ends in pairwise(np.linspace(start, end, count + 1)):
            yield Bbox([np.minimum(*ends), np.maximum(*ends)]).padded(dot)


def _place(
    centre: tuple[float, float],
    size: tuple[float, float],
    taken: "list[Bbox]",
    room: "Bbox",
    dot: float,
) -> tuple[tuple[float, float], int]:
    """The middle of the nearest free place, which is taken then, and how far off it is.

    Where none is free, it is the one on which least else lies.
    """
    from matplotlib.transforms import Bbox

    width, height = size
    best = (inf, centre, 0, room)
    for distance, angle in product(_DISTANCES, _DIRECTIONS):
        x = centre[0] + cos(angle) * (distance * dot + width / 2)
        y = centre[1] + sin(angle) * (distance * dot + height / 2)
        box = Bbox.from_bounds(x - width / 2, y - height / 2, width, height)
        covered = sum(_shared(box, other) for other in taken)
        cost = round(covered + width * height - _shared(box, room), 3)
        if cost < best[0]:
            best = (cost, (x, y), distance, box)
        if not cost:
            break
    taken.append(best[3])
    return best[1], best[2]


def _shared(one: "Bbox", other: "Bbox") -> float:
    """The area that two boxes share."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(width * height) if width > 0 and height > 0 else 0.0
