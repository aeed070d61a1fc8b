"""Grid axes: the dimensions of a grid of chips, found from its links alone.

A mesh, torus or HyperX is the Cartesian product of its lines. Links are of one dimension where a
square or a shortest way ties them together; the transitive closure of these two relations is the
only finest product (Feder, Product graph representations, 1992).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rack_sim.foundation.arrays import Int64Array
from rack_sim.hardware.routing import Hop

# All pairs of chips are looked at, and all pairs of links.
_CHIPS_MAX = 512
_LINKS_MAX = 8192


@dataclass(frozen=True)
class Dimension:
    """One dimension: how many chips a line has, what kind of line, and each chip's place on it."""

    side: int
    kind: tuple[int, ...]
    place_of: dict[int, int]


def grid_axes(members: Sequence[int], links: Sequence[Hop]) -> list[Dimension]:
    """The dimensions of the grid that `links` make of `members`; of what is no grid, one or none.

    Where symmetry leaves a choice (where a line starts, which way it goes) the order of `members`
    decides.
    """
    count = len(members)
    spot = {chip: number for number, chip in enumerate(members)}
    near = np.zeros((count, count), dtype=bool)
    for a, b in links:
        near[spot[a], spot[b]] = near[spot[b], spot[a]] = True
    edges = np.argwhere(np.triu(near))
    if not 2 < count <= _CHIPS_MAX or len(edges) > _LINKS_MAX:
        return []
    far = _distances(near)
    if far.max() > count:  # in several parts
        return []
    group = _dimensions(near, edges, far)
    found = [_axis(members, near, edges, group == name) for name in np.unique(group)]
    return found if len(found) > 1 else []


def _distances(near: npt.NDArray[np.bool_]) -> Int64Array:
    """Links between all pairs; more than there are chips where no way leads."""
    count = len(near)
    far = np.full((count, count), count + 1, dtype=np.int64)
    np.fill_diagonal(far, 0)
    reached = np.eye(count, dtype=bool)
    step = near.astype(np.float32)
    for depth in range(1, count):
        more = (reached.astype(np.float32) @ step > 0) & (far > count)
        if not more.any():
            break
        far[more] = depth
        reached = more
    return far


def _dimensions(near: npt.NDArray[np.bool_], edges: Int64Array, far: Int64Array) -> Int64Array:
    """The dimension of every link, as the number of its first link."""
    group = np.arange(len(edges))
    a, b = edges[:, 0], edges[:, 1]

    def join(hits: Int64Array) -> None:
        names = np.unique(group[hits])
        if len(names) > 1:
            group[np.isin(group, names)] = names[0]

    for number, (x, y) in enumerate(edges):
        # Djokovic and Winkler: going along one of the two changes which end of the other is nearer.
        tied = far[x, a] + far[y, b] != far[x, b] + far[y, a]
        tied[number] = True
        join(np.flatnonzero(tied))
    number_of = np.zeros(near.shape, dtype=np.int64)
    number_of[a, b] = number_of[b, a] = np.arange(len(edges))
    common = near.astype(np.float32) @ near.astype(np.float32)
    for middle in range(len(near)):
        beside = np.flatnonzero(near[middle])
        # Two links that meet and are no corner of a square.
        pairs = np.argwhere((common[np.ix_(beside, beside)] == 1) & ~near[np.ix_(beside, beside)])
        for first, second in pairs:
            if first < second:
                join(number_of[middle, beside[[first, second]]])
    return group


def _axis(
    members: Sequence[int],
    near: npt.NDArray[np.bool_],
    edges: Int64Array,
    own: npt.NDArray[np.bool_],
) -> Dimension:
    """The dimension of the links `own`: chips that others join are in one place on it."""
    names = list(range(len(members)))
    others = [(int(a), int(b)) for a, b in edges[~own]]
    beside: dict[int, list[int]] = {number: [] for number in names}
    for a, b in others:
        beside[a].append(b)
        beside[b].append(a)
    layer = [-1] * len(names)
    for start in names:
        edge = [start] if layer[start] < 0 else []
        while edge:
            here = edge.pop()
            if layer[here] < 0:
                layer[here] = start
                edge += beside[here]
    linked = {(layer[a], layer[b]) for a, b in ((int(a), int(b)) for a, b in edges[own])}
    linked |= {(b, a) for a, b in linked}
    degrees = Counter(a for a, _ in linked)
    line = _line(sorted(set(layer)), linked)
    place = {name: number for number, name in enumerate(line)}
    kind = (len(line), *sorted(degrees.values()))
    return Dimension(len(line), kind, {chip: place[layer[at]] for at, chip in enumerate(members)})


def _line(names: Sequence[int], linked: set[Hop]) -> list[int]:
    """The places along a line: from its end or, round a ring, from its first; else as they are."""
    near = {name: sorted(b for a, b in linked if a == name) for name in names}
    degrees = sorted(map(len, near.values()))
    if degrees[-1] > 2:
        return list(names)
    line = [next(name for name in names if len(near[name]) == degrees[0])]
    while len(line) < len(names):
        line.append(next(name for name in near[line[-1]] if name not in line))
    return line
