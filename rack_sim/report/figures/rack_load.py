"""Rack load: how busy every chip and link was, as shares of the simulated time."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rack_sim.hardware.routing import Hop
from rack_sim.hardware.topology import Topology
from rack_sim.partition.placement import groups
from rack_sim.pipeline import Result


@dataclass(frozen=True)
class RackLoad:
    """What the colours of the drawn rack say, of the first system where there are several.

    `share_by_chip`, `stage_by_chip` and `replica_by_chip` know the chips that hold a part of a
    replica; `share_by_pair` the pairs of chips (lower number first) with a link that carried
    vectors of the first replica, the busier direction counted. A link is one direction of one
    cable. `share_by_traffic` splits the vectors on all links by what they are for, the largest
    share first; nothing where that is not known.
    """

    share_by_chip: Mapping[int, float]
    stage_by_chip: Mapping[int, int]
    replica_by_chip: Mapping[int, int]
    share_by_pair: Mapping[Hop, float]
    share_by_traffic: Mapping[str, float]
    link_count: int
    busy_link_count: int

    def racks_in_use(self, topology: Topology) -> list[int]:
        """The racks that hold a stage or that a busy link leads to, by number."""
        chips = {*self.stage_by_chip, *(chip for pair in self.share_by_pair for chip in pair)}
        node_of, rack_of = topology.node_of_chip(), topology.rack_of_node()
        return sorted({rack_of[node_of[chip]] for chip in chips if chip < topology.chip_count})

    @property
    def replica_count(self) -> int:
        """Replicas that stand in what is drawn."""
        return len(set(self.replica_by_chip.values()))

    def stages_of(self, chips: tuple[int, ...]) -> list[int]:
        """The stages that some chips hold parts of, in pipeline order."""
        return sorted({self.stage_by_chip[chip] for chip in chips if chip in self.stage_by_chip})

    @property
    def stage_count(self) -> int:
        """Stages of a replica."""
        return len(set(self.stage_by_chip.values()))

    def replicas_of(self, chips: tuple[int, ...]) -> list[int]:
        """The replicas that some chips hold parts of, by number."""
        return sorted({self.replica_by_chip[c] for c in chips if c in self.replica_by_chip})

    def parts_of(self, chips: tuple[int, ...]) -> str:
        """Whose parts some chips hold, in words; nothing where they hold none."""
        if self.replica_count > 1:
            return runs_text("replica", self.replicas_of(chips))
        return runs_text("stage", self.stages_of(chips))

    def badge_of(self, chips: tuple[int, ...]) -> str:
        """The same in short: stages, or replicas, or (replica:stage) both, where there are several.

        Nothing where everything is one.
        """
        stages, replicas = self.stages_of(chips), self.replicas_of(chips)
        if not stages or self.replica_count == self.stage_count == 1:
            return ""
        if self.stage_count == 1:
            return number_runs(replicas)
        if self.replica_count == 1:
            return number_runs(stages)
        return f"{number_runs(replicas)}:{number_runs(stages)}"


def load_of(result: Result) -> RackLoad:
    """How busy the machine was over the whole run."""
    machine, totals = result.explanation.machine, result.totals
    plan = machine.plan

    def share(busy_ps: int) -> float:
        return busy_ps / totals.end_ps if totals.end_ps else 0.0

    placed = groups(plan.system.topology, plan.tensor_parallel)
    shares: dict[int, float] = {}
    stages: dict[int, int] = {}
    replicas: dict[int, int] = {}
    for number, books in enumerate(totals.replicas[: len(placed) // plan.stage_count]):
        for stage in range(plan.stage_count):
            busy_ps = machine.stage_busy_ps(stage, books.busy_ps)
            for chip in placed[number * plan.stage_count + stage]:
                shares[chip], stages[chip], replicas[chip] = share(busy_ps), stage, number
    vectors, held_ps = machine.link_use(totals.first_busy_ps, totals.first_batches)
    pairs: dict[Hop, float] = {}
    for (source, target), busy_ps in held_ps.items():
        pair = (min(source, target), max(source, target))
        pairs[pair] = max(pairs.get(pair, 0.0), share(busy_ps))
    carried: Counter[str] = Counter()
    for by_traffic in machine.link_loads.values():
        carried.update({name: load.vectors for name, load in by_traffic.items()})
    return RackLoad(
        share_by_chip=shares,
        stage_by_chip=stages,
        replica_by_chip=replicas,
        share_by_pair=pairs,
        share_by_traffic={
            name: vectors / carried.total() for name, vectors in carried.most_common()
        },
        link_count=len(plan.system.topology.links),
        # Vectors are dealt out over parallel cables, so a few vectors leave some cables idle.
        busy_link_count=sum(
            min(count, plan.routing.lane_count(hop)) for hop, count in vectors.items()
        ),
    )


def runs_text(noun: str, numbers: list[int]) -> str:
    """Numbered things in words; nothing where there are none.

    >>> runs_text("stage", [3, 4]), runs_text("stage", [3]), runs_text("stage", [])
    ('stages 3–4', 'stage 3', '')
    """
    if len(numbers) < 2:
        return "".join(f"{noun} {number}" for number in numbers)
    return f"{noun}s {number_runs(numbers)}"


def number_runs(numbers: list[int]) -> str:
    """Numbers as runs.

    >>> number_runs([3, 4, 5, 9])
    '3–5, 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
