"""Sizing candidate: one system that was looked at, and what was found of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rack_sim.foundation.brief import Brief
from rack_sim.metrics.cost import Footprint
from rack_sim.metrics.sizing_columns import Goal
from rack_sim.metrics.slo import Objective, Reading
from rack_sim.metrics.summary import Value, number_of
from rack_sim.metrics.words import TERMS
from rack_sim.study.sizing.space import Shape

Verdict = Literal["meets", "fails", "pruned"]

# What was measured, as summary.csv has it.
MEASURED = (
    "finished_count",
    "request_throughput_rps",
    "output_throughput_tok_s",
    "slot_row_utilisation",
    "replica_utilisation",
    "ttft_bound_by",
    "tpot_bound_by",
    "bottleneck",
    "mean_watts",
    "energy_chips_dynamic_joules",
    "usd_per_million_output_tokens",
    "tok_latency_limit_ms",
    *(f"ttft_{part}_ms_mean" for part in ("admission", "row_wait", "prefill", "pass")),
    *(f"tpot_{term}_ms" for term in TERMS),
)


@dataclass(frozen=True, repr=False)
class Candidate(Brief):
    """So many replicas of a shape.

    `verdict` is ``meets`` or ``fails`` where it was replayed, ``pruned`` where a bound said enough;
    `reason` is empty, or the name of what failed or of the bound, `detail` says it in words.
    `readings` are what the replay measured, or of a pruned one what it can at best be;
    `usd_per_year` and `mean_watts` likewise. `measured` are columns of its summary, none of a
    pruned one. `lifetime_s` is what 99 % of its requests take at most; where arrivals lasted for
    less than a few of these it `is_short`. One that `covers_larger_counts` stands for all with more
    replicas, too.
    """

    shape: Shape
    replica_count: int
    footprint: Footprint
    capital_usd: float
    standby_watts: float
    usd_per_year: float
    mean_watts: float
    verdict: Verdict = "pruned"
    reason: str = ""
    detail: str = ""
    readings: tuple[Reading, ...] = ()
    measured: Mapping[str, Value] = field(default_factory=dict)
    lifetime_s: float = 0.0
    is_short: bool = False
    covers_larger_counts: bool = False

    @property
    def name(self) -> str:
        """Short for tables: ``8 x 54 x 4``: tensor parallel, stages, replicas."""
        return f"{self.shape} x {self.replica_count}"

    def number(self, name: str) -> float | None:
        """A number that was measured; None where there is none."""
        return number_of(self.measured, name)

    @property
    def tightest(self) -> Reading | None:
        """The objective of which most is used."""
        return max(self.readings, key=lambda reading: reading.load, default=None)

    def reading_of(self, objective: Objective | None) -> Reading | None:
        """What is said of an objective."""
        return next((one for one in self.readings if one.objective == objective), None)

    def rank(self, goal: Goal) -> tuple[float, ...]:
        """What a goal looks at, first things first: smaller is better.

        The fewest chips are those that must be bought; of equals, the fewest that hold the model,
        then the least money. Less than a dollar a year, or than a watt, is no difference. Of a
        pruned candidate it is no more than its own would be.
        """
        chips = (self.footprint.bought_chip_count, self.footprint.chip_count)
        looked_at = {
            "fewest_chips": (*chips, round(self.usd_per_year)),
            "cheapest": (round(self.usd_per_year), *chips),
            "least_power": (round(self.mean_watts), *chips),
        }[goal]
        shape = self.shape
        return (*looked_at, shape.tensor_parallel, shape.stage_count, self.replica_count)
