"""Topologies have exactly the links, ports, spares and errors that their numbers imply."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.hardware.builders import dragonfly, fully_connected
from rack_sim.hardware.link import Link, LinkType
from rack_sim.hardware.topology import Topology, both_ways
from rack_sim.scenario import load_system

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)


def build(
    racks: int,
    nodes: int,
    chips: int,
    pair: int,
    rack_pair: int,
    *,
    spares: int = 0,
    ports: int = 10**6,
) -> Topology:
    return dragonfly(
        name="dragonfly",
        racks=racks,
        nodes_per_rack=nodes,
        chips_per_node=chips,
        links_per_node_pair=pair,
        links_per_rack_pair=rack_pair,
        spare_nodes_per_rack=spares,
        local=LINK,
        global_=LINK,
        port_count=ports,
    )


def explicit(chips: int, cables: list[tuple[int, int]], ports: int = 99) -> Topology:
    """Single-chip nodes joined by the cables given."""
    return Topology(
        name="explicit",
        nodes=tuple((chip,) for chip in range(chips)),
        racks=(tuple(range(chips)),) if chips else (),
        spare_nodes=(),
        link_types={"any": LINK},
        links=tuple(link for a, b in cables for link in both_ways(a, b, 0, "any")),
        port_count=ports,
    )


@pytest.mark.parametrize("chips", [1, 2, 5, 8, 16])
def test_a_node_has_a_cable_between_every_two_chips(chips: int) -> None:
    node = fully_connected(name="node", chips=chips, local=LINK, port_count=chips)
    pairs = Counter((link.source, link.target) for link in node.links)
    assert len(node.links) == chips * (chips - 1)
    assert pairs == Counter((a, b) for a in range(chips) for b in range(chips) if a != b)
    assert node.ports_used() == (chips - 1,) * chips
    assert (node.nodes, node.racks, node.spare_nodes) == ((tuple(range(chips)),), ((0,),), ())


shapes = st.tuples(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 9)
)


@given(shapes)
@settings(deadline=None)
def test_a_dragonfly_has_the_cables_its_numbers_say(shape: tuple[int, ...]) -> None:
    racks, nodes, chips, pair, rack_pair = shape
    system = build(racks, nodes, chips, pair, rack_pair)
    node_of, rack_of = system.node_of_chip(), system.rack_of_node()
    inside: Counter[tuple[int, int]] = Counter()
    between: Counter[tuple[int, int]] = Counter()
    local = 0
    for link in system.links:
        a, b = node_of[link.source], node_of[link.target]
        assert link.kind == ("local" if a == b else "global")
        if a == b:
            local += 1
        elif rack_of[a] == rack_of[b]:
            inside[a, b] += 1
        else:
            between[rack_of[a], rack_of[b]] += 1
    assert local == racks * nodes * chips * (chips - 1)
    assert inside == Counter({(a, b): pair for r in system.racks for a in r for b in r if a != b})
    assert between == Counter(
        {(a, b): rack_pair for a in range(racks) for b in range(racks) if a != b}
    )
    assert len(set(system.links)) == len(system.links), "no cable twice"
    both = Counter((link.source, link.target) for link in system.links)
    assert both == Counter((link.target, link.source) for link in system.links)


@given(shapes)
@settings(deadline=None)
def test_global_cables_are_dealt_evenly_over_the_chips_of_a_node(shape: tuple[int, ...]) -> None:
    """Round robin: no chip of a node carries two global cables more than another."""
    system = build(*shape)
    carried: Counter[int] = Counter()
    for link in system.links:
        carried[link.source] += link.kind == "global"
    for members in system.nodes:
        counts = [carried[chip] for chip in members]
        assert max(counts) - min(counts) <= 1
    totals = [sum(carried[chip] for chip in members) for members in system.nodes]
    for rack in system.racks:
        counts = [totals[node] for node in rack]
        assert max(counts) - min(counts) <= 1


def test_two_builds_are_equal_and_a_changed_one_is_not() -> None:
    assert build(3, 3, 4, 2, 6, spares=1) == build(3, 3, 4, 2, 6, spares=1)
    assert build(3, 3, 4, 2, 6, spares=1) != build(3, 3, 4, 2, 6)
    assert build(3, 3, 4, 2, 6) != build(3, 3, 4, 2, 7)


def test_the_last_nodes_of_each_rack_are_spare() -> None:
    system = build(2, 3, 4, 1, 3, spares=1)
    assert system.spare_nodes == (2, 5)
    assert system.active_nodes == (0, 1, 3, 4)
    assert (system.chip_count, system.active_chip_count) == (24, 16)
    assert build(2, 3, 4, 1, 3, spares=2).active_nodes == (0, 3)
    assert build(2, 3, 4, 1, 3).active_nodes == tuple(range(6))


@pytest.mark.parametrize("spares", [3, 4, -1])
def test_spares_must_leave_an_active_node(spares: int) -> None:
    with pytest.raises(InputError, match="leave none") as caught:
        build(2, 3, 4, 1, 3, spares=spares)
    assert caught.value.problems[0].field == "spare_nodes_per_rack"


def test_chips_know_their_node_and_nodes_their_rack() -> None:
    system = build(2, 3, 4, 1, 3)
    assert system.node_of_chip() == tuple(chip // 4 for chip in range(24))
    assert system.rack_of_node() == (0, 0, 0, 1, 1, 1)


def test_a_chip_with_too_few_ports_is_an_error_that_says_so() -> None:
    # Every chip of the 9 x 9 x 8 dragonfly needs 7 + 4 ports.
    with pytest.raises(InputError) as caught:
        build(9, 9, 8, 2, 18, ports=10)
    (problem,) = caught.value.problems
    assert "needs 11 ports on chip 0" in problem.message
    assert "648 chips in all" in problem.message
    assert "has 10" in problem.message
    assert problem.suggestion
    assert max(build(9, 9, 8, 2, 18, ports=11).ports_used()) == 11


def test_the_chip_named_is_the_one_that_needs_most_ports() -> None:
    with pytest.raises(InputError, match=r"needs 3 ports on chip 2 \(1 chips"):
        explicit(4, [(2, 0), (2, 1), (2, 3)], ports=2)


def test_chips_out_of_reach_are_an_error_that_names_them() -> None:
    with pytest.raises(InputError, match=r"not connected: chip 2 and 1 others"):
        explicit(4, [(0, 1), (2, 3)])
    with pytest.raises(InputError, match="not connected"):
        build(1, 2, 4, 0, 0)
    with pytest.raises(InputError, match="not connected"):
        build(2, 2, 4, 1, 0)


def test_no_chips_is_an_error() -> None:
    with pytest.raises(InputError, match="has no chips"):
        explicit(0, [])


def test_ports_and_reach_are_reported_together() -> None:
    with pytest.raises(InputError) as caught:
        explicit(4, [(0, 1), (2, 3)], ports=0)
    assert len(caught.value.problems) == 2


def test_a_cable_is_two_links() -> None:
    assert both_ways(3, 5, 1, "local") == (Link(3, 5, 1, "local"), Link(5, 3, 1, "local"))


@pytest.mark.parametrize(
    ("system", "noun"),
    [
        ("nvidia-h100-x8", "node"),
        ("groq-node-8", "node"),
        ("groq-rack-72", "rack"),
        ("groq-264", "rack"),
    ],
)
def test_a_rack_of_one_node_is_that_node(system: str, noun: str) -> None:
    """Forty-eight boxes of eight GPUs are no forty-eight racks."""
    assert load_system(system).topology.rack_noun == noun
