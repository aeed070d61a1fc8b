"""Mapping study: every way to cut a model over chips, compiled, scored and held against the others.

What a cut is worth is told with every row in use: for static chips from the compiled interval and
revolution, for reactive ones from an iteration in which as many sequences as there may be and as
the cache holds decode at the longest context.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rack_sim.compiler.batches import BatchMachine
from rack_sim.compiler.step import StepTiming
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InfeasibleError, InputError
from rack_sim.foundation.units import PS_PER_MS, PS_PER_S
from rack_sim.foundation.work_estimate import Progress
from rack_sim.metrics.summary import Value
from rack_sim.partition.candidates import PlanObjective
from rack_sim.pipeline import Explanation, explain
from rack_sim.record.table import Table
from rack_sim.scenario import Scenario
from rack_sim.scenario.study_kinds.mapping import MAPPING, MappingStudy
from rack_sim.study.grid_point import INFEASIBLE, OK, in_one_line
from rack_sim.study.options import DEFAULTS, StudyOptions
from rack_sim.study.sizing.space import Shape, sizing_space
from rack_sim.study.study_result import StudyResult
from rack_sim.timing.attention_roofs import Attended


@dataclass(frozen=True, repr=False)
class Mapped(Brief):
    """One cut of a machine: its shape, and what it is worth where it can run.

    `gap_ps` is the time between two tokens of a sequence, `tokens_per_s` those of all
    `sequence_count` together; `used_bytes` and `capacity_bytes` are of the fullest chip.
    """

    shape: Shape
    reason: str = ""
    sequence_count: int = 0
    gap_ps: int = 0
    tokens_per_s: float = 0.0
    used_bytes: int = 0
    capacity_bytes: int = 0

    @property
    def per_chip(self) -> float:
        """Tokens per second of a chip."""
        return self.tokens_per_s / self.shape.chip_count

    def worth(self, objective: PlanObjective) -> float:
        """What the objective asks for, more of it better."""
        return {
            "fewest_chips": 1 / self.shape.chip_count,
            "lowest_latency": 1 / self.gap_ps,
            "most_tokens_per_chip": self.per_chip,
        }[objective]

    def is_beaten_by(self, other: "Mapped") -> bool:
        """Whether another is as good in all that counts, and better in some of it."""
        mine = (-self.shape.chip_count, -self.gap_ps, self.per_chip)
        its = (-other.shape.chip_count, -other.gap_ps, other.per_chip)
        return mine != its and all(b >= a for a, b in zip(mine, its, strict=True))


@dataclass(frozen=True, repr=False)
class MappingPoint(Brief):
    """One machine: its cuts, and the one that `auto` takes, if there is one."""

    name: str
    objective: PlanObjective
    cuts: tuple[Mapped, ...]
    chosen: Shape | None

    @property
    def runnable(self) -> tuple[Mapped, ...]:
        """Those that can run."""
        return tuple(cut for cut in self.cuts if not cut.reason)


@dataclass(frozen=True, repr=False)
class MappingResult(StudyResult):
    """What a mapping study gave."""

    assumed = (
        "every row of every slot or iteration is in use; of reactive chips every sequence is as "
        "long as the longest context",
        "one replica; nothing is served, so no request waits",
    )

    study: MappingStudy
    points: tuple[MappingPoint, ...]

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """mapping.csv, a row for each cut of each machine."""
        return {"mapping.csv": Table(MAPPING, lambda: _rows(self))}

    def facts(self) -> Mapping[str, Any]:
        """What `auto` looks for on each machine."""
        return {"objectives": {point.name: point.objective for point in self.points}}


def run(study: MappingStudy, options: StudyOptions = DEFAULTS) -> MappingResult:
    """Places and compiles every cut of every machine.

    Raises InfeasibleError where no cut of a machine holds its model, InputError where a degree or a
    number of stages cannot be.
    """
    points: list[MappingPoint] = []
    for number, given in enumerate(study.points):

        def show(text: str, share: float, name: str = given.name, done: int = number) -> None:
            options.on_progress(f"{name}: {text}", (done + share) / len(study.points))

        points.append(_point(given.name, given.scenario, study, show))
    return MappingResult(study, tuple(points))


def _point(name: str, scenario: Scenario, study: MappingStudy, show: Progress) -> MappingPoint:
    shapes = sizing_space(scenario, study.tensor_parallel, study.stages, 1).shapes
    cuts = []
    for number, shape in enumerate(shapes):
        show(f"{shape.tensor_parallel} x {shape.stage_count}", number / len(shapes))
        cuts.append(_mapped(scenario, shape))
    return MappingPoint(name, scenario.deployment.objective, tuple(cuts), _chosen(scenario))


def _mapped(scenario: Scenario, shape: Shape) -> Mapped:
    try:
        found = explain(scenario.with_cut(shape.tensor_parallel, shape.stage_count))
    except (InfeasibleError, InputError) as error:
        return Mapped(shape, in_one_line(error))
    machine = found.machine
    gap_ps, sequence_count, tokens_per_s = (
        _compiled(found.step) if found.batch is None else _batched(found, found.batch)
    )
    return Mapped(
        shape,
        sequence_count=sequence_count,
        gap_ps=gap_ps,
        tokens_per_s=tokens_per_s,
        used_bytes=machine.used_bytes_max,
        capacity_bytes=machine.plan.system.chip.capacity_bytes,
    )


def _compiled(step: StepTiming) -> tuple[int, int, float]:
    """Time between two tokens, sequences, tokens/s: every row of every slot in use."""
    return (
        step.revolution_ps,
        step.slot_count * step.rows,
        step.rows * PS_PER_S / step.interval_ps,
    )


def _batched(found: Explanation, batch: BatchMachine) -> tuple[int, int, float]:
    """The same of iterations, all sequences as long as the longest context."""
    limits = found.scenario.serving.policy.iteration_limits
    most = min(limits.rows, limits.sequences) if limits else 1
    rows = max(1, min(most, batch.sequences_max))
    timer, context = batch.timer, batch.timing.context_tokens
    attended = Attended.of_equals(rows, context - 1, 1, timer.windows)
    gap_ps = timer.duration_ps(rows, attended)
    return gap_ps, rows, rows * PS_PER_S / gap_ps


def _chosen(scenario: Scenario) -> Shape | None:
    try:
        plan = explain(scenario.with_cut(None, None)).plan
    except (InfeasibleError, InputError):
        return None
    return Shape(plan.tensor_parallel, plan.stage_count)


def _rows(result: MappingResult) -> Iterator[Sequence[Value]]:
    for point in result.points:
        best = max((cut.worth(point.objective) for cut in point.runnable), default=0.0)
        for cut in point.cuts:
            yield [point.name, *_cells(point, cut, best)]


def _cells(point: MappingPoint, cut: Mapped, best: float) -> list[Value]:
    shape = cut.shape
    head: list[Value] = [shape.tensor_parallel, shape.stage_count, shape.chip_count]
    if cut.reason:
        return [*head, INFEASIBLE, cut.reason, *[None] * 8, shape == point.chosen, False]
    beaten = any(cut.is_beaten_by(other) for other in point.runnable)
    return [
        *head,
        OK,
        None,
        cut.sequence_count,
        round(cut.gap_ps / PS_PER_MS, 9),
        round(PS_PER_S / cut.gap_ps, 6),
        round(cut.tokens_per_s, 6),
        round(cut.per_chip, 6),
        cut.used_bytes,
        round(1 - cut.used_bytes / cut.capacity_bytes, 6),
        round(cut.worth(point.objective) / best, 6),
        shape == point.chosen,
        not beaten,
    ]
