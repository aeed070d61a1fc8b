"""Jitter study: what a machine loses when its operators do not take the time that was compiled.

At every point one decode step after another enters at the compiled interval; it begins when the
token before it, of the same slot, is back. Operators take longer than compiled by times drawn for
each of them; whatever waits for one begins later, in the compiled order (`engine.recurrence`). So
nothing is lost where nothing takes longer, and no step may overtake another.

Two clocks are told apart. Against the compiled clock a jittery machine is late without bound: its
steps take longer than the interval, and each adds to the last. What is measured is the pace (the
time between two tokens of one sequence) and, counted from when a step really began, its latency
and the slip of every stage.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rack_sim.compiler.program import Program
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.jitter import JitterDraws, begins_operator
from rack_sim.engine.programs import Entry, replay_programs, steady_entries
from rack_sim.engine.recurrence import SlippedSteps, slip, stage_starts_ps
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import PS_PER_NS, PS_PER_S, format_ms
from rack_sim.foundation.work_estimate import WorkEstimate, announce
from rack_sim.metrics.columns import JITTER, SLIP
from rack_sim.metrics.summary import Value
from rack_sim.pipeline import explain
from rack_sim.record.table import Table
from rack_sim.scenario import JitterStudy
from rack_sim.study.options import DEFAULTS, StudyOptions
from rack_sim.study.study_result import StudyResult

# Measured on llama70b with 4 to 64 draws on an AMD EPYC core: a task of a step, each draw of it.
_TASK_S, _DRAW_S = 1.8e-6, 0.05e-6
# Two numbers of eight bytes of a task while its step is in flight, rounded up; one of each stage.
_IN_FLIGHT_BYTES, _STAGE_BYTES = 18, 8


class TimeSpread(NamedTuple):
    """Mean and percentiles of one time, in picoseconds."""

    mean_ps: float
    p50_ps: float
    p99_ps: float


@dataclass(frozen=True, repr=False)
class JitterRow(Brief):
    """One machine with one mean extra time of its operators.

    `gap` is the time between two tokens of one sequence, `step_latency` that from a step's
    beginning until its token is back at the first stage; `slip_ps` how much later than compiled
    each stage begins, counted from the step's beginning, on average.
    """

    operator_jitter_ps: int
    tokens_per_s: float
    gap: TimeSpread
    step_latency: TimeSpread
    slip_ps: NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class JitterPoint(Brief):
    """One machine, compiled, and what became of it; `rows` in the order of the study's jitters.

    `path_operator_count` is how many operators of the compiled critical path may take longer.
    """

    name: str
    step: StepTiming
    path_operator_count: int
    rows: tuple[JitterRow, ...]

    @property
    def chip_count(self) -> int:
        """Chips that hold a part of the model."""
        return self.step.plan.chip_count

    @property
    def sequence_count(self) -> int:
        """Sequences that decode together: one for each row of each slot."""
        return self.step.slot_count * self.step.rows

    def user_tokens_per_s(self, row: JitterRow) -> float:
        """Tokens per second of one sequence."""
        return PS_PER_S / row.gap.mean_ps

    def kept_share(self, row: JitterRow) -> float:
        """What is left of the compiled pace."""
        return self.step.revolution_ps / row.gap.mean_ps


@dataclass(frozen=True)
class JitteredStep:
    """One step alone as it ran with jitter: its tasks, and how much later each stage began.

    The parts of `program` and its critical path are as compiled.
    """

    program: Program
    slip_ps: NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class JitterResult(StudyResult):
    """What a jitter study gave."""

    assumed = (
        "extra times are exponential and independent, one for each task of a matrix, vector or "
        "switch unit; the same mean at every chip",
        "links and memory take the time that was compiled",
        "units and links keep the compiled order, so no step overtakes another",
        "what arrives before it is needed waits without limit; flow control costs nothing",
        "every row of every slot carries a token",
    )

    study: JitterStudy
    points: tuple[JitterPoint, ...]

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """jitter.csv, a row for each machine and extra time, and slip.csv, one for each stage."""
        return {
            "jitter.csv": Table(JITTER, lambda: _jitter_rows(self)),
            "slip.csv": Table(SLIP, lambda: _slip_rows(self)),
        }

    def facts(self) -> Mapping[str, Any]:
        """The seed of its draws."""
        return {"seed": self.study.seed}


def run(study: JitterStudy, options: StudyOptions = DEFAULTS) -> JitterResult:
    """Replays every point with every mean extra time.

    Raises InfeasibleError where a point's model does not fit, InputError where the steps do not
    come round every slot, or would take too long or too much memory.
    """
    steps: list[StepTiming] = []
    for point in study.points:
        options.on_progress(f"compiling {point.name}", 0.0)
        steps.append(explain(point.scenario).step)
    _refuse_few_steps(study, steps)
    for step in steps:
        announce(_expected_work(study, step), options.on_note)
    whole = sum(len(step.program) for step in steps)
    done = 0
    points: list[JitterPoint] = []
    for given, step in zip(study.points, steps, strict=True):
        size = len(step.program)

        def show(entry: int, name: str = given.name, done: int = done, size: int = size) -> None:
            options.on_progress(name, (done + size * entry / study.step_count) / whole)

        rows = jitter_rows(
            step,
            study.operator_jitter_ps,
            step_count=study.step_count,
            warmup_step_count=study.warmup_step_count,
            repeat_count=study.repeat_count,
            seed=study.seed,
            on_progress=show,
        )
        points.append(JitterPoint(given.name, step, path_operator_count(step), rows))
        done += size
    return JitterResult(study, tuple(points))


def _expected_work(study: JitterStudy, step: StepTiming) -> WorkEstimate:
    """About what the replays of one machine take, all draws side by side."""
    draws = len(study.operator_jitter_ps) * study.repeat_count
    tasks, steps = len(step.program), study.step_count
    in_flight = step.slot_count * tasks * _IN_FLIGHT_BYTES
    return WorkEstimate(
        what=f"{steps:,} steps of {tasks:,} tasks with {draws:,} draws",
        seconds=steps * tasks * (_TASK_S + draws * _DRAW_S),
        memory_bytes=draws * (in_flight + steps * step.plan.stage_count * _STAGE_BYTES),
        smaller="a smaller step_count or repeat_count",
    )


def jitter_rows(
    step: StepTiming,
    operator_jitter_ps: Sequence[int],
    *,
    step_count: int,
    warmup_step_count: int = 0,
    repeat_count: int = 1,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[JitterRow, ...]:
    """Replays a compiled step, with the same draws for every mean extra time.

    Steps are counted from `warmup_step_count` on, gaps between tokens from where their slot has had
    one before. `on_progress` is told the number of each step that enters.
    """
    found = slip(
        step.program,
        steady_entries(step.interval_ps, step.slot_count, step_count),
        JitterDraws(step.program, tuple(operator_jitter_ps), seed=seed, repeats=repeat_count),
        on_progress=on_progress,
    )
    return tuple(
        _row(
            step,
            mean_ps,
            found,
            slice(number * repeat_count, (number + 1) * repeat_count),
            warmup_step_count,
        )
        for number, mean_ps in enumerate(operator_jitter_ps)
    )


def jittered_step(program: Program, mean_ps: int, *, seed: int = 0) -> JitteredStep:
    """Replays one step alone, on SimPy, with extra times of its operators drawn once."""
    extra_ps = next(iter(JitterDraws(program, (mean_ps,), seed=seed)))
    alone = [Entry(0, 0)]
    begun_ps = replay_programs([program], alone, [extra_ps[:, 0]]).begun_ps
    ran = replace(
        program,
        start_ps=begun_ps,
        duration_ps=program.duration_ps + extra_ps[:, 0],
        done_ps=program.done_ps + extra_ps[:, 0],
    )
    stage_ps = slip(program, alone, [extra_ps]).stage_ps[0, :, 0]
    return JitteredStep(ran, stage_ps - stage_starts_ps(program))


def path_operator_count(step: StepTiming) -> int:
    """Operators on the compiled critical path whose time may be longer than compiled."""
    begins = begins_operator(step.program)
    return sum(bool(begins[found.task]) for found in step.program.critical_path())


def _row(
    step: StepTiming, mean_ps: int, found: SlippedSteps, draws: slice, warmup_step_count: int
) -> JitterRow:
    token_ps = found.token_ps[:, draws]
    stage_ps = found.stage_ps[warmup_step_count:, :, draws]
    slots = step.slot_count
    gaps = (token_ps[slots:] - token_ps[:-slots])[max(warmup_step_count - slots, 0) :]
    counted = token_ps[warmup_step_count:]
    spent_ps = int((counted[-1] - counted[0]).sum())
    began_ps = stage_ps[:, :1]
    slips = stage_ps - began_ps - stage_starts_ps(step.program)[None, :, None]
    return JitterRow(
        operator_jitter_ps=mean_ps,
        tokens_per_s=step.rows * (len(counted) - 1) * counted.shape[1] * PS_PER_S / spent_ps,
        gap=_spread(gaps),
        step_latency=_spread(counted - began_ps[:, 0]),
        slip_ps=slips.mean(axis=(0, 2)),
    )


def _spread(times_ps: NDArray[np.int64]) -> TimeSpread:
    p50, p99 = np.quantile(times_ps, (0.5, 0.99))
    return TimeSpread(float(times_ps.mean()), float(p50), float(p99))


def _refuse_few_steps(study: JitterStudy, steps: Sequence[StepTiming]) -> None:
    """Every slot must come round once, and two tokens be left after the warm-up."""
    most = max(step.slot_count for step in steps)
    least = max(most + 1, study.warmup_step_count + 2)
    if study.step_count < least:
        raise InputError(
            Problem(
                f"{study.step_count} steps are too few: the largest machine has {most} slots, and "
                f"{study.warmup_step_count} steps are warm-up",
                study.place,
                field="step_count",
                suggestion=f"at least {least}",
            )
        )


def _jitter_rows(result: JitterResult) -> Iterator[Sequence[Value]]:
    """One row for each machine and mean extra time."""
    for point in result.points:
        step = point.step
        for row in point.rows:
            yield (
                *_machine(point, row),
                step.plan.stage_count,
                step.slot_count,
                point.path_operator_count,
                format_ms(step.revolution_ps),
                format_ms(step.latency_ps),
                f"{point.user_tokens_per_s(row):.6f}",
                f"{row.tokens_per_s:.6f}",
                f"{point.kept_share(row):.6f}",
                *(format_ms(round(time_ps)) for time_ps in (*row.gap, *row.step_latency)),
            )


def _slip_rows(result: JitterResult) -> Iterator[Sequence[Value]]:
    """One row for each machine, mean extra time and stage."""
    for point in result.points:
        starts = stage_starts_ps(point.step.program).tolist()
        for row in point.rows:
            for stage, (start_ps, slip_ps) in enumerate(
                zip(starts, row.slip_ps.tolist(), strict=True)
            ):
                head = _machine(point, row)
                yield (*head, stage, format_ms(start_ps), format_ms(round(slip_ps)))


def _machine(point: JitterPoint, row: JitterRow) -> Sequence[Value]:
    jitter_ns = f"{row.operator_jitter_ps / PS_PER_NS:.10g}"
    return point.name, point.chip_count, jitter_ns
