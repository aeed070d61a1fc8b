"""Work: how long chips were busy, and with what: the classes that power is told apart by."""

from collections.abc import Mapping
from fractions import Fraction

from rack_sim.compiler.machine import Machine
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


def busy_chip_ps(machine: Machine, totals: ReplayTotals) -> int:
    """How long chips worked in all: stages on busy steps, or whole replicas on iterations."""
    return machine.chip_busy_ps(totals.busy_ps)


def work_chip_ps(machine: Machine, totals: ReplayTotals) -> dict[str, int]:
    """`busy_chip_ps` by class of work, and under ``other`` what no split explains.

    An operator counts for the roof that binds it, all its time: what is hidden behind that (weights
    that stream in under a matmul) draws nothing of its own.
    """
    spent: dict[str, int] = dict.fromkeys((*WORK_CLASSES, OTHER), 0)
    for term, ps in machine.chip_ps_by_term(totals.busy_ps, totals.batches).items():
        spent[CLASS_OF_TERM[term]] += ps
    spent[OTHER] = busy_chip_ps(machine, totals) - sum(spent.values())
    return spent


def powered_chip_ps(chip: Chip, work: Mapping[str, int]) -> Fraction:
    """Busy time weighted by power: at its peak a chip would draw the same energy in so long."""
    factors = {name: Fraction(str(factor)) for name, factor in chip.power_by_class.items()}
    return sum((factors.get(name, Fraction(1)) * ps for name, ps in work.items()), Fraction(0))
