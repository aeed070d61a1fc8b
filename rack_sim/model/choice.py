"""Choice: how many experts the rows of a step touch, and how they fall on the chips that hold them.

Each row chooses k of E experts, independently of other rows. With equal popularities an expert is
one of a row's with probability q = k / E, so n rows touch

    E x (1 - (1 - k / E) ^ n)

different experts on average: exact. With a skew s the popularity of expert i is i ^ -s (Zipf), and
experts are drawn without replacement until there are k. The probability that one of them is expert
i is taken as q_i = 1 - exp(-t x p_i) with t such that they sum to k, which is exact in the limit of
many experts (Rosen 1997); for k = 1 and k = 2 it is exact. The tests hold it against drawing.

Where whole experts lie on chips, expert i is on chip i mod g. The load of the busiest chip is that
of the expected largest of g independent normal variables with the mean and the deviation of each
chip (of equal ones by Blom's approximation), rows being independent and so, by assumption, the
experts of a row; never more than there can be, never less than one.

A statically scheduled chip cannot wait and see: its program is made for the most that can come.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import erf, exp, sqrt
from statistics import NormalDist
from typing import NamedTuple

GRAINS = 2**20
"""Averages are whole numbers of this part of a row or an expert."""

# How an expected largest is summed up: so many steps to so many deviations above every mean.
_STEPS = 400
_SIGMAS = 6.0


class Load(NamedTuple):
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

    def average(self, rows: int, chip_count: int) -> Load:
        """What the fullest of `chip_count` chips has to do on average. Never less for more rows."""
        return _average(self, rows, chip_count)

    def most(self, rows: int, chip_count: int) -> Load:
        """What a program that fits any choice makes the fullest of `chip_count` chips do."""
        chosen, experts = self.chosen_count, self.expert_count
        if not self.apart:
            touched = min(experts, rows * chosen)
            return Load(-(-rows * chosen * GRAINS // chip_count), touched * GRAINS)
        on_chip = experts // chip_count
        pairs = rows * min(chosen, on_chip)
        touched = min(on_chip, pairs)
        if self.capacity_factor is not None:
            share = round(self.capacity_factor * GRAINS) * rows * chosen
            pairs = min(pairs, on_chip * -(-share // (experts * GRAINS)))
        return Load(pairs * GRAINS, touched * GRAINS)


def distinct_experts(choice: Choice, rows: int) -> float:
    """How many different experts `rows` rows touch on average."""
    return choice.average(rows, 1).expert_grains / GRAINS


@lru_cache(maxsize=2**16)
def _average(choice: Choice, rows: int, chip_count: int) -> Load:
    chosen, count = choice.chosen_count, choice.expert_count
    if rows == 0:
        return Load(0, 0)
    chips = chip_count if choice.apart else 1
    odds = _odds(choice)
    by_chip = [odds[chip::chips] for chip in range(chips)]
    touched = [[1.0 - (1.0 - q) ** rows for q in on_chip] for on_chip in by_chip]
    if chips == 1:
        grains = round(sum(touched[0]) * GRAINS)
        return Load(-(-rows * chosen * GRAINS // chip_count), min(grains, count * GRAINS))
    on_chip_count = count // chips
    pairs = _largest([_moments(on_chip, rows) for on_chip in by_chip])
    experts = _largest([_moments(on_chip, 1) for on_chip in touched])
    most = min(chosen, on_chip_count)
    row_grains = min(max(round(pairs * GRAINS), GRAINS), rows * most * GRAINS)
    expert_grains = min(max(round(experts * GRAINS), GRAINS), on_chip_count * GRAINS)
    return Load(row_grains, min(expert_grains, row_grains))


def _moments(odds: list[float], times: int) -> tuple[float, float]:
    """Mean and variance of a sum of independent events that may each happen `times` times."""
    return times * sum(odds), times * sum(q * (1.0 - q) for q in odds)


def _largest(moments: list[tuple[float, float]]) -> float:
    """The expected largest of independent normal variables, those below zero taken as zero."""
    if len(set(moments)) == 1:
        mean, variance = moments[0]
        return mean + _blom(len(moments)) * sqrt(variance)
    spread = [(mean, sqrt(variance)) for mean, variance in moments]
    top = max(mean + _SIGMAS * sigma for mean, sigma in spread)
    step = top / _STEPS
    above = 0.0
    for number in range(_STEPS):
        at = (number + 0.5) * step
        below = 1.0
        for mean, sigma in spread:
            below *= 0.5 + 0.5 * erf((at - mean) / (sigma * sqrt(2.0))) if sigma else at >= mean
        above += 1.0 - below
    return above * step


@lru_cache(maxsize=1024)
def _blom(count: int) -> float:
    """The expected largest of `count` standard normal variables, by Blom's approximation."""
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25)) if count > 1 else 0.0


@lru_cache(maxsize=256)
def _odds(choice: Choice) -> list[float]:
    """The probability that a row's experts include expert i, the most popular first."""
    count, chosen = choice.expert_count, choice.chosen_count
    if choice.skew == 0.0 or chosen == count:
        return [chosen / count] * count
    weights = [(number + 1) ** -choice.skew for number in range(count)]
    whole = sum(weights)
    first = [weight / whole for weight in weights]
    if chosen == 1:
        return first
    if chosen == 2:
        # Second behind some other: of what that leaves.
        behind = sum(p / (1.0 - p) for p in first)
        return [p * (1.0 + behind - p / (1.0 - p)) for p in first]
    low, high = 0.0, 1.0
    while _sum_of(weights, high) < chosen:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _sum_of(weights, middle) < chosen else (low, middle)
    return [1.0 - exp(-high * weight) for weight in weights]


def _sum_of(weights: list[float], scale: float) -> float:
    return sum(1.0 - exp(-scale * weight) for weight in weights)
