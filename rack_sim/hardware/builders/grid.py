"""Grid: chips at the crossings of a grid; a ring, a mesh, a torus or a hyperx by its lines.

A line of a mesh is a row of cables, that of a torus is closed to a ring, that of a hyperx has a
cable between every two chips. The chip at (x, y, z) of sides (X, Y, Z) has number
``(x * Y + y) * Z + z``: the last side counts fastest. Nodes are blocks of consecutive chips
(`chips_per_node`, all chips unless given); with the product of the last sides a node is a slab.

A side of 2 has one cable in a torus, as in a mesh: the way round ends at the same neighbour, and a
second cable would be a wider link under another name, which is what `links_per_pair` is for.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from math import prod
from typing import Annotated

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.keys import Count, Len, doc
from rack_sim.hardware.builders.builder import SIZE
from rack_sim.hardware.builders.cables import Cable, ChipsPerNode, check_size, in_nodes
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.topology import Topology

_Sides = Annotated[
    Sequence[Count],
    Len(2, 3),
    SIZE,
    doc("Chips along each dimension; the last is numbered fastest."),
]
_LinksPerPair = Annotated[Count, doc("Cables between neighbours; left out, one.")]
# The cables of one line of so many chips, as pairs of places on it.
_Line = Callable[[int], Sequence[tuple[int, int]]]


def ring(
    *,
    name: str,
    chips: Annotated[Count, SIZE, doc("Chips of the ring.")],
    links_per_pair: _LinksPerPair = 1,
    chips_per_node: ChipsPerNode = None,
    local: LinkType,
    global_: LinkType,
    port_count: int,
) -> Topology:
    """Chips in a circle."""
    sides = (chips,)
    return _grid(
        name, "ring", sides, _circle, links_per_pair, chips_per_node, local, global_, port_count
    )


def mesh(
    *,
    name: str,
    sides: _Sides,
    links_per_pair: _LinksPerPair = 1,
    chips_per_node: ChipsPerNode = None,
    local: LinkType,
    global_: LinkType,
    port_count: int,
) -> Topology:
    """A grid of two or three dimensions, each chip linked to its neighbours."""
    _check_sides(sides)
    return _grid(
        name, "mesh", sides, _row, links_per_pair, chips_per_node, local, global_, port_count
    )


def torus(
    *,
    name: str,
    sides: _Sides,
    links_per_pair: _LinksPerPair = 1,
    chips_per_node: ChipsPerNode = None,
    local: LinkType,
    global_: LinkType,
    port_count: int,
) -> Topology:
    """A grid whose lines are closed to rings; a side of 2 has one cable, not two."""
    _check_sides(sides)
    return _grid(
        name, "torus", sides, _circle, links_per_pair, chips_per_node, local, global_, port_count
    )


def hyperx(
    *,
    name: str,
    sides: _Sides,
    links_per_pair: Annotated[Count, doc("Cables between two chips of a line; left out, one.")] = 1,
    chips_per_node: ChipsPerNode = None,
    local: LinkType,
    global_: LinkType,
    port_count: int,
) -> Topology:
    """A grid whose lines are fully connected: one hop for each dimension."""
    _check_sides(sides)
    return _grid(
        name, "hyperx", sides, _clique, links_per_pair, chips_per_node, local, global_, port_count
    )


def _check_sides(sides: Sequence[int]) -> None:
    problems = []
    if not 2 <= len(sides) <= 3:
        problems.append(
            Problem(f"a grid has 2 or 3 sides, not {len(sides)}", field="sides", suggestion="ring")
        )
    problems += [
        Problem("a side needs at least 2 chips", field=f"sides.{number}")
        for number, side in enumerate(sides)
        if side < 2
    ]
    if problems:
        raise InputError(problems)


def _grid(
    name: str,
    kind: str,
    sides: Sequence[int],
    line: _Line,
    lanes: int,
    chips_per_node: int | None,
    local: LinkType,
    global_: LinkType,
    port_count: int,
) -> Topology:
    chips = prod(sides)
    cables = sum(chips // side * _line_cable_count(line, side) for side in sides) * lanes
    check_size(name, cables, chips)
    return in_nodes(
        name=name,
        kind=kind,
        chips=chips,
        chips_per_node=chips_per_node,
        cables=_cables(sides, line, lanes),
        local=local,
        global_=global_,
        port_count=port_count,
        sides=tuple(sides),
        halves="across the grid" if len(sides) > 1 else "half the circle",
    )


def _cables(sides: Sequence[int], line: _Line, lanes: int) -> Iterator[Cable]:
    strides = [prod(sides[number + 1 :]) for number in range(len(sides))]
    for number, side in enumerate(sides):
        places = [range(1) if other == number else range(n) for other, n in enumerate(sides)]
        pairs = line(side)
        for corner in product(*places):
            first = sum(place * stride for place, stride in zip(corner, strides, strict=True))
            for a, b in pairs:
                yield first + a * strides[number], first + b * strides[number], lanes


def _line_cable_count(line: _Line, side: int) -> int:
    return side * (side - 1) // 2 if line is _clique else side


def _row(side: int) -> Sequence[tuple[int, int]]:
    return [(place, place + 1) for place in range(side - 1)]


def _circle(side: int) -> Sequence[tuple[int, int]]:
    return [*_row(side), (0, side - 1)] if side > 2 else _row(side)


def _clique(side: int) -> Sequence[tuple[int, int]]:
    return list(combinations(range(side), 2))
