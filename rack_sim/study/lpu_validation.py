"""LPU validation: the one constant of the LPU v1, what it was fitted on, and what it leads to.

`docs/validation-lpu.md` is written from here; a test says when it is stale.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rack_sim.compiler.step import StepTiming
from rack_sim.foundation.units import PS_PER_MS
from rack_sim.hardware.system import System
from rack_sim.partition.partitioner import Deployment
from rack_sim.scenario import load_scenario
from rack_sim.study.calibration import (
    compiled,
    fit_fixed_latency,
    tokens_per_s,
    with_fixed_latency,
)
from rack_sim.study.measurements import Measurement, read_measurements, shipped_table
from rack_sim.study.pages import page, table_lines

FITTED = "groq-03"
SPEED = "output_tok_s_per_user"


@dataclass(frozen=True, slots=True)
class Case:
    """A deployment to predict, and the measurement it answers (empty: a prediction only)."""

    title: str
    overrides: tuple[str, ...]
    measurement: str
    role: str


CASES: tuple[Case, ...] = (
    Case("Llama-2 70B, 576 chips", (), "groq-03", "fitted"),
    Case(
        "Llama-2 70B, 640 chips, 80 stages",
        ("system=groq-640", "partition.stages=80"),
        "groq-ee",
        "held out",
    ),
    Case("Llama-2 70B, chips not published, 576 taken", (), "groq-02", "held out"),
    Case("Llama-2 70B, chips not published, 576 taken", (), "groq-ref-1", "held out"),
    Case("Llama-3.1 70B, 576 chips", ("model=llama-3.1-70b",), "", "prediction"),
    Case(
        "Llama-3.1 8B, one GroqRack (64 active chips), 8 stages",
        (
            "model=llama-3.1-8b",
            "system=groq-rack-72",
            "partition.stages=8",
            "serving.concurrent_sequences=8",
        ),
        "",
        "prediction",
    ),
)


def measurements() -> dict[str, Measurement]:
    """The published measurements of the LPU v1 by their number."""
    return {
        item.number: item
        for item in read_measurements(shipped_table())
        if item.chip == "groq-lpu-v1"
    }


def case_step(case: Case) -> StepTiming:
    """The compiled step of a case."""
    return compiled(load_scenario("llama70b", case.overrides).deployment)


def lpu_validation_markdown() -> str:
    """The text of docs/validation-lpu.md."""
    published = measurements()
    base = load_scenario("llama70b")
    point = published[FITTED]
    fit = fit_fixed_latency(base.deployment, point.measured[SPEED])
    stored_ps = base.deployment.system.chip.operator_fixed_latency_ps
    steps = [(case, case_step(case)) for case in CASES]
    notes = "\n".join(
        f"- `{item.number}` (grade {item.grade}): {item.source}. {item.note}."
        for item in published.values()
    )
    return page(
        "validation-lpu.md",
        fitted=FITTED,
        speed=f"{point.measured[SPEED]:g}",
        first_speed=f"{published['groq-ee'].measured[SPEED]:g}",
        second_speed=f"{published['groq-02'].measured[SPEED]:g}",
        chips=point.chips,
        operator_count=fit.operator_count,
        fixed_ns=fit.fixed_latency_ps // 1000,
        stored_ns=stored_ps // 1000,
        predicted=f"{fit.predicted_tok_s:.1f}",
        error=f"{fit.error:+.1%}",
        unknowns=_sensitivity(base.deployment, point.measured[SPEED]),
        rows=table_lines(_row(case, step, published) for case, step in steps),
        terms=table_lines(_terms(case, step) for case, step in steps if case.role != "held out"),
        notes=notes,
    )


def _sensitivity(fitted_on: Deployment, measured_tok_s: float) -> str:
    """Rows: an unknown of the chip or its links set otherwise, fitted again, predicted again."""
    predicted = load_scenario("llama70b", CASES[-1].overrides).deployment
    changes: list[tuple[str, Callable[[System], System]]] = [
        ("nothing else", lambda system: system),
        ("a hop takes 240 ns (measured link latency)", lambda s: _with_hop(s, 240_000)),
        ("a hop takes 600 ns (vendor's bound)", lambda s: _with_hop(s, 600_000)),
        ("weights are widened before the streams (half the feed)", _with_half_feed),
    ]
    rows = []
    for text, change in changes:
        fit = fit_fixed_latency(replace(fitted_on, system=change(fitted_on.system)), measured_tok_s)
        target = replace(predicted, system=change(predicted.system))
        step = compiled(with_fixed_latency(target, fit.fixed_latency_ps))
        rows.append((text, str(fit.fixed_latency_ps // 1000), f"{tokens_per_s(step):.1f}"))
    return table_lines(rows)


def _with_hop(system: System, latency_ps: int) -> System:
    topology = system.topology
    types = {
        name: replace(kind, latency_ps=latency_ps) for name, kind in topology.link_types.items()
    }
    return replace(system, topology=replace(topology, link_types=types))


def _with_half_feed(system: System) -> System:
    matrix = system.chip.matrix
    feed = matrix.feed_bytes_per_s
    halved = replace(matrix, feed_bytes_per_s=feed // 2 if feed else None)
    return replace(system, chip=replace(system.chip, matrix=halved))


def _row(case: Case, step: StepTiming, published: dict[str, Measurement]) -> tuple[str, ...]:
    predicted = tokens_per_s(step)
    number, grade, measured, error = "none", "", "", ""
    if case.measurement:
        point = published[case.measurement]
        number, grade, measured = f"`{point.number}`", point.grade, f"{point.measured[SPEED]:g}"
        error = f"{predicted / point.measured[SPEED] - 1:+.1%}"
    return case.title, number, grade, case.role, measured, f"{predicted:.1f}", error


def _terms(case: Case, step: StepTiming) -> tuple[str, ...]:
    terms = step.terms
    cells = (
        terms.fixed_latency_ps,
        terms.weight_feed_ps,
        terms.compute_ps + terms.memory_ps,
        terms.link_latency_ps + terms.link_serialisation_ps,
        terms.slack_ps,
        step.revolution_ps,
    )
    return case.title, *(f"{cell / PS_PER_MS:.3f}" for cell in cells)
