"""Turns: symmetries that lead a machine's nodes round in one circle.

A dragonfly whose cables are laid alike from every node looks the same one node further on. Counting
nodes along such a turn, and chips by the turn that leads them from node to node, is how its builder
would number it.
"""

from collections.abc import Sequence
from random import Random

from rack_sim.hardware.canonical import canonical_form, relabelled
from rack_sim.hardware.routing import Routing

# Products of symmetries that are looked at, and vertices of the largest machine.
_PRODUCTS_MAX = 400
_VERTICES_MAX = 1500


def turn_places(
    routing: Routing, group: Sequence[int], root: int | None
) -> dict[int, tuple[int, int]]:
    """Node and place of every chip, counted along a turn; empty where there is none.

    It is looked for in a numbering that depends on the machine, the group and its root, so the
    chips' own numbers do not matter.
    """
    topology = routing.topology
    vertices = range(topology.chip_count + topology.switch_count)
    if len(vertices) > _VERTICES_MAX or len({len(node) for node in topology.nodes}) > 1:
        return {}
    chips = range(topology.chip_count)
    colours, arcs = routing.graph_of(vertices, chips)
    members = set(group)
    marked = [
        3 * colour + (vertex in members) + (vertex == root) for vertex, colour in enumerate(colours)
    ]
    order = canonical_form(marked, arcs).order
    spot = {vertex: number for number, vertex in enumerate(order)}
    node_of = {spot[chip]: spot[len(vertices) + routing.node_of_chip[chip]] for chip in chips}
    node_count = len(topology.nodes)
    for turn in _products(canonical_form(*relabelled(colours, arcs, order)).symmetries):
        counted = _counted(turn, node_of, node_count)
        if counted:
            return {order[at]: where for at, where in counted.items()}
    return {}


def _products(symmetries: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Some products of symmetries, drawn with a fixed seed."""
    if not symmetries:
        return []
    draw = Random(1)
    products = list(symmetries)
    for _ in range(_PRODUCTS_MAX):
        first, second = draw.choice(products), draw.choice(products)
        products.append(tuple(second[spot] for spot in first))
    return products


def _counted(
    turn: Sequence[int], node_of: dict[int, int], node_count: int
) -> dict[int, tuple[int, int]]:
    """Node and place of every chip along a turn; empty where it is no circle of all nodes.

    Every chip must be back where it was after one round.
    """
    start = min(node_of.values())
    at, steps = turn[start], 1
    while at != start:
        at, steps = turn[at], steps + 1
    if steps != node_count:
        return {}
    counted: dict[int, tuple[int, int]] = {}
    for place, chip in enumerate(sorted(spot for spot, node in node_of.items() if node == start)):
        at = chip
        for step in range(node_count):
            counted[at] = (step, place)
            at = turn[at]
        if at != chip:
            return {}
    return counted
