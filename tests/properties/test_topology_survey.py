"""Surveys of random small systems agree with networkx, and two of them are equal."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.hardware import distance
from rack_sim.hardware.bisection import _exchanges, _rates, bisection, cut_bytes_per_s
from rack_sim.hardware.builders import edge_list, switched
from rack_sim.hardware.distance import distances
from rack_sim.hardware.diversity import compared_pairs, path_diversity
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.survey import survey
from rack_sim.hardware.topology import Topology

NEAR = LinkType("near", 10**9, 1_000, 1, 1)
FAR = LinkType("far", 10**9, 7_000, 1, 1)


@st.composite
def systems(draw: st.DrawFn, chips_max: int = 14) -> Topology:
    """A random tree with random further cables, in nodes of one or two chips."""
    chips = draw(st.integers(2, chips_max))
    lanes = st.integers(1, 3)
    cables = {(draw(st.integers(0, chip - 1)), chip): draw(lanes) for chip in range(1, chips)}
    for a, b in draw(st.lists(st.tuples(*[st.integers(0, chips - 1)] * 2), max_size=20)):
        if a != b:
            cables.setdefault((min(a, b), max(a, b)), draw(lanes))
    return edge_list(
        name="random", chips=chips, cables=[[a, b, n] for (a, b), n in cables.items()],
        local=NEAR, global_=FAR, port_count=999, chips_per_node=2 if chips % 2 == 0 else 1,
    )  # fmt: skip


def weighted(system: Topology) -> nx.DiGraph:
    graph: nx.DiGraph = nx.DiGraph()
    for link in system.links:
        graph.add_edge(link.source, link.target)
        edge = graph[link.source][link.target]
        # Hops first, latency second: no route of these systems has a latency of 10**9 ps.
        edge["cost"] = 10**9 + system.link_types[link.kind].latency_ps
        edge["lanes"] = edge.get("lanes", 0) + 1
    return graph


@given(systems())
@settings(deadline=None)
def test_distances_are_those_of_networkx(system: Topology) -> None:
    found = distances(system)
    assert found.diameter_hops == nx.diameter(system.graph)
    assert found.average_hops == pytest.approx(
        nx.average_shortest_path_length(system.graph), rel=1e-12
    )
    costs = dict(nx.all_pairs_dijkstra_path_length(weighted(system), weight="cost"))
    assert found.worst_latency_ps == max(
        cost % 10**9 for reached in costs.values() for cost in reached.values()
    )


@given(systems(chips_max=9))
@settings(deadline=None, max_examples=50)
def test_path_diversity_is_that_of_networkx(system: Topology) -> None:
    found = path_diversity(system)
    pairs = compared_pairs(system.chip_count)
    routes = [len(list(nx.all_shortest_paths(system.graph, a, b))) for a, b in pairs]
    paths = [nx.maximum_flow_value(weighted(system), a, b, capacity="lanes") for a, b in pairs]
    assert found.minimal_routes_min == min(routes)
    assert found.minimal_routes_mean == pytest.approx(sum(routes) / len(routes), rel=1e-12)
    assert found.disjoint_paths_min == min(paths)
    assert found.disjoint_paths_mean == pytest.approx(sum(paths) / len(paths), rel=1e-12)


@given(systems())
@settings(deadline=None)
def test_a_bisection_is_a_bound(system: Topology) -> None:
    """Never more than the halves in number order, never called exact where it is not known."""
    found = bisection(system)
    half = set(range(system.chip_count // 2))
    assert not found.exact
    assert found.bytes_per_s <= cut_bytes_per_s(system, half)


@given(systems(), st.data())
@settings(deadline=None)
def test_what_each_exchange_saves_is_what_crosses_no_longer(
    system: Topology, data: st.DataObject
) -> None:
    chips = range(system.chip_count)
    order = data.draw(st.permutations(chips))
    left = np.isin(chips, order[: len(chips) // 2])
    gains, pairs = _exchanges(_rates(system), left)
    half = set(np.flatnonzero(left).tolist())
    assert sorted(a for a, _ in pairs) == sorted(half)
    for gain, pair in zip(gains, pairs, strict=True):
        before = cut_bytes_per_s(system, half)
        half = half.symmetric_difference(pair)
        assert before - cut_bytes_per_s(system, half) == gain


@pytest.mark.parametrize("seed", range(20))
def test_two_cliques_are_told_apart_whatever_their_numbers(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(16).tolist()
    cables = [[order[a], order[b], 1] for a in range(16) for b in range(a) if a // 8 == b // 8]
    system = edge_list(
        name="cliques", chips=16, cables=[*cables, [order[0], order[8], 1]], local=NEAR,
        global_=NEAR, port_count=8, chips_per_node=1,
    )  # fmt: skip
    assert bisection(system).bytes_per_s == NEAR.bytes_per_s


@given(systems())
@settings(deadline=None, max_examples=25)
def test_two_surveys_are_equal(system: Topology) -> None:
    assert survey(system) == survey(system)


@given(st.integers(2, 9), st.integers(1, 4), st.integers(1, 6))
@settings(deadline=None, max_examples=25)
def test_a_box_with_any_number_of_switches_is_one_hop_wide(
    chips: int, switches: int, links: int
) -> None:
    box = switched(
        name="box",
        chips=chips,
        switches=switches,
        links_per_chip=links,
        local=FAR,
        port_count=links,
    )
    found = distances(box)
    assert found.pairs_by_hops == (chips * (chips - 1),)
    assert found.worst_latency_ps == 14_000
    assert path_diversity(box).minimal_routes_min == min(switches, links)


@given(systems())
@settings(deadline=None, max_examples=25)
def test_searching_in_parts_changes_nothing(system: Topology) -> None:
    whole = distances(system)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distance, "_SOURCES_AT_ONCE", 3)
        assert distances(system) == whole


@pytest.mark.parametrize("chips", [17, 72, 264, 10_440])
def test_a_sample_of_pairs_is_of_different_chips(chips: int) -> None:
    pairs = compared_pairs(chips)
    assert len(pairs) == 32
    assert all(a != b and 0 <= a < chips and 0 <= b < chips for a, b in pairs)
    assert pairs == compared_pairs(chips)
