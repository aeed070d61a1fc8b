"""Jitter: extra time of every operator, drawn for each chip from a stream of its own.

A static chip has none: that is what it is built for. Here it is put in to see what the machine
would be without that: each task of a chip's matrix, vector and switch unit takes an extra time from
an exponential distribution, also each piece of an operator that is sent piece by piece. Memory,
which streams beside the operator that it feeds, and links have none.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rack_sim.compiler.program import Program
from rack_sim.foundation.streams import stream

Extra = NDArray[np.int64]

# Memory only streams: its tasks run beside the operator that they feed.
UNITS_WITH_JITTER = ("matrix", "vector", "switch")


class JitterDraws:
    """Extra picoseconds of every task of one step after another.

    `mean_ps` are the means to draw for; each step gives an array of shape (tasks, means x repeats),
    the repeats of the first mean first. The same draws serve every mean, multiplied: what differs
    between means is the mean alone. Equal seeds give equal draws, whatever else is drawn.
    """

    def __init__(
        self, program: Program, mean_ps: tuple[int, ...], *, seed: int, repeats: int = 1
    ) -> None:
        self.mean_ps = mean_ps
        self.repeats = repeats
        self.task_count = len(program)
        operates = np.array([first in UNITS_WITH_JITTER for first, _ in program.resources])
        chips = np.array([second for _, second in program.resources])
        tasks = np.flatnonzero(operates[program.resource])
        owner = chips[program.resource[tasks]]
        self._tasks_of = {int(chip): tasks[owner == chip] for chip in np.unique(owner)}
        self._streams = {chip: stream(seed, f"jitter/chip/{chip}") for chip in self._tasks_of}

    def __iter__(self) -> Iterator[Extra]:
        """The extra times of the steps, one after the other, without end."""
        while True:
            drawn = np.zeros((self.task_count, self.repeats))
            for chip, tasks in self._tasks_of.items():
                drawn[tasks] = self._streams[chip].standard_exponential((len(tasks), self.repeats))
            yield np.concatenate(
                [np.rint(drawn * mean).astype(np.int64) for mean in self.mean_ps], axis=1
            )
