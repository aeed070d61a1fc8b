"""Bisection: the least bandwidth between two halves of the chips, one direction.

Halves differ by at most one chip. Links of each half to a switch count as far as the switch can
pass them on: the lesser of what reaches it from the two sides.

Where the machine is regular the best halves are known: any for fully connected chips and for
switches that see all chips, half the circle of a ring, and for grids the chips in the order of
their coordinates, for the best order of the sides (rows and rings with the longest side first:
Azizoglu and Egecioglu 2004; cliques with the shortest first: Lindsey 1964). Elsewhere the least cut
is not known and what is given is an upper bound: the chips in number order (nodes and racks stay
together), or what exchanging chips (Kernighan-Lin) makes of them and of stripes, where the system
is small enough. A machine with failed links is regular no more: what its cables in service carry is
an upper bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from rack_sim.hardware.topology import Topology

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_EXCHANGE_CHIPS_MAX = 1_024
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Cut:
    """Two halves and what crosses between them, one direction.

    `exact` says that no halves have less; otherwise the cut is an upper bound of the bisection.
    """

    bytes_per_s: int
    halves: str
    exact: bool


def bisection(topology: Topology) -> Cut:
    """The least cut that is known between two halves of the chips."""
    known = topology.halves
    if topology.failed_links and not topology.sides:
        known = ""  # halves that are as good as any other no longer are
    alike = len({topology.link_types[kind].bytes_per_s for kind in _kinds(topology)}) < 2
    best = min(cut_bytes_per_s(topology, half) for half in _halves(topology))
    if known and alike and not topology.failed_links:
        return Cut(best, known, exact=True)
    if topology.switch_count == 0 and 2 < topology.chip_count <= _EXCHANGE_CHIPS_MAX:
        better = cut_bytes_per_s(topology, _exchanged(topology))
        if better < best:
            return Cut(better, "Kernighan-Lin", exact=False)
    return Cut(best, known or "number order", exact=False)


def cut_bytes_per_s(topology: Topology, left: set[int]) -> int:
    """What `left` can send to the other chips."""
    chips = topology.chip_count
    crossing = 0
    at_switch = np.zeros((topology.switch_count, 2), dtype=np.int64)
    for link in topology.links:
        rate = topology.link_types[link.kind].bytes_per_s
        if link.target >= chips:
            at_switch[link.target - chips, int(link.source in left)] += rate
        elif link.source < chips and link.source in left and link.target not in left:
            crossing += rate
    return crossing + int(at_switch.min(axis=1).sum())


def _kinds(topology: Topology) -> set[str]:
    return {link.kind for link in topology.links}


def _halves(topology: Topology) -> Iterator[set[int]]:
    """Candidates for the half that is not larger."""
    chips = topology.chip_count
    numbers = np.arange(chips)
    if not topology.sides:
        yield set(range(chips // 2))
        return
    grid = numbers.reshape(topology.sides)
    for order in permutations(range(len(topology.sides))):
        yield {int(chip) for chip in grid.transpose(order).ravel()[: chips // 2]}


def _exchanged(topology: Topology) -> set[int]:
    """The least halves that exchanging chips finds (Kernighan and Lin 1970), from several starts.

    Written out here because which of equally good chips a library takes first is its own affair,
    and what it finds changes from one of its versions to the next. Here it is the lowest.
    """
    rates = _rates(topology)
    found = (_improved(rates, start) for start in _starts(topology.chip_count))
    best = min(found, key=lambda left: rates[np.ix_(left, ~left)].sum())
    return {int(chip) for chip in np.flatnonzero(best)}


def _starts(chips: int) -> Iterator[BoolArray]:
    """Halves in number order, and stripes: number order can be the best of its neighbours only."""
    numbers = np.arange(chips)
    yield numbers < chips // 2
    width = 1
    while width < chips // 2:
        dealt = np.argsort(numbers // width % 2, kind="stable")
        yield np.isin(numbers, dealt[: chips // 2])
        width *= 2


def _rates(topology: Topology) -> IntArray:
    """Bytes a second from chip to chip; alike both ways, as cables are."""
    rates = np.zeros((topology.chip_count, topology.chip_count), dtype=np.int64)
    for link in topology.links:
        rates[link.source, link.target] += topology.link_types[link.kind].bytes_per_s
    return rates


def _improved(rates: IntArray, start: BoolArray) -> BoolArray:
    left = start.copy()
    while True:
        gains, pairs = _exchanges(rates, left)
        saved = np.cumsum(gains)
        best = int(saved.argmax())
        if saved[best] <= 0:
            return left
        for pair in pairs[: best + 1]:
            left[pair] = ~left[pair]


def _exchanges(rates: IntArray, left: BoolArray) -> tuple[list[int], list[list[int]]]:
    """What each exchange saves when every chip of `left` goes over once, the best first."""
    # What a chip sends across less what it sends within its half: that much less crosses when it
    # goes over alone.
    saved = np.where(left, rates @ ~left - rates @ left, rates @ left - rates @ ~left)
    gains, pairs = [], []
    here, there = left.copy(), ~left
    for _ in range(int(left.sum())):
        a = int(np.where(here, saved, _NEVER).argmax())
        # What the two send each other crosses still.
        both = np.where(there, saved[a] + saved - 2 * rates[a], _NEVER)
        b = int(both.argmax())
        gains.append(int(both[b]))
        pairs.append([a, b])
        here[a] = there[b] = False
        saved += 2 * np.where(left, rates[a] - rates[b], rates[b] - rates[a])
    return gains, pairs
