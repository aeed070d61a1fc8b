"""Runs: iterations in a row that differ only in the context they read, in closed form.

Iteration i of a run takes ``base + max over roofs of (start + growth * i)``: the roofs of attention
grow with the context at rates of their own, so the time per iteration is the upper envelope of a
few lines. A run is cut where another roof takes over, and each piece, a *stretch*, is an arithmetic
series: `iterations` that take first, first + step, … picoseconds.
"""

from collections.abc import Sequence
from math import isqrt
from operator import itemgetter
from typing import NamedTuple

_GROWTH = itemgetter(1)


class Stretch(NamedTuple):
    """Iterations bound by one roof: the first takes `first_ps`, each next `step_ps` more."""

    iterations: int
    first_ps: int
    step_ps: int
    roof: int

    def elapsed_ps(self, count: int) -> int:
        """Time of the first so many."""
        return count * self.first_ps + self.step_ps * (count * (count - 1) // 2)

    def ends_by(self, elapsed_ps: int) -> int:
        """How many end within `elapsed_ps`, at most all."""
        first, step = self.first_ps, self.step_ps
        if elapsed_ps < first:
            return 0
        if not step:
            found = elapsed_ps // first
        else:
            # i * first + step * i * (i - 1) / 2 <= elapsed, solved for the largest whole i.
            b = 2 * first - step
            found = (isqrt(b * b + 8 * step * elapsed_ps) - b) // (2 * step)
        return min(found, self.iterations)


def stretches(base_ps: int, roofs: Sequence[tuple[int, int]], count: int) -> list[Stretch]:
    """The stretches of a run of `count` iterations; `roofs` are (start, growth) in picoseconds.

    Equal roofs go to the one that grows faster, then to the first. Growth is not negative.
    """
    # Mostly one roof is the highest and grows fastest: then it binds throughout.
    start, growth = max(roofs)
    if count == 1 or max(roofs, key=_GROWTH)[1] <= growth:
        return [Stretch(count, base_ps + start, growth, roofs.index((start, growth)))]
    found = []
    at = 0
    while at < count:
        bound, best, best_growth = 0, -1, -1
        for number, (start, growth) in enumerate(roofs):
            value = start + growth * at
            if value > best or (value == best and growth > best_growth):
                bound, best, best_growth = number, value, growth
        end = count
        for start, growth in roofs:
            if growth > best_growth:
                # The first iteration in which this roof is as high as the one that binds now.
                over = at - (start + growth * at - best) // (growth - best_growth)
                end = min(end, over)
        found.append(Stretch(end - at, base_ps + best, best_growth, bound))
        at = end
    return found


def total_ps(run: Sequence[Stretch]) -> int:
    """Time of a whole run."""
    if len(run) == 1:
        return run[0].elapsed_ps(run[0].iterations)
    return sum(stretch.elapsed_ps(stretch.iterations) for stretch in run)


def iterations_until(run: Sequence[Stretch], elapsed_ps: int) -> int:
    """The number of iterations at whose end at least `elapsed_ps` have passed, the smallest.

    At least one; that of the whole run where it ends before.
    """
    before = 0
    left_ps = elapsed_ps
    for stretch in run:
        # The first boundary at or after t is behind every one that ends by t - 1.
        ended = stretch.ends_by(left_ps - 1)
        if ended < stretch.iterations:
            return max(before + ended + 1, 1)
        before += stretch.iterations
        left_ps -= stretch.elapsed_ps(stretch.iterations)
    return before


def first_of(run: Sequence[Stretch], count: int) -> list[Stretch]:
    """The first `count` iterations of a run."""
    found = []
    for stretch in run:
        if count <= stretch.iterations:
            found.append(stretch._replace(iterations=count))
            break
        found.append(stretch)
        count -= stretch.iterations
    return found


def product_sum(stretch: Stretch, level: int, growth: int) -> int:
    """Sum over iterations of (level + growth * i) times the iteration's duration."""
    n, f, s = stretch.iterations, stretch.first_ps, stretch.step_ps
    pairs = n * (n - 1) // 2
    squares = (n - 1) * n * (2 * n - 1) // 6
    return level * f * n + (level * s + growth * f) * pairs + growth * s * squares
