"""Arrival processes: the gaps between the requests of an open loop.

Gaps are drawn as floats in seconds, ROUNDED TO WHOLE NANOSECONDS and from then on added up as
integers. The floats pass through `log` and `pow`, whose last bit may differ between the maths
libraries of two machines; a difference of one part in 10**16 moves a gap over a rounding border
so rarely that it practically never shows. Rounding moves a gap by half a nanosecond at most, and
the mean gap by far less.

Processes draw in blocks because one call to numpy for 4,096 gaps costs little more than for one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.units import PS_PER_NS, PS_PER_S, UNITS, to_base
from rack_sim.workload.arguments import ArgumentCheck

BLOCK_DRAWS = 4096
MIN_RATE_RPS = 1e-6
MAX_RATE_RPS = 1e7
NS_PER_S = 10**9


class ArrivalProcess(Protocol):
    """When requests come, without regard to what they ask for."""

    @property
    def mean_rate_rps(self) -> float:
        """Requests per second over a long time; infinite where all arrive at once."""
        ...

    @property
    def description(self) -> str:
        """A few words for a report."""
        ...

    def gaps_ps(self, rng: np.random.Generator) -> Iterator[int]:
        """Endless gaps in picoseconds; the first one lies before the first request."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Requests at a fixed gap; a gap of 0 lets all of them arrive at time 0.

    Raises `InputError` where `gap_ps` is not a whole number of at least 0.
    """

    gap_ps: int

    def __post_init__(self) -> None:
        check = ArgumentCheck("Constant")
        check.whole("gap_ps", self.gap_ps, 0)
        check.finish()

    @property
    def mean_rate_rps(self) -> float:
        """Requests per second."""
        return PS_PER_S / self.gap_ps if self.gap_ps else float("inf")

    @property
    def description(self) -> str:
        """A few words for a report."""
        if self.gap_ps == 0:
            return "all requests at once"
        return f"constant {self.mean_rate_rps:g} req/s"

    def gaps_ps(self, rng: np.random.Generator) -> Iterator[int]:
        """The same gap for ever; draws nothing from `rng`."""
        return repeat(self.gap_ps)


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent arrivals at a constant rate: exponential gaps.

    Raises `InputError` where `rate_rps` does not lie between 1e-6 and 1e7.
    """

    rate_rps: float

    def __post_init__(self) -> None:
        check = ArgumentCheck("Poisson")
        check.number("rate_rps", self.rate_rps, MIN_RATE_RPS, MAX_RATE_RPS)
        check.finish()

    @property
    def mean_rate_rps(self) -> float:
        """Requests per second."""
        return float(self.rate_rps)

    @property
    def description(self) -> str:
        """A few words for a report."""
        return f"Poisson {self.rate_rps:g} req/s"

    def gaps_ps(self, rng: np.random.Generator) -> Iterator[int]:
        """Exponential gaps of mean 1 / `rate_rps`, in whole nanoseconds."""
        while True:
            yield from _whole_ns(rng.standard_exponential(BLOCK_DRAWS) / self.rate_rps)


@dataclass(frozen=True, slots=True)
class Gamma:
    """Independent gamma gaps: bursty where their coefficient of variation is above 1.

    A `coefficient_of_variation` of 1 is Poisson; below 1 is smoother than Poisson. Raises
    `InputError` where `rate_rps` does not lie between 1e-6 and 1e7, or the coefficient not
    between 0.01 and 100 (for no variation at all take `Constant`).
    """

    rate_rps: float
    coefficient_of_variation: float

    def __post_init__(self) -> None:
        check = ArgumentCheck("Gamma")
        check.number("rate_rps", self.rate_rps, MIN_RATE_RPS, MAX_RATE_RPS)
        check.number("coefficient_of_variation", self.coefficient_of_variation, 0.01, 100.0)
        check.finish()

    @property
    def mean_rate_rps(self) -> float:
        """Requests per second."""
        return float(self.rate_rps)

    @property
    def description(self) -> str:
        """A few words for a report."""
        return f"gamma {self.rate_rps:g} req/s, gap CV {self.coefficient_of_variation:g}"

    def gaps_ps(self, rng: np.random.Generator) -> Iterator[int]:
        """Gamma gaps of mean 1 / `rate_rps` and the given variation, in whole nanoseconds."""
        squared = self.coefficient_of_variation**2
        shape, scale_s = 1.0 / squared, squared / self.rate_rps
        while True:
            yield from _whole_ns(rng.standard_gamma(shape, BLOCK_DRAWS) * scale_s)


@dataclass(frozen=True, slots=True)
class PiecewiseConstant:
    """Poisson arrivals whose rate follows a repeating pattern, for example the hours of a day.

    `pieces` are (duration_s, rate_rps) pairs; after the last the first comes again. A rate of 0 is
    silence. Durations are rounded up to whole nanoseconds. Raises `InputError` where there is no
    piece, a duration does not lie between 1e-9 s and 1e9 s, a rate neither is 0 nor lies between
    1e-6 and 1e7, or all rates are 0.
    """

    pieces: tuple[tuple[float, float], ...]
    _pieces_ns: tuple[tuple[int, float], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check = ArgumentCheck("PiecewiseConstant")
        pieces = tuple(self.pieces) if isinstance(self.pieces, tuple | list) else ()
        check.that(
            bool(pieces) and all(isinstance(p, tuple | list) and len(p) == 2 for p in pieces),
            "pieces",
            f"must be at least one pair (duration_s, rate_rps); it is {self.pieces!r}",
        )
        check.finish()
        for index, (duration_s, rate_rps) in enumerate(pieces):
            where = f"pieces[{index}]"
            check.number(f"{where}.duration_s", duration_s, 1e-9, 1e9)
            check.number(f"{where}.rate_rps", rate_rps, MIN_RATE_RPS, MAX_RATE_RPS, or_zero=True)
        check.that(
            any(rate_rps != 0 for _, rate_rps in pieces),
            "pieces",
            "at least one rate_rps must be above 0, else no request ever arrives",
        )
        check.finish()
        object.__setattr__(self, "pieces", tuple((d, r) for d, r in pieces))
        in_ns = tuple((-(-to_base(d, UNITS["s"]) // PS_PER_NS), float(r)) for d, r in pieces)
        object.__setattr__(self, "_pieces_ns", in_ns)

    @property
    def mean_rate_rps(self) -> float:
        """Requests per second, averaged over one cycle of the pattern."""
        cycle_ns = sum(length_ns for length_ns, _ in self._pieces_ns)
        return sum(length_ns * rate_rps for length_ns, rate_rps in self._pieces_ns) / cycle_ns

    @property
    def description(self) -> str:
        """A few words for a report."""
        rates = [rate_rps for _, rate_rps in self.pieces]
        return (
            f"Poisson in {len(rates)} pieces, {min(rates):g} to {max(rates):g} req/s, "
            f"mean {self.mean_rate_rps:g} req/s"
        )

    def gaps_ps(self, rng: np.random.Generator) -> Iterator[int]:
        """Gaps of the non-homogeneous Poisson process, in whole nanoseconds.

        Exact, by change of time: the expected number of arrivals between two requests is
        exponential with mean 1, and is used up piece by piece at the rate of the piece.
        """
        pieces = self._pieces_ns
        cycle_ns = sum(length_ns for length_ns, _ in pieces)
        cycle_expected = sum(length_ns * rate_rps / NS_PER_S for length_ns, rate_rps in pieces)
        index = 0
        left_ns, rate_rps = pieces[0]
        while True:
            for drawn in rng.standard_exponential(BLOCK_DRAWS).tolist():
                # Whole cycles at once: a pattern far shorter than a gap must not cost a walk.
                cycles = int(drawn / cycle_expected)
                gap_ns = cycles * cycle_ns
                expected = drawn - cycles * cycle_expected
                while True:
                    if rate_rps > 0.0:
                        needed_ns = round(expected / rate_rps * NS_PER_S)
                        if needed_ns < left_ns:
                            break
                        expected = max(0.0, expected - left_ns * rate_rps / NS_PER_S)
                    gap_ns += left_ns
                    index = (index + 1) % len(pieces)
                    left_ns, rate_rps = pieces[index]
                left_ns -= needed_ns
                yield (gap_ns + needed_ns) * PS_PER_NS


def _whole_ns(gaps_s: NDArray[np.float64]) -> Iterator[int]:
    """Gaps in seconds, as picoseconds that are whole nanoseconds.

    Python integers, not int64: a rare gap of a very bursty process does not fit in 63 bits.
    """
    return (int(gap_ns) * PS_PER_NS for gap_ns in np.rint(gaps_s * NS_PER_S).tolist())
