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


_PAGE = """# Validation of the LPU v1

Written by `scripts/refresh`; do not edit. Every published decode speed of the LPU v1 that we have
stands here, fitted or held out, with its signed error. None is dropped.

## What was fitted

One constant of the chip `groq-lpu-v1`: the fixed latency of a dependent operator, on one point,
`{fitted}` ({speed} tokens/s per user at {chips}
chips). Around the fit a compiled token's latency is a straight line in that constant:
{operator_count} dependent operators lie on its critical path, and
{fixed_ns} ns each makes it 1/{speed} s.
The chip's file says {stored_ns} ns. Waiting for a whole number of slots makes the
prediction {predicted} tokens/s ({error}).

One point fits one constant exactly: that row says nothing about how good the model is. What the
constant stands for is not known in detail: latency of functional units, exposed switching between
operators, slack of the compiled schedule. It is given to every operator alike, matrix or vector.

## Every point

| case | measurement | grade | role | published, tokens/s per user | predicted | error |
|---|---|---|---|---:|---:|---:|
{rows}

Nothing was tuned to the rows below the first. Read them with care: {first_speed}
and {second_speed} tokens/s came earlier in 2023 than the fitted
{speed}, on the same chip; the vendor's software tripled its speed in
those months, so a constant fitted on the last of them must over-predict the first. More stages do
not make a token faster here: it passes the same blocks either way, and crosses more stage borders
(the partitioner finds 54 stages, 432 chips, as fast as 72). One point with known chips and software
is not a validation: against the others, predictions are off by a quarter to a factor of three.

With the objective of latency a token waits no more than a thousandth of L for its slot. Where
throughput is the objective it waits for a whole number of slots, R = ceil(L / II) x II.

## What the unknowns would change

Facts on hop latency and on where narrow weights are widened leave room. For each, the constant was
fitted again on the same point, and the prediction without a measurement made again.

| if | fitted constant, ns | Llama-3.1 8B, tokens/s per user |
|---|---:|---:|
{unknowns}

## Where a token's time goes, by this fit

| case | fixed latency, ms | weight feed, ms | compute, ms | links, ms | slack, ms | in all, ms |
|---|---:|---:|---:|---:|---:|---:|
{terms}

## What is not validated

Time to first token and system throughput of the LPU v1: no measurement with its conditions is
public. Power and cost: one product-sheet figure and one list price.

## Sources

{notes}
"""


def lpu_validation_markdown() -> str:
    """The text of docs/validation-lpu.md."""
    published = measurements()
    base = load_scenario("llama70b")
    point = published[FITTED]
    fit = fit_fixed_latency(base.deployment, point.measured[SPEED])
    stored_ps = base.deployment.system.chip.operator_fixed_latency_ps
    steps = [(case, case_step(case)) for case in CASES]
    rows = "\n".join(_row(case, step, published) for case, step in steps)
    terms = "\n".join(_terms_row(case, step) for case, step in steps if case.role != "held out")
    notes = "\n".join(
        f"- `{item.number}` (grade {item.grade}): {item.source}. {item.note}."
        for item in published.values()
    )
    return _PAGE.format(
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
        rows=rows,
        terms=terms,
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
        rows.append(f"| {text} | {fit.fixed_latency_ps // 1000} | {tokens_per_s(step):.1f} |")
    return "\n".join(rows)


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


def _row(case: Case, step: StepTiming, published: dict[str, Measurement]) -> str:
    predicted = tokens_per_s(step)
    if not case.measurement:
        return f"| {case.title} | none | | {case.role} | | {predicted:.1f} | |"
    point = published[case.measurement]
    error = predicted / point.measured[SPEED] - 1
    return (
        f"| {case.title} | `{point.number}` | {point.grade} | {case.role} | "
        f"{point.measured[SPEED]:g} | {predicted:.1f} | {error:+.1%} |"
    )


def _terms_row(case: Case, step: StepTiming) -> str:
    terms = step.terms
    cells = (
        terms.fixed_latency_ps,
        terms.weight_feed_ps,
        terms.compute_ps + terms.memory_ps,
        terms.link_latency_ps + terms.link_serialisation_ps,
        terms.slack_ps,
        step.revolution_ps,
    )
    return f"| {case.title} | " + " | ".join(f"{cell / PS_PER_MS:.3f}" for cell in cells) + " |"
