"""Grid: what messages take, exact at some numbers of rows and on straight lines between them.

The grid points are 1, 2, 3, 4, 6, 8, 12, 16, 24 …: powers of two, and one and a half times them.
Placing messages takes milliseconds, so a point is measured when it is first needed, and with it all
smaller ones: a point counts for at least as much as those below it, so that more rows never take
less. Between points everything is rounded up to whole picoseconds and vectors.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from rack_sim.hardware.routing import Hop
from rack_sim.timing.schedule import OnLinks


@dataclass(frozen=True, slots=True)
class MessageCosts:
    """Messages that run at one time: when the last has arrived, and what they put on links."""

    duration_ps: int
    link_latency_ps: int
    vectors_by_hop: Mapping[Hop, int]
    held_by_hop: Mapping[Hop, int]


class Grid:
    """Messages as a function of rows; `measure` places those of a grid point."""

    def __init__(self, measure: Callable[[int], Sequence[OnLinks]]) -> None:
        self._measure = measure
        self._points: dict[int, MessageCosts] = {}

    def at(self, rows: int) -> MessageCosts:
        """The messages of `rows` rows (at least 1)."""
        low, high = around(rows)
        if low == high:
            return self._point(low)
        first, last = self._point(low), self._point(high)
        return MessageCosts(
            _between(first.duration_ps, last.duration_ps, rows, low, high),
            _between(first.link_latency_ps, last.link_latency_ps, rows, low, high),
            _between_hops(first.vectors_by_hop, last.vectors_by_hop, rows, low, high),
            _between_hops(first.held_by_hop, last.held_by_hop, rows, low, high),
        )

    def durations_ps(self, rows: int) -> tuple[int, int]:
        """Duration and the latency of links in it, without the links one by one."""
        low, high = around(rows)
        first, last = self._point(low), self._point(high)
        return (
            _between(first.duration_ps, last.duration_ps, rows, low, high),
            _between(first.link_latency_ps, last.link_latency_ps, rows, low, high),
        )

    def weights(self, counts: Mapping[int, int]) -> Iterator[tuple[MessageCosts, Fraction]]:
        """Grid points, and how much each counts where `counts` says how often which rows came."""
        # Between two points: how often, and how far from the lower one all of them are together.
        between: dict[tuple[int, int], tuple[int, int]] = {}
        for rows, times in counts.items():
            low, high = around(rows)
            total, beyond = between.get((low, high), (0, 0))
            between[low, high] = total + times, beyond + times * (rows - low)
        found: dict[int, Fraction] = {}
        for (low, high), (total, beyond) in between.items():
            share = Fraction(beyond, high - low) if high > low else Fraction(0)
            found[low] = found.get(low, Fraction(0)) + total - share
            if share:
                found[high] = found.get(high, Fraction(0)) + share
        for rows, weight in sorted(found.items()):
            yield self._point(rows), weight

    def _point(self, rows: int) -> MessageCosts:
        if rows not in self._points:
            least_ps = self._point(point_below(rows)).duration_ps if rows > 1 else 0
            messages = self._measure(rows)
            longest = max(messages, key=lambda message: message.duration_ps)
            vectors: Counter[Hop] = Counter()
            held: Counter[Hop] = Counter()
            for message in messages:
                vectors.update(message.vectors_by_hop)
                held.update(message.placed.held_by_hop)
            self._points[rows] = MessageCosts(
                max(longest.duration_ps, least_ps), longest.link_latency_ps, vectors, held
            )
        return self._points[rows]


def on_links(
    carried: Sequence[tuple[Grid, Mapping[int, int]]],
) -> tuple[dict[Hop, int], dict[Hop, int]]:
    """Vectors and holding times on every link of messages that came as often as is said for rows.

    On the straight lines between grid points, rounded up once at the end.
    """
    weighted = [
        found
        for grid, counts in carried
        for found in grid.weights({rows: times for rows, times in counts.items() if rows})
    ]
    # Everything in parts of one, which are whole numbers.
    parts = lcm(*(weight.denominator for _, weight in weighted))
    vectors: Counter[Hop] = Counter()
    held: Counter[Hop] = Counter()
    for point, weight in weighted:
        times = int(weight * parts)
        for kept, amounts in ((vectors, point.vectors_by_hop), (held, point.held_by_hop)):
            for hop, amount in amounts.items():
                kept[hop] += times * amount
    return (
        {hop: -(-amount // parts) for hop, amount in sorted(vectors.items())},
        {hop: -(-amount // parts) for hop, amount in sorted(held.items())},
    )


def around(rows: int) -> tuple[int, int]:
    """The grid points next to `rows`: equal where it is one.

    >>> around(5), around(6), around(7), around(13)
    ((4, 6), (6, 6), (6, 8), (12, 16))
    """
    if rows < 1:
        raise ValueError(f"{rows} rows")
    power = 1 << (rows.bit_length() - 1)
    half = power + power // 2  # of 1 it is 1
    if rows == power:
        return power, power
    if rows <= half:
        return (half, half) if rows == half else (power, half)
    return half, 2 * power


def point_below(point: int) -> int:
    """The next smaller grid point of one that is more than 1.

    >>> [point_below(point) for point in (2, 3, 4, 6, 8)]
    [1, 2, 3, 4, 6]
    """
    return around(point - 1)[0]


def _between(first: int, last: int, rows: int, low: int, high: int) -> int:
    """On the line from `first` at `low` to `last` at `high`, rounded up."""
    if low == high:
        return first
    return first - (first - last) * (rows - low) // (high - low)


def _between_hops(
    first: Mapping[Hop, int], last: Mapping[Hop, int], rows: int, low: int, high: int
) -> dict[Hop, int]:
    hops = sorted(first.keys() | last.keys())
    return {hop: _between(first.get(hop, 0), last.get(hop, 0), rows, low, high) for hop in hops}
