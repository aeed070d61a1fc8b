"""Routes are minimal (against networkx), valid, deterministic, and spread over parallel cables."""

from collections import Counter

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.hardware.builders import dragonfly, switched
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Flow, Routing, hops
from rack_sim.hardware.topology import Topology, both_ways

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)


def build(racks: int, nodes: int, chips: int, pair: int, rack_pair: int) -> Topology:
    return dragonfly(
        name="dragonfly",
        racks=racks,
        nodes_per_rack=nodes,
        chips_per_node=chips,
        links_per_node_pair=pair,
        links_per_rack_pair=rack_pair,
        spare_nodes_per_rack=0,
        local=LINK,
        global_=LINK,
        port_count=10**6,
    )


shapes = st.tuples(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4)
)


@given(shapes, st.data())
@settings(deadline=None)
def test_every_route_is_a_shortest_path_with_fewest_global_links(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    system = build(*shape)
    routing = Routing(system)
    chips = st.integers(0, system.chip_count - 1)
    a, b = data.draw(chips), data.draw(chips)
    links = {(link.source, link.target) for link in system.links}
    routes = routing.minimal_routes(a, b)
    between = {(link.source, link.target) for link in system.links if link.kind == "global"}
    shortest = sorted(tuple(path) for path in nx.all_shortest_paths(system.graph, a, b))[:64]
    crossed = [sum(hop in between for hop in hops(path)) for path in shortest]
    expected = [
        path for path, count in zip(shortest, crossed, strict=True) if count == min(crossed)
    ]
    assert list(routes) == expected
    assert all(hop in links for route in routes for hop in hops(route))
    assert routing.hop_count(a, b) == nx.shortest_path_length(system.graph, a, b)
    assert routing.hop_count(a, b) == routing.hop_count(b, a)


@given(shapes, st.data())
@settings(deadline=None)
def test_batches_are_routed_the_same_way_every_time(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    system = build(*shape)
    chips = st.integers(0, system.chip_count - 1)
    flows = data.draw(st.lists(st.builds(Flow, chips, chips, st.integers(1, 2000)), max_size=12))
    used = Routing(system)
    used.route_all(flows)  # a batch before leaves no trace
    routed = used.route_all(flows)
    assert routed == Routing(build(*shape)).route_all(flows)
    assert [item.flow for item in routed] == flows
    for item in routed:
        assert (item.route[0], item.route[-1]) == (item.flow.source, item.flow.target)
        assert len(item.hops) == nx.shortest_path_length(
            system.graph, item.flow.source, item.flow.target
        )


def test_a_chip_reaches_itself_without_a_hop() -> None:
    routing = Routing(build(1, 2, 4, 1, 0))
    assert routing.minimal_routes(3, 3) == ((3,),)
    assert routing.hop_count(3, 3) == 0


@pytest.mark.parametrize(("chips", "cables"), [(4, 2), (8, 2), (8, 4), (16, 4)])
def test_flows_between_two_nodes_spread_over_their_cables(chips: int, cables: int) -> None:
    """One flow per chip to its counterpart: each of the cables carries its equal share."""
    system = build(1, 2, chips, cables, 0)
    flows = [Flow(chip, chips + chip, 320) for chip in range(chips)]
    load = Counter(
        (a, b) for item in Routing(system).route_all(flows) for a, b in item.hops if a < chips <= b
    )
    assert len(load) == cables
    assert set(load.values()) == {chips // cables}


def test_two_equal_ways_are_shared_by_bytes() -> None:
    """A square 0-1-3, 0-2-3: after one heavy flow over chip 1 the light ones go over chip 2."""
    square = Topology(
        name="square",
        nodes=tuple((chip,) for chip in range(4)),
        racks=((0, 1, 2, 3),),
        spare_nodes=(),
        link_types={"any": LINK},
        links=tuple(
            link for a, b in ((0, 1), (1, 3), (0, 2), (2, 3)) for link in both_ways(a, b, 0, "any")
        ),
        port_count=2,
    )
    routed = Routing(square).route_all([Flow(0, 3, 3 * 320), *[Flow(0, 3, 320)] * 4])
    assert [item.route[1] for item in routed] == [1, 2, 2, 2, 1]


def test_parallel_cables_count_as_one_wide_link() -> None:
    wide = Topology(
        name="wide",
        nodes=((0,), (1,)),
        racks=((0, 1),),
        spare_nodes=(),
        link_types={"any": LINK},
        links=tuple(link for lane in range(3) for link in both_ways(0, 1, lane, "any")),
        port_count=3,
    )
    routing = Routing(wide)
    assert (routing.lane_count((0, 1)), routing.lane_count((1, 0))) == (3, 3)
    assert routing.link_type((0, 1)) == LINK
    assert routing.minimal_routes(0, 1) == ((0, 1),)


@given(
    st.integers(2, 6),
    st.integers(1, 4),
    st.integers(1, 18),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 100_000)), max_size=6),
)
@settings(deadline=None)
def test_flows_over_switches_are_striped(
    chips: int, planes: int, lanes: int, wanted: list[tuple[int, int, int]]
) -> None:
    """Bytes are conserved, and no lane of a plane carries two vectors more than another's."""
    box = switched(
        name="box",
        chips=chips,
        switches=planes,
        links_per_chip=lanes,
        local=LINK,
        port_count=lanes,
    )
    routing = Routing(box)
    flows = [Flow(a % chips, b % chips, size) for a, b, size in wanted]
    routed = routing.route_all(flows)
    assert routed == routing.route_all(flows)
    for pair in {(flow.source, flow.target) for flow in flows}:
        parts = [x for x in routed if (x.flow.source, x.flow.target) == pair]
        sent = sum(flow.message_bytes for flow in flows if (flow.source, flow.target) == pair)
        assert sum(part.flow.message_bytes for part in parts) == sent
    if len(flows) == 1 and flows[0].source != flows[0].target and flows[0].message_bytes:
        vectors = LINK.vectors(flows[0].message_bytes)
        assert sum(LINK.vectors(x.flow.message_bytes) for x in routed) == vectors
        for part in routed:
            width = routing.lane_count(part.hops[0])
            fair = vectors * width / lanes
            assert fair - 1 < LINK.vectors(part.flow.message_bytes) < fair + 1


def test_eight_gpus_exchange_at_the_rate_of_all_their_links() -> None:
    """Direct exchange of 1 MiB shards: 7 shards leave each chip over 18 links, no plane is hot."""
    fast = LinkType("nvlink", 25_000_000_000, 500_000, 256, 272)
    box = switched(name="box", chips=8, switches=4, links_per_chip=18, local=fast, port_count=18)
    flows = [Flow(a, b, 2**20) for a in range(8) for b in range(8) if a != b]
    load: Counter[tuple[int, int]] = Counter()
    routing = Routing(box)
    for item in routing.route_all(flows):
        for hop in item.hops:
            load[hop] += fast.vectors(item.flow.message_bytes)
    per_lane = [load[hop] / routing.lane_count(hop) for hop in load]
    # 7 x 4,096 vectors over 18 lanes; each flow may round by a vector on each plane.
    assert max(per_lane) <= 7 * 4096 / 18 + 7
