"""Diameters, average hops, bisections and path counts of regular topologies are the textbook's."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, product
from math import comb, prod

import pytest

from rack_sim.hardware.bisection import bisection, cut_bytes_per_s
from rack_sim.hardware.builders import (
    dragonfly,
    full_mesh,
    fully_connected,
    hyperx,
    mesh,
    ring,
    switched,
    torus,
)
from rack_sim.hardware.distance import Distances, distances
from rack_sim.hardware.diversity import path_diversity
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.topology import Topology

RATE = 12_500_000_000
LATENCY_PS = 533_000
LINK = LinkType("c2c", RATE, LATENCY_PS, 320, 328)
ANY = {"name": "any", "local": LINK, "global_": LINK, "port_count": 999}
SHAPES = [(2, 2), (2, 3), (3, 3), (4, 4), (3, 5), (8, 4), (2, 2, 2), (3, 4, 5), (4, 2, 3)]


def mean(found: Distances) -> Fraction:
    """The average distance as an exact quotient."""
    hops = sum(n * count for n, count in enumerate(found.pairs_by_hops, 1))
    return Fraction(hops, sum(found.pairs_by_hops))


def line_sum(side: int, *, closed: bool) -> int:
    """Sum of distances over ordered pairs of one line: n(n²-1)/3 of a row, n·floor(n²/4) closed."""
    return side * (side**2 // 4) if closed else side * (side**2 - 1) // 3


def grid_mean(sides: Sequence[int], *, closed: bool) -> Fraction:
    """Coordinates add up, each as if alone, over all ordered pairs of different chips."""
    chips = prod(sides)
    total = sum(line_sum(side, closed=closed) * (chips // side) ** 2 for side in sides)
    return Fraction(total, chips * (chips - 1))


@pytest.mark.parametrize("chips", [2, 3, 4, 5, 8, 9, 64, 65, 130])
def test_a_ring(chips: int) -> None:
    found = distances(ring(chips=chips, **ANY))
    assert found.diameter_hops == chips // 2
    assert mean(found) == Fraction(chips**2 // 4, chips - 1)
    assert found.worst_latency_ps == chips // 2 * LATENCY_PS
    cut = bisection(ring(chips=chips, **ANY))
    assert cut.exact
    assert cut.bytes_per_s == (1 if chips == 2 else 2) * RATE


def test_a_ring_has_two_ways_round() -> None:
    found = path_diversity(ring(chips=8, **ANY))
    assert found.pair_count == comb(8, 2)
    assert (found.disjoint_paths_min, found.disjoint_paths_mean) == (2, 2)
    # One minimal route, but two to the chip opposite: 4 of the 28 pairs.
    assert found.minimal_routes_min == 1
    assert found.minimal_routes_mean == pytest.approx((24 + 2 * 4) / 28, rel=1e-12)


@pytest.mark.parametrize("sides", SHAPES)
def test_a_mesh(sides: tuple[int, ...]) -> None:
    system = mesh(sides=sides, **ANY)
    chips = prod(sides)
    assert len(system.links) == 2 * sum(chips // side * (side - 1) for side in sides)
    found = distances(system)
    assert found.diameter_hops == sum(side - 1 for side in sides)
    assert mean(found) == grid_mean(sides, closed=False)


@pytest.mark.parametrize("sides", SHAPES)
def test_a_torus(sides: tuple[int, ...]) -> None:
    system = torus(sides=sides, **ANY)
    chips = prod(sides)
    # A side of 2 has one cable in each line, not two.
    assert len(system.links) == 2 * sum(chips // side * (side - (side == 2)) for side in sides)
    assert set(system.ports_used()) == {sum(1 if side == 2 else 2 for side in sides)}
    found = distances(system)
    assert found.diameter_hops == sum(side // 2 for side in sides)
    assert mean(found) == grid_mean(sides, closed=True)


@pytest.mark.parametrize("sides", SHAPES)
def test_a_hyperx_is_one_hop_for_each_coordinate(sides: tuple[int, ...]) -> None:
    found = distances(hyperx(sides=sides, **ANY))
    chips = prod(sides)
    wanted = [0] * len(sides)
    for place in product(*map(range, sides)):
        differing = sum(1 for coordinate in place if coordinate)
        if differing:
            wanted[differing - 1] += chips
    assert found.pairs_by_hops == tuple(wanted)


@pytest.mark.parametrize(("side", "dimensions"), [(4, 2), (6, 2), (8, 2), (4, 3), (6, 3)])
def test_the_bisection_of_an_even_torus_is_twice_that_of_a_mesh(side: int, dimensions: int) -> None:
    sides = (side,) * dimensions
    area = side ** (dimensions - 1)
    assert bisection(torus(sides=sides, **ANY)).bytes_per_s == 2 * area * RATE
    assert bisection(mesh(sides=sides, **ANY)).bytes_per_s == area * RATE


def test_the_bisection_of_an_oblong_grid_is_across_its_longest_side() -> None:
    assert bisection(torus(sides=(4, 8), **ANY)).bytes_per_s == 2 * 4 * RATE
    assert bisection(mesh(sides=(2, 3, 10), **ANY)).bytes_per_s == 6 * RATE
    assert bisection(torus(sides=(8, 4), links_per_pair=4, **ANY)).bytes_per_s == 4 * 8 * RATE


def test_the_bisection_of_odd_grids_is_a_staircase() -> None:
    """(k^d - 1) / (k - 1) cables of a mesh of odd side, twice that of a torus."""
    for side, dimensions in ((3, 2), (5, 2), (7, 2), (3, 3), (5, 3)):
        steps = (side**dimensions - 1) // (side - 1)
        sides = (side,) * dimensions
        assert bisection(mesh(sides=sides, **ANY)).bytes_per_s == steps * RATE
        assert bisection(torus(sides=sides, **ANY)).bytes_per_s == 2 * steps * RATE


SMALL_SIDES = [(2, 2), (2, 3), (3, 3), (3, 4), (2, 5), (5, 2), (2, 6), (3, 5), (4, 4)]
SMALL_SIDES += [(2, 2, 2), (3, 2, 2), (2, 4, 2)]
SMALL = [
    *(ring(chips=chips, **ANY) for chips in (3, 6, 9, 12)),
    *(build(sides=sides, **ANY) for build in (mesh, torus, hyperx) for sides in SMALL_SIDES),
    fully_connected(name="any", chips=7, local=LINK, port_count=99),
    full_mesh(name="any", chips=8, links_per_pair=3, local=LINK, port_count=99),
    switched(name="any", chips=8, switches=4, links_per_chip=18, local=LINK, port_count=18),
    switched(name="any", chips=5, switches=2, links_per_chip=3, local=LINK, port_count=18),
]


@pytest.mark.parametrize("system", SMALL, ids=lambda s: f"{s.kind}-{s.chip_count}-{s.sides}")
def test_where_a_bisection_is_called_exact_no_halves_have_less(system: Topology) -> None:
    """Every balanced cut of up to 16 chips, one by one."""
    found = bisection(system)
    assert found.exact
    chips = range(system.chip_count)
    if system.switch_count:
        ends: dict[int, list[int]] = {}  # the chip at the other end of each link, by switch
        for switch, chip, *_ in system.links:
            if switch > chip:
                ends.setdefault(switch, []).append(chip)
        least = min(
            sum(
                min(sum(chip in half for chip in known), sum(chip not in half for chip in known))
                for known in ends.values()
            )
            for half in map(set, combinations(chips, len(chips) // 2))
        )
    else:
        bits = [(1 << a, 1 << b) for a, b, *_ in system.links if a < b]
        least = min(
            sum((half & a == 0) != (half & b == 0) for a, b in bits)
            for half in (
                sum(1 << chip for chip in part) for part in combinations(chips, len(chips) // 2)
            )
        )
    assert found.bytes_per_s == least * RATE


def test_fully_connected_chips_are_one_hop_apart() -> None:
    system = fully_connected(name="node", chips=8, local=LINK, port_count=7)
    found = distances(system)
    assert (found.pairs_by_hops, found.worst_latency_ps) == ((56,), LATENCY_PS)
    cut = bisection(system)
    assert (cut.exact, cut.bytes_per_s) == (True, 16 * RATE), "16 links, as published of a GroqNode"
    ways = path_diversity(system)
    assert (ways.minimal_routes_mean, ways.disjoint_paths_min) == (1, 7)


def test_a_switched_box_is_one_hop_of_two_links() -> None:
    system = switched(
        name="box", chips=8, switches=4, links_per_chip=18, local=LINK, port_count=18,
        ports_per_switch=64,
    )  # fmt: skip
    found = distances(system)
    assert (found.pairs_by_hops, found.worst_latency_ps) == ((56,), 2 * LATENCY_PS)
    assert bisection(system).bytes_per_s == 4 * 18 * RATE, "four chips send all they have"
    ways = path_diversity(system)
    assert (ways.minimal_routes_min, ways.disjoint_paths_min) == (4, 18)
    assert system.switch_ports_used() == (40, 40, 32, 32), "18 links over 4 switches: 5, 5, 4, 4"


def test_halves_are_cut_as_asked() -> None:
    node = fully_connected(name="node", chips=8, local=LINK, port_count=7)
    assert cut_bytes_per_s(node, {1}) == 7 * RATE
    assert cut_bytes_per_s(node, set()) == 0


def groq(racks: int, nodes: int, pair: int, rack_pair: int, **more: str) -> Topology:
    return dragonfly(
        name="groq", racks=racks, nodes_per_rack=nodes, chips_per_node=8,
        links_per_node_pair=pair, links_per_rack_pair=rack_pair, spare_nodes_per_rack=0,
        local=LINK, global_=LINK, port_count=11, **more,
    )  # fmt: skip


def test_33_nodes_of_8_are_three_hops_wide() -> None:
    """One cable between every two nodes: a chip has 7 + 4 neighbours and the rest follows."""
    found = distances(groq(1, 33, 1, 0))
    assert found.diameter_hops == 3
    assert found.worst_latency_ps == 3 * LATENCY_PS
    # After two hops: 7 local chips' 4 cables each, and 7 + 3 from the end of each own cable, each
    # reached twice where an own cable's far chip has a cable back into the same nodes.
    assert found.pairs_by_hops[0] == 264 * 11
    assert sum(found.pairs_by_hops) == 264 * 263


@pytest.mark.slow
def test_10440_chips_are_seven_hops_wide_dealt_and_six_scattered() -> None:
    """Published: five. Within four hops lie at most 4,032 chips, so five is the least there is."""
    local, across, reached = 7, 4, 1 + 11
    for _ in range(3):
        local, across = 7 * across, 4 * local + 3 * across
        reached += local + across
    assert reached == 4_032 < 10_440
    dealt = distances(groq(145, 9, 2, 1))
    assert dealt.diameter_hops == 7
    scattered = groq(145, 9, 2, 1, rack_cables="scattered")
    assert set(scattered.ports_used()) == {11}
    found = distances(scattered)
    assert found.diameter_hops == 6
    assert sum(found.pairs_by_hops) == 10_440 * 10_439
    assert 0.8 < sum(found.pairs_by_hops[:5]) / sum(found.pairs_by_hops) < 1
    assert dealt.worst_latency_ps == 7 * LATENCY_PS


def test_over_the_one_cable_between_two_racks_it_is_seven_hops() -> None:
    """Whichever chip carries it: at each end some chip is three hops away inside the rack."""
    system = groq(1, 9, 2, 0)
    for carrier in range(72):
        within_two = {carrier}
        for _ in range(2):
            within_two |= {near for chip in within_two for near in system.graph[chip]}
        assert len(within_two) <= 24 + 10 * 3 < 72


def test_an_lpx_rack_has_the_published_latencies() -> None:
    """0.35, 0.75 and 1.15 µs; 16 chips in one local hop, 128 in a half with two, 256 in three."""
    fast, slow = LinkType("a", RATE, 350_000, 1, 1), LinkType("b", RATE, 400_000, 1, 1)
    rack = hyperx(
        name="lpx", sides=(2, 8, 16), local=fast, global_=slow, port_count=24, chips_per_node=16
    )
    assert {len(node) for node in rack.nodes} == {16}
    assert distances(rack).diameter_hops == 3
    assert distances(rack).worst_latency_ps == 1_150_000
    half = hyperx(
        name="half", sides=(8, 16), local=fast, global_=slow, port_count=24, chips_per_node=16
    )
    assert (distances(half).diameter_hops, distances(half).worst_latency_ps) == (2, 750_000)
