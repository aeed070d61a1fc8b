"""What collectives refuse, how many transfers are too many, and whose transfers are whose."""

from collections.abc import Sequence

import pytest

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.builders import dragonfly, fully_connected, ring
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.timing import collectives
from rack_sim.timing.algorithms import ALGORITHMS, OPERATIONS, Algorithm, Operation, pattern
from rack_sim.timing.collectives import route_collective, time_collective

PLAIN = LinkType("plain", 25_000_000_000, 700_000, payload_bytes=1, wire_bytes=1)


def ring_of(chips: int) -> Routing:
    return Routing(ring(name="ring", chips=chips, local=PLAIN, global_=PLAIN, port_count=2))


def box_of(chips: int) -> Routing:
    return Routing(fully_connected(name="box", chips=chips, local=PLAIN, port_count=chips))


def nodes_of(nodes: int, chips: int) -> Routing:
    return Routing(
        dragonfly(
            name="nodes",
            racks=1,
            nodes_per_rack=nodes,
            chips_per_node=chips,
            links_per_node_pair=1,
            links_per_rack_pair=0,
            spare_nodes_per_rack=0,
            local=PLAIN,
            global_=PLAIN,
            port_count=99,
        )
    )


def refused(routing: Routing, group: Sequence[int], **asked: object) -> list[Problem]:
    settings = {"operation": "all_gather", "size_bytes": 100, **asked}
    with pytest.raises(InputError) as caught:
        time_collective(routing, group, **settings)  # type: ignore[arg-type]
    return list(caught.value.problems)


# Nonsense -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "group", [(), (0, 0), (0, 1, 0), (0, 4), (-1, 0), (4,), (0, 1, 2, 3, 4), (0, 0.5)]
)
def test_a_group_is_of_different_chips_that_are_there(group: tuple[int, ...]) -> None:
    (problem,) = refused(box_of(4), group)
    assert problem.field == "group"
    assert problem.message == f"{list(group)} are no different chips of 'box'"
    assert problem.suggestion == "numbers from 0 to 3, each once"


@pytest.mark.parametrize("group", [(3,), (0, 3), (3, 2, 1, 0)])
def test_any_different_chips_are_a_group(group: tuple[int, ...]) -> None:
    timing = time_collective(box_of(4), group, operation="all_gather", size_bytes=100)
    assert timing.group == group


@pytest.mark.parametrize("size_bytes", [-1, 1.0, "100", None])
def test_a_size_is_a_whole_number_of_bytes(size_bytes: object) -> None:
    (problem,) = refused(box_of(4), (0, 1), size_bytes=size_bytes)
    assert problem.field == "size_bytes"
    assert problem.message == f"{size_bytes!r} is not a whole number of bytes"
    for fine in (0, 1):
        time_collective(box_of(4), (0, 1), operation="all_gather", size_bytes=fine)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = refused(box_of(4), (9,), operation="all_gahter", algorithm="rign", size_bytes=-5)
    assert [problem.field for problem in found] == ["operation", "algorithm", "size_bytes", "group"]
    assert found[0].message == "there is no operation 'all_gahter'"
    assert "all_gather" in str(found[0].suggestion)
    assert found[1].message == "there is no algorithm 'rign'"
    assert "ring" in str(found[1].suggestion)


# Too many transfers -------------------------------------------------------------------------------


def fitting(routing: Routing, chips: int, operation: Operation) -> set[str]:
    """What fits, as it is said to whoever asks for what does not: a tree, or halving."""
    wrong = "tree" if operation == "all_to_all" else "halving_doubling"
    (problem,) = refused(routing, range(chips), operation=operation, algorithm=wrong)
    assert problem.field == "algorithm"
    if problem.suggestion == "a smaller group":
        return set()
    return set(str(problem.suggestion).removeprefix("these fit: ").split(", "))


ROUND = {"direct", "direct_balanced", "ring", "two_way_ring"}


@pytest.mark.parametrize(
    ("operation", "chips", "expected"),
    [
        # Of a hundred: ten chips send ten each; trees have as many rounds as a number has bits.
        ("all_gather", 10, ROUND | {"tree"}),
        ("all_gather", 11, {"tree"}),
        ("all_gather", 20, {"tree"}),
        ("all_gather", 21, set()),
        ("reduce_scatter", 10, ROUND | {"tree"}),
        ("reduce_scatter", 11, {"tree"}),
        # Twice of everything.
        ("all_reduce", 7, ROUND | {"tree"}),
        ("all_reduce", 9, {"tree"}),
        ("all_reduce", 12, {"tree"}),
        ("all_reduce", 13, set()),
        # One chip sends, to each of the others.
        ("broadcast", 11, {"direct", "tree"}),
        ("broadcast", 100, {"direct"}),
        ("broadcast", 101, set()),
        ("all_to_all", 10, ROUND),
        ("all_to_all", 11, set()),
    ],
)
def test_no_more_than_so_many_transfers_are_placed(
    operation: Operation, chips: int, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collectives, "TRANSFERS_MAX", 100)
    found = fitting(ring_of(chips), chips, operation) - {"halving_doubling"}
    if operation == "broadcast":
        found.discard("direct_balanced")  # as direct, but counted as many more
    assert found == expected


@pytest.mark.parametrize(
    ("nodes", "chips", "fits"),
    [(2, 5, True), (3, 4, True), (2, 6, True), (2, 7, False), (5, 3, False)],
)
def test_a_hierarchy_sends_inside_nodes_and_between_peers(
    nodes: int, chips: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hundred: 10 x 7, 12 x 7 and 12 x 8, but neither 14 x 9 nor 15 x 8."""
    monkeypatch.setattr(collectives, "TRANSFERS_MAX", 100)
    found = fitting(nodes_of(nodes, chips), nodes * chips, "all_gather")
    assert ("hierarchical" in found) is fits


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_about_so_many_is_never_less_than_there_are(
    operation: Operation, algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And at most a member's own share more: what is said, held against the transfers."""
    if operation == "all_to_all" and algorithm == "tree":
        return
    monkeypatch.setattr(collectives, "TRANSFERS_MAX", 0)
    routing, nodes = nodes_of(4, 2), [chip // 2 for chip in range(8)]
    (problem,) = refused(routing, range(8), operation=operation, algorithm=algorithm)
    assert problem.message.startswith(f"{algorithm} over 8 chips has about ")
    assert problem.message.endswith(" transfers, too many to place")
    said = int(problem.message.split()[6])
    exact = len(pattern(operation, algorithm, nodes).transfers)
    assert exact <= said
    if operation != "broadcast" and algorithm not in ("tree", "two_way_ring"):
        assert said <= 2 * exact


def test_where_all_have_too_many_a_smaller_group_is_named() -> None:
    """633 squared is more than 400,000, 632 squared is not; nothing else carries an all-to-all."""
    (problem,) = refused(ring_of(633), range(633), operation="all_to_all")
    assert problem.message == "all_to_all over 633 chips has too many transfers to be placed"
    assert problem.suggestion == "at most 400,000 are; a --group of up to 632 chips"
    assert problem.field == "group"
    (direct,) = refused(ring_of(633), range(633), operation="all_to_all", algorithm="direct")
    assert direct.message == "direct over 633 chips has about 400,689 transfers, too many to place"
    assert direct.suggestion == "a smaller group"


def test_an_all_reduce_is_two_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred transfers: seven chips, for 2 x 7 x 7 are 98."""
    monkeypatch.setattr(collectives, "TRANSFERS_MAX", 100)
    (problem,) = refused(ring_of(13), range(13), operation="all_reduce")
    assert problem.suggestion == "at most 100 are; a --group of up to 7 chips"
    (problem,) = refused(ring_of(21), range(21), operation="all_gather")
    assert problem.suggestion == "at most 100 are; a --group of up to 10 chips"


# Whose transfers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("group", [(0, 1, 2, 3, 4, 5), (4, 1, 0, 5, 3, 2), (5, 0, 3)])
@pytest.mark.parametrize("routing", [ring_of(6), box_of(6), nodes_of(3, 2)])
def test_members_are_counted_as_the_group_has_them(
    operation: Operation, group: tuple[int, ...], routing: Routing
) -> None:
    """In whatever order the chips are taken for the fastest way: transfers name who sends."""
    routed = time_collective(routing, group, operation=operation, size_bytes=600).routed
    assert routed is not None
    assert routed.group == group
    for transfer, parts in zip(routed.transfers, routed.parts, strict=True):
        ends = (group[transfer.source], group[transfer.target])
        assert {(part.flow.source, part.flow.target) for part in parts} == {ends}
        sent = sum(part.flow.message_bytes for part in parts)
        assert sent == len(transfer.pieces) * routed.piece_bytes
    if operation == "broadcast":
        assert not any(transfer.target == 0 for transfer in routed.transfers)


def test_the_same_members_in_the_same_order_are_the_same_transfers() -> None:
    routed = route_collective(
        box_of(3), (2, 0, 1), operation="all_gather", size_bytes=9, algorithm="direct"
    )
    assert routed.with_members_of((2, 0, 1)) is routed
    turned = routed.with_members_of((0, 1, 2))
    assert [(2, 0, 1)[t.source] for t in routed.transfers] == [t.source for t in turned.transfers]
    assert [(2, 0, 1)[t.target] for t in routed.transfers] == [t.target for t in turned.transfers]
    assert (routed.piece_bytes, routed.step_count, turned.step_count) == (3, 1, 1)


@pytest.mark.parametrize(("size_bytes", "piece"), [(1, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, 3)])
def test_a_piece_is_rounded_up_to_bytes(size_bytes: int, piece: int) -> None:
    routed = route_collective(
        box_of(3), range(3), operation="all_gather", size_bytes=size_bytes, algorithm="ring"
    )
    assert routed.piece_bytes == piece


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 8])
def test_a_two_way_broadcast_reaches_the_member_opposite_upwards(count: int) -> None:
    """Half the ring upwards, the rest downwards; nobody gets a piece twice."""
    found = pattern("broadcast", "two_way_ring", (0,) * count)
    up = {t.target for t in found.transfers if t.target == (t.source + 1) % count}
    down = {t.target for t in found.transfers if t.target == (t.source - 1) % count}
    assert up == set(range(1, count // 2 + 1))
    assert down == set(range(count // 2 + 1, count))
    assert len(found.transfers) == count * (count - 1)


def test_the_busiest_link_is_the_first_of_those_held_longest() -> None:
    """A chain sends everything over every link of it; a box of equals begins with 0 -> 1."""
    chain = time_collective(
        ring_of(5), range(5), operation="broadcast", size_bytes=100, algorithm="ring"
    )
    assert chain.busiest_hop == ((0, 1), 100 * 40)
    direct = time_collective(
        ring_of(4), (2, 3, 1), operation="broadcast", size_bytes=10, algorithm="direct"
    )
    assert direct.busiest_hop == ((2, 1), 10 * 40)
    uneven = time_collective(
        ring_of(6), (3, 4, 5), operation="broadcast", size_bytes=10, algorithm="direct"
    )
    assert uneven.busiest_hop == ((3, 4), 2 * 10 * 40)


def test_one_chip_alone_takes_no_step() -> None:
    routed = route_collective(
        box_of(2), (1,), operation="all_gather", size_bytes=9, algorithm="direct"
    )
    assert (routed.transfers, routed.step_count) == ((), 0)


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 8])
def test_what_goes_to_everybody_goes_as_far_as_it_must_and_no_further(count: int) -> None:
    """Direct each piece goes once; on a ring to the member d places on d times.

    Both ways round there are two halves of each piece; the longest way is half the ring.
    """
    nodes = (0,) * count

    def moved(algorithm: Algorithm) -> int:
        return sum(len(t.pieces) for t in pattern("all_to_all", algorithm, nodes).transfers)

    assert moved("direct") == count * (count - 1)
    assert moved("ring") == count * sum(range(1, count))
    near = [min(far, count - far) for far in range(1, count)]
    assert moved("two_way_ring") == 2 * count * sum(near)
