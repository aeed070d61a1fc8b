"""Stages: cutting the line of blocks into contiguous stages, exactly.

`StageCutter` knows the duration and the bytes of each block and finds, by dynamic programming over
(stages, blocks), the cut whose slowest stage is as fast as any cut can make it and whose stages
all fit their chips. Among those it takes one whose fullest chip is emptiest. No greedy step: a
brute-force search over all cuts of small lines is a test.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.errors import InputError, Problem

_NEVER = np.iinfo(np.int64).max // 4

Cut = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class StageCutter:
    """A line of blocks to be cut.

    For each block: `durations_ps`, `resident_bytes` on the fullest chip of a group, and
    `live_bytes` of activations there (a stage needs the largest of its blocks). `overhead_bytes`
    sit on every chip whatever it holds; `capacity_bytes` is the room on a chip. Where groups are
    not alike, `durations_by_stage_ps` holds the durations on the group of each stage; else every
    stage takes `durations_ps`. `shared_bytes` of the first and the last block are the same, and lie
    once on a chip that holds both. Where a chip has several memory tiers, `beside` is the same line
    as its other tiers see it: a stage fits if it fits all of them.
    """

    durations_ps: Sequence[int]
    resident_bytes: Sequence[int]
    live_bytes: Sequence[int]
    overhead_bytes: int
    capacity_bytes: int
    durations_by_stage_ps: Sequence[Sequence[int]] = ()
    shared_bytes: int = 0
    beside: tuple["StageCutter", ...] = ()

    def __post_init__(self) -> None:
        held = sum(self.resident_bytes) + max(self.live_bytes, default=0) + self.overhead_bytes
        if held >= _NEVER:  # all sums are made of 64 bits
            raise InputError(
                Problem(
                    "one chip of a group would hold more than 2,000,000,000 GB",
                    field="model",
                    suggestion="is a digit of its sizes, or of those of a cache, wrong?",
                )
            )

    @property
    def block_count(self) -> int:
        """Blocks in the line; no cut has more stages."""
        return len(self.durations_ps)

    def stage_ps(self, stage_count: int) -> list[NDArray[np.int64]]:
        """For each stage, the duration of blocks i..j-1 at [i, j]; `_NEVER` where there is none.

        Stages that do not fit their chips take for ever.
        """
        fits = self.fits()
        by_durations: dict[tuple[int, ...], NDArray[np.int64]] = {}
        costs = []
        for stage in range(stage_count):
            given = self.durations_by_stage_ps
            durations = tuple(given[stage] if given else self.durations_ps)
            if durations not in by_durations:
                by_durations[durations] = np.where(
                    fits, self._over_ranges(_prefix(durations)), _NEVER
                )
            costs.append(by_durations[durations])
        return costs

    def fits(self) -> NDArray[np.bool_]:
        """Whether the stage that holds blocks i..j-1 fits its chips, at [i, j]."""
        fits: NDArray[np.bool_] = self.stage_bytes() <= self.capacity_bytes
        for tier in self.beside:
            fits = fits & tier.fits()
        return fits

    def stage_bytes(self) -> NDArray[np.int64]:
        """Bytes on the fullest chip of the stage that holds blocks i..j-1, at [i, j]."""
        bytes_ = self._over_ranges(_prefix(self.resident_bytes))
        live = np.asarray(self.live_bytes, dtype=np.int64)
        for start in range(self.block_count):
            bytes_[start, start + 1 :] += np.maximum.accumulate(live[start:]) + self.overhead_bytes
        bytes_[0, -1] -= self.shared_bytes
        return bytes_

    def bottlenecks_ps(self, stage_count_max: int) -> list[int | None]:
        """Least possible duration of the slowest stage for 1, 2, … stages; None where none fits."""
        values, _ = _cut_table(self.stage_ps(min(stage_count_max, self.block_count)))
        return [int(row[-1]) if row[-1] < _NEVER else None for row in values]

    def best_cut(self, stage_count: int) -> Cut | None:
        """The cut into exactly `stage_count` stages: fastest slowest stage, then emptiest chip.

        None where no cut fits.
        """
        if not 1 <= stage_count <= self.block_count:
            return None
        times = self.stage_ps(stage_count)
        values, _ = _cut_table(times)
        bottleneck = values[stage_count - 1][-1]
        if bottleneck >= _NEVER:
            return None
        sizes = self.stage_bytes()
        # Stages that are alike share their table of times.
        tables = {id(time): np.where(time <= bottleneck, sizes, _NEVER) for time in times}
        _, choices = _cut_table([tables[id(time)] for time in times])
        return _read_cut(choices, self.block_count)

    def emptiest_cut_bytes(self, stage_count: int) -> int:
        """Bytes on the fullest chip when the cut is made for memory alone, capacity ignored."""
        values, _ = _cut_table([self.stage_bytes()] * min(stage_count, self.block_count))
        return int(values[-1][-1])

    def fewest_stages(self, least: int = 1) -> int | None:
        """The smallest number of stages, `least` or more, that fits; None where there is none."""
        fits = self.fits()
        start, stages = 0, 0
        while start < self.block_count:
            ends = np.flatnonzero(fits[start])
            if not len(ends):
                return None
            # Bytes grow with the range (the whole line apart, which leaves nothing to hold), so the
            # longest range that fits is never a worse start.
            start, stages = int(ends[-1]), stages + 1
        return max(stages, least)

    def _over_ranges(self, prefix: NDArray[np.int64]) -> NDArray[np.int64]:
        ranges = prefix[None, :] - prefix[:, None]
        return np.where(np.triu(np.ones_like(ranges, dtype=bool), k=1), ranges, _NEVER)


def _prefix(amounts: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(np.asarray(amounts, dtype=np.int64))))


def _cut_table(
    costs: Sequence[NDArray[np.int64]],
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """best[k][j]: the least maximum of the costs of cuts of the first j blocks into k + 1 stages.

    The second list holds where the last of those stages starts.
    """
    values = [costs[0][0].copy()]
    choices = [np.zeros(len(costs[0]), dtype=np.int64)]
    for cost in costs[1:]:
        worst = np.maximum(values[-1][:, None], cost)
        choice = worst.argmin(axis=0)
        values.append(worst[choice, np.arange(len(cost))])
        choices.append(choice)
    return values, choices


def _read_cut(choices: list[NDArray[np.int64]], block_count: int) -> Cut:
    cut = []
    end = block_count
    for choice in reversed(choices):
        start = int(choice[end])
        cut.append((start, end))
        end = start
    return tuple(reversed(cut))
