"""A machine with failed cables is the healthy one less those cables, and says what cannot be."""

from itertools import permutations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.bisection import bisection, cut_bytes_per_s
from rack_sim.hardware.builders import (
    dragonfly,
    full_mesh,
    fully_connected,
    mesh,
    ring,
    switched,
    torus,
)
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.distance import distances
from rack_sim.hardware.failures import with_failed_links
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Flow, Routing
from rack_sim.hardware.survey import survey
from rack_sim.hardware.system import System, without_framing
from rack_sim.hardware.topology import Topology

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)
ANY = {"name": "any", "local": LINK, "global_": LINK, "port_count": 99}
TORUS = torus(sides=(3, 4), **ANY)
CABLES = sorted({(link.source, link.target) for link in TORUS.links if link.source < link.target})
BOX = switched(name="box", chips=4, switches=2, links_per_chip=6, local=LINK, port_count=6)
PAIRS = list(permutations(range(TORUS.chip_count), 2))


def problems(topology: Topology, failed: list[list[int]]) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        with_failed_links(topology, failed)
    return list(caught.value.problems)


@pytest.mark.parametrize("cable", CABLES)
def test_routes_lead_around_a_failed_cable_as_short_as_can_be(cable: tuple[int, int]) -> None:
    failed = with_failed_links(TORUS, [list(cable)])
    reduced = nx.Graph(CABLES)
    reduced.remove_edge(*cable)
    lengths = dict(nx.all_pairs_shortest_path_length(reduced))
    routing = Routing(failed)
    assert all(routing.hop_count(a, b) == lengths[a][b] for a, b in PAIRS)
    assert distances(failed).diameter_hops == nx.diameter(reduced)
    # Either direction of the cable is gone, from any pair's route.
    routed = routing.route_all([Flow(a, b, 320) for a, b in PAIRS])
    crossed = {hop for item in routed for hop in item.hops}
    assert not crossed & {cable, cable[::-1]}
    assert crossed == {(link.source, link.target) for link in failed.links}


@given(st.lists(st.sampled_from(CABLES), max_size=8, unique=True))
@settings(deadline=None)
def test_any_failures_leave_shortest_routes_or_are_refused(failed: list[tuple[int, int]]) -> None:
    reduced = nx.Graph(CABLES)
    reduced.remove_edges_from(failed)
    if not nx.is_connected(reduced):
        (problem,) = problems(TORUS, [list(cable) for cable in failed])
        assert "falls apart" in problem.message
        return
    left = with_failed_links(TORUS, [list(cable) for cable in failed])
    lengths = dict(nx.all_pairs_shortest_path_length(reduced))
    assert all(Routing(left).hop_count(a, b) == lengths[a][b] for a, b in PAIRS)
    assert nx.utils.graphs_equal(nx.Graph(left.graph.edges), nx.Graph(reduced.edges))


def test_cables_are_taken_out_both_ways_and_the_last_lanes_first() -> None:
    healthy = full_mesh(name="m", chips=4, links_per_pair=3, local=LINK, port_count=9)
    failed = with_failed_links(healthy, [[2, 1, 1], [0, 3]])
    assert sorted(failed.links + failed.failed_links) == sorted(healthy.links)
    assert {(a, b, lane) for a, b, lane, _ in failed.failed_links} == {
        (1, 2, 2),
        (2, 1, 2),
        *((a, b, lane) for a, b in ((0, 3), (3, 0)) for lane in range(3)),
    }
    routing = Routing(failed)
    assert [routing.lane_count(hop) for hop in ((1, 2), (2, 1), (0, 1), (0, 3))] == [2, 2, 3, 0]
    assert failed.ports_used() == healthy.ports_used()  # still plugged in


def test_the_order_of_entries_and_of_chips_makes_no_difference() -> None:
    one, other = ([[0, 1], [5, 4]], [[4, 5], [1, 0]])
    assert with_failed_links(TORUS, one) == with_failed_links(TORUS, other)
    assert with_failed_links(TORUS, one) != TORUS
    assert with_failed_links(TORUS, [], reroute=False) == TORUS


@pytest.mark.parametrize("cable", CABLES)
def test_without_reroute_routes_are_those_of_the_healthy_machine(cable: tuple[int, int]) -> None:
    rigid = Routing(with_failed_links(TORUS, [list(cable)], reroute=False))
    healthy = Routing(TORUS)
    refused = 0
    for a, b in PAIRS:
        assert rigid.minimal_routes(a, b) == healthy.minimal_routes(a, b)
        (wanted,) = healthy.route_all([Flow(a, b, 320)])
        lost = [hop for hop in wanted.hops if hop in (cable, cable[::-1])]
        if lost:
            refused += 1
            (s, t) = lost[0]
            with pytest.raises(
                InputError, match=f"route {a} -> {b} crosses the failed link {s} -> {t}"
            ) as caught:
                rigid.route_all([Flow(a, b, 320)])
            assert "topology.reroute: true" in caught.value.problems[0].suggestion
        else:
            assert rigid.route_all([Flow(a, b, 320)]) == (wanted,)
    assert refused >= 2  # the two ends of the cable at least


def test_every_refused_route_of_a_batch_is_told_once() -> None:
    box = fully_connected(name="b", chips=4, local=LINK, port_count=3)
    rigid = Routing(with_failed_links(box, [[0, 1], [2, 3]], reroute=False))
    flows = [Flow(0, 1, 1), Flow(0, 2, 1), Flow(3, 2, 1), Flow(0, 1, 9)]
    with pytest.raises(InputError) as caught:
        rigid.route_all(flows)
    assert [p.message[:13] for p in caught.value.problems] == ["route 0 -> 1 ", "route 3 -> 2 "]


def test_a_hop_with_a_cable_left_is_crossed_without_reroute() -> None:
    wide = ring(chips=4, links_per_pair=2, **ANY)
    rigid = Routing(with_failed_links(wide, [[0, 1, 1]], reroute=False))
    flows = [Flow(a, b, 5_000) for a in range(4) for b in range(4)]
    assert rigid.route_all(flows) == Routing(wide).route_all(flows)
    assert (rigid.lane_count((0, 1)), rigid.lane_count((1, 2))) == (1, 2)


def test_vectors_are_dealt_over_the_planes_in_service_only() -> None:
    """Chip 0 has lost two of three cables to switch 4: one lane of four is left on that plane."""
    flow = Flow(0, 1, 400 * 320)
    dealt = {
        item.route[1]: item.flow.message_bytes // 320
        for item in Routing(with_failed_links(BOX, [[0, 4, 2]])).route_all([flow])
    }
    assert dealt == {4: 100, 5: 300}
    rigid = Routing(with_failed_links(BOX, [[0, 4, 2]], reroute=False))
    assert rigid.route_all([flow]) == Routing(BOX).route_all([flow])
    (only,) = Routing(with_failed_links(BOX, [[0, 4]])).route_all([flow])
    assert only.route == (0, 5, 1)
    with pytest.raises(InputError, match="route 0 -> 1 crosses the failed link 0 -> 4"):
        Routing(with_failed_links(BOX, [[4, 0]], reroute=False)).route_all([flow])


def test_chips_on_different_planes_meet_at_a_third() -> None:
    apart = with_failed_links(BOX, [[0, 4], [1, 5]])
    assert Routing(apart).minimal_routes(0, 1) == ((0, 5, 2, 4, 1), (0, 5, 3, 4, 1))
    assert distances(apart).pairs_by_hops == (10, 2)


def test_a_switch_without_cables_is_no_loss() -> None:
    alone = with_failed_links(BOX, [[chip, 5] for chip in range(4)])
    found = survey(alone)
    assert (found.link_count, found.failed_link_count) == (24, 24)
    assert found.distances.diameter_hops == 1
    assert found.diversity.minimal_routes_min == 1


@pytest.mark.parametrize(
    "healthy",
    [
        TORUS,
        BOX,
        ring(chips=6, **ANY),
        mesh(sides=(3, 3), **ANY),
        fully_connected(name="f", chips=6, local=LINK, port_count=5),
    ],
    ids=lambda topology: topology.kind,
)
def test_the_bisection_of_a_failed_machine_is_a_bound_that_is_not_called_exact(
    healthy: Topology,
) -> None:
    first = healthy.links[0]
    failed = with_failed_links(healthy, [[first.source, first.target]])
    whole, cut = bisection(healthy), bisection(failed)
    assert whole.exact
    assert not cut.exact
    assert cut.halves != "any halves"
    assert cut.bytes_per_s <= whole.bytes_per_s
    # No bound can be below the least of all halves.
    chips = healthy.chip_count
    halves = (
        {chip for chip in range(chips) if mask >> chip & 1}
        for mask in range(2**chips)
        if mask.bit_count() == chips // 2
    )
    assert cut.bytes_per_s >= min(cut_bytes_per_s(failed, half) for half in halves)


def test_counts_of_a_survey() -> None:
    healthy, failed = survey(TORUS), survey(with_failed_links(TORUS, [[0, 1], [4, 8]]))
    assert (healthy.failed_link_count, failed.failed_link_count) == (0, 4)
    assert failed.link_count == healthy.link_count - 4
    assert failed.values()["failed_link_count"] == 4
    # A chip that has lost a cable has one disjoint way less.
    assert failed.diversity.disjoint_paths_min == healthy.diversity.disjoint_paths_min - 1


def test_failures_add_up() -> None:
    twice = with_failed_links(with_failed_links(TORUS, [[0, 1]]), [[4, 8]])
    once = with_failed_links(TORUS, [[0, 1], [4, 8]])
    assert twice.links == once.links
    assert sorted(twice.failed_links) == sorted(once.failed_links)


def test_each_wrong_entry_is_told_all_at_once() -> None:
    wide = ring(chips=6, links_per_pair=2, **ANY)
    found = problems(
        wide,
        [[0, 1], [1, 0, 1], [0, 3], [0, 6], [2, 2], [1, 2, 3], [2, 3, 0], [4], [4, 5, 1, 1]],
    )
    assert [problem.field for problem in found] == [f"failed_links.{n}" for n in range(1, 9)]
    for problem, words in zip(
        found,
        [
            "the pair 0-1 is given already in entry 0",
            "no cable joins chip 0 and chip 3",
            "there is no chip 6",
            "two different chips",
            "3 cables cannot fail where 2 join chip 1 and chip 2",
            "0 cables cannot fail where 2 join chip 2 and chip 3",
            "an entry is two chips",
            "an entry is two chips",
        ],
        strict=True,
    ):
        assert words in problem.message
    assert found[1].suggestion == "chip 0 is joined to chips 1 and 5"
    assert found[2].suggestion == "chips are numbered 0 to 5"
    assert found[4].suggestion == "1 to 2"


def test_neighbours_that_are_switches_are_called_so() -> None:
    apart, beyond = problems(BOX, [[0, 1], [0, 6]])
    assert apart.suggestion == "chip 0 is joined to switches 4 and 5"
    assert beyond.suggestion == "chips are numbered 0 to 3; switches 4 to 5"
    (far,) = problems(fully_connected(name="f", chips=20, local=LINK, port_count=19), [[0, 1, 2]])
    assert "2 cables cannot fail where 1 joins chip 0 and chip 1" in far.message
    assert far.suggestion == "1"


def test_long_lists_of_neighbours_are_cut() -> None:
    big = dragonfly(
        name="d", racks=1, nodes_per_rack=2, chips_per_node=20, links_per_node_pair=1,
        links_per_rack_pair=0, spare_nodes_per_rack=0, local=LINK, global_=LINK, port_count=99,
    )  # fmt: skip
    (problem,) = problems(big, [[5, 25]])
    assert problem.suggestion.endswith("10, 11, 12 and 7 more")


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        ([[0, 1], [0, 5]], "chip 0 cannot be reached from chip 1"),
        ([[2, 3], [3, 4]], "chip 3 cannot be reached from chip 0"),
        ([[1, 2], [4, 5]], "chips 2, 3 and 4 cannot be reached from chip 0"),
    ],
)
def test_a_machine_that_falls_apart_names_the_chips_cut_off(
    failed: list[list[int]], words: str
) -> None:
    (problem,) = problems(ring(chips=6, **ANY), failed)
    assert "falls apart" in problem.message
    assert words in problem.message
    assert problem.field == "failed_links"
    assert problem.suggestion


def test_without_framing_bytes_cross_at_the_plain_rate() -> None:
    chip = Chip(
        "chip", "static", (MemoryTier("sram", 1, 1),), MatrixUnit({"fp16": 1}, None),
        1, 0, 0, 99, 0.0, 0.0, 0.0,
    )  # fmt: skip
    system = System("system", chip, with_failed_links(TORUS, [[0, 1]]), 0.0)
    plain = without_framing(system)
    for kind in plain.topology.link_types.values():
        # 12.5 GB/s: 80 ps a byte, whatever the size.
        assert [kind.serialisation_ps(size) for size in (0, 1, 321, 10**6)] == [
            0,
            80,
            321 * 80,
            80 * 10**6,
        ]
        assert (kind.bytes_per_s, kind.latency_ps) == (LINK.bytes_per_s, LINK.latency_ps)
    assert plain.topology.links == system.topology.links
    assert plain.topology.failed_links == system.topology.failed_links
    assert (plain.name, plain.chip) == (system.name, system.chip)
    assert without_framing(plain) == plain
