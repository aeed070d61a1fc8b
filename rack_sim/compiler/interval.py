"""Interval: how soon one step may follow another, from their programs.

Steps enter a pipeline that waits for nothing. Two rules decide how close they can be:

- A unit of a chip works for one step after the other, from the first task of a step to its last:
  gaps inside are not given to the next step. (A static compiler could interleave there; what a
  dependent operator's fixed latency is made of is not known, so we do not bank on it.)
- A link carries the vectors of different steps in any order, never two at one time.

The first gives the separation of a no-wait flow shop, the largest over units of (last end in the
step before - first start in the step behind). The second forbids some times beyond that. Slots
enter at one fixed interval whatever their kind, so every multiple of the interval counts, for every
pair of kinds. Which intervals are forbidden is solved, not searched: times differ by at most a
step, and each link forbids open ranges of differences (the collision vector of pipeline theory).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rack_sim.compiler.program import Program
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.units import format_time

# Ranges gathered before they are merged: what bounds the memory of a large system.
_RANGES_AT_ONCE = 2_000_000
# assumed: a slot may wait for this part of a step where latency comes first. Repeated runs of one
# machine differ by six times as much in throughput, and without it one collision on one link can
# cost half of the slots.
WAIT_PARTS = 1_000


@dataclass(frozen=True)
class Separations:
    """How soon program `j` may follow program `i`: `pair_ps[i][j]`, and one interval for all.

    `unit_ps` is what units alone allow, and the unit that allows no less is `unit` of chip `chip`.
    """

    pair_ps: tuple[tuple[int, ...], ...]
    interval_ps: int
    unit_ps: int
    unit: str
    chip: int

    @property
    def bound_by(self) -> str:
        """In words what makes the interval as long as it is."""
        text = f"{self.unit} unit of chip {self.chip}"
        more_ps = self.interval_ps - self.unit_ps
        return f"{text}, and {format_time(more_ps)} more for links" if more_ps else text


def separations(programs: Sequence[Program]) -> Separations:
    """The separations of programs that share a machine, in the order given."""
    units = [[_unit_separation(a, b) for b in programs] for a in programs]
    forbidden = {
        (i, j): _forbidden(a, b, beyond_ps=units[i][j][0])
        for i, a in enumerate(programs)
        for j, b in enumerate(programs)
    }
    pair_ps = tuple(
        tuple(
            _least(max(units[i][j][0], 1), forbidden[i, j], longest_ps=0)
            for j in range(len(programs))
        )
        for i in range(len(programs))
    )
    unit_ps, unit, chip = max(
        (entry for row in units for entry in row), key=lambda entry: (entry[0], -entry[2])
    )
    together = _merged(np.concatenate(list(forbidden.values())))
    longest_ps = max(program.latency_ps for program in programs)
    interval_ps = _least(max(unit_ps, 1), together, longest_ps=longest_ps)
    return Separations(pair_ps, interval_ps, unit_ps, unit, chip)


def revolution(program: Program, apart: Separations, *, latency_first: bool) -> tuple[int, int]:
    """How many slots revolve, and how far apart they enter, so that each is back in time.

    As many as there can be, S = ceil(L / II), wait up to an interval for their turn to come again.
    With `latency_first` there are at most floor(L / II), spread over the step's latency L: as many
    of them as do not meet on a link where each waits for no more than a thousandth of L. One alone
    never meets another.
    """
    latency_ps, interval_ps = program.latency_ps, apart.interval_ps
    if not latency_first:
        return -(-latency_ps // interval_ps), interval_ps
    forbidden = _forbidden(program, program, beyond_ps=apart.unit_ps)
    for slots in range(latency_ps // interval_ps, 1, -1):
        spread_ps = -(-latency_ps // slots)
        free_ps = _least(spread_ps, forbidden, longest_ps=latency_ps)
        if slots * (free_ps - spread_ps) * WAIT_PARTS <= latency_ps:
            return slots, free_ps
    return 1, max(latency_ps, 1)


def collides(programs: Sequence[Program], interval_ps: int) -> bool:
    """Whether steps of these programs that enter at this interval get into each other's way."""
    for a in programs:
        for b in programs:
            if interval_ps < _unit_separation(a, b)[0]:
                return True
            forbidden = _forbidden(a, b, beyond_ps=interval_ps)
            if _least(interval_ps, forbidden, longest_ps=a.latency_ps) != interval_ps:
                return True
    return False


def _unit_separation(a: Program, b: Program) -> tuple[int, str, int]:
    """What the units of chips ask for between the entries of `a` and `b`, and which asks most."""
    ends = {program.resources[number]: last for program, number, last in _per_unit(a, ends=True)}
    worst = (0, "", 0)
    for program, number, first in _per_unit(b, ends=False):
        resource = program.resources[number]
        if resource in ends:
            asked_ps = ends[resource] - first
            if asked_ps > worst[0]:
                worst = (asked_ps, str(resource[0]), resource[1])
    return worst


def _per_unit(program: Program, *, ends: bool) -> list[tuple[Program, int, int]]:
    """First start, or last end, of every unit."""
    count = len(program.resources)
    if ends:
        times = np.full(count, -1, dtype=np.int64)
        np.maximum.at(times, program.resource, program.start_ps + program.duration_ps)
    else:
        times = np.full(count, np.iinfo(np.int64).max, dtype=np.int64)
        np.minimum.at(times, program.resource, program.start_ps)
    return [(program, int(n), int(times[n])) for n in np.flatnonzero(~program.is_link)]


def _forbidden(a: Program, b: Program, *, beyond_ps: int) -> Int64Array:
    """Open ranges of (entry of `b` - entry of `a`) in which some link would carry both at once.

    Those that lie below `beyond_ps`, which units forbid anyway, are left out.
    """
    merged: Int64Array = np.empty((0, 2), dtype=np.int64)
    found: list[Int64Array] = []
    waiting = 0
    held_a = _Held(a)
    held_b = held_a if a is b else _Held(b)
    links_a, links_b = _shared(a, held_a, b, held_b)
    # Links with as many holds as each other are looked at together.
    counts = np.column_stack((held_a.counts[links_a], held_b.counts[links_b]))
    for count_a, count_b in sorted(set(map(tuple, counts.tolist()))):
        alike = np.flatnonzero((counts == (count_a, count_b)).all(axis=1))
        at_once = max(_RANGES_AT_ONCE // (count_a * count_b), 1)
        for start in range(0, len(alike), at_once):
            part = alike[start : start + at_once]
            starts_a, ends_a = held_a.of(links_a[part], count_a)
            starts_b, ends_b = held_b.of(links_b[part], count_b)
            low = starts_a[:, :, None] - ends_b[:, None, :]
            high = ends_a[:, :, None] - starts_b[:, None, :]
            found.append(np.column_stack((low[high > beyond_ps], high[high > beyond_ps])))
            waiting += len(found[-1])
            if waiting > _RANGES_AT_ONCE:
                merged = _merged(np.concatenate([merged, *found]))
                found, waiting = [], 0
    return _merged(np.concatenate([merged, *found]))


class _Held:
    """When links are held: starts and ends; what follows without a gap is one hold.

    `links` are the resources of those that are, and `counts` how many holds each has.
    """

    def __init__(self, program: Program) -> None:
        order = program.order
        order = order[program.is_link[program.resource[order]] & (program.duration_ps[order] > 0)]
        resource = program.resource[order]
        starts = program.start_ps[order]
        ends = starts + program.duration_ps[order]
        goes_on = (resource[1:] == resource[:-1]) & (starts[1:] == ends[:-1])
        first = np.flatnonzero(np.concatenate(([True], ~goes_on))) if len(order) else order
        last = np.concatenate((first[1:], [len(order)])) - 1 if len(order) else order
        self._starts, self._ends = starts[first], ends[last]
        self.links, self._first, self.counts = np.unique(
            resource[first], return_index=True, return_counts=True
        )

    def of(self, links: Int64Array, count: int) -> tuple[Int64Array, Int64Array]:
        """Starts and ends of the holds of some links (by place), `count` of each."""
        rows = self._first[links][:, None] + np.arange(count)
        return self._starts[rows], self._ends[rows]


def _shared(a: Program, held_a: _Held, b: Program, held_b: _Held) -> tuple[Int64Array, Int64Array]:
    """The links that both hold, by their places in the one and in the other."""
    if a is b:
        everywhere = np.arange(len(held_a.links))
        return everywhere, everywhere
    place = {b.resources[number]: at for at, number in enumerate(held_b.links.tolist())}
    pairs = [
        (at, place[a.resources[number]])
        for at, number in enumerate(held_a.links.tolist())
        if a.resources[number] in place
    ]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _merged(ranges: Int64Array) -> Int64Array:
    """Open ranges in order, overlapping ones joined; those that only touch stay apart."""
    if not len(ranges):
        return ranges
    ranges = ranges[np.lexsort((ranges[:, 1], ranges[:, 0]))]
    reach = np.maximum.accumulate(ranges[:, 1])
    fresh = np.concatenate(([True], ranges[1:, 0] >= reach[:-1]))
    first = np.flatnonzero(fresh)
    last = np.concatenate((first[1:], [len(ranges)])) - 1
    return np.column_stack((ranges[first, 0], reach[last]))


def _least(start_ps: int, forbidden: Int64Array, *, longest_ps: int) -> int:
    """The least interval from `start_ps` on of which no multiple is forbidden.

    Multiples up to `longest_ps` count (0: the interval itself alone). Each step goes straight to
    the least interval that leaves the range in the way, so none in between is missed.
    """
    interval_ps = start_ps
    while True:
        last = max(longest_ps // interval_ps, 1)
        multiples = np.arange(1, last + 1, dtype=np.int64)
        times = multiples * interval_ps
        # The last range that begins before a time is the only one that may hold it.
        place = np.searchsorted(forbidden[:, 0], times, side="left") - 1
        inside = (place >= 0) & (times < forbidden[place, 1]) if len(forbidden) else place >= 0
        hit = np.flatnonzero(inside)
        if not len(hit):
            return interval_ps
        out = -(-forbidden[place[hit], 1] // multiples[hit])
        interval_ps = int(out.max())
