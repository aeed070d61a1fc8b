"""Builders: nodes, ports, lanes and everything that they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.hardware.builders import (
    BUILDERS,
    dragonfly,
    edge_list,
    full_mesh,
    fully_connected,
    hyperx,
    mesh,
    ring,
    switched,
    torus,
)
from rack_sim.hardware.link import Link, LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.partition.placement import groups

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)
ANY = {"name": "any", "local": LINK, "global_": LINK, "port_count": 999}


def problems(caught: pytest.ExceptionInfo[InputError]) -> list[str]:
    return [problem.message for problem in caught.value.problems]


def test_the_last_side_counts_fastest() -> None:
    system = mesh(sides=(2, 3), **ANY)
    cables = {(link.source, link.target) for link in system.links if link.source < link.target}
    assert cables == {(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)}
    closed = torus(sides=(2, 3), **ANY)
    assert {(link.source, link.target) for link in closed.links} - {
        (link.source, link.target) for link in system.links
    } == {(0, 2), (2, 0), (3, 5), (5, 3)}


def test_nodes_are_blocks_and_links_between_them_are_global() -> None:
    system = torus(sides=(4, 4), chips_per_node=4, **ANY)
    assert system.nodes == ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), (12, 13, 14, 15))
    assert all(
        (link.kind == "local") == (link.source // 4 == link.target // 4) for link in system.links
    )
    assert torus(sides=(4, 4), **ANY).nodes == (tuple(range(16)),)
    assert {link.kind for link in torus(sides=(4, 4), **ANY).links} == {"local"}


@pytest.mark.parametrize("build", [mesh, torus, hyperx])
@pytest.mark.parametrize("size", [3, 0, 32])
def test_nodes_are_of_equal_size(build, size: int) -> None:
    with pytest.raises(InputError, match="make no nodes") as caught:
        build(sides=(4, 4), chips_per_node=size, **ANY)
    assert caught.value.problems[0].field == "chips_per_node"


@pytest.mark.parametrize("sides", [(4,), (2, 2, 2, 2), (1, 4), (4, 0, 1)])
def test_sides_are_two_or_three_of_at_least_two(sides: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        torus(sides=sides, **ANY)
    wrong = sum(side < 2 for side in sides) + (not 2 <= len(sides) <= 3)
    assert len(caught.value.problems) == wrong


@pytest.mark.parametrize(
    ("build", "needed"),
    [
        (lambda n: ring(chips=8, **{**ANY, "port_count": n}), 2),
        (lambda n: torus(sides=(4, 4, 4), **{**ANY, "port_count": n}), 6),
        (lambda n: torus(sides=(2, 4), **{**ANY, "port_count": n}), 3),
        (lambda n: mesh(sides=(3, 3), **{**ANY, "port_count": n}), 4),
        (lambda n: hyperx(sides=(2, 8, 16), **{**ANY, "port_count": n}), 23),
        (lambda n: torus(sides=(4, 4), links_per_pair=4, **{**ANY, "port_count": n}), 16),
        (lambda n: fully_connected(name="a", chips=8, local=LINK, port_count=n), 7),
        (
            lambda n: full_mesh(name="a", chips=8, links_per_pair=2, local=LINK, port_count=n),
            14,
        ),
        (
            lambda n: switched(
                name="a", chips=8, switches=6, links_per_chip=12, local=LINK, port_count=n
            ),
            12,
        ),
        (
            lambda n: edge_list(chips=3, cables=[[0, 1, 3], [1, 2, 2]], **{**ANY, "port_count": n}),
            5,
        ),
    ],
)
def test_ports_are_a_budget(build, needed: int) -> None:
    assert max(build(needed).ports_used()) == needed
    assert build(needed) == build(needed)
    with pytest.raises(InputError, match=f"needs {needed} ports on chip .* has {needed - 1}"):
        build(needed - 1)


def test_ports_of_switches_are_a_budget_of_their_own() -> None:
    def box(ports: int):
        return switched(
            name="box",
            chips=8,
            switches=4,
            links_per_chip=18,
            local=LINK,
            port_count=18,
            ports_per_switch=ports,
        )

    assert box(40).switch_ports_used() == (40, 40, 32, 32)
    with pytest.raises(InputError, match=r"40 ports on switch 8 \(2 switches .* has 39"):
        box(39)


def test_routes_pass_switches_and_nodes_do_not_hold_them() -> None:
    box = switched(name="box", chips=4, switches=2, links_per_chip=4, local=LINK, port_count=4)
    assert box.chip_count == 4
    assert box.ports_used() == (4, 4, 4, 4)
    assert Routing(box).minimal_routes(0, 3) == ((0, 4, 3), (0, 5, 3))
    assert Routing(box).lane_count((0, 5)) == 2
    assert Link(0, 4, 1, "local") in box.links
    assert groups(box, 2) == ((0, 1), (2, 3))


def test_a_wide_ring_has_lanes() -> None:
    wide = ring(chips=4, links_per_pair=3, **ANY)
    assert Routing(wide).lane_count((3, 0)) == 3
    assert len(wide.links) == 2 * 4 * 3


def test_an_edge_list_is_what_it_says() -> None:
    given_ = edge_list(chips=4, cables=[[2, 1], [0, 1, 2], [3, 2]], chips_per_node=2, **ANY)
    assert given_.nodes == ((0, 1), (2, 3))
    lanes = {(link.source, link.target, link.lane, link.kind) for link in given_.links}
    assert {(0, 1, 0, "local"), (0, 1, 1, "local"), (1, 2, 0, "global"), (2, 3, 0, "local")} == {
        item for item in lanes if item[0] < item[1]
    }
    assert given_ == edge_list(chips=4, cables=[[0, 1, 2], [1, 2], [2, 3]], chips_per_node=2, **ANY)


def test_a_bad_edge_list_is_told_all_at_once() -> None:
    cables = [[0, 1], [1, 1], [1, 0, 2], [0, 4], [2, 3, 0], [2], [-1, 2]]
    with pytest.raises(InputError) as caught:
        edge_list(chips=4, cables=cables, **ANY)
    assert [problem.field.rpartition(".")[2] for problem in caught.value.problems] == list("123456")
    said = problems(caught)
    assert "two different chips" in said[0]
    assert "the pair 0-1 is given already in entry 0" in said[1]
    assert "there is no chip 4: chips are numbered 0 to 3" in said[2]
    assert "at least one cable" in said[3]
    assert "two chips" in said[4]
    assert "no chip -1" in said[5]


def test_an_edge_list_that_leaves_a_chip_alone_is_refused() -> None:
    with pytest.raises(InputError, match="not connected: chip 3 and 0 others"):
        edge_list(chips=4, cables=[[0, 1], [1, 2]], **ANY)
    with pytest.raises(InputError, match="not connected"):
        edge_list(chips=2, cables=[], **ANY)


@pytest.mark.parametrize(
    "build",
    [
        lambda: fully_connected(name="a", chips=10**9, local=LINK, port_count=10**9),
        lambda: ring(chips=10**9, **ANY),
        lambda: hyperx(sides=(1000, 1000), **ANY),
        lambda: mesh(sides=(10**6, 10**6, 10**6), **ANY),
        lambda: edge_list(chips=2, cables=[[0, 1, 10**9]], **ANY),
        lambda: edge_list(chips=10**9, cables=[], **ANY),
        lambda: switched(
            name="a", chips=2, switches=10**9, links_per_chip=1, local=LINK, port_count=1
        ),
        lambda: dragonfly(
            racks=10**6,
            nodes_per_rack=10**6,
            chips_per_node=8,
            links_per_node_pair=1,
            links_per_rack_pair=1,
            spare_nodes_per_rack=0,
            **ANY,
        ),
    ],
)
def test_what_would_fill_the_memory_is_refused_before_it_is_built(build) -> None:
    with pytest.raises(InputError, match="more than the limit"):
        build()


@given(st.integers(2, 6), st.integers(1, 3), st.integers(1, 8))
def test_scattered_cables_use_the_same_ports(racks: int, nodes: int, lanes: int) -> None:
    def build(order: str):
        return dragonfly(
            racks=racks,
            nodes_per_rack=nodes,
            chips_per_node=4,
            links_per_node_pair=1,
            links_per_rack_pair=lanes,
            spare_nodes_per_rack=0,
            rack_cables=order,
            **ANY,
        )

    dealt, scattered = build("dealt"), build("scattered")
    assert dealt.ports_used() == scattered.ports_used()
    assert len(dealt.links) == len(scattered.links) == len(set(scattered.links))
    assert scattered == build("scattered")


def test_what_resizes_a_builder_is_one_of_its_sizes():
    for builder in BUILDERS.values():
        assert not builder.resized_by or (builder.resized_by,) in builder.sizes
    assert any(builder.resized_by for builder in BUILDERS.values())
