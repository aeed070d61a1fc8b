"""Labels: names beside points that lie on nothing else, neither on points nor on each other."""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.visible import shortened, visible
from rack_sim.report.colours import GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]

_NAME_CHARACTERS = 34
_LEGEND_CHARACTERS = 64
_POINT_RADIUS = 9.0
_DISTANCES = (8, 16, 28, 44, 64)
_DIRECTIONS = tuple(n * pi / 8 for n in (0, 1, -1, 8, 7, -7, 4, -4, 2, -2, 6, -6, 3, -3, 5, -5))


def legend_words(name: str) -> str:
    """A name as a legend shows it: cut, and never left out for an underscore in front.

    >>> legend_words("_hidden")
    '\u200b_hidden'
    """
    words = shortened(visible(name), _LEGEND_CHARACTERS)
    return f"\u200b{words}" if words.startswith("_") else words


def name_points(
    figure: "Figure",
    axes: "Axes",
    points: Sequence[tuple[float, float, str]],
    *,
    line: Sequence[tuple[float, float]] = (),
    size: float = 9,
) -> None:
    """Writes the name of every point beside it: near if there is room, else with a line to it.

    Names keep off `line`, too, a chain of corners. The figure must be arranged for good: positions
    are measured on it.
    """
    canvas: Any = figure.canvas
    renderer = canvas.get_renderer()
    dot = figure.dpi / 72
    centres = [tuple(axes.transData.transform((x, y))) for x, y, _ in points]
    taken: list[Box] = [_around(centre, _POINT_RADIUS * dot / 2) for centre in centres]
    corners = [tuple(axes.transData.transform(corner)) for corner in line]
    for (x0, y0), (x1, y1) in pairwise(corners):
        taken.append((min(x0, x1) - dot, min(y0, y1) - dot, max(x0, x1) + dot, max(y0, y1) + dot))
    room = axes.get_window_extent(renderer)
    for (x, y, given), centre in zip(points, centres, strict=True):
        name = shortened(visible(given), _NAME_CHARACTERS)
        text = axes.text(x, y, name, fontsize=size, color=INK, zorder=6)
        extent = text.get_window_extent(renderer)
        text.remove()
        width, height = extent.width + 4 * dot, extent.height + 2 * dot
        box, distance = _place(centre, width, height, taken, room, dot)
        taken.append(box)
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        axes.annotate(
            name,
            (x, y),
            xytext=((middle[0] - centre[0]) / dot, (middle[1] - centre[1]) / dot),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=size,
            color=INK,
            zorder=6,
            arrowprops=(
                {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4}
                if distance > _DISTANCES[0]
                else None
            ),
        )


def _place(
    centre: tuple[float, float],
    width: float,
    height: float,
    taken: Sequence[Box],
    room: Any,  # noqa: ANN401 - a box of matplotlib's
    dot: float,
) -> tuple[Box, float]:
    """The nearest free place; where none is, the one on which least else lies."""
    best: tuple[float, Box, float] | None = None
    for distance in _DISTANCES:
        for angle in _DIRECTIONS:
            x = centre[0] + cos(angle) * (distance * dot + width / 2)
            y = centre[1] + sin(angle) * (distance * dot + height / 2)
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            covered = sum(_overlap(box, other) for other in taken)
            outside = (
                max(0.0, room.x0 - box[0])
                + max(0.0, box[2] - room.x1)
                + max(0.0, room.y0 - box[1])
                + max(0.0, box[3] - room.y1)
            )
            cost = covered + outside * height
            if not cost:
                return box, distance
            if best is None or cost < best[0]:
                best = cost, box, distance
    if best is None:
        raise ValueError("no places")
    return best[1], best[2]


def _around(centre: tuple[float, float], radius: float) -> Box:
    return (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0
