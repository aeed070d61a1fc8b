"""Distance: hops and latencies between all pairs of chips, without a table of pairs.

A hop leads from chip to chip: over one link, or over a switch, which is two links and still one
hop. A search starts from every chip at once: each chip has a row of bits, one for every source that
has reached it, and a level of the search is an OR over neighbours. That is exact, and for 10,440
chips it is a second where a search from each chip in turn is minutes.

Among routes of equal hops the quickest counts: bits are kept apart by the latency gathered so far,
so the worst latency is that of the minimal route which a clever router would take.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rack_sim.foundation.arrays import Int64Array
from rack_sim.hardware.topology import Topology

Bits = npt.NDArray[np.uint64]

# Sources searched together: what a level gathers is this / 8 bytes for every link.
_SOURCES_AT_ONCE = 2048
_ONES = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Distances:
    """How far apart chips are.

    `pairs_by_hops` counts ordered pairs of different chips, from one hop upwards;
    `worst_latency_ps` is the largest, over pairs, of the least latency of a minimal route.
    """

    pairs_by_hops: tuple[int, ...]
    worst_latency_ps: int

    @property
    def diameter_hops(self) -> int:
        """Hops between the two chips that are furthest apart."""
        return len(self.pairs_by_hops)

    @property
    def average_hops(self) -> float:
        """Mean over all pairs of different chips; zero where there is one chip."""
        pairs = sum(self.pairs_by_hops)
        hops = sum(n * count for n, count in enumerate(self.pairs_by_hops, 1))
        return hops / pairs if pairs else 0.0


def distances(topology: Topology) -> Distances:
    """The distances between all chips of a topology, spare ones included."""
    steps = tuple(_Step.by_latency(*_hops(topology)))
    pairs: list[int] = []
    worst_ps = 0
    for first in range(0, topology.chip_count, _SOURCES_AT_ONCE):
        last = min(first + _SOURCES_AT_ONCE, topology.chip_count)
        for hops, latency_ps, reached in _search(topology.chip_count, steps, first, last):
            if len(pairs) < hops:
                pairs.append(0)
            pairs[hops - 1] += reached
            worst_ps = max(worst_ps, latency_ps)
    return Distances(tuple(pairs), worst_ps)


@dataclass(frozen=True)
class _Step:
    """Every hop of one latency: where it starts, in order of where it ends."""

    latency_ps: int
    sources: Int64Array
    targets: Int64Array  # each once
    starts: Int64Array  # the first of `sources` that leads to each target

    @staticmethod
    def by_latency(
        sources: Int64Array, targets: Int64Array, latency_ps: Int64Array
    ) -> Iterator["_Step"]:
        for latency in np.unique(latency_ps):
            chosen = latency_ps == latency
            order = np.argsort(targets[chosen], kind="stable")
            ends, starts = np.unique(targets[chosen][order], return_index=True)
            yield _Step(int(latency), sources[chosen][order], ends, starts)


def _hops(topology: Topology) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Source, target and latency of every hop; of parallel ones the quickest."""
    chips = topology.chip_count
    latency_of = {name: kind.latency_ps for name, kind in topology.link_types.items()}
    table = np.array(
        [(link.source, link.target, latency_of[link.kind]) for link in topology.links],
        dtype=np.int64,
    ).reshape(-1, 3)
    direct = table[(table[:, 0] < chips) & (table[:, 1] < chips)]
    parts = [direct]
    for switch in range(chips, chips + topology.switch_count):
        up, down = table[table[:, 1] == switch], table[table[:, 0] == switch]
        parts.append(
            np.column_stack(
                (
                    np.repeat(up[:, 0], len(down)),
                    np.tile(down[:, 1], len(up)),
                    np.add.outer(up[:, 2], down[:, 2]).ravel(),
                )
            )
        )
    found = np.concatenate(parts)
    found = found[found[:, 0] != found[:, 1]]
    found = found[np.lexsort((found[:, 2], found[:, 1], found[:, 0]))]
    _, quickest = np.unique(found[:, 0] * chips + found[:, 1], return_index=True)
    return found[quickest, 0], found[quickest, 1], found[quickest, 2]


def _search(
    chips: int, steps: tuple[_Step, ...], first: int, last: int
) -> Iterator[tuple[int, int, int]]:
    """Hops, latency, and how many pairs are that far, for the sources `first` to `last`."""
    sources = np.arange(last - first)
    own = np.zeros((chips, -(-(last - first) // 64)), dtype=np.uint64)
    own[first + sources, sources // 64] = np.uint64(1) << (sources % 64).astype(np.uint64)
    seen = own.copy()
    edge = {0: own}  # latency so far -> who arrived with it at the last level
    hops = 0
    while edge:
        hops += 1
        arrived: dict[int, Bits] = {}
        for spent, bits in edge.items():
            for step in steps:
                into = arrived.setdefault(spent + step.latency_ps, np.zeros_like(seen))
                into[step.targets] |= np.bitwise_or.reduceat(
                    bits[step.sources], step.starts, axis=0
                )
        edge = {}
        for latency_ps in sorted(arrived):
            new = arrived[latency_ps] & ~seen
            reached = int(_ONES[new.view(np.uint8)].sum(dtype=np.int64))
            if reached:
                seen |= new
                edge[latency_ps] = new
                yield hops, latency_ps, reached
