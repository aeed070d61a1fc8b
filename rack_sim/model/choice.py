"""Choice: how many experts the rows of a step touch, and how they fall on the chips that hold them.

Each row chooses k of E experts, independently of other rows. With equal popularities an expert is
one of a row's with probability q = k / E, so n rows touch

    E x (1 - (1 - k / E) ^ n)

different experts on average: exact. With a skew s the popularity of expert i is i ^ -s (Zipf), and
experts are drawn without replacement until there are k. The probability that one of them is expert
i is taken as q_i = 1 - exp(-t x p_i) with t such that they sum to k, which is exact in the limit of
many experts (Rosen 1997); for k = 1 and k = 2 it is exact. The tests hold it against drawing.

Where whole experts lie on chips, expert i is on chip i mod g. Rows are independent, and so, by
assumption, are the experts of a row. The experts that the busiest chip touches are the expected
largest of g sums of independent events, from their exact distributions. Its rows are the expected
largest of g independent normal variables with the mean and the deviation of each chip (of equal
chips by Blom's approximation), and as many as its experts at least.

More rows are never less load, in every step of the arithmetic and not only on average: powers are
taken so that rounding cannot turn them round, distributions are held in whole numbers, and what is
rounded is rounded in one direction.

A statically scheduled chip cannot wait and see: its program is made for the most that can come.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import exp, fsum, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rack_sim.foundation.arrays import Int64Array

GRAINS = 2**20
"""Averages are whole numbers of this part of a row or an expert."""

Floats = npt.NDArray[np.float64]

# Probabilities as whole numbers: products of two stay below 2^63.
_ONE_BITS = 31
_ONE = 2**_ONE_BITS

# A normal variable takes steps of this part of its deviation, to so many deviations either side:
# the steps add 0.02 % to the deviation, 6 leave 1e-9 out.
_STEPS_PER_SIGMA = 16
_SIGMAS = 6

# Odds are rounded to this part: the last bits of powers and exponentials differ between machines.
_ODDS_PARTS = 2**40


class ExpertLoad(NamedTuple):
    """What the fullest chip does for a step, in `GRAINS`: rows times experts, and experts read."""

    row_grains: int
    expert_grains: int


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows choose `chosen_count` of `expert_count` experts.

    `skew` is the Zipf exponent of popularities (0: all equal). `apart` says that whole experts lie
    on chips; else every chip has a slice of each. `capacity_factor` bounds the rows that a static
    program computes for an expert to that multiple of an equal share, rounded up; None: any row may
    go anywhere.
    """

    expert_count: int
    chosen_count: int
    skew: float = 0.0
    apart: bool = False
    capacity_factor: float | None = None

    def average(self, rows: int, chip_count: int) -> ExpertLoad:
        """What the fullest of `chip_count` chips has to do on average. Never less for more rows."""
        return _average(self, rows, chip_count)

    def most(self, rows: int, chip_count: int) -> ExpertLoad:
        """What a program that fits any choice makes the fullest of `chip_count` chips do."""
        chosen, experts = self.chosen_count, self.expert_count
        if not self.apart:
            touched = min(experts, rows * chosen)
            return ExpertLoad(-(-rows * chosen * GRAINS // chip_count), touched * GRAINS)
        on_chip = experts // chip_count
        pairs = rows * min(chosen, on_chip)
        touched = min(on_chip, pairs)
        if self.capacity_factor is not None:
            share = round(self.capacity_factor * GRAINS) * rows * chosen
            pairs = min(pairs, on_chip * -(-share // (experts * GRAINS)))
        return ExpertLoad(pairs * GRAINS, touched * GRAINS)


@lru_cache(maxsize=2**16)
def _average(choice: Choice, rows: int, chip_count: int) -> ExpertLoad:
    if rows == 0:
        return ExpertLoad(0, 0)
    chosen, count = choice.chosen_count, choice.expert_count
    odds = np.array(_odds(choice))
    touched = 1.0 - _power(1.0 - odds, rows)
    equal_share = -(-rows * chosen * GRAINS // chip_count)
    if not choice.apart or chip_count == 1:
        return ExpertLoad(equal_share, round(fsum(touched) * GRAINS))
    on_chip = count // chip_count
    most = rows * min(chosen, on_chip) * GRAINS
    experts = _largest_sum(touched.reshape(on_chip, chip_count))
    experts = min(max(experts, GRAINS), on_chip * GRAINS, most)
    pairs = round(_largest_count(odds.reshape(on_chip, chip_count), rows) * GRAINS)
    return ExpertLoad(min(max(pairs, equal_share, experts), most), experts)


def _power(base: Floats, exponent: int) -> Floats:
    """`base` to the power of `exponent`, for bases from 0 to 1: never more for a larger exponent.

    The low bits first: what they give is at least the power of the next bit, itself a square.
    """
    found, square = np.ones_like(base), base
    while exponent:
        if exponent & 1:
            found = found * square
        square = square * square
        exponent >>= 1
    return found


def _largest_sum(odds: Floats) -> int:
    """The expected largest of independent sums, in grains: column c sums up events of `odds[:, c]`.

    `reaching[k]` is the probability that a sum is k or more. Each event mixes it with that of
    k - 1, which is no smaller, so it rises with every probability; rounding down keeps that.
    """
    event_count, sum_count = odds.shape
    reaching: Int64Array = np.zeros((event_count + 1, sum_count), np.int64)
    reaching[0] = _ONE
    for happens in np.rint(odds * _ONE).astype(np.int64):
        mixed = (_ONE - happens) * reaching[1:] + happens * reaching[:-1]
        reaching[1:] = mixed >> _ONE_BITS
    below: Int64Array = np.full(event_count, _ONE, np.int64)
    for of_sum in (_ONE - reaching[1:]).T:
        below = below * of_sum >> _ONE_BITS
    return int((_ONE - below).sum()) * GRAINS >> _ONE_BITS


def _largest_count(odds: Floats, times: int) -> float:
    """The expected largest count of events that may each happen `times` times, one a column.

    Counts are normal variables, those below zero taken as zero. With s the root of `times` it is s
    times the expected largest of s mean + deviation z, and both factors rise with s: from one to
    the next the product rises by a part of 1 / (2 `times`) and more, far beyond what floats lose.
    """
    column_count = odds.shape[1]
    root = sqrt(times)
    means = np.array([fsum(column) for column in odds.T])
    sigmas = np.sqrt([fsum(column) for column in (odds * (1.0 - odds)).T])
    if (odds == odds[:, :1]).all():
        return root * (root * float(means[0]) + _blom(column_count) * float(sigmas[0]))
    steps, falls = _normal_steps()
    values = np.maximum(root * means + np.outer(steps, sigmas), 0.0).ravel()
    downwards = np.argsort(-values, kind="stable")
    ranked = values[downwards]
    below = np.cumprod(falls[downwards // column_count])
    return root * fsum([float(ranked[0]), *(below[:-1] * np.diff(ranked))])


@lru_cache(maxsize=1024)
def _blom(count: int) -> float:
    """The expected largest of `count` standard normal variables, by Blom's approximation."""
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


@lru_cache(maxsize=1)
def _normal_steps() -> tuple[Floats, Floats]:
    """A standard normal variable in steps, and what is left of its distribution below each step."""
    half = 0.5 / _STEPS_PER_SIGMA
    numbers = range(-_SIGMAS * _STEPS_PER_SIGMA, _SIGMAS * _STEPS_PER_SIGMA + 1)
    steps = [number / _STEPS_PER_SIGMA for number in numbers]
    up_to = [NormalDist().cdf(step + half) for step in steps[:-1]] + [1.0]
    falls = [0.0, *(below / reached for below, reached in pairwise(up_to))]
    return np.array(steps), np.array(falls)


@lru_cache(maxsize=256)
def _odds(choice: Choice) -> list[float]:
    """The probability that a row's experts include expert i, the most popular first."""
    count, chosen = choice.expert_count, choice.chosen_count
    if choice.skew == 0.0 or chosen == count:
        return [chosen / count] * count
    weights = [(number + 1) ** -choice.skew for number in range(count)]
    whole = fsum(weights)
    first = [weight / whole for weight in weights]
    if chosen == 1:
        return _rounded(first)
    if chosen == 2:
        # Second behind some other: of what that leaves.
        behind = fsum(p / (1.0 - p) for p in first)
        return _rounded([p * (1.0 + behind - p / (1.0 - p)) for p in first])
    low, high = 0.0, 1.0
    while _sum_of(weights, high) < chosen:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _sum_of(weights, middle) < chosen else (low, middle)
    return _rounded([1.0 - exp(-high * weight) for weight in weights])


def _rounded(odds: list[float]) -> list[float]:
    return [round(q * _ODDS_PARTS) / _ODDS_PARTS for q in odds]


def _sum_of(weights: list[float], scale: float) -> float:
    return fsum(1.0 - exp(-scale * weight) for weight in weights)
