"""Rack layout: where racks, nodes and chips are drawn. Geometry alone, in units of one node.

Racks, and nodes inside a rack, go row by row, every second row backwards, so that neighbours by
number are neighbours on the sheet. The chips of a node stand in a circle: every link between two
of them is then a line of its own. y grows downwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, cos, pi, sin, sqrt
from typing import Protocol

Point = tuple[float, float]
Numbered = Sequence[Sequence[int]] | Mapping[int, Sequence[int]]

NODE_SIDE = 0.94
RACK_MARGIN = 0.10
RACK_HEADER_MAX = 0.34
RACK_GAP = 0.22

_CIRCLE_RADIUS = 0.365
_CIRCLE_CHIP_COUNT_MAX = 16
_CHIP_SIDE_MAX = 0.155
# Share of the distance between two neighbours in the circle that a chip covers.
_CHIP_COVER = 0.66


class Racks(Protocol):
    """What stands where: the nodes of every rack, the chips of every node. A topology is one."""

    @property
    def racks(self) -> Numbered:
        """Nodes of each rack, by number of the rack."""

    @property
    def nodes(self) -> Numbered:
        """Chips of each node, by number of the node."""


@dataclass(frozen=True)
class RackLayout:
    """Corners (top left) of racks, centres of nodes and chips, all by number."""

    width: float
    height: float
    rack_width: float
    rack_height: float
    header: float
    rack_corners: Mapping[int, Point]
    node_centres: Mapping[int, Point]
    chip_centres: Mapping[int, Point]
    chip_sides: Mapping[int, float]


def lay_out(topology: Racks, racks: Sequence[int], header: float = RACK_HEADER_MAX) -> RackLayout:
    """A place for everything in some racks of a topology; each has a `header` for its words."""
    columns, rows = _grid(len(racks))
    node_columns, node_rows = _grid(max(len(topology.racks[number]) for number in racks))
    rack_width = node_columns + 2 * RACK_MARGIN
    rack_height = node_rows + header + RACK_MARGIN
    corners: dict[int, Point] = {}
    node_centres: dict[int, Point] = {}
    chip_centres: dict[int, Point] = {}
    chip_sides: dict[int, float] = {}
    for order, number in enumerate(racks):
        column, row = _serpentine(order, columns)
        corner = (column * (rack_width + RACK_GAP), row * (rack_height + RACK_GAP))
        corners[number] = corner
        for place, node in enumerate(topology.racks[number]):
            node_column, node_row = _serpentine(place, node_columns)
            centre = (
                corner[0] + RACK_MARGIN + node_column + 0.5,
                corner[1] + header + node_row + 0.5,
            )
            node_centres[node] = centre
            chips = topology.nodes[node]
            points, side = _chip_points(len(chips))
            for chip, (x, y) in zip(chips, points, strict=True):
                chip_centres[chip] = (centre[0] + x, centre[1] + y)
                chip_sides[chip] = side
    return RackLayout(
        width=columns * (rack_width + RACK_GAP) - RACK_GAP,
        height=rows * (rack_height + RACK_GAP) - RACK_GAP,
        rack_width=rack_width,
        rack_height=rack_height,
        header=header,
        rack_corners=corners,
        node_centres=node_centres,
        chip_centres=chip_centres,
        chip_sides=chip_sides,
    )


def _grid(count: int) -> tuple[int, int]:
    """Columns and rows of a near-square grid, wider rather than higher."""
    columns = max(1, ceil(sqrt(count)))
    return columns, max(1, ceil(count / columns))


def _serpentine(number: int, columns: int) -> tuple[int, int]:
    row, column = divmod(number, columns)
    return (column if row % 2 == 0 else columns - 1 - column), row


def _chip_points(count: int) -> tuple[Sequence[Point], float]:
    """Centres of a node's chips, from the node's centre, and the side of a chip."""
    if count == 1:
        return [(0.0, 0.0)], 0.7
    if count <= _CIRCLE_CHIP_COUNT_MAX:
        angles = [2 * pi * (place + 0.5) / count - pi / 2 for place in range(count)]
        chord = 2 * _CIRCLE_RADIUS * sin(pi / count)
        return (
            [(_CIRCLE_RADIUS * cos(angle), _CIRCLE_RADIUS * sin(angle)) for angle in angles],
            min(_CHIP_SIDE_MAX, chord * _CHIP_COVER),
        )
    columns, rows = _grid(count)
    pitch = 0.84 / columns
    return (
        [
            (
                (place % columns - (columns - 1) / 2) * pitch,
                (place // columns - (rows - 1) / 2) * pitch,
            )
            for place in range(count)
        ],
        pitch * 0.8,
    )
