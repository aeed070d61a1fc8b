"""Rack load: how busy every chip and link was, as shares of the simulated time."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rack_sim.hardware.routing import Hop
from rack_sim.hardware.topology import Topology
from rack_sim.pipeline import Result


@dataclass(frozen=True)
class RackLoad:
    """What the colours of the drawn rack say.

    `share_by_chip` and `stage_by_chip` know the chips that hold a part of the model;
    `share_by_pair` the pairs of chips (lower number first) with a link that carried vectors, the
    busier direction counted. A link is one direction of one cable. `share_by_traffic` splits the
    vectors on all links by what they are for, the largest share first.
    """

    share_by_chip: Mapping[int, float]
    stage_by_chip: Mapping[int, int]
    share_by_pair: Mapping[Hop, float]
    share_by_traffic: Mapping[str, float]
    link_count: int
    busy_link_count: int

    def racks_in_use(self, topology: Topology) -> list[int]:
        """The racks that hold a stage or that a busy link leads to, by number."""
        chips = {*self.stage_by_chip, *(chip for pair in self.share_by_pair for chip in pair)}
        node_of, rack_of = topology.node_of_chip(), topology.rack_of_node()
        return sorted({rack_of[node_of[chip]] for chip in chips if chip < topology.chip_count})

    def stages_of(self, chips: tuple[int, ...]) -> list[int]:
        """The stages that some chips hold parts of, in pipeline order."""
        return sorted({self.stage_by_chip[chip] for chip in chips if chip in self.stage_by_chip})


def load_of(result: Result) -> RackLoad:
    """How busy the machine was over the whole run."""
    step, totals = result.explanation.step, result.totals
    plan = step.plan

    def share(busy_ps: int) -> float:
        return busy_ps * totals.busy_step_count / totals.end_ps if totals.end_ps else 0.0

    pairs: dict[Hop, float] = {}
    for (source, target), busy_ps in step.link_busy_ps.items():
        pair = (min(source, target), max(source, target))
        pairs[pair] = max(pairs.get(pair, 0.0), share(busy_ps))
    carried: Counter[str] = Counter()
    for by_traffic in step.link_loads.values():
        carried.update({name: load.vectors for name, load in by_traffic.items()})
    return RackLoad(
        share_by_chip={
            chip: share(timing.service_ps) for timing in step.stages for chip in timing.stage.chips
        },
        stage_by_chip={chip: stage.number for stage in plan.stages for chip in stage.chips},
        share_by_pair=pairs,
        share_by_traffic={
            name: vectors / carried.total() for name, vectors in carried.most_common()
        },
        link_count=len(plan.system.topology.links),
        # Vectors are dealt out over parallel cables, so a few vectors leave some cables idle.
        busy_link_count=sum(
            min(vectors, plan.router.lane_count(hop))
            for hop, vectors in step.vectors_by_hop.items()
        ),
    )


def stages_text(stages: list[int]) -> str:
    """Stages in words: ``stages_text([3, 4]) == "stages 3–4"``; nothing where there are none."""
    if len(stages) < 2:
        return "".join(f"stage {number}" for number in stages)
    return f"stages {stage_runs(stages)}"


def stage_runs(stages: list[int]) -> str:
    """Stages as runs of numbers.

    >>> stage_runs([3, 4, 5, 9])
    '3–5, 9'
    """
    runs: list[list[int]] = []
    for number in stages:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
