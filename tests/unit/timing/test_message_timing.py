"""Flows over routes against closed forms and against a vector-by-vector replay."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Flow, Routing
from rack_sim.hardware.topology import Topology, both_ways
from rack_sim.timing.messages import time_flows

LATENCY = 533_000
VECTOR = 26_240  # 328 B at 12.5 GB/s, exact
LINK = LinkType("c2c", 12_500_000_000, LATENCY, 320, 328)


def network(cables: list[tuple[int, int, int]], kinds: dict[str, LinkType]) -> Routing:
    """Single-chip nodes; each cable is (chip, chip, lane), its kind "any" or its place's name."""
    chips = 1 + max(max(a, b) for a, b, _ in cables)
    return Routing(
        Topology(
            name="network",
            nodes=tuple((chip,) for chip in range(chips)),
            racks=(tuple(range(chips)),),
            spare_nodes=(),
            link_types=kinds,
            links=tuple(
                link
                for number, (a, b, lane) in enumerate(cables)
                for link in both_ways(a, b, lane, "any" if "any" in kinds else str(number))
            ),
            port_count=99,
        )
    )


def line(hops: int) -> Routing:
    return network([(n, n + 1, 0) for n in range(hops)], {"any": LINK})


def test_one_flow_over_one_link() -> None:
    timing = time_flows(line(1), [Flow(0, 1, 321)])
    assert timing.link_latency_ps == LATENCY
    assert timing.link_serialisation_ps == 2 * VECTOR
    assert timing.duration_ps == LATENCY + 2 * VECTOR
    assert timing.vectors_by_hop == {(0, 1): 2}


@pytest.mark.parametrize("flows", [1, 2, 3, 8])
def test_flows_over_one_link_take_turns(flows: int) -> None:
    timing = time_flows(line(1), [Flow(0, 1, 1000)] * flows)
    assert timing.duration_ps == LATENCY + flows * 4 * VECTOR  # 1000 bytes are 4 vectors
    assert timing.vectors_by_hop == {(0, 1): 4 * flows}


def test_both_directions_of_a_cable_are_apart() -> None:
    timing = time_flows(line(1), [Flow(0, 1, 1000), Flow(1, 0, 1000)])
    assert timing.duration_ps == LATENCY + 4 * VECTOR


@pytest.mark.parametrize("hops", [1, 2, 3, 5])
def test_vectors_are_forwarded_as_they_arrive(hops: int) -> None:
    """h latencies, one vector for each hop after the first, and the message once: not h times."""
    timing = time_flows(line(hops), [Flow(0, hops, 3200)])
    assert timing.link_latency_ps == hops * LATENCY
    assert timing.link_serialisation_ps == (hops - 1) * VECTOR + 10 * VECTOR


@pytest.mark.parametrize(("lanes", "vectors"), [(1, 10), (2, 5), (3, 4), (10, 1), (20, 1)])
def test_parallel_cables_share_the_vectors(lanes: int, vectors: int) -> None:
    routing = network([(0, 1, lane) for lane in range(lanes)], {"any": LINK})
    timing = time_flows(routing, [Flow(0, 1, 3200)])
    assert timing.duration_ps == LATENCY + vectors * VECTOR


def test_a_shared_middle_link_is_waited_for() -> None:
    """Chips 0, 1, 2 send over gateway 3 to 4: the last link carries all three messages."""
    routing = network([(0, 3, 0), (1, 3, 0), (2, 3, 0), (3, 4, 0)], {"any": LINK})
    timing = time_flows(routing, [Flow(chip, 4, 1600) for chip in (0, 1, 2)])
    assert timing.duration_ps == 2 * LATENCY + VECTOR + 3 * 5 * VECTOR
    assert timing.vectors_by_hop == {(0, 3): 5, (1, 3): 5, (2, 3): 5, (3, 4): 15}


def test_the_slowest_flow_counts() -> None:
    timing = time_flows(line(3), [Flow(0, 1, 320_000), Flow(1, 3, 320)])
    assert timing.duration_ps == LATENCY + 1000 * VECTOR
    timing = time_flows(line(3), [Flow(0, 1, 320), Flow(1, 3, 320)])
    assert timing.duration_ps == 2 * LATENCY + 2 * VECTOR


def test_a_flow_to_itself_or_none_at_all_costs_nothing() -> None:
    assert time_flows(line(1), [Flow(0, 0, 10**9)]).duration_ps == 0
    assert time_flows(line(1), []).duration_ps == 0


def replay_line(kinds: list[LinkType], vectors: int) -> int:
    """When the last of `vectors` arrives: each hop sends a vector when it has it and is free."""
    free = [0] * len(kinds)
    done = 0
    for _ in range(vectors):
        now = 0
        for hop, kind in enumerate(kinds):
            start = max(now, free[hop])
            free[hop] = start + kind.serialisation_ps(kind.payload_bytes)
            now = free[hop] + kind.latency_ps
        done = now
    return done


# Rates that divide 328 x 10**12, so that the time of one vector has no remainder.
rates = st.sampled_from([10**9, 2 * 10**9, 4 * 10**9, 8 * 10**9, 12_500_000_000, 25 * 10**9])


@given(
    rate=rates, latency=st.integers(0, 10**6), hops=st.integers(1, 6), vectors=st.integers(1, 60)
)
def test_equal_links_give_what_a_replay_gives(
    rate: int, latency: int, hops: int, vectors: int
) -> None:
    kind = LinkType("any", rate, latency, 320, 328)
    routing = network([(n, n + 1, 0) for n in range(hops)], {"any": kind})
    timing = time_flows(routing, [Flow(0, hops, 320 * vectors)])
    assert timing.duration_ps == replay_line([kind] * hops, vectors)


@given(
    st.lists(st.tuples(rates, st.integers(0, 10**6)), min_size=1, max_size=5), st.integers(1, 60)
)
def test_unequal_links_are_never_promised_too_early(
    links: list[tuple[int, int]], vectors: int
) -> None:
    """What is said can be kept; it is exact where no fast link stands between two slower ones.

    There a message waits for its last vectors before it takes the fast link, which it then holds no
    longer than it must; even so nothing is slower than passing the whole message on at every hop.
    """
    kinds = [LinkType(str(n), rate, latency, 320, 328) for n, (rate, latency) in enumerate(links)]
    routing = network(
        [(n, n + 1, 0) for n in range(len(kinds))], {kind.name: kind for kind in kinds}
    )
    promised = time_flows(routing, [Flow(0, len(kinds), 320 * vectors)]).duration_ps
    replayed = replay_line(kinds, vectors)
    assert promised >= replayed
    rates = [kind.bytes_per_s for kind in kinds]
    if not any(
        rates[n] > min(rates[:n]) and rates[n] > min(rates[n + 1 :])
        for n in range(1, len(rates) - 1)
    ):
        assert promised == replayed
    whole = sum(kind.latency_ps + kind.serialisation_ps(320 * vectors) for kind in kinds)
    assert promised <= whole


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5000)), max_size=8))
def test_vectors_on_links_are_those_of_the_flows(flows: list[tuple[int, int, int]]) -> None:
    timing = time_flows(line(3), [Flow(*flow) for flow in flows])
    expected: Counter[tuple[int, int]] = Counter()
    for a, b, size in flows:
        step = 1 if b > a else -1
        for chip in range(a, b, step):
            expected[chip, chip + step] += ceil(size / 320)
    assert timing.vectors_by_hop == dict(expected)


def replay_batches(first: LinkType, second: LinkType, lanes: tuple[int, int], size: int) -> int:
    """Byte by byte: a batch is a vector on each cable; it leaves when its last byte is there."""
    there: list[int] = []  # when each byte has left the first link and crossed it
    batch = first.payload_bytes * lanes[0]
    for byte in range(size):
        sent = (byte // batch + 1) * first.serialisation_ps(1)
        there.append(sent + first.latency_ps)
    free = 0
    batch = second.payload_bytes * lanes[1]
    for start in range(0, size, batch):
        ready = there[min(start + batch, size) - 1]
        free = max(free, ready) + second.serialisation_ps(1)
    return free + second.latency_ps


@given(
    first=st.tuples(rates, st.integers(1, 5), st.integers(1, 3)),
    second=st.tuples(rates, st.integers(1, 5), st.integers(1, 3)),
    size=st.integers(1, 60),
)
def test_forwarding_between_unlike_links_waits_for_every_byte(
    first: tuple[int, int, int], second: tuple[int, int, int], size: int
) -> None:
    """Other rates, vectors and numbers of cables: no vector leaves before its last byte is there.

    The second link is held without a gap, so the last byte arrives exactly when a replay that
    starts no earlier than it must says, if that one has no gap either; never before it.
    """
    kinds = [
        LinkType(name, rate, 1_000, payload, 2 * payload)
        for name, (rate, payload, _) in (("0", first), ("1", second))
    ]
    cables = [(0, 1, lane) for lane in range(first[2])] + [
        (1, 2, lane) for lane in range(second[2])
    ]
    routing = Routing(
        Topology(
            name="line",
            nodes=((0,), (1,), (2,)),
            racks=((0, 1, 2),),
            spare_nodes=(),
            link_types={kind.name: kind for kind in kinds},
            links=tuple(link for a, b, lane in cables for link in both_ways(a, b, lane, str(a))),
            port_count=99,
        )
    )
    promised = time_flows(routing, [Flow(0, 2, size)])
    replayed = replay_batches(kinds[0], kinds[1], (first[2], second[2]), size)
    # Serialisation of a whole message is rounded once, that of its vectors one by one.
    assert promised.duration_ps >= replayed - size
    start = promised.placed.starts_ps[1]
    step = kinds[1].serialisation_ps(1)
    batch = second[1] * second[2]
    there = kinds[0].payload_bytes * first[2]
    for number, byte in enumerate(range(batch - 1, size + batch - 1, batch)):
        last = min(byte, size - 1)
        arrival = (last // there + 1) * kinds[0].serialisation_ps(1) + 1_000
        assert start + number * step >= arrival - size
