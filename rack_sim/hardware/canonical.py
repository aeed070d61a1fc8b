"""Canonical order: vertices of a graph in an order that does not depend on their numbers.

Two numberings of one machine give orders that say the same: the n-th vertex of one is the n-th of
the other, up to a symmetry of the machine. It is found as programs for graph isomorphism do
(McKay and Piperno, Practical graph isomorphism II, 2014): colours are refined until vertices of one
colour see the same colours; where that leaves a choice, each vertex of a colour is tried, the
smallest picture of the graph wins, and what a symmetry maps onto what was tried is left out.
Among symmetric orders the one with the lowest numbers first is taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.int64]
Arc = tuple[int, int, int]  # source, target, label

# Machines as they are built take some dozens of refinements. Past so many the smallest picture
# that was found is taken, which then may depend on numbers.
_REFINEMENTS_MAX = 4000


@dataclass(frozen=True)
class CanonicalForm:
    """Vertices in canonical order, and symmetries of the graph that generate many others.

    A symmetry says of every vertex, by number, where it goes.
    """

    order: tuple[int, ...]
    symmetries: tuple[tuple[int, ...], ...]


def canonical_form(colours: Sequence[int], arcs: Sequence[Arc]) -> CanonicalForm:
    """The form of a graph of the vertices 0, 1, … with `colours` and labelled `arcs`.

    Colours and labels say what differs in kind; they must not depend on numbers themselves.
    """
    twins = _twins(colours, arcs)
    firsts = sorted(twins)
    place = {vertex: number for number, vertex in enumerate(firsts)}
    kinds = {
        vertex: (colours[vertex], len(twins[vertex][0]), twins[vertex][1]) for vertex in firsts
    }
    ranks = {kind: rank for rank, kind in enumerate(sorted(set(kinds.values())))}
    kept = [(place[a], place[b], label) for a, b, label in arcs if a in place and b in place]
    search = _Search(len(firsts), kept)
    start = np.array([ranks[kinds[vertex]] for vertex in firsts], dtype=np.int64)
    order = search.run(start)
    teams = [twins[vertex][0] for vertex in firsts]
    symmetries = []
    for symmetry in search.symmetries:
        goes = [0] * len(colours)
        for team, there in zip(teams, symmetry, strict=True):
            for source, target in zip(team, teams[there], strict=True):
                goes[source] = target
        symmetries.append(tuple(goes))
    return CanonicalForm(
        tuple(member for spot in order for member in teams[spot]), tuple(symmetries)
    )


def relabelled(
    colours: Sequence[int], arcs: Sequence[Arc], order: Sequence[int]
) -> tuple[list[int], list[Arc]]:
    """The graph with its vertices numbered as they come in `order`."""
    place = {vertex: number for number, vertex in enumerate(order)}
    return (
        [colours[vertex] for vertex in order],
        sorted((place[a], place[b], label) for a, b, label in arcs),
    )


def _twins(
    colours: Sequence[int], arcs: Sequence[Arc]
) -> dict[int, tuple[list[int], tuple[int, ...]]]:
    """Vertices that may change places with no other moved, by the first: members, and their label.

    Twins see the same others; those that see each other do so by one label.
    """
    near: list[set[tuple[int, int]]] = [set() for _ in colours]
    for source, target, label in arcs:
        near[source].add((target, label))
    found: dict[tuple[Any, ...], list[int]] = {}
    for vertex, others in enumerate(near):
        found.setdefault((colours[vertex], frozenset(others)), []).append(vertex)
        for label in {label for _, label in others}:
            around = frozenset(others | {(vertex, label)})
            found.setdefault((colours[vertex], around, label), []).append(vertex)
    result: dict[int, tuple[list[int], tuple[int, ...]]] = {
        vertex: ([vertex], ()) for vertex in range(len(colours))
    }
    for key, members in found.items():
        if len(members) > 1:
            for member in members:
                del result[member]
            result[members[0]] = (members, key[2:])
    return result


@dataclass
class _Leaf:
    """An order that was found: the vertices singled out, what refinement saw, the graph then."""

    path: tuple[int, ...]
    trace: tuple[bytes, ...]
    picture: bytes
    order: Colours


@dataclass
class _Search:
    """The tree of choices; `run` walks it."""

    count: int
    arcs: Sequence[Arc]
    best: _Leaf | None = None
    symmetries: list[Colours] = field(default_factory=list)
    refinements: int = 0

    def __post_init__(self) -> None:
        table = np.array(sorted(self.arcs), dtype=np.int64).reshape(-1, 3)
        self._sources, self._targets, self._labels = table[:, 0], table[:, 1], table[:, 2]
        self._with_arcs, self._starts = np.unique(self._sources, return_index=True)

    def run(self, colours: Colours) -> list[int]:
        """The vertices in canonical order."""
        refined, seen = self._refined(colours)
        self._walk(refined, (), (seen,))
        assert isinstance(self.best, _Leaf)
        return [int(vertex) for vertex in self.best.order]

    def _walk(self, colours: Colours, path: tuple[int, ...], trace: tuple[bytes, ...]) -> int:
        """Walks what is below `path`; returns the length of the path at which to go on."""
        cell = self._cell(colours)
        if not len(cell):
            return self._arrive(colours, path, trace)
        tried: list[int] = []
        for vertex in map(int, cell):
            if self.best and self.refinements > _REFINEMENTS_MAX:
                break
            if tried and self._is_like(vertex, tried, path):
                continue
            tried.append(vertex)
            single = 2 * colours
            single[vertex] -= 1
            refined, seen = self._refined(single)
            longer = (*trace, seen)
            if self.best and longer > self.best.trace[: len(longer)]:
                continue
            back = self._walk(refined, (*path, vertex), longer)
            if back < len(path):
                return back
        return len(path)

    def _arrive(self, colours: Colours, path: tuple[int, ...], trace: tuple[bytes, ...]) -> int:
        """At an order: keeps it where it is the smallest; goes back to where a symmetry begins."""
        picture = self._picture(colours)
        order = np.argsort(colours)
        best = self.best
        if best is None or (trace, picture) < (best.trace, best.picture):
            self.best = _Leaf(path, trace, picture, order)
        elif (trace, picture) == (best.trace, best.picture):
            symmetry = np.empty(self.count, dtype=np.int64)
            symmetry[best.order] = order
            self.symmetries.append(symmetry)
            pairs = zip(best.path, path, strict=False)
            return next((at for at, (a, b) in enumerate(pairs) if a != b), len(path))
        return len(path)

    def _cell(self, colours: Colours) -> Colours:
        """The vertices of the smallest colour that several have, empty where none is left."""
        sizes = np.bincount(colours)
        several = np.flatnonzero(sizes > 1)
        if not len(several):
            return several
        return np.flatnonzero(colours == several[np.argmin(sizes[several])])

    def _is_like(self, vertex: int, tried: Sequence[int], path: tuple[int, ...]) -> bool:
        """Whether symmetries that leave the path alone lead from what was tried to `vertex`."""
        fixed = np.array(path, dtype=np.int64)
        moves = [s for s in self.symmetries if np.array_equal(s[fixed], fixed)]
        reached = set(tried)
        edge = list(tried)
        while edge:
            here = edge.pop()
            for symmetry in moves:
                there = int(symmetry[here])
                if there not in reached:
                    reached.add(there)
                    edge.append(there)
        return vertex in reached

    def _refined(self, colours: Colours) -> tuple[Colours, bytes]:
        """Colours split until vertices of one see the same; and a digest of what was seen."""
        self.refinements += 1
        seen = blake2b(digest_size=16)
        found, colour_count = _ranks(colours, np.zeros(self.count, dtype=np.uint64), seen.update)
        while True:
            views = np.zeros(self.count, dtype=np.uint64)
            if len(self._starts):
                each = _mixed(found[self._targets], self._labels)
                views[self._with_arcs] = np.add.reduceat(each, self._starts)
            found, now = _ranks(found, views, seen.update)
            if now in (colour_count, self.count):
                return found, seen.digest()
            colour_count = now

    def _picture(self, place: Colours) -> bytes:
        """The arcs between places, in order: equal for two orders where a symmetry joins them."""
        sources, targets = place[self._sources], place[self._targets]
        order = np.lexsort((targets, sources))
        return np.column_stack((sources, targets, self._labels))[order].astype(">i8").tobytes()


def _ranks(
    colours: Colours, views: npt.NDArray[np.uint64], update: Callable[[bytes], None]
) -> tuple[Colours, int]:
    """Colours numbered anew by colour and view; how many there are."""
    order = np.lexsort((views, colours))
    first, second = colours[order], views[order]
    new = np.ones(len(order), dtype=np.int64)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(new) - 1
    update(first.astype(">i8").tobytes() + second.astype(">u8").tobytes())
    return ranks, int(new.sum())


def _mixed(colours: Colours, labels: Colours) -> npt.NDArray[np.uint64]:
    """A number for each colour and label, spread so that sums tell sets apart (SplitMix64)."""
    mixed = (colours.astype(np.uint64) << np.uint64(20)) + labels.astype(np.uint64)
    mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
