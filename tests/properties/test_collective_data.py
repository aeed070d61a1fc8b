"""Every algorithm carried out on symbols: each member ends with what its operation promises.

A value is a bag of contributions, written (member that had it first, piece). A transfer may use
only what its source had at the start and what has arrived there by the transfers that it needs, or
those that they need, and so on: a schedule may order the rest as it likes.
"""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.timing.algorithms import (
    ALGORITHMS,
    OPERATIONS,
    Algorithm,
    Operation,
    Pattern,
    Transfer,
    misfit,
    pattern,
)

Value = Counter[tuple[int, int]]

# (node of every member): the shapes that `hierarchical` takes, members of a node together or dealt.
NODES = [
    tuple(member // size if together else member % count for member in range(count * size))
    for count, size in ((2, 2), (2, 3), (3, 2), (4, 2), (2, 8), (3, 5), (4, 4), (8, 2))
    for together in (True, False)
]
CASES = [
    (operation, algorithm, nodes)
    for operation, algorithm in product(OPERATIONS, ALGORITHMS)
    for nodes in (NODES if algorithm == "hierarchical" else [(0,) * n for n in range(2, 17)])
    if not misfit(operation, algorithm, nodes)
]


def name_of(case: object) -> str:
    return "".join(map(str, case)) if isinstance(case, tuple) else str(case)


def owner(piece: int, found: Pattern, count: int) -> int:
    """Whose piece it is, in the operations whose pieces belong to members."""
    return piece // (found.pieces_per_buffer // count)


def pieces_of(operation: Operation, found: Pattern, count: int) -> range:
    """All pieces: in an all-to-all each member has a buffer of its own."""
    return range(found.pieces_per_buffer * (count if operation == "all_to_all" else 1))


def at_start(operation: Operation, found: Pattern, count: int, member: int) -> set[int]:
    """The pieces that a member has before anything moves."""
    pieces = pieces_of(operation, found, count)
    if operation in ("all_reduce", "reduce_scatter"):
        return set(pieces)
    if operation == "broadcast":
        return set(pieces) if member == 0 else set()
    if operation == "all_gather":
        return {piece for piece in pieces if owner(piece, found, count) == member}
    return {piece for piece in pieces if owner(piece, found, count) // count == member}


def promised(operation: Operation, found: Pattern, count: int, member: int) -> dict[int, Value]:
    """What a member has at the end, by piece."""
    pieces = pieces_of(operation, found, count)
    everyone = range(count)
    if operation == "broadcast":
        return {piece: Counter([(0, piece)]) for piece in pieces}
    if operation == "all_gather":
        return {piece: Counter([(owner(piece, found, count), piece)]) for piece in pieces}
    if operation == "all_to_all":
        pairs = {piece: divmod(owner(piece, found, count), count) for piece in pieces}
        return {
            piece: Counter([(source, piece)])
            for piece, (source, target) in pairs.items()
            if target == member
        }
    return {
        piece: Counter((other, piece) for other in everyone)
        for piece in pieces
        if operation == "all_reduce" or owner(piece, found, count) == member
    }


class Carried:
    """A pattern carried out."""

    def __init__(self, operation: Operation, found: Pattern, count: int) -> None:
        self.transfers = found.transfers
        self.starts = [at_start(operation, found, count, member) for member in range(count)]
        self.before: list[set[int]] = []  # by transfer, all that it waits for
        self.sent: list[dict[int, Value]] = []
        self.into: dict[tuple[int, int], list[int]] = {}  # (member, piece) -> transfers
        for number, transfer in enumerate(found.transfers):
            for piece in transfer.pieces:
                self.into.setdefault((transfer.target, piece), []).append(number)
        for transfer in found.transfers:
            self.before.append(set())
            for need in transfer.needs:
                assert need < len(self.before) - 1, "a transfer needs only earlier ones"
                assert found.transfers[need].target == transfer.source, "it must arrive there"
                self.before[-1] |= {need} | self.before[need]
            self.sent.append(
                {
                    piece: self.at(transfer.source, piece, self.before[-1])
                    for piece in transfer.pieces
                }
            )

    def at(self, member: int, piece: int, by: set[int]) -> Value:
        """The value of a piece when exactly the transfers `by` are sure to have arrived."""
        arrivals = self.into.get((member, piece), [])
        copies = [n for n in arrivals if n in by and not self.transfers[n].reduces]
        if copies:  # a copy takes the place of whatever was there
            assert all(self.sent[n][piece] == self.sent[copies[0]][piece] for n in copies)
            return self.sent[copies[0]][piece]
        value: Value = Counter([(member, piece)] if piece in self.starts[member] else [])
        for number in arrivals:
            if self.transfers[number].reduces:
                assert number in by, f"whether transfer {number} is in the sum is left to chance"
                value += self.sent[number][piece]
        assert value, f"member {member} does not have piece {piece} yet"
        assert max(value.values()) == 1, f"a contribution to piece {piece} counts twice"
        return value


@pytest.mark.parametrize(("operation", "algorithm", "nodes"), CASES, ids=name_of)
def test_every_member_ends_with_what_is_promised(
    operation: Operation, algorithm: Algorithm, nodes: tuple[int, ...]
) -> None:
    found, count = pattern(operation, algorithm, nodes), len(nodes)
    pieces = pieces_of(operation, found, count)
    for transfer in found.transfers:
        assert transfer.source != transfer.target
        assert len(set(transfer.pieces)) == len(transfer.pieces) > 0
        assert all(piece in pieces for piece in transfer.pieces)
    carried = Carried(operation, found, count)
    everything = set(range(len(found.transfers)))
    for member in range(count):
        for piece, value in promised(operation, found, count, member).items():
            assert carried.at(member, piece, everything) == value, (member, piece)


def pieces_in(found: Pattern, count: int) -> list[int]:
    """Pieces that arrive at each member."""
    arrived = [0] * count
    for transfer in found.transfers:
        arrived[transfer.target] += len(transfer.pieces)
    return arrived


@pytest.mark.parametrize(("operation", "algorithm", "nodes"), CASES, ids=name_of)
def test_no_more_moves_than_must_and_never_less(
    operation: Operation, algorithm: Algorithm, nodes: tuple[int, ...]
) -> None:
    """Of a buffer of n pieces each member lacks n - 1: a gather brings those and nothing else.

    So does a reduce-scatter, in which each of the n - 1 sums is one addition to one piece. A tree
    moves more, all through its root. Of the others each member gets no less than it lacks, and
    an all-reduce takes 2 (n - 1) messages for each piece: n - 1 additions, and n - 1 to be told.
    """
    found, count = pattern(operation, algorithm, nodes), len(nodes)
    whole = found.pieces_per_buffer
    arrived = pieces_in(found, count)
    lacks = whole * (count - 1) // count
    if operation in ("all_gather", "reduce_scatter"):
        if algorithm == "tree":
            assert sum(arrived) >= count * lacks
        else:
            assert arrived == [lacks] * count
    elif operation == "all_to_all":
        assert min(arrived) >= lacks
    elif operation == "broadcast":
        assert min(arrived[1:]) >= whole
    else:
        assert min(arrived) >= whole
        assert sum(arrived) >= 2 * (count - 1) * whole
        if algorithm in ("tree", "direct", "ring", "two_way_ring", "halving_doubling"):
            assert sum(arrived) == 2 * (count - 1) * whole


@given(st.data())
def test_a_transfer_left_out_is_missed(data: st.DataObject) -> None:
    """The machine above can fail: without any one transfer somebody ends with less.

    Trees of gathers are left out: what the root hands down contains what a member had at the start.
    """
    cases = [case for case in CASES if case[1] != "tree" and len(case[2]) <= 8]
    operation, algorithm, nodes = data.draw(st.sampled_from(cases))
    found, count = pattern(operation, algorithm, nodes), len(nodes)
    if operation == "broadcast" and algorithm == "halving_doubling":
        return  # the gather behind the scatter brings to the root what the root has
    gone = data.draw(st.integers(0, len(found.transfers) - 1))
    transfers = [
        Transfer(
            t.source,
            t.target,
            t.pieces,
            tuple(need - (need > gone) for need in t.needs if need != gone),
            t.reduces,
        )
        for number, t in enumerate(found.transfers)
        if number != gone
    ]
    less = Pattern(found.pieces_per_buffer, transfers)
    with pytest.raises(AssertionError):
        carried = Carried(operation, less, count)
        for member in range(count):
            for piece, value in promised(operation, found, count, member).items():
                assert carried.at(member, piece, set(range(len(transfers)))) == value
