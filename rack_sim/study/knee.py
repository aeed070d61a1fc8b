"""Knee: which rates to replay until it is known, as closely as asked, where one is too high.

Nothing is interpolated: a knee lies between two rates that were replayed. Where outcomes are not
monotone in the rate (a burst may just fit), the lowest failure counts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, sqrt

from rack_sim.foundation.brief import Brief
from rack_sim.study.load_row import LoadRow
from rack_sim.workload.arrivals import MAX_RATE_RPS, MIN_RATE_RPS

Test = Callable[[LoadRow], bool]

# With auto, rates begin at this share of what the machine could do, and are doubled.
_FIRST_SHARE = 1 / 16
# What is missed at such a share of the rate that saturates is missed by a request alone.
_LOWEST_SHARE = 1 / 1000
# Neighbours between the knees are no further apart than this.
_NEIGHBOUR_RATIO = 1.15
# Digits of a rate that is chosen here: a person may type it again.
_RATE_DIGITS = 4


@dataclass(frozen=True, repr=False)
class Bracket(Brief):
    """The highest replayed rate below every one that failed, and the lowest that failed.

    None where there is none: everything failed, or nothing did.
    """

    met: LoadRow | None
    failed: LoadRow | None

    @property
    def width(self) -> float:
        """How far the rate that failed lies above the one that did not, as a share of that."""
        if self.met is None or self.failed is None:
            return inf
        return self.failed.rate_rps / self.met.rate_rps - 1


def bracket(rows: Iterable[LoadRow], test: Test) -> Bracket:
    """Where `test` begins to fail, of rows in order of their rates."""
    met: LoadRow | None = None
    for row in rows:
        if not test(row):
            return Bracket(met, row)
        met = row
    return Bracket(met, None)


def knee_rates(
    rows: Sequence[LoadRow], own_rps: float, tests: Sequence[Test], precision: float
) -> Iterator[float]:
    """The rates that lead to the knees of `tests`, the first of which is the last to fail.

    The caller replays each rate and adds its row to `rows`, in order of rates, before it asks for
    the next one. First the workload's own rate; then a low one, halved until it passes the first
    test, and from there upwards, each twice the one before, until that fails; then downwards, until
    all tests pass or too little is offered for load to matter; then halfway between what passed and
    what failed; then some between the knees, where a curve of few points would mislead.

    A workload's own rate may be far beyond the machine: without a capacity nobody knows, so that
    only the first test's knee says what is little.
    """
    first_rps = _rounded(own_rps)
    yield first_rps
    capacity_rps = rows[0].capacity_rps
    low_rps = _rounded(_FIRST_SHARE * (capacity_rps or own_rps), 2)
    yield from _until(rows, low_rps, 0.5, tests[0])
    yield from _until(rows, low_rps, 2.0, lambda row: not tests[0](row))
    kept = bracket(rows, tests[0]).met
    lowest_rps = _LOWEST_SHARE * kept.rate_rps if kept else inf
    yield from _until(
        rows,
        low_rps,
        0.5,
        lambda row: row.rate_rps < lowest_rps or all(test(row) for test in tests),
    )
    for test in tests:
        while bracket(rows, test).width > precision:
            between = _between(bracket(rows, test))
            if between is None:
                break
            yield between
    yield from _between_knees(rows, [bracket(rows, test) for test in tests])


def replay_count(rows: Sequence[LoadRow], tests: Sequence[Test], precision: float) -> int:
    """About how many replays `knee_rates` takes in all, as far as `rows` tell; for progress."""
    count = len(rows)
    if not rows or all(tests[0](row) for row in rows):
        top_rps = rows[-1].rate_rps if rows else 0.0
        capacity_rps = (rows[-1].capacity_rps or 0.0) if rows else 0.0
        count += 1 if rows and top_rps >= capacity_rps else 6
        return count + 5 * len(tests)
    for test in tests:
        width = min(bracket(rows, test).width, 1.0)
        while width > precision:
            width, count = sqrt(1 + width) - 1, count + 1
    return max(count, len(rows) + 1)


def _until(
    rows: Sequence[LoadRow], rate_rps: float, factor: float, reached: Test
) -> Iterator[float]:
    """`rate_rps` and what follows by `factor`, until a row at one of them has what is wanted."""
    while MIN_RATE_RPS <= rate_rps <= MAX_RATE_RPS:
        found = next((row for row in rows if row.rate_rps == rate_rps), None)
        if found is None:
            yield rate_rps
            found = next(row for row in rows if row.rate_rps == rate_rps)
        if reached(found):
            return
        rate_rps = _rounded(rate_rps * factor)


def _between(found: Bracket) -> float | None:
    """The geometric mean of a bracket; None where it is open or no rate lies between."""
    if found.met is None or found.failed is None:
        return None
    low_rps, high_rps = found.met.rate_rps, found.failed.rate_rps
    middle_rps = _rounded(sqrt(low_rps * high_rps))
    return middle_rps if low_rps < middle_rps < high_rps else None


def _between_knees(rows: Sequence[LoadRow], found: Sequence[Bracket]) -> Iterator[float]:
    """Rates between the lowest and the highest knee, until neighbours are near each other."""
    low_rps = min((knee.met.rate_rps for knee in found if knee.met), default=0.0)
    high_rps = max((knee.failed.rate_rps for knee in found if knee.failed), default=0.0)
    while True:
        between = next(
            (
                middle
                for below, above in pairwise(rows)
                if below.rate_rps >= low_rps and above.rate_rps <= high_rps
                if above.rate_rps > _NEIGHBOUR_RATIO * below.rate_rps
                if (middle := _between(Bracket(below, above))) is not None
            ),
            None,
        )
        if between is None:
            return
        yield between


def _rounded(rate_rps: float, digits: int = _RATE_DIGITS) -> float:
    return float(f"{rate_rps:.{digits}g}")
