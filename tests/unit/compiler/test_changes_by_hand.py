"""What a change does to a machine, number by number: cables, rates, latencies."""

from dataclasses import replace

from rack_sim.compiler.changes import (
    with_half_the_hop_latency,
    with_one_more_link,
    with_twice_the_clock,
)
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import Link, LinkType
from rack_sim.hardware.system import System
from rack_sim.hardware.topology import Topology

LOCAL = LinkType("local", 10**10, 533_001, 320, 328)
GLOBAL = LinkType("global", 2 * 10**10, 1_000_000, 320, 328)
CHIP = Chip(
    name="small",
    execution="static",
    memory=(MemoryTier("sram", 10**9, 3 * 10**12), MemoryTier("hbm", 10**10, 7 * 10**11)),
    matrix=MatrixUnit({"fp16": 10**12, "int8": 3 * 10**12}, 5 * 10**10, 77),
    vector_flop_per_s=11 * 10**10,
    operator_fixed_latency_ps=50_001,
    program_text_bytes=1000,
    port_count=9,
    idle_watts=1.0,
    peak_watts=2.0,
    price_usd=1.0,
)
# Two chips in each of two nodes: two cables one way and one back inside the first node, three
# between the nodes.
LINKS = (
    Link(0, 1, 0, "local"),
    Link(0, 1, 1, "local"),
    Link(1, 0, 0, "local"),
    Link(2, 3, 0, "local"),
    Link(3, 2, 0, "local"),
    *(Link(1, 2, lane, "global") for lane in range(3)),
    *(Link(2, 1, lane, "global") for lane in range(3)),
)
SYSTEM = System(
    "small",
    CHIP,
    Topology(
        name="small",
        nodes=((0, 1), (2, 3)),
        racks=((0, 1),),
        spare_nodes=(),
        link_types={"local": LOCAL, "global": GLOBAL},
        links=LINKS,
        port_count=9,
    ),
    0.0,
)


def test_one_more_cable_beside_every_link_of_a_kind() -> None:
    """The next number after the last, each way of its own; the other kind stays as it is."""
    local = with_one_more_link(SYSTEM, "local")
    assert local is not None
    assert set(local.topology.links) - set(LINKS) == {
        Link(0, 1, 2, "local"),
        Link(1, 0, 1, "local"),
        Link(2, 3, 1, "local"),
        Link(3, 2, 1, "local"),
    }
    assert len(local.topology.links) == len(LINKS) + 4
    between = with_one_more_link(SYSTEM, "global")
    assert between is not None
    assert set(between.topology.links) - set(LINKS) == {
        Link(1, 2, 3, "global"),
        Link(2, 1, 3, "global"),
    }
    assert (local.chip, local.topology.link_types) == (CHIP, SYSTEM.topology.link_types)
    assert with_one_more_link(SYSTEM, "optical") is None


def test_the_number_of_a_cable_does_not_depend_on_the_order_of_links() -> None:
    turned = replace(SYSTEM, topology=replace(SYSTEM.topology, links=LINKS[::-1]))
    more = with_one_more_link(turned, "global")
    assert more is not None
    assert set(more.topology.links) - set(LINKS) == {
        Link(1, 2, 3, "global"),
        Link(2, 1, 3, "global"),
    }


def test_ports_are_no_bound_of_one_more_cable() -> None:
    """A machine whose ports are all taken: each may need as many again."""
    full = replace(SYSTEM, topology=replace(SYSTEM.topology, port_count=5))
    more = with_one_more_link(full, "global")
    assert more is not None
    assert more.topology.port_count == 10
    assert more.topology.switch_port_count is None


def test_twice_the_clock_doubles_every_rate_and_halves_the_fixed_latency() -> None:
    changed = with_twice_the_clock(SYSTEM)
    chip = changed.chip
    assert chip.matrix.peak_flop_per_s == {"fp16": 2 * 10**12, "int8": 6 * 10**12}
    assert chip.matrix.feed_bytes_per_s == 10 * 10**10
    assert chip.matrix.buffer_bytes == 77
    assert [tier.bandwidth_bytes_per_s for tier in chip.memory] == [6 * 10**12, 14 * 10**11]
    assert [tier.capacity_bytes for tier in chip.memory] == [10**9, 10**10]
    assert chip.vector_flop_per_s == 22 * 10**10
    assert chip.operator_fixed_latency_ps == 25_000
    assert changed.topology == SYSTEM.topology
    unfed = replace(CHIP, matrix=MatrixUnit({"fp16": 10**12}, None))
    assert with_twice_the_clock(replace(SYSTEM, chip=unfed)).chip.matrix.feed_bytes_per_s is None


def test_half_the_hop_latency_is_that_of_every_kind_of_link() -> None:
    changed = with_half_the_hop_latency(SYSTEM)
    latencies = {name: kind.latency_ps for name, kind in changed.topology.link_types.items()}
    assert latencies == {"local": 266_500, "global": 500_000}
    assert changed.topology.link_types["local"].bytes_per_s == LOCAL.bytes_per_s
    assert (changed.chip, changed.topology.links) == (CHIP, LINKS)
