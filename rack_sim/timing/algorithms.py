"""Algorithms: which chip sends which pieces to which other, and what it must have got before.

A collective over n chips is written down for members 0..n-1; where they sit is no matter here. The
buffer is cut into pieces; a transfer carries some of them. What a piece is:

- all-gather, reduce-scatter, all-reduce: with n pieces, piece p belongs to member p (with 2n, as
  the two-way ring has them, pieces 2p and 2p + 1 do)
- all-to-all: piece ``s * n + t`` goes from member s to member t (two-way ring: two for each pair)
- broadcast: all pieces are the root's, member 0

A reduce transfer is added to what the target has of the same pieces. The tests carry the data of
every algorithm and check that each member ends with what the operation promises.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

Operation = Literal["all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
Algorithm = Literal[
    "direct",
    "direct_balanced",
    "ring",
    "two_way_ring",
    "halving_doubling",
    "tree",
    "hierarchical",
]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)


class Transfer(NamedTuple):
    """Pieces on their way from member to member; `needs` are transfers that must have arrived."""

    source: int
    target: int
    pieces: Sequence[int]
    needs: tuple[int, ...] = ()
    reduces: bool = False


class Pattern(NamedTuple):
    """An algorithm for so many members: its transfers, and the pieces one buffer is cut into."""

    pieces_per_buffer: int
    transfers: list[Transfer]


def misfit(operation: Operation, algorithm: Algorithm, nodes: Sequence[int]) -> str:
    """Why an algorithm does not fit, empty where it does; `nodes` has the node of every member."""
    count = len(nodes)
    if algorithm == "halving_doubling" and count & (count - 1):
        return f"halving_doubling needs a power of two, not {count} chips"
    if algorithm == "two_way_ring" and count < 3:
        return f"a two-way ring of {count} chips is a one-way ring"
    if algorithm == "tree" and operation == "all_to_all":
        return "a tree has no all_to_all: everything would pass its root"
    if algorithm == "hierarchical":
        counts = Counter(nodes)
        sizes = set(counts.values())
        if len(sizes) > 1 or len(counts) < 2 or sizes == {1}:
            return (
                "hierarchical needs two or more nodes with the same number of chips each, "
                f"two or more; the group has {_in_nodes(nodes)}"
            )
    return ""


def pattern(operation: Operation, algorithm: Algorithm, nodes: Sequence[int]) -> Pattern:
    """The transfers of an algorithm. Raises ValueError where `misfit` says why not."""
    reason = misfit(operation, algorithm, nodes)
    if reason:
        raise ValueError(reason)
    count = len(nodes)
    if algorithm == "hierarchical":
        return _hierarchical(operation, nodes)
    make = _MAKERS[algorithm]
    if operation == "all_reduce" and algorithm == "tree":
        return _one_after_the_other(_gather(count, reduces=True), _spread(count))
    if operation == "all_reduce":
        return _one_after_the_other(make("reduce_scatter", count), make("all_gather", count))
    return make(operation, count)


def step_counts(transfers: Sequence[Transfer]) -> list[int]:
    """The step of every transfer, from 1: one more than the latest that it needs."""
    steps: list[int] = []
    known: dict[int, int] = {}  # by the identity of a tuple of needs, which many may share
    for transfer in transfers:
        if id(transfer.needs) not in known:
            known[id(transfer.needs)] = 1 + max((steps[n] for n in transfer.needs), default=0)
        steps.append(known[id(transfer.needs)])
    return steps


def _one_after_the_other(first: Pattern, second: Pattern) -> Pattern:
    """Two patterns in a row: a member goes on when all that was sent to it has arrived.

    That holds for all that it sends, but for what it only hands on. What a member sends at once
    shares one tuple of needs, so that the needs can be looked at once.
    """
    transfers = list(first.transfers)
    came: dict[int, list[int]] = {}
    for number, transfer in enumerate(transfers):
        came.setdefault(transfer.target, []).append(number)
    arrived = {target: tuple(numbers) for target, numbers in came.items()}
    for transfer in second.transfers:
        needs = tuple(need + len(first.transfers) for need in transfer.needs)
        brought = [second.transfers[need].pieces for need in transfer.needs]
        if not any(_holds(pieces, transfer.pieces) for pieces in brought):
            everything = arrived.get(transfer.source, ())
            needs = needs + everything if needs else everything
        transfers.append(transfer._replace(needs=needs))
    return Pattern(first.pieces_per_buffer, transfers)


def _holds(pieces: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether `pieces` are `wanted` and perhaps more; long ranges are compared at once."""
    return pieces == wanted or (len(pieces) >= len(wanted) and set(pieces) >= set(wanted))


def _direct(operation: Operation, count: int) -> Pattern:
    """Everybody to everybody at once; each begins with its neighbour, so that none is flooded."""
    if operation == "broadcast":
        return Pattern(1, [Transfer(0, member, (0,)) for member in range(1, count)])
    transfers = []
    for source in range(count):
        for offset in range(1, count):
            target = (source + offset) % count
            piece = {
                "all_gather": source,
                "reduce_scatter": target,
                "all_to_all": source * count + target,
            }[operation]
            transfers.append(
                Transfer(source, target, (piece,), reduces=operation == "reduce_scatter")
            )
    return Pattern(count, transfers)


def _ring(operation: Operation, count: int) -> Pattern:
    """Everybody to the next, count - 1 times."""
    transfers: list[Transfer] = []
    if operation == "broadcast":  # a chain, the pieces close behind one another
        for piece in range(count):
            for member in range(count - 1):
                needs = (len(transfers) - 1,) if member else ()
                transfers.append(Transfer(member, member + 1, (piece,), needs))
        return Pattern(count, transfers)
    for step in range(count - 1):
        for source in range(count):
            # What the one before sent in the last step is what is sent on now.
            needs = ((step - 1) * count + (source - 1) % count,) if step else ()
            origin = (source - step) % count
            pieces: tuple[int, ...] = (origin,)
            if operation == "reduce_scatter":
                pieces = ((origin - 1) % count,)
            elif operation == "all_to_all":
                pieces = tuple(
                    origin * count + (origin + far) % count for far in range(step + 1, count)
                )
            transfers.append(
                Transfer(
                    source,
                    (source + 1) % count,
                    pieces,
                    needs,
                    operation == "reduce_scatter",
                )
            )
    return Pattern(count, transfers)


def _two_way_ring(operation: Operation, count: int) -> Pattern:
    """Both ways round at once: nothing goes further than half the ring.

    Where the ring is even, the member opposite is as far either way: one half of a piece goes
    round on this side and one on the other.
    """
    # Half pieces: (how far it goes upwards, how far downwards) for the even and the odd half.
    reach = ((count // 2, (count - 1) // 2), ((count - 1) // 2, count // 2))
    transfers: list[Transfer] = []
    if operation == "broadcast":
        up, down = reach[0]
        for piece in range(count):
            for way, far in ((1, up), (-1, down)):
                for step in range(far):
                    needs = (len(transfers) - 1,) if step else ()
                    source, target = way * step % count, way * (step + 1) % count
                    transfers.append(Transfer(source, target, (piece,), needs))
        return Pattern(count, transfers)
    last: dict[tuple[int, int], int] = {}  # (member, way) -> its latest arrival
    for step in range(count // 2):
        arrived: dict[tuple[int, int], int] = {}
        for source in range(count):
            for way in (1, -1):
                pieces = _two_way_pieces(operation, source, way, step, count, reach)
                if not pieces:
                    continue
                target = (source + way) % count
                needs = (last[source, way],) if step else ()
                transfers.append(
                    Transfer(source, target, pieces, needs, operation == "reduce_scatter")
                )
                arrived[target, way] = len(transfers) - 1
        last = arrived
    return Pattern(2 * count, transfers)


def _two_way_pieces(
    operation: Operation,
    source: int,
    way: int,
    step: int,
    count: int,
    reach: tuple[tuple[int, int], tuple[int, int]],
) -> tuple[int, ...]:
    """The half pieces that `source` sends in a step, upwards (way 1) or downwards (-1)."""
    pieces: list[int] = []
    for half in (0, 1):
        far = reach[half][0 if way == 1 else 1]
        if operation == "all_gather" and step < far:
            pieces.append(2 * ((source - way * step) % count) + half)
        elif operation == "reduce_scatter" and step >= count // 2 - far:
            # Sums begin at the far end and arrive at the owner in the last step.
            owner = (source + way * (count // 2 - step)) % count
            pieces.append(2 * owner + half)
        elif operation == "all_to_all":
            origin = (source - way * step) % count
            pieces += [
                2 * (origin * count + (origin + way * beyond) % count) + half
                for beyond in range(step + 1, far + 1)
            ]
    return tuple(pieces)


def _halving_doubling(operation: Operation, count: int) -> Pattern:
    """Partners at distances of powers of two; blocks halve or double from step to step."""
    bits = count.bit_length() - 1
    transfers: list[Transfer] = []
    if operation == "broadcast":
        return _one_after_the_other(_scatter(count), _halving_doubling("all_gather", count))
    arrived: list[tuple[int, ...]] = [()] * count
    steps = range(bits - 1, -1, -1) if operation == "reduce_scatter" else range(bits)
    for bit in steps:
        now = list(arrived)
        for source in range(count):
            target = source ^ (1 << bit)
            if operation == "all_to_all":
                # Held by now: from members alike above this bit, for members alike below it.
                pieces: Sequence[int] = tuple(
                    origin * count + goal
                    for origin in range(count)
                    if origin >> bit == source >> bit
                    for goal in range(count)
                    if goal % (1 << bit) == source % (1 << bit)
                    and (goal >> bit) % 2 != (source >> bit) % 2
                )
            else:
                owner = source if operation == "all_gather" else target
                first = owner >> bit << bit
                pieces = range(first, first + (1 << bit))
            transfers.append(
                Transfer(source, target, pieces, arrived[source], operation == "reduce_scatter")
            )
            now[target] = (*now[target], len(transfers) - 1)
        arrived = now
    return Pattern(count, transfers)


def _scatter(count: int) -> Pattern:
    """Each member's piece from the root down a binomial tree."""
    transfers: list[Transfer] = []
    got: dict[int, tuple[int, ...]] = {0: ()}
    for bit in range((count - 1).bit_length() - 1, -1, -1):
        for source in range(0, count, 2 << bit):
            target = source + (1 << bit)
            if target < count:
                pieces = range(target, min(target + (1 << bit), count))
                transfers.append(Transfer(source, target, pieces, got[source]))
                got[target] = (len(transfers) - 1,)
    return Pattern(count, transfers)


def _gather(count: int, *, reduces: bool) -> Pattern:
    """Up a binomial tree to the root: each member's piece, or the sum of whole buffers."""
    transfers: list[Transfer] = []
    got: list[tuple[int, ...]] = [()] * count
    for bit in range((count - 1).bit_length()):
        for source in range(1 << bit, count, 2 << bit):
            target = source - (1 << bit)
            pieces = range(count) if reduces else range(source, min(source + (1 << bit), count))
            transfers.append(Transfer(source, target, pieces, got[source], reduces))
            got[target] = (*got[target], len(transfers) - 1)
    return Pattern(count, transfers)


def _spread(count: int) -> Pattern:
    """The whole buffer from the root down a binomial tree."""
    transfers: list[Transfer] = []
    got: dict[int, tuple[int, ...]] = {0: ()}
    for bit in range((count - 1).bit_length() - 1, -1, -1):
        for source in range(0, count, 2 << bit):
            target = source + (1 << bit)
            if target < count:
                transfers.append(Transfer(source, target, range(count), got[source]))
                got[target] = (len(transfers) - 1,)
    return Pattern(count, transfers)


def _tree(operation: Operation, count: int) -> Pattern:
    """Through a binomial tree: up to the root, down from it."""
    if operation == "broadcast":
        return _spread(count)
    if operation == "all_gather":
        return _one_after_the_other(_gather(count, reduces=False), _spread(count))
    return _one_after_the_other(_gather(count, reduces=True), _scatter(count))


def _hierarchical(operation: Operation, nodes: Sequence[int]) -> Pattern:
    """Inside nodes and between them, each level direct: chips of equal place in nodes are peers.

    What goes between nodes goes once: reduce inside before, spread inside after.
    """
    count = len(nodes)
    inside: dict[int, list[int]] = {}
    for member, node in enumerate(nodes):
        inside.setdefault(node, []).append(member)
    teams = list(inside.values())  # members by node
    peers = list(zip(*teams, strict=True))  # members by their place in the node
    if operation == "all_reduce":
        return _one_after_the_other(
            _hierarchical("reduce_scatter", nodes), _hierarchical("all_gather", nodes)
        )
    place = {member: spot for spot, team in enumerate(peers) for member in team}
    first: list[Transfer] = []
    second: list[Transfer] = []
    if operation == "all_gather":
        first = _within(peers, lambda source, _: (source,))
        second = _within(teams, lambda source, _: peers[place[source]])
    elif operation == "reduce_scatter":
        first = _within(teams, lambda _, target: peers[place[target]], reduces=True)
        second = _within(peers, lambda _, target: (target,), reduces=True)
    elif operation == "all_to_all":
        team_of = {member: team for team in teams for member in team}
        first = _within(
            teams, lambda source, target: [source * count + peer for peer in peers[place[target]]]
        )
        second = _within(
            peers,
            lambda source, target: [origin * count + target for origin in team_of[source]],
        )
    else:
        first = [Transfer(0, team[0], (0,)) for team in teams[1:]]
        second = [Transfer(team[0], member, (0,)) for team in teams for member in team[1:]]
    pieces = 1 if operation == "broadcast" else count
    return _one_after_the_other(Pattern(pieces, first), Pattern(pieces, second))


def _within(
    groups: Sequence[Sequence[int]],
    pieces: Callable[[int, int], Sequence[int]],
    *,
    reduces: bool = False,
) -> list[Transfer]:
    """Direct transfers inside each group."""
    found = []
    for group in groups:
        for spot, source in enumerate(group):
            for offset in range(1, len(group)):
                target = group[(spot + offset) % len(group)]
                found.append(Transfer(source, target, pieces(source, target), reduces=reduces))
    return found


def _in_nodes(nodes: Sequence[int]) -> str:
    sizes = sorted(Counter(nodes).values(), reverse=True)
    return f"{len(sizes)} node{'s' if len(sizes) > 1 else ''} with {', '.join(map(str, sizes[:8]))}"


_MAKERS: dict[str, Callable[[Operation, int], Pattern]] = {
    "direct": _direct,
    "direct_balanced": _direct,
    "ring": _ring,
    "two_way_ring": _two_way_ring,
    "halving_doubling": _halving_doubling,
    "tree": _tree,
}
