"""Jitter: extra time of every operator, drawn for each chip from a stream of its own.

A static chip has none: that is what it is built for. Here it is put in to see what the machine
would be without that: each operator takes an extra time from an exponential distribution, on every
chip its own (one that is sent piece by piece takes it with the first piece). What is no operator
has none: weights that stream, shards that are laid out, sums of what arrives, messages.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rack_sim.compiler.program import Program
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.streams import stream


def begins_operator(program: Program) -> NDArray[np.bool_]:
    """Which tasks are an operator, or the first piece of one."""
    begins = [work.kind == "operator" and work.piece == 0 for work in program.works]
    return np.array(begins)[program.work]


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
        tasks = np.flatnonzero(begins_operator(program))
        owner = program.result_chip[tasks]
        self._tasks_of = {int(chip): tasks[owner == chip] for chip in np.unique(owner)}
        self._streams = {chip: stream(seed, f"jitter/chip/{chip}") for chip in self._tasks_of}

    def __iter__(self) -> Iterator[Int64Array]:
        """The extra times of the steps, one after the other, without end."""
        while True:
            drawn = np.zeros((self.task_count, self.repeats))
            for chip, tasks in self._tasks_of.items():
                drawn[tasks] = self._streams[chip].standard_exponential((len(tasks), self.repeats))
            yield np.concatenate(
                [np.rint(drawn * mean).astype(np.int64) for mean in self.mean_ps], axis=1
            )
