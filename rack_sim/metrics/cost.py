"""Cost: watts, joules and dollars of a run, from what was busy and for how long."""

from dataclasses import dataclass

from rack_sim.compiler.batches import BatchMachine
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.serving import ReplayTotals
from rack_sim.foundation.units import PS_PER_S
from rack_sim.partition.placement import groups
from rack_sim.partition.plan import Plan

_SECONDS_PER_YEAR = 365.25 * 86_400
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class CostInputs:
    """What money and electricity cost.

    `system_price_factor` is the price of the whole system over that of its chips.
    """

    amortisation_years: float
    system_price_factor: float
    electricity_usd_per_kwh: float
    power_usage_effectiveness: float


@dataclass(frozen=True, slots=True)
class RunCost:
    """Energy and money of a run. Building losses count; spare and idle chips are paid for."""

    joules: float
    mean_watts: float
    usd: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """The part of one or more systems that replicas occupy: whole racks.

    Of their chips some hold the model, some are spare, some idle because the plan has no use for
    them; all are powered and paid for.
    """

    chip_count: int
    spare_chip_count: int
    idle_chip_count: int
    node_count: int
    rack_count: int


def footprint_of(plan: Plan, replica_count: int = 1) -> Footprint:
    """Racks that hold any stage of any replica, and what stands in them.

    A system is filled with replicas before another of the kind is bought.
    """
    topology = plan.system.topology
    node_of, rack_of = topology.node_of_chip(), topology.rack_of_node()
    spare = set(topology.spare_nodes)
    placed = groups(topology, plan.tensor_parallel)
    room = len(placed) // plan.stage_count
    systems, rest = divmod(replica_count, room)
    parts = []
    for times, replicas in ((systems, room), (1, rest)):
        if not (times and replicas):
            continue
        used = {chip for group in placed[: replicas * plan.stage_count] for chip in group}
        racks = {rack_of[node_of[chip]] for chip in used}
        nodes = [node for node in range(len(topology.nodes)) if rack_of[node] in racks]
        spares = sum(len(topology.nodes[node]) for node in nodes if node in spare)
        chips = sum(len(topology.nodes[node]) for node in nodes)
        counts = (len(used), spares, chips - spares - len(used), len(nodes), len(racks))
        parts.append([times * count for count in counts])
    return Footprint(*map(sum, zip(*parts, strict=True)))


def cost_of(
    plan: Plan, where: Footprint, inputs: CostInputs, *, duration_ps: int, busy_chip_ps: int
) -> RunCost:
    """Energy and money of a run of `duration_ps` in which chips were busy for `busy_chip_ps`.

    A chip draws its idle power always and the difference to its peak while it is busy; hosts draw
    theirs always.
    """
    chip = plan.system.chip
    seconds = duration_ps / PS_PER_S
    chip_count = where.chip_count + where.spare_chip_count + where.idle_chip_count
    busy_chip_s = busy_chip_ps / PS_PER_S
    joules = inputs.power_usage_effectiveness * (
        chip.idle_watts * chip_count * seconds
        + (chip.peak_watts - chip.idle_watts) * busy_chip_s
        + plan.system.host_watts_per_node * where.node_count * seconds
    )
    capital_usd = chip.price_usd * inputs.system_price_factor * chip_count
    usd = (
        capital_usd * seconds / (inputs.amortisation_years * _SECONDS_PER_YEAR)
        + joules / _JOULES_PER_KWH * inputs.electricity_usd_per_kwh
    )
    return RunCost(joules, joules / seconds if seconds else 0.0, usd)


def busy_chip_ps(machine: StepTiming | BatchMachine, totals: ReplayTotals) -> int:
    """How long chips worked in all: stages on busy steps, or whole replicas on iterations."""
    plan = machine.plan
    if isinstance(machine, StepTiming):
        service_ps = sum(stage.service_ps for stage in machine.stages)
        return totals.busy_step_count * service_ps * plan.tensor_parallel
    return sum(books.busy_ps for books in totals.replicas) * plan.chip_count
