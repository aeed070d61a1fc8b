"""Collectives against the alpha-beta closed forms, to the picosecond.

n chips, latency a, shard m at rate b: direct a + m/b, ring (n - 1)(a + m/b) on a full mesh.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Router
from rack_sim.hardware.topology import Topology, both_ways
from rack_sim.timing.collectives import _direct, _ring, time_exchange

GROQ = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)
VECTOR = 26_240  # 328 B at 12.5 GB/s


def node(chips: int, link: LinkType = GROQ) -> Router:
    return Router(fully_connected(name="node", chips=chips, local=link, port_count=chips))


def ring_of(chips: int) -> Router:
    return Router(
        Topology(
            name="ring",
            nodes=tuple((chip,) for chip in range(chips)),
            racks=(tuple(range(chips)),),
            spare_nodes=(),
            link_types={"any": GROQ},
            links=tuple(
                link for a in range(chips) for link in both_ways(a, (a + 1) % chips, 0, "any")
            ),
            port_count=2,
        )
    )


@given(
    chips=st.integers(2, 12),
    rate=st.integers(10**9, 10**12),
    latency=st.integers(0, 10**6),
    shard_bytes=st.integers(1, 10**6),
)
def test_a_full_mesh_follows_the_closed_forms(
    chips: int, rate: int, latency: int, shard_bytes: int
) -> None:
    link = LinkType("any", rate, latency, 320, 328)
    router, group = node(chips, link), tuple(range(chips))
    once = latency + link.serialisation_ps(shard_bytes)
    assert _direct(router, group, shard_bytes).duration_ps == once
    assert _ring(router, group, shard_bytes).duration_ps == (chips - 1) * once
    chosen = time_exchange(router, group, shard_bytes)
    assert chosen.algorithm == "direct"
    assert chosen.duration_ps == once
    assert chosen.link_latency_ps == latency
    assert chosen.link_serialisation_ps == once - latency


def test_a_groqnode_by_hand() -> None:
    """8 chips, 2,048 bytes each (hidden 8192 in fp16 over 8): one hop and 7 vectors."""
    timing = time_exchange(node(8), tuple(range(8)), 2048)
    assert timing.duration_ps == 533_000 + 7 * VECTOR
    assert timing.vectors_by_hop == {(a, b): 7 for a in range(8) for b in range(8) if a != b}


@pytest.mark.parametrize("chips", [2, 3, 8])
def test_ring_moves_the_same_bytes_over_fewer_links(chips: int) -> None:
    """All-gather: n (n - 1) shards arrive, whichever way they go."""
    router, group = node(chips), tuple(range(chips))
    direct, ring = _direct(router, group, 320), _ring(router, group, 320)
    assert sum(direct.vectors_by_hop.values()) == chips * (chips - 1)
    assert sum(ring.vectors_by_hop.values()) == chips * (chips - 1)
    assert ring.vectors_by_hop == {(chip, (chip + 1) % chips): chips - 1 for chip in range(chips)}


def test_on_a_ring_of_eight_large_shards_go_round_and_small_ones_straight() -> None:
    """Straight, 128 shard-hops share 16 links: 8 shards on a link at best; round, it is 7.

    Straight costs four latencies, round seven: so the size decides.
    """
    router, group = ring_of(8), tuple(range(8))
    large = time_exchange(router, group, 320 * 1000)
    assert large.algorithm == "ring"
    assert large.duration_ps == 7 * (533_000 + 1000 * VECTOR)
    small = time_exchange(router, group, 1)
    assert small.algorithm == "direct"
    assert small.link_latency_ps == 4 * 533_000
    assert small.duration_ps < 7 * (533_000 + VECTOR)
    # No schedule moves 8 vectors over a link faster.
    assert small.link_serialisation_ps >= 8 * VECTOR


@given(st.integers(2, 9), st.integers(1, 100_000))
def test_the_faster_way_is_taken(chips: int, shard_bytes: int) -> None:
    router, group = ring_of(chips), tuple(range(chips))
    both = _direct(router, group, shard_bytes), _ring(router, group, shard_bytes)
    chosen = time_exchange(router, group, shard_bytes)
    assert chosen.duration_ps == min(timing.duration_ps for timing in both)


def test_one_chip_or_no_bytes_need_no_exchange() -> None:
    for group, size in (((3,), 1000), ((0, 1), 0)):
        timing = time_exchange(node(4), group, size)
        assert (timing.algorithm, timing.duration_ps, timing.vectors_by_hop) == ("none", 0, {})
