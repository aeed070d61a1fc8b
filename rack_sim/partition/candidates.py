"""Candidates: what the partitioner compares before it cuts."""

from dataclasses import dataclass
from typing import Literal

from rack_sim.hardware.chip import Tiers
from rack_sim.timing.pipeline import PipelineTiming

PlanObjective = Literal["fewest_chips", "lowest_latency", "most_tokens_per_chip"]


@dataclass(frozen=True)
class PlanCandidate:
    """A tensor-parallel degree and a number of stages that fit, with what is known before cutting.

    `latency_ps` is exact; `interval_ps` is that of the slowest stage, which links may lengthen.
    """

    group_size: int
    stage_count: int
    tiers: Tiers
    interval_ps: int
    latency_ps: int

    @property
    def chips(self) -> int:
        """Chips it takes."""
        return self.group_size * self.stage_count

    def bound(self, objective: PlanObjective) -> tuple[int, ...]:
        """No cut of this candidate ranks before this."""
        return self._rank(objective, self.interval_ps, self.latency_ps)

    def rank(self, objective: PlanObjective, timed: PipelineTiming) -> tuple[int, ...]:
        """The rank of its best cut, timed; smaller is better.

        For the lowest latency a revolution is made as long as a step (`compiler.interval`).
        """
        latency_first = objective == "lowest_latency"
        token_ps = timed.latency_ps if latency_first else timed.revolution_ps
        return self._rank(objective, timed.interval_ps, token_ps)

    def _rank(self, objective: PlanObjective, interval_ps: int, token_ps: int) -> tuple[int, ...]:
        ranks = {
            "fewest_chips": (self.chips, token_ps),
            "lowest_latency": (token_ps, self.chips),
            # Rows per second and chip are rows / (interval x chips), the rows being the same.
            "most_tokens_per_chip": (interval_ps * self.chips, token_ps),
        }
        return (*ranks[objective], self.group_size)
