"""Arrival processes against their formulas.

Streams are seeded, so a test gives the same numbers each time. Tolerances are five standard errors
of the statistic for the sample at hand: a right process fails one seed in two million.
"""

from collections.abc import Iterator
from itertools import islice
from math import sqrt

import numpy as np
import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.streams import stream
from rack_sim.workload import ArrivalProcess, Constant, Gamma, PiecewiseConstant, Poisson

PS_PER_S = 10**12
COUNT = 40_000


def gaps_s(process: ArrivalProcess, count: int = COUNT, seed: int = 1) -> np.ndarray:
    gaps_ps = islice(process.gaps_ps(stream(seed, "workload/arrivals")), count)
    return np.array([gap_ps / PS_PER_S for gap_ps in gaps_ps])


def arrivals_s(process: ArrivalProcess, until_s: float) -> Iterator[float]:
    now_ps = 0
    for gap_ps in process.gaps_ps(stream(3, "workload/arrivals")):
        now_ps += gap_ps
        if now_ps >= until_s * PS_PER_S:
            return
        yield now_ps / PS_PER_S


def test_constant_gap_is_exact() -> None:
    assert list(islice(Constant(123_457).gaps_ps(stream(0, "x")), 3)) == [123_457] * 3
    assert Constant(10**9).mean_rate_rps == 1000
    assert Constant(0).mean_rate_rps == float("inf")


@pytest.mark.parametrize(
    ("process", "cv"),
    [(Poisson(7.5), 1.0), (Gamma(7.5, 0.5), 0.5), (Gamma(7.5, 3.0), 3.0), (Gamma(7.5, 1.0), 1.0)],
)
def test_mean_and_variation_of_gaps(process: ArrivalProcess, cv: float) -> None:
    drawn = gaps_s(process)
    # Standard error of the mean is cv * mean / sqrt(n).
    assert drawn.mean() == pytest.approx(1 / 7.5, rel=5 * cv / sqrt(COUNT))
    # Variance of the sample variance of a gamma of shape k: sigma^4 (2 + 6/k) / n, 1/k = cv^2;
    # the deviation moves by half of that, relatively. The mean below it adds cv / sqrt(n).
    error = 0.5 * sqrt((2 + 6 * cv**2) / COUNT) + cv / sqrt(COUNT)
    assert drawn.std() / drawn.mean() == pytest.approx(cv, rel=5 * error)


def test_poisson_gaps_are_exponential() -> None:
    # Kolmogorov-Smirnov: sup |F_n - F| exceeds 1.95 / sqrt(n) once in a thousand samples.
    drawn = np.sort(gaps_s(Poisson(4.0)))
    expected = 1 - np.exp(-4.0 * drawn)
    assert np.abs(expected - (np.arange(COUNT) + 0.5) / COUNT).max() < 1.95 / sqrt(COUNT)


@pytest.mark.parametrize(
    "process", [Poisson(1e5), Gamma(1e5, 2.0), PiecewiseConstant(((1e-5, 1e5), (2e-5, 3e5)))]
)
def test_gaps_are_whole_nanoseconds(process: ArrivalProcess) -> None:
    drawn = list(islice(process.gaps_ps(stream(1, "workload/arrivals")), 10_000))
    assert all(type(gap_ps) is int and gap_ps >= 0 and gap_ps % 1000 == 0 for gap_ps in drawn)
    assert len(set(drawn)) > 1000


def test_very_bursty_gaps_of_a_slow_process_do_not_overflow() -> None:
    drawn = list(islice(Gamma(1e-6, 100.0).gaps_ps(stream(1, "x")), 100_000))
    assert max(drawn) > 2**63
    assert min(drawn) >= 0


def test_same_seed_same_gaps_other_seed_other_gaps() -> None:
    process = Gamma(3.0, 2.0)
    assert (gaps_s(process, 5000, 1) == gaps_s(process, 5000, 1)).all()
    assert (gaps_s(process, 5000, 1) != gaps_s(process, 5000, 2)).any()


def test_one_piece_is_poisson() -> None:
    # The same exponential draws, so equal gaps, but for the rounding of the place in the piece.
    pieces = gaps_s(PiecewiseConstant(((0.37, 5.0),)), 5000)
    assert np.abs(pieces - gaps_s(Poisson(5.0), 5000)).max() <= 2e-9


def test_rate_of_each_piece() -> None:
    pieces = ((2.0, 10.0), (3.0, 0.0), (1.0, 40.0))
    cycles = 500
    process = PiecewiseConstant(pieces)
    assert process.mean_rate_rps == pytest.approx(60 / 6)
    phases = np.array([arrival % 6.0 for arrival in arrivals_s(process, 6.0 * cycles)])
    start = 0.0
    for duration_s, rate_rps in pieces:
        seen = ((phases >= start) & (phases < start + duration_s)).sum()
        expected = rate_rps * duration_s * cycles
        assert abs(seen - expected) <= 5 * sqrt(expected)  # a Poisson count; silence is exact
        # Within a piece arrivals are uniform: each half has half of them.
        first_half = ((phases >= start) & (phases < start + duration_s / 2)).sum()
        assert abs(first_half - seen / 2) <= 5 * sqrt(seen / 4)
        start += duration_s


def test_counts_of_disjoint_cycles_vary_as_poisson() -> None:
    process = PiecewiseConstant(((0.5, 30.0), (0.5, 6.0)))
    counts = np.bincount([int(arrival) for arrival in arrivals_s(process, 4000.0)], minlength=4000)
    # Variance over mean is 1 for Poisson; its standard error is sqrt(2 / n).
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=5 * sqrt(2 / 4000))


def test_pattern_far_shorter_than_a_gap_is_quick_and_right() -> None:
    # A nanosecond of rate in two: half the rate on the whole, 2 * 10**9 pieces per gap.
    drawn = gaps_s(PiecewiseConstant(((1e-9, 2e-3), (1e-9, 0.0))), 10_000)
    assert drawn.mean() == pytest.approx(1000.0, rel=5 / sqrt(10_000))


@pytest.mark.parametrize("rate_rps", [0, -1, float("nan"), float("inf"), "5", True, None, 1e-9])
def test_bad_rate(rate_rps: object) -> None:
    with pytest.raises(InputError, match="rate_rps"):
        Poisson(rate_rps)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="rate_rps"):
        Gamma(rate_rps, 1.0)  # type: ignore[arg-type]


def test_bad_gamma_tells_both_problems() -> None:
    with pytest.raises(InputError) as caught:
        Gamma(-1.0, 0.0)
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["rate_rps", "coefficient_of_variation"]


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ((), "at least one pair"),
        (5, "at least one pair"),
        ((1.0, 2.0), "at least one pair"),
        (((1.0, 2.0, 3.0),), "at least one pair"),
        (((1.0, 0.0), (2.0, 0)), "at least one rate_rps must be above 0"),
        (((0.0, 1.0),), r"pieces\[0\]\.duration_s"),
        (((1.0, 1.0), (1.0, -1.0)), r"pieces\[1\]\.rate_rps"),
        (((1.0, float("nan")),), r"pieces\[0\]\.rate_rps"),
    ],
)
def test_bad_pieces(pieces: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PiecewiseConstant(pieces)  # type: ignore[arg-type]


@pytest.mark.parametrize("gap_ps", [-1, 1.5, True, None])
def test_bad_constant(gap_ps: object) -> None:
    with pytest.raises(InputError, match="gap_ps"):
        Constant(gap_ps)  # type: ignore[arg-type]
