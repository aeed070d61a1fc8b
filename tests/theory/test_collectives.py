"""Collectives against the alpha-beta closed forms, to the picosecond.

n chips, latency a, link rate b, buffer M, shard m = M / n. Sizes are whole vectors and a byte takes
a whole number of picoseconds, so that nothing is rounded, unless a test says so. Where several
messages may be under way, each has a link of its own: on a fully connected group these forms are
those of Thakur, Rabenseifner and Gropp (2005) and of Hockney's model. Then links are shared: a
ring of 8 and a dragonfly of 72, where the busiest link is counted by hand.
"""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import ceil, log2
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.hardware.builders import dragonfly, fully_connected, ring, switched, torus
from rack_sim.hardware.failures import with_failed_links
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.timing.algorithms import ALGORITHMS, OPERATIONS, Algorithm, Operation
from rack_sim.timing.arrangements import Arrangement, arrangements
from rack_sim.timing.collectives import CollectiveTiming, time_collective

MIB = 1024 * 1024
LATENCY_PS = 700_000
BYTE_PS = 40  # 25 GB/s
# A wire without frames: it carries the bytes of a message and nothing else.
PLAIN = LinkType("plain", 25_000_000_000, LATENCY_PS, payload_bytes=1, wire_bytes=1)
PLAIN_OF = {
    latency_ps: LinkType("plain", 25_000_000_000, latency_ps, 1, 1)
    for latency_ps in (0, 533_000, 10**9)
}


def box_of(chips: int, link: LinkType = PLAIN) -> Routing:
    return Routing(fully_connected(name="box", chips=chips, local=link, port_count=chips))


def ring_of(chips: int, link: LinkType = PLAIN) -> Routing:
    return Routing(ring(name="ring", chips=chips, local=link, global_=link, port_count=2))


def dragonfly_of(
    nodes: int, chips: int, cables: int, local: LinkType = PLAIN, global_: LinkType = PLAIN
) -> Routing:
    return Routing(
        dragonfly(
            name="dragonfly",
            racks=1,
            nodes_per_rack=nodes,
            chips_per_node=chips,
            links_per_node_pair=cables,
            links_per_rack_pair=0,
            spare_nodes_per_rack=0,
            local=local,
            global_=global_,
            port_count=99,
        )
    )


class Wire(NamedTuple):
    """A drawn kind of link, and what one shard takes on it."""

    link: LinkType
    shard_bytes: int
    shard_ps: int

    @property
    def latency_ps(self) -> int:
        return self.link.latency_ps


@st.composite
def wires(draw: st.DrawFn, vectors: int | None = None) -> Wire:
    """Rates of which a byte takes whole picoseconds; a shard is an even number of whole vectors."""
    byte_ps = draw(st.sampled_from([1, 2, 5, 16, 40, 80, 125, 1000]))
    payload = draw(st.integers(1, 320))
    wire_bytes = payload + draw(st.integers(0, 16))
    vectors = vectors or 2 * draw(st.integers(1, 500))
    link = LinkType("any", 10**12 // byte_ps, draw(st.integers(0, 10**6)), payload, wire_bytes)
    return Wire(link, vectors * payload, vectors * wire_bytes * byte_ps)


def timed(
    routing: Routing, operation: Operation, algorithm: Algorithm, shard_bytes: int, chips: int
) -> CollectiveTiming:
    """A collective over the first `chips`, of a buffer of so many shards."""
    return time_collective(
        routing,
        range(chips),
        operation=operation,
        size_bytes=shard_bytes * chips,
        algorithm=algorithm,
    )


def check(timing: CollectiveTiming, wire: Wire, latencies: int, half_shards: int) -> None:
    """A duration of so many latencies and half shards on the wire, and the split of it."""
    assert timing.link_latency_ps == latencies * wire.latency_ps
    assert timing.link_serialisation_ps == half_shards * wire.shard_ps // 2
    assert timing.duration_ps == timing.link_latency_ps + timing.link_serialisation_ps


BOTH_HALVES: dict[Operation, int] = {"all_gather": 1, "reduce_scatter": 1, "all_reduce": 2}


@given(wire=wires(), chips=st.integers(2, 12), operation=st.sampled_from(OPERATIONS))
@settings(deadline=None)
def test_direct_is_one_latency_and_one_shard(wire: Wire, chips: int, operation: Operation) -> None:
    """a + m/b; an all-reduce does that twice, a broadcast sends the whole buffer to each."""
    timing = timed(box_of(chips, wire.link), operation, "direct", wire.shard_bytes, chips)
    steps = 2 if operation == "all_reduce" else 1
    check(timing, wire, steps, 2 * steps * (chips if operation == "broadcast" else 1))
    assert timing.step_count == steps


@given(wire=wires(), chips=st.integers(2, 10), operation=st.sampled_from(OPERATIONS))
@settings(deadline=None)
def test_a_ring_is_as_many_latencies_as_it_has_further_members(
    wire: Wire, chips: int, operation: Operation
) -> None:
    """(n - 1)(a + m/b), twice for an all-reduce.

    An all-to-all begins with n - 1 shards and drops one at each chip: n (n - 1) / 2 in all. The
    chain of a broadcast has n shards close behind one another: the first has passed n - 1 links
    after (n - 1)(a + m/b), and n - 1 more follow it over the last.
    """
    timing = timed(box_of(chips, wire.link), operation, "ring", wire.shard_bytes, chips)
    steps = (chips - 1) * BOTH_HALVES.get(operation, 1)
    shards = {"all_to_all": chips * (chips - 1) // 2, "broadcast": 2 * (chips - 1)}
    check(timing, wire, steps, 2 * shards.get(operation, steps))


@given(
    wire=wires(),
    chips=st.integers(3, 10),
    operation=st.sampled_from(OPERATIONS),
    network=st.sampled_from([box_of, ring_of]),
)
@settings(deadline=None)
def test_a_two_way_ring_goes_half_the_way(
    wire: Wire, chips: int, operation: Operation, network: Callable[[int, LinkType], Routing]
) -> None:
    """floor(n / 2) a + (n - 1) / 2 m/b: n - 1 shards come in over two links, on a ring as in a box.

    All-to-all: shards of the same way sum up to 1 + 2 + ... + (n - 1) / 2 on a link, (n^2 - 1) / 8;
    with an even n the one opposite is halved, n^2 / 8. Broadcast: the longer arm, as a chain.
    """
    timing = timed(network(chips, wire.link), operation, "two_way_ring", wire.shard_bytes, chips)
    times = BOTH_HALVES.get(operation, 1)
    half_shards = {
        "all_to_all": chips * chips // 4,  # rounded down: (n^2 - 1) / 4 where n is odd
        "broadcast": 2 * (chips // 2 + chips - 1),
    }
    check(timing, wire, chips // 2 * times, half_shards.get(operation, (chips - 1) * times))


@given(wire=wires(), chips=st.sampled_from([2, 4, 8, 16]), operation=st.sampled_from(OPERATIONS))
@settings(deadline=None)
def test_halving_and_doubling_takes_logarithmically_many_latencies(
    wire: Wire, chips: int, operation: Operation
) -> None:
    """log2(n) a + (n - 1)/n M/b, twice for an all-reduce and a broadcast (a scatter, a gather).

    In an all-to-all each step moves half a buffer: log2(n) (a + M/2b).
    """
    timing = timed(box_of(chips, wire.link), operation, "halving_doubling", wire.shard_bytes, chips)
    bits = int(log2(chips))
    times = 2 if operation in ("all_reduce", "broadcast") else 1
    half_shards = bits * chips if operation == "all_to_all" else 2 * times * (chips - 1)
    check(timing, wire, bits * times, half_shards)


@given(wire=wires(), chips=st.integers(2, 16))
@settings(deadline=None)
def test_a_binomial_tree_is_as_deep_as_its_members_have_bits(wire: Wire, chips: int) -> None:
    """Member i is reached over as many links as its number has ones, each with the whole buffer.

    A parent sends to its children at once, over links of their own: a broadcast takes d (a + M/b),
    d the most ones of any member (log2(n) for powers of two), and an all-reduce twice that.
    """
    routing = box_of(chips, wire.link)
    depth = max(member.bit_count() for member in range(chips))
    down = timed(routing, "broadcast", "tree", wire.shard_bytes, chips)
    check(down, wire, depth, 2 * depth * chips)
    both = timed(routing, "all_reduce", "tree", wire.shard_bytes, chips)
    check(both, wire, 2 * depth, 4 * depth * chips)


@given(
    wire=wires(),
    chips=st.sampled_from([2, 4, 8, 16]),
    operation=st.sampled_from(["all_gather", "reduce_scatter"]),
)
@settings(deadline=None)
def test_one_way_of_a_tree_carries_parts_and_the_other_all(
    wire: Wire, chips: int, operation: Operation
) -> None:
    """Parts: 1 + 2 + ... + n / 2 shards on the longest way. Whole buffers: n each time."""
    timing = timed(box_of(chips, wire.link), operation, "tree", wire.shard_bytes, chips)
    bits = int(log2(chips))
    check(timing, wire, 2 * bits, 2 * (chips - 1 + bits * chips))


@given(data=st.data(), nodes=st.integers(2, 4), chips=st.integers(2, 4))
@settings(deadline=None)
def test_hierarchical_on_a_dragonfly_with_a_cable_for_every_peer(
    data: st.DataObject, nodes: int, chips: int
) -> None:
    """N nodes of C chips; as many cables between two nodes join chips of equal place, one each.

    Gather: m between nodes, then N shards inside: (a' + m/b') + (a + N m/b), a reduce-scatter the
    other way round, an all-reduce both. All-to-all: N shards inside, C between. Broadcast: the
    buffer once between and once inside.
    """
    inside = data.draw(wires())
    payload, vectors = inside.link.payload_bytes, inside.link.vectors(inside.shard_bytes)
    between = data.draw(wires(vectors))
    # The same bytes on both: the same payload of a vector.
    link = LinkType(
        "between",
        between.link.bytes_per_s,
        between.latency_ps,
        payload,
        between.link.wire_bytes,
    )
    routing = dragonfly_of(nodes, chips, chips, inside.link, link)
    shards = {
        "all_gather": (nodes, 1),
        "reduce_scatter": (nodes, 1),
        "all_reduce": (2 * nodes, 2),
        "all_to_all": (nodes, chips),
        "broadcast": (nodes * chips, nodes * chips),
    }
    operation = data.draw(st.sampled_from(OPERATIONS))
    timing = timed(routing, operation, "hierarchical", inside.shard_bytes, nodes * chips)
    here, there = shards[operation]
    times = 2 if operation == "all_reduce" else 1
    assert timing.link_latency_ps == times * (inside.latency_ps + between.latency_ps)
    assert timing.link_serialisation_ps == here * inside.shard_ps + there * between.shard_ps
    assert timing.duration_ps == timing.link_latency_ps + timing.link_serialisation_ps


@given(wire=wires(), size_bytes=st.integers(1, 10**5), chips=st.integers(2, 9))
@settings(deadline=None)
def test_a_share_is_rounded_up_to_bytes_and_these_to_vectors(
    wire: Wire, size_bytes: int, chips: int
) -> None:
    timing = time_collective(
        box_of(chips, wire.link),
        range(chips),
        operation="all_gather",
        size_bytes=size_bytes,
        algorithm="direct",
    )
    vectors = ceil(ceil(size_bytes / chips) / wire.link.payload_bytes)
    byte_ps = 10**12 // wire.link.bytes_per_s
    assert timing.duration_ps == wire.latency_ps + vectors * wire.link.wire_bytes * byte_ps
    assert set(timing.vectors_by_hop.values()) == {vectors}
    assert len(timing.vectors_by_hop) == chips * (chips - 1)


# Shared links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("latency_ps", [0, 533_000, 10**9])
@pytest.mark.parametrize("shard_bytes", [2, 2048, 2 * MIB])
def test_a_gather_on_a_ring_of_eight_is_as_good_as_can_be(
    shard_bytes: int, latency_ps: int
) -> None:
    """4 a + 3.5 m/b. The chip opposite is four links away; seven shards come in over two links.

    Nothing beats either, and the two-way ring meets both at once.
    """
    routing = ring_of(8, PLAIN_OF[latency_ps])
    shard_ps = shard_bytes * BYTE_PS
    best = timed(routing, "all_gather", "two_way_ring", shard_bytes, 8)
    assert best.duration_ps == 4 * latency_ps + 7 * shard_ps // 2
    for algorithm in ALGORITHMS:
        if algorithm == "hierarchical":  # one node
            continue
        other = timed(routing, "all_gather", algorithm, shard_bytes, 8)
        assert other.duration_ps >= 4 * latency_ps + BYTE_PS
        assert other.duration_ps >= latency_ps + 7 * shard_ps // 2


def lowest_arc(source: int, target: int) -> tuple[int, ...]:
    """The shorter way round a ring of 8; of two equal ones that of lower numbers."""
    up = tuple((source + step) % 8 for step in range((target - source) % 8 + 1))
    down = tuple((source - step) % 8 for step in range((source - target) % 8 + 1))
    return min(up, down, key=lambda arc: (len(arc), arc))


def test_an_all_to_all_on_a_ring_of_eight() -> None:
    """1 MiB at 25 GB/s and 700 ns: ten messages on the busiest link, 53,128.8 ns.

    128 piece-hops (16 pairs at a distance of 1, 2 and 3 each, 8 at 4) over 16 links are 8 for each:
    a + 8 m/b is a bound for whatever goes by shortest ways. Balanced routes come within the bytes
    that a message of four links forwards, one on each link behind the first.
    """
    busiest = Counter(
        hop
        for source in range(8)
        for target in range(8)
        if source != target
        for hop in pairwise(lowest_arc(source, target))
    )
    assert max(busiest.values()) == 10
    assert sum(busiest.values()) == 128 == 8 * 16
    routing, shard_bytes = ring_of(8), MIB // 8
    shard_ps = shard_bytes * BYTE_PS
    direct = timed(routing, "all_to_all", "direct", shard_bytes, 8)
    assert direct.duration_ps == 53_128_800 == LATENCY_PS + 10 * shard_ps
    assert direct.vectors_by_hop == {
        hop: count * shard_bytes for hop, count in sorted(busiest.items())
    }
    balanced = timed(routing, "all_to_all", "direct_balanced", shard_bytes, 8)
    assert set(balanced.vectors_by_hop.values()) == {8 * shard_bytes}
    assert 0 <= balanced.duration_ps - (LATENCY_PS + 8 * shard_ps) <= 3 * BYTE_PS


def test_an_all_to_all_on_72_chips_waits_for_the_cables_between_nodes() -> None:
    """9 nodes of 8, one cable a pair: 64 of the pieces cross it. 9 MiB: 336,244.32 ns."""
    routing, shard_bytes = dragonfly_of(9, 8, 1), 9 * MIB // 72
    timing = timed(routing, "all_to_all", "direct", shard_bytes, 72)
    assert timing.duration_ps == 336_244_320 == LATENCY_PS + 64 * shard_bytes * BYTE_PS
    hop, busy_ps = timing.busiest_hop or ((0, 0), 0)
    assert hop[0] // 8 != hop[1] // 8
    assert busy_ps == 64 * shard_bytes * BYTE_PS


# The choice ---------------------------------------------------------------------------------------

ROUTERS = {
    "ring of 5": ring_of(5),
    "ring of 8": ring_of(8),
    "box of 4": box_of(4),
    "box of 7": box_of(7),
    "torus 3 x 4": Routing(
        torus(name="torus", sides=(3, 4), local=PLAIN, global_=PLAIN, port_count=4)
    ),
    "torus 2 x 4 in nodes": Routing(
        torus(name="t", sides=(2, 4), local=PLAIN, global_=PLAIN, port_count=4, chips_per_node=4)
    ),
    "dragonfly 3 x 4": dragonfly_of(3, 4, 1),
    "dragonfly 2 x 4 with cables": dragonfly_of(2, 4, 4),
    "switches": Routing(
        switched(name="switches", chips=8, switches=3, links_per_chip=3, local=PLAIN, port_count=3)
    ),
}


@given(
    place=st.sampled_from(sorted(ROUTERS)),
    operation=st.sampled_from(OPERATIONS),
    size_bytes=st.one_of(st.integers(1, 1000), st.integers(10**4, 10**8)),
)
@settings(deadline=None, max_examples=60)
def test_the_fastest_that_fits_is_taken(place: str, operation: Operation, size_bytes: int) -> None:
    """And it beats no physical bound: what a chip must get, over all the cables that lead to it."""
    routing = ROUTERS[place]
    chips = routing.topology.chip_count

    def by(algorithm: Algorithm | None, tried: Arrangement) -> CollectiveTiming:
        return time_collective(
            tried.routing,
            tried.members,
            operation=operation,
            size_bytes=size_bytes,
            algorithm=algorithm,
        )

    durations: dict[Algorithm, int] = {}
    root = 0 if operation == "broadcast" else None
    for tried in arrangements(routing, tuple(range(chips)), root):
        for algorithm in ALGORITHMS:
            try:
                time_ps = by(algorithm, tried).duration_ps
                durations[algorithm] = min(time_ps, durations.get(algorithm, time_ps))
            except InputError as error:
                assert algorithm not in str(error).split("these fit: ")[1]
    chosen = by(None, Arrangement(tuple(range(chips)), routing))
    # A ring of direct links is tried for rings alone, so that others might be faster along one.
    assert chosen.duration_ps >= min(durations.values())
    assert chosen.duration_ps <= min(
        by(algorithm, tried).duration_ps
        for tried in arrangements(routing, tuple(range(chips)), root)
        for algorithm in durations
        if not tried.ring_only or "ring" in algorithm
    )
    assert chosen.algorithm is not None
    assert set(chosen.not_taken) == set(ALGORITHMS) - {chosen.algorithm}
    # The last chip lacks a copy of the buffer, or of that the shares of the others.
    whole = operation in ("broadcast", "all_reduce")
    lacks_bytes = size_bytes if whole else size_bytes * (chips - 1) // chips
    cables = sum(link.target == chips - 1 for link in routing.topology.links)
    assert chosen.duration_ps >= LATENCY_PS + lacks_bytes * BYTE_PS // cables


def test_what_is_not_taken_says_what_it_takes_or_why_it_does_not_fit() -> None:
    timing = time_collective(
        box_of(6), range(6), operation="all_gather", size_bytes=6 * 25_000, algorithm=None
    )
    assert (timing.algorithm, timing.duration_ps) == ("direct", LATENCY_PS + 1_000_000)
    assert timing.not_taken["halving_doubling"] == (
        "halving_doubling needs a power of two, not 6 chips"
    )
    assert timing.not_taken["direct_balanced"].startswith("no pair has a choice of routes")
    # Five steps of 1.7 us, bounded so without being placed in time.
    assert timing.not_taken["ring"] == "at least 8.50 µs"


# Conventions --------------------------------------------------------------------------------------

# Of nccl-tests, doc/PERFORMANCE.md: bus bandwidth over algorithm bandwidth, of n ranks.
BUS_FACTORS = {
    "all_reduce": lambda n: 2 * (n - 1) / n,
    "reduce_scatter": lambda n: (n - 1) / n,
    "all_gather": lambda n: (n - 1) / n,
    "all_to_all": lambda n: (n - 1) / n,
    "broadcast": lambda n: 1.0,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("chips", [2, 5, 8])
def test_bandwidths_are_those_of_nccl_tests(operation: Operation, chips: int) -> None:
    timing = time_collective(
        box_of(chips), range(chips), operation=operation, size_bytes=MIB, algorithm="ring"
    )
    seconds = timing.duration_ps / 10**12
    # A double's rounding and no more.
    assert timing.algorithm_bytes_per_s == pytest.approx(MIB / seconds, rel=1e-12)
    expected = MIB / seconds * BUS_FACTORS[operation](chips)
    assert timing.bus_bytes_per_s == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("operation", ["all_gather", "reduce_scatter", "all_reduce"])
def test_a_ring_without_latency_reaches_the_rate_of_its_links(operation: Operation) -> None:
    """Which is what the bus bandwidth is for: 25 GB/s, whatever the operation and the chips."""
    timing = timed(box_of(8, PLAIN_OF[0]), operation, "ring", 10**6, 8)
    assert timing.bus_bytes_per_s == pytest.approx(25e9, rel=1e-12)


@pytest.mark.parametrize(
    ("routing", "chips", "operation", "algorithm", "says"),
    [
        (box_of(6), 6, "all_gather", "halving_doubling", "power of two, not 6 chips"),
        (box_of(4), 4, "all_gather", "hierarchical", "the group has 1 node with 4"),
        (dragonfly_of(2, 4, 1), 6, "all_reduce", "hierarchical", "2 nodes with 4, 2"),
        (box_of(4), 4, "all_to_all", "tree", "a tree has no all_to_all"),
        (box_of(2), 2, "broadcast", "two_way_ring", "a one-way ring"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(
    routing: Routing, chips: int, operation: Operation, algorithm: Algorithm, says: str
) -> None:
    with pytest.raises(InputError, match=says) as refused:
        timed(routing, operation, algorithm, 100, chips)
    (problem,) = refused.value.problems
    fitting = problem.suggestion.removeprefix("these fit: ").split(", ")
    assert algorithm not in fitting
    assert set(fitting) <= set(ALGORITHMS)
    for other in fitting:
        assert timed(routing, operation, other, 100, chips).duration_ps > 0  # type: ignore[arg-type]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("group", "size_bytes"), [((3,), 1000), ((0, 1), 0)])
def test_one_chip_or_no_bytes_need_no_exchange(
    operation: Operation, group: tuple[int, ...], size_bytes: int
) -> None:
    timing = time_collective(box_of(4), group, operation=operation, size_bytes=size_bytes)
    assert timing.algorithm is timing.routed is timing.busiest_hop is None
    assert (timing.duration_ps, timing.step_count, timing.vectors_by_hop) == (0, 0, {})
    assert timing.algorithm_bytes_per_s == timing.bus_bytes_per_s == 0


def test_where_nothing_is_rerouted_an_algorithm_over_a_failed_link_is_out() -> None:
    """A square whose cable 0-2 has failed: the ring does not need it, the direct way does."""
    square = fully_connected(name="square", chips=4, local=PLAIN, port_count=3)
    routing = Routing(with_failed_links(square, [(0, 2, 1)], reroute=False))
    chosen = time_collective(routing, range(4), operation="all_gather", size_bytes=4096)
    assert chosen.algorithm not in ("direct", "direct_balanced", None)
    assert "failed link" in chosen.not_taken["direct"]
    with pytest.raises(InputError, match="crosses the failed link 0 -> 2"):
        time_collective(routing, (0, 2), operation="all_gather", size_bytes=4096)
