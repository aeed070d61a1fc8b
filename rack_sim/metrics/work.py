"""Work: how long chips were busy, and with what: the classes that power is told apart by."""

from collections.abc import Mapping
from fractions import Fraction

from rack_sim.compiler.batches import BatchMachine, BatchTotals
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.serving import ReplayTotals
from rack_sim.hardware.chip import WORK_CLASSES, Chip

# term of a latency -> class of work; what is bound by the weight feed is bound by on-chip memory
CLASS_OF_TERM: dict[str, str] = {
    "compute": "compute",
    "weight_feed": "memory",
    "memory": "memory",
    "link_serialisation": "link",
    "link_latency": "waiting",
    "fixed_latency": "waiting",
    "slack": "waiting",
}
# What no split explains (the proposals of a draft): drawn at peak power.
OTHER = "other"


def busy_chip_ps(machine: StepTiming | BatchMachine, totals: ReplayTotals) -> int:
    """How long chips worked in all: stages on busy steps, or whole replicas on iterations."""
    plan = machine.plan
    if isinstance(machine, StepTiming):
        service_ps = sum(stage.service_ps for stage in machine.stages)
        return _whole_steps(machine, totals) * service_ps * plan.tensor_parallel
    return sum(books.busy_ps for books in totals.replicas) * plan.chip_count


def work_chip_ps(machine: StepTiming | BatchMachine, totals: ReplayTotals) -> dict[str, int]:
    """`busy_chip_ps` by class of work, and under ``other`` what no split explains.

    An operator counts for the roof that binds it, all its time: what is hidden behind that (weights
    that stream in under a matmul) draws nothing of its own.
    """
    spent: dict[str, int] = dict.fromkeys((*WORK_CLASSES, OTHER), 0)
    plan = machine.plan
    if isinstance(machine, StepTiming):
        chips = _whole_steps(machine, totals) * plan.tensor_parallel
        for stage in machine.stages:
            for term, ps in stage.terms.by_name().items():
                spent[CLASS_OF_TERM[term]] += chips * ps
        return spent
    if totals.batches is not None:
        for term, ps in iterations_ps(machine, totals.batches).items():
            spent[CLASS_OF_TERM[term]] += plan.chip_count * ps
    spent[OTHER] = busy_chip_ps(machine, totals) - sum(spent.values())
    return spent


def _whole_steps(machine: StepTiming, totals: ReplayTotals) -> int:
    """Busy steps; those of shorter programs count as so many of the longest as hold it as long."""
    return sum(books.busy_ps for books in totals.replicas) // machine.interval_ps


def iterations_ps(machine: BatchMachine, batches: BatchTotals) -> dict[str, int]:
    """What all iterations took, by cause, without the proposals of a draft."""
    base = machine.timer.terms_of_all(
        {rows: count.iterations for rows, count in batches.by_rows.items()},
        {rows: count.iterations for rows, count in batches.by_sampled.items()},
        batches.base_ps,
    )
    spent = dict(base.by_name())
    for roof, ps in zip(machine.timer.roofs, batches.attention_ps, strict=True):
        spent[roof.name] += ps
    return spent


def powered_chip_ps(chip: Chip, work: Mapping[str, int]) -> Fraction:
    """Busy time weighted by power: at its peak a chip would draw the same energy in so long."""
    factors = {name: Fraction(str(factor)) for name, factor in chip.power_by_class.items()}
    return sum((factors.get(name, Fraction(1)) * ps for name, ps in work.items()), Fraction(0))
