"""Arrangements: the orders in which a collective may take the chips of a group.

Who is next on a ring, who is whose partner, which of equal routes is taken: all follow the order of
a group. Where `auto` looks for the fastest, the orders come from the machine's structure and not
from the numbers of chips: the canonical order, node by node; the dimensions of a grid, each before
the others; and a ring of direct links.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import factorial

from rack_sim.hardware.grid_axes import Dimension, grid_axes
from rack_sim.hardware.routing import Hop, Routing
from rack_sim.hardware.turns import turn_places

# Dimension orders that are tried; a grid of builders has three dimensions, so six orders.
_ORDERS_MAX = 6
# assumed: no machine has a grid of more dimensions; then they are taken as they come.
_ORDERS_LOOKED_AT = factorial(6)
# Steps of the search for a ring of direct links; a grid needs about one for each chip.
_RING_STEPS_MAX = 20_000


@dataclass(frozen=True)
class Arrangement:
    """The chips of a group in an order, and a routing that prefers routes in that order.

    `ring_only`: the order is a ring of direct links, which helps nothing but a ring.
    """

    members: tuple[int, ...]
    routing: Routing
    ring_only: bool = False


def as_given(routing: Routing, group: Sequence[int]) -> Arrangement:
    """The order of the user, and routes by chip numbers."""
    return Arrangement(tuple(group), routing)


@lru_cache(maxsize=32)
def arrangements(
    routing: Routing, group: tuple[int, ...], root: int | None
) -> tuple[Arrangement, ...]:
    """The orders worth trying, the same whatever the chips' numbers; `root` is first in each."""
    if _any_order_is_alike(routing, group):
        return (as_given(routing, group),)
    vertices = routing.canonical_vertices(group, root)
    wanted = set(group)
    members = [vertex for vertex in vertices if vertex in wanted]
    links = routing.hops_between(members)
    found = _by_nodes(routing, members, root)
    found += _by_axes(grid_axes(members, links))
    plain = [
        Arrangement(order, routing.ranked((*order, *vertices))) for order in _each(found, root)
    ]
    rings = [_ring(routing, order, links) for order in (plain[-1].members, plain[0].members)]
    return (
        *plain,
        *(
            Arrangement(order, routing.ranked((*order, *vertices)), ring_only=True)
            for order in _each([ring for ring in rings if ring], root)
        ),
    )


def _any_order_is_alike(routing: Routing, group: tuple[int, ...]) -> bool:
    """Whether every chip has the same direct link to every other of its node."""
    if len({routing.node_of_chip[chip] for chip in group}) > 1:
        return False
    pairs = [(a, b) for a in group for b in group if a != b]
    if not all(routing.has_link(pair) for pair in pairs):
        return False
    return len({(routing.link_type(pair), routing.lane_count(pair)) for pair in pairs}) == 1


def _each(orders: Iterable[Sequence[int]], root: int | None) -> list[tuple[int, ...]]:
    """Different orders, each turned so that it starts with the root."""
    turned = []
    for order in orders:
        first = 0 if root is None else list(order).index(root)
        turned.append((*order[first:], *order[:first]))
    return list(dict.fromkeys(turned))


def _by_nodes(routing: Routing, members: Sequence[int], root: int | None) -> list[list[int]]:
    """Node after node, so that neighbours in the order share a node where they can.

    Chips of equal place in nodes send to each other. Which these are is found from chips that have
    links to each other and, where the machine looks the same from each of its nodes, from turning
    it by a node.
    """
    nodes: dict[int, list[int]] = {}
    for chip in members:
        nodes.setdefault(routing.node_of_chip[chip], []).append(chip)
    teams = list(nodes.values())
    if len({len(team) for team in teams}) > 1 or len(teams) < 2:
        return [[chip for team in teams for chip in team]]
    found = [[chip for team in _aligned(routing, teams) for chip in team]]
    where = turn_places(routing, members, root)
    if where:
        found.append(sorted(members, key=where.__getitem__))
    return found


def _aligned(routing: Routing, teams: Sequence[Sequence[int]]) -> list[list[int]]:
    """Nodes whose chips stand so that, where it can be, those in one place have links."""
    columns = [[chip] for chip in teams[0]]
    for team in teams[1:]:
        left = list(team)
        for column in columns:
            chip = max(left, key=lambda one: sum(routing.lane_count((one, c)) for c in column))
            left.remove(chip)
            column.append(chip)
    return [list(team) for team in zip(*columns, strict=True)]


def _by_axes(axes: Sequence[Dimension]) -> list[list[int]]:
    """The chips of a grid with every dimension before the others, as many orders as that gives.

    Dimensions that are alike are not exchanged. A line of four closed to a ring is two dimensions
    of two, and both views are tried.
    """
    if len(axes) < 2:
        return []
    found = []
    for view in (axes, _pairs_as_rings(axes)):
        kinds = [axis.kind for axis in view]
        orders = (
            [
                order
                for order in permutations(range(len(view)))
                if all(
                    order.index(a) < order.index(b)
                    for a in order
                    for b in order
                    if a < b and kinds[a] == kinds[b]
                )
            ]
            if factorial(len(view)) <= _ORDERS_LOOKED_AT
            else [tuple(range(len(view)))]
        )
        for order in orders[:_ORDERS_MAX]:
            places = [view[number].place_of for number in order]
            found.append(sorted(view[0].place_of, key=lambda c: tuple(p[c] for p in places)))
    return found


def _pairs_as_rings(axes: Sequence[Dimension]) -> list[Dimension]:
    """Dimensions with every two of two chips joined to a ring of four: 00, 01, 11, 10."""
    twos = [axis for axis in axes if axis.side == 2]
    joined = [axis for axis in axes if axis.side > 2]
    for first, second in zip(twos[::2], twos[1::2], strict=False):
        places = {
            chip: 2 * place + (place ^ second.place_of[chip])
            for chip, place in first.place_of.items()
        }
        joined.append(Dimension(4, (4, 4), places))
    return [*joined, *twos[len(twos) - len(twos) % 2 :]]


def _ring(routing: Routing, members: Sequence[int], links: Sequence[Hop]) -> tuple[int, ...]:
    """A ring over direct links through all members; empty where none is found soon.

    Goes to the chip with the fewest ways on (Warnsdorff 1823), inside nodes first, and back where
    it is stuck.
    """
    rank = {chip: place for place, chip in enumerate(members)}
    near: dict[int, list[int]] = {chip: [] for chip in members}
    for a, b in links:
        if routing.has_link((a, b)):
            near[a].append(b)
    start = members[0]
    visited = {start}

    def ways_on(chip: int) -> list[int]:
        """The next chips to try, the best last."""
        free = [other for other in near[chip] if other not in visited]
        return sorted(
            free,
            key=lambda other: (
                routing.node_of_chip[other] != routing.node_of_chip[chip],
                sum(beyond not in visited for beyond in near[other]),
                rank[other],
            ),
            reverse=True,
        )

    path, choices = [start], [ways_on(start)]
    for _ in range(_RING_STEPS_MAX):
        if len(path) == len(members) and start in near[path[-1]]:
            return tuple(path)
        if not choices:
            return ()
        if not choices[-1]:
            choices.pop()
            visited.remove(path.pop())
            continue
        chip = choices[-1].pop()
        path.append(chip)
        visited.add(chip)
        choices.append(ways_on(chip))
    return ()
