"""Cost: watts, joules and dollars of a run, from what was busy and for how long."""

from dataclasses import dataclass

from rack_sim.compiler.step import StepTiming
from rack_sim.foundation.units import PS_PER_S

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
    """The part of a system that a plan occupies: whole racks.

    Of their chips some hold the model, some are spare, some idle because the plan has no use for
    them; all are powered and paid for.
    """

    chip_count: int
    spare_chip_count: int
    idle_chip_count: int
    node_count: int
    rack_count: int


def footprint_of(step: StepTiming) -> Footprint:
    """Racks that hold any stage, and what stands in them."""
    plan = step.plan
    topology = plan.system.topology
    node_of, rack_of = topology.node_of_chip(), topology.rack_of_node()
    used = {chip for stage in plan.stages for chip in stage.chips}
    racks = {rack_of[node_of[chip]] for chip in used}
    nodes = [node for node in range(len(topology.nodes)) if rack_of[node] in racks]
    spare = set(topology.spare_nodes)
    spare_chips = sum(len(topology.nodes[node]) for node in nodes if node in spare)
    all_chips = sum(len(topology.nodes[node]) for node in nodes)
    return Footprint(
        chip_count=len(used),
        spare_chip_count=spare_chips,
        idle_chip_count=all_chips - spare_chips - len(used),
        node_count=len(nodes),
        rack_count=len(racks),
    )


def cost_of(
    step: StepTiming, inputs: CostInputs, *, duration_ps: int, busy_step_count: int
) -> RunCost:
    """Energy and money of a run of `duration_ps` in which `busy_step_count` steps were busy.

    A chip draws its idle power always and the difference to its peak while its stage serves a busy
    step; hosts draw theirs always.
    """
    plan, chip = step.plan, step.plan.system.chip
    where = footprint_of(step)
    seconds = duration_ps / PS_PER_S
    chip_count = where.chip_count + where.spare_chip_count + where.idle_chip_count
    busy_chip_s = (
        sum(busy_step_count * stage.service_ps * plan.tensor_parallel for stage in step.stages)
        / PS_PER_S
    )
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
