"""Compiled: what the compiler made of a plan, as tables: programs, collectives, changes."""

from collections.abc import Sequence

from rich.table import Table

from rack_sim.cli.console import headings, table
from rack_sim.compiler.changes import MachineChange
from rack_sim.compiler.interval import Separations, separations
from rack_sim.compiler.program import Program
from rack_sim.compiler.step import StepTiming, program_of
from rack_sim.foundation.units import PS_PER_S, format_time


def programs_of(step: StepTiming) -> tuple[tuple[Program, ...], Separations]:
    """The decode program of a step and the prefill program of as many rows, and how they follow."""
    prefill, _ = program_of(step, "prefill")
    programs = (step.program, prefill)
    return programs, separations(programs)


def programs_table(programs: Sequence[Program], apart: Separations) -> Table:
    """Each program and how soon each may follow it."""
    rows = [
        (
            program.title,
            f"{len(program):,}",
            f"{len(program.resources):,}",
            format_time(program.latency_ps),
            *(format_time(wait_ps) for wait_ps in apart.pair_ps[number]),
        )
        for number, program in enumerate(programs)
    ]
    return table(
        "programs, each checked: a step of the second may enter so much after one of the first "
        f"(bound by the {apart.bound_by})",
        [
            ("program", "left"),
            ("tasks", "right"),
            ("units and links", "right"),
            ("latency", "right"),
            *((f"then {program.shape.program}", "right") for program in programs),
        ],
        rows,
    )


def collectives_table(step: StepTiming) -> Table:
    """Every kind of collective: the algorithm taken, how often, and what others would take."""
    counts: dict[tuple[str, str, str, int, int, str], int] = {}
    for part in step.program.parts:
        for item in part.collectives:
            others = ", ".join(
                f"{name} {text}"
                for name, text in item.not_taken.items()
                if text[:1].isdigit() or text.startswith("at least")
            )
            key = (
                item.traffic,
                item.operation,
                item.algorithm,
                len(item.group),
                item.shard_bytes,
                others or "no other fits",
            )
            counts[key] = counts.get(key, 0) + 1
    rows = [
        (traffic, operation, str(size), f"{shard_bytes:,}", str(count), algorithm, others)
        for (traffic, operation, algorithm, size, shard_bytes, others), count in counts.items()
    ]
    return table(
        "collectives of one step: the algorithm that ends first, and what the others would take",
        headings("traffic, operation, >chips, >bytes a chip, >count, algorithm, instead of"),
        rows,
    )


def changes_table(step: StepTiming, found: Sequence[MachineChange]) -> Table:
    """What one change of the machine would do, compiled again with the same cut."""
    rows = [("as it is", *_cells(step, step))]
    rows += [(change.title, *_cells(change.step, step)) for change in found]
    return table(
        f"what would help (bottleneck now: {step.bottleneck}): the same cut compiled again, the "
        "wait for a whole number of slots and the ports of a chip not counted",
        headings("change, >tokens/s per user, >, >slots/s, >"),
        rows,
    )


def _cells(step: StepTiming, base: StepTiming) -> tuple[str, str, str, str]:
    # Without the wait for a whole number of slots, which would hide small gains.
    return (
        f"{PS_PER_S / step.latency_ps:,.1f}",
        _gain(base.latency_ps, step.latency_ps),
        f"{PS_PER_S / step.interval_ps:,.0f}",
        _gain(base.interval_ps, step.interval_ps),
    )


def _gain(before_ps: int, after_ps: int) -> str:
    return "" if before_ps == after_ps else f"{before_ps / after_ps - 1:+.1%}"
