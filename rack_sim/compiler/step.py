"""Step timing: one pass of a slot through every stage of the pipeline, compiled from a Plan.

- `latency_ps` L: every stage and every transfer once, and the new token's way back to the first
  stage; a row may enter again after L.
- `token_ps`: from entering to the token being sampled, that is L without the way back.
- `interval_ps` II: how soon the next slot may enter (see `interval`).
- `slot_count` S slots revolve with period R = S x II, so that each is back in time. Of the lowest
  latency they are as many as fit into L, and R is L but for a thousandth; else S = ceil(L / II)
  (`interval.revolution`).

Every compile writes the whole program out and checks it (`program`, `checker`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from rack_sim.compiler.checker import check_program
from rack_sim.compiler.interval import Separations, revolution, separations
from rack_sim.compiler.machine import LinkUse, MemoryUse, Timing, TokenGaps
from rack_sim.compiler.program import Program, lower
from rack_sim.compiler.slots import SlotTiming
from rack_sim.compiler.traffic import LinkLoad, loads
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.work_estimate import Note, WorkEstimate, announce, no_note
from rack_sim.foundation.work_limits import refuse_over
from rack_sim.hardware.chip import Execution
from rack_sim.hardware.routing import Hop
from rack_sim.partition.memory import ChipMemory
from rack_sim.partition.plan import Plan, Stage
from rack_sim.timing.blocks import BlockTiming
from rack_sim.timing.pipeline import (
    PipelineTimer,
    PipelineTiming,
    TransferTiming,
    stage_terms,
    transfer_terms,
)
from rack_sim.timing.shape import ProgramKind, StepShape
from rack_sim.timing.terms import Terms, total

if TYPE_CHECKING:
    from rack_sim.compiler.batches import BatchTotals

# Measured on llama70b (47,068 tasks) on an AMD EPYC core: 3.5 us and 650 bytes a task, rounded up.
_TASK_S, _TASK_BYTES = 5e-6, 700


@dataclass(frozen=True, repr=False)
class StageTiming(Brief):
    """One stage of a step."""

    stage: Stage
    blocks: tuple[BlockTiming, ...]
    terms: Terms

    @property
    def service_ps(self) -> int:
        """How long the stage works on one slot."""
        return self.terms.total_ps


@dataclass(
    frozen=True, eq=False, repr=False
)  # programs are columns, which do not compare to one answer
class StepTiming(Brief):
    """A compiled step: when things happen after a slot enters, and how often slots may enter.

    What `machine.Machine` asks it answers by counting whole steps.
    """

    plan: Plan
    stages: tuple[StageTiming, ...]
    transfers: tuple[TransferTiming, ...]
    terms: Terms
    latency_ps: int
    token_ps: int
    interval_ps: int
    slot_count: int
    program: Program
    separations: Separations

    @property
    def execution(self) -> Execution:
        """Compiled, so static, whatever the chips of the plan are."""
        return "static"

    @property
    def rows(self) -> int:
        """Rows of a slot."""
        return self.plan.demand.shape.rows

    @property
    def slots(self) -> SlotTiming:
        """What the serving engine needs to know of this step."""
        return SlotTiming(
            rows=self.rows,
            slot_count=self.slot_count,
            interval_ps=self.interval_ps,
            token_ps=self.token_ps,
            context_tokens=self.plan.demand.shape.context_tokens,
            kv_tokens=self.plan.demand.kv_tokens,
        )

    @property
    def revolution_ps(self) -> int:
        """R: the time between two tokens of one sequence."""
        return self.slot_count * self.interval_ps

    @property
    def bottleneck(self) -> str:
        """What bounds the interval (a link, or the stage whose unit is busy longest), and why."""
        busy = self.link_busy_ps
        hop = max(busy, key=lambda link: (busy[link], link), default=None)
        if hop is not None and busy[hop] == self.separations.interval_ps:
            return f"link {hop[0]}->{hop[1]}: link_serialisation"
        bound = next(t for t in self.stages if self.separations.chip in t.stage.chips)
        links = " and links" if self.separations.interval_ps > self.separations.unit_ps else ""
        return f"stage {bound.stage.number}: {bound.terms.largest}{links}"

    @cached_property
    def link_loads(self) -> dict[Hop, Mapping[str, LinkLoad]]:
        """What every link in use carries in one step, by kind of traffic."""
        return loads(self.program)

    @cached_property
    def vectors_by_hop(self) -> dict[Hop, int]:
        """Vectors on every link in one step."""
        return {
            hop: sum(load.vectors for load in kinds.values())
            for hop, kinds in self.link_loads.items()
        }

    @cached_property
    def link_busy_ps(self) -> dict[Hop, int]:
        """How long each link (with all its parallel cables) is held during one step."""
        return {
            hop: sum(load.held_ps for load in kinds.values())
            for hop, kinds in self.link_loads.items()
        }

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache is compiled for."""
        return self.plan.demand.kv_tokens

    @property
    def sequences_max(self) -> int:
        """Sequences of the compiled context that the cache has room for."""
        return self.plan.concurrent_sequences_max

    @property
    def used_bytes_max(self) -> int:
        """Bytes in use on the fullest chip."""
        return self.plan.used_bytes_max

    def with_plan(self, plan: Plan) -> "StepTiming":
        """The same times on a plan whose prices or watts differ."""
        return replace(self, plan=plan)

    def memory_use(self, stage: Stage, memory: ChipMemory) -> MemoryUse:
        """What the plan has for a chip, by kind."""
        return MemoryUse(**memory.by_kind)

    def used_bytes(self, memory: ChipMemory) -> int:
        """Bytes that a chip needs for all that is in use at one time."""
        return memory.used_bytes

    def service_ps(self, stage: int) -> int:
        """How long a stage works on one slot."""
        return self.stages[stage].service_ps

    def stage_busy_ps(self, stage: int, busy_ps: int) -> int:
        """A stage works for its service time in each of the busy steps."""
        return self.service_ps(stage) * (busy_ps // self.interval_ps)

    def chip_busy_ps(self, busy_ps: int) -> int:
        """How long the chips of all stages worked, added up.

        Steps of shorter programs count as so many of the longest as hold it as long.
        """
        service_ps = sum(stage.service_ps for stage in self.stages)
        return busy_ps // self.interval_ps * service_ps * self.plan.tensor_parallel

    def chip_ps_by_term(self, busy_ps: int, batches: "BatchTotals | None") -> dict[str, int]:
        """The same by what every stage of the program spends its time on."""
        chip_steps = busy_ps // self.interval_ps * self.plan.tensor_parallel
        spent = total(stage.terms for stage in self.stages).by_name()
        return {term: chip_steps * ps for term, ps in spent.items()}

    def link_use(self, busy_ps: int, batches: "BatchTotals | None") -> LinkUse:
        """Vectors of one step, and how long all busy steps held each link."""
        steps = busy_ps // self.interval_ps
        held_ps = {hop: spent_ps * steps for hop, spent_ps in self.link_busy_ps.items()}
        return LinkUse(self.vectors_by_hop, held_ps)

    def gap_ps_by_term(
        self, gaps: TokenGaps, batches: "BatchTotals | None", timing: Timing
    ) -> dict[str, Fraction]:
        """Each turn is the program once, and its draft; its tokens share it.

        Nothing where there are several programs: nobody counts how often each ran.
        """
        if timing.program_count > 1:
            return {}
        spent = {name: Fraction(ps) for name, ps in self.terms.by_name().items()}
        spent["draft"] = Fraction(timing.turn_draft_ps)
        turns = (
            Fraction(gaps.gap_count - gaps.accepted_count, gaps.gap_count) if gaps.gap_count else 1
        )
        return {name: ps * turns for name, ps in spent.items()}


def compile_step(plan: Plan, *, on_note: Note = no_note) -> StepTiming:
    """The step timing of a plan, its program checked. Equal plans, equal times.

    `on_note` is told before it takes long. Raises ScheduleError where the program breaks a rule,
    InfeasibleError where a memory overflows, InputError where it has more tasks than are allowed.
    """
    timed = plan.timer.time(
        [stage.chips for stage in plan.stages], [stage.blocks for stage in plan.stages]
    )
    _announce(timed, on_note)
    stages = tuple(
        StageTiming(stage, blocks, stage_terms(blocks))
        for stage, blocks in zip(plan.stages, timed.blocks_by_stage, strict=True)
    )
    terms = total(
        [
            *(stage.terms for stage in stages),
            *(transfer_terms(transfer) for transfer in timed.transfers),
        ]
    )
    program = lower(plan, plan.demand.shape, timed)
    apart = separations([program])
    slot_count, interval_ps = revolution(
        program, apart, latency_first=plan.objective == "lowest_latency"
    )
    check_program(program, interval_ps=interval_ps)
    terms += Terms(slack_ps=slot_count * interval_ps - timed.latency_ps)
    return StepTiming(
        plan=plan,
        stages=stages,
        transfers=timed.transfers,
        terms=terms,
        latency_ps=timed.latency_ps,
        token_ps=timed.latency_ps - timed.transfers[-1].message.duration_ps,
        interval_ps=interval_ps,
        slot_count=slot_count,
        program=program,
        separations=apart,
    )


def compile_program(plan: Plan, shape: StepShape) -> Program:
    """The checked program of another shape of step on the same chips: more rows, prefill, a bucket.

    Raises ScheduleError or InfeasibleError as `compile_step` does.
    """
    timer = PipelineTimer(
        plan.system.chip,
        plan.routing,
        shape,
        residual_elements=plan.demand.residual_elements,
    )
    timed = timer.time([stage.chips for stage in plan.stages], [s.blocks for s in plan.stages])
    _announce(timed, no_note)
    program = lower(plan, shape, timed)
    check_program(program, interval_ps=separations([program]).interval_ps)
    return program


def _announce(timed: PipelineTiming, on_note: Note) -> None:
    """Refuses a program that is too large, and tells of a large one, before it is written out."""
    count = sum(len(block.placed.tasks) for blocks in timed.blocks_by_stage for block in blocks)
    count += sum(len(transfer.message.placed.tasks) for transfer in timed.transfers)
    refuse_over("tasks", count, "one compiled step")
    work = WorkEstimate(
        what=f"a compiled step of {count:,} tasks",
        seconds=count * _TASK_S,
        memory_bytes=count * _TASK_BYTES,
        smaller="fewer chips that share a block (partition.tensor_parallel) or fewer layers",
    )
    announce(work, on_note)


def program_of(
    step: StepTiming,
    kind: ProgramKind = "decode",
    rows: int | None = None,
    context_tokens: int | None = None,
) -> tuple[Program, int]:
    """The program of a kind of step with so many rows and so much context, and its interval.

    Raises InputError where a prompt is longer than the context, or the context than what the plan
    has a cache for; InfeasibleError where a memory overflows.
    """
    own = step.program.shape
    context = context_tokens or own.context_tokens
    shape = replace(own, program=kind, rows=rows or step.rows, context_tokens=context)
    if shape == own:
        return step.program, step.interval_ps
    if context > own.context_tokens:
        raise InputError(
            Problem(
                f"the plan has a cache for contexts of {own.context_tokens} tokens, not {context}",
                "--context",
                suggestion="--set serving.max_context_tokens",
            )
        )
    if kind == "prefill" and shape.rows > shape.context_tokens:
        raise InputError(
            Problem(
                f"a prompt of {shape.rows} rows is longer than the compiled context of "
                f"{shape.context_tokens} tokens",
                "--rows",
            )
        )
    program = compile_program(step.plan, shape)
    return program, separations([program]).interval_ps
