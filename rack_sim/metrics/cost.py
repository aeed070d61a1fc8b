"""Cost: watts, joules and dollars of a run, from what was busy and for how long.

What does not depend on a run (capital, power standing by, dollars of a year) has its formulas in
`capacity`, from which the workbook has them, too.
"""

from dataclasses import dataclass
from fractions import Fraction

from rack_sim.foundation.units import PS_PER_S
from rack_sim.hardware.system import System
from rack_sim.hardware.topology import Topology
from rack_sim.metrics.capacity import SECONDS_PER_YEAR, CapacityPlan, electricity_usd
from rack_sim.partition.placement import groups
from rack_sim.partition.plan import Plan


@dataclass(frozen=True, slots=True)
class ApiPrice:
    """What somebody asks for the same tokens: US dollars per million of them."""

    name: str
    input_usd_per_million_tokens: float
    output_usd_per_million_tokens: float


@dataclass(frozen=True, slots=True)
class CostInputs:
    """What money and electricity cost.

    `system_price_factor` is the price of the whole system over that of its chips; it does not count
    where the system has a price of its own. `utilisation` is the share of the year in which the
    machine serves as in the run; the rest of the year it stands idle, powered and paid for.
    """

    amortisation_years: float
    system_price_factor: float
    electricity_usd_per_kwh: float
    power_usage_effectiveness: float
    utilisation: float = 1.0
    api_price: ApiPrice | None = None


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules of a run by who drew them; their sum is the meter of the building."""

    chips_idle_joules: float
    chips_dynamic_joules: float
    hosts_joules: float
    network_joules: float
    building_joules: float


@dataclass(frozen=True, slots=True)
class RunCost:
    """Energy and money of a run. Building losses count; spare and idle chips are paid for.

    `capital_usd` is the price of all that was bought; `run_capital_usd` the run's share of it and
    `run_electricity_usd` what it pays for power, that of the idle rest of the year included: their
    sum is `usd`. `standby_watts` is what the building draws when nothing is served.
    """

    joules: float
    mean_watts: float
    usd: float
    energy: Energy
    capital_usd: float
    run_capital_usd: float
    run_electricity_usd: float
    standby_watts: float


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

    @property
    def bought_chip_count(self) -> int:
        """All chips that are powered and paid for."""
        return self.chip_count + self.spare_chip_count + self.idle_chip_count


def footprint_of(plan: Plan, replica_count: int = 1) -> Footprint:
    """Racks that hold any stage of any replica, and what stands in them.

    A system is filled with replicas before another of the kind is bought.
    """
    return footprint_on(plan.system.topology, plan.tensor_parallel, plan.stage_count, replica_count)


def footprint_on(
    topology: Topology, tensor_parallel: int, stage_count: int, replica_count: int
) -> Footprint:
    """The footprint of replicas of a shape that was not compiled; one replica must have room."""
    node_of, rack_of = topology.node_of_chip(), topology.rack_of_node()
    spare = set(topology.spare_nodes)
    placed = groups(topology, tensor_parallel)
    room = len(placed) // stage_count
    systems, rest = divmod(replica_count, room)
    parts = []
    for times, replicas in ((systems, room), (1, rest)):
        if not (times and replicas):
            continue
        used = {chip for group in placed[: replicas * stage_count] for chip in group}
        racks = {rack_of[node_of[chip]] for chip in used}
        nodes = [node for node in range(len(topology.nodes)) if rack_of[node] in racks]
        spares = sum(len(topology.nodes[node]) for node in nodes if node in spare)
        chips = sum(len(topology.nodes[node]) for node in nodes)
        counts = (len(used), spares, chips - spares - len(used), len(nodes), len(racks))
        parts.append([times * count for count in counts])
    return Footprint(*map(sum, zip(*parts, strict=True)))


def cost_of(
    plan: Plan,
    where: Footprint,
    inputs: CostInputs,
    *,
    duration_ps: int,
    busy_chip_ps: int | Fraction,
) -> RunCost:
    """Energy and money of a run of `duration_ps` in which chips were busy for `busy_chip_ps`.

    A chip draws its idle power always and the difference to its peak while it is busy (weight the
    time, see `work.powered_chip_ps`, where it draws less in some of it); hosts and switches draw
    theirs always.
    """
    system, chip = plan.system, plan.system.chip
    seconds = duration_ps / PS_PER_S
    chip_count = where.bought_chip_count
    busy_chip_s = float(Fraction(busy_chip_ps) / PS_PER_S)
    idle = chip.idle_watts * chip_count * seconds
    dynamic = (chip.peak_watts - chip.idle_watts) * busy_chip_s
    hosts = system.host_watts_per_node * where.node_count * seconds
    network = system.network_watts_per_node * where.node_count * seconds
    machine = idle + dynamic + hosts + network
    joules = inputs.power_usage_effectiveness * machine
    standby_watts = standby_watts_of(system, where, inputs)
    capital_usd = capital_usd_of(system, where, inputs)
    share = inputs.utilisation
    run_capital_usd = capital_usd * seconds / (inputs.amortisation_years * SECONDS_PER_YEAR * share)
    standby_joules = standby_watts * seconds * (1 - share) / share
    run_electricity_usd = electricity_usd(joules + standby_joules, inputs.electricity_usd_per_kwh)
    return RunCost(
        joules=joules,
        mean_watts=joules / seconds if seconds else 0.0,
        usd=run_capital_usd + run_electricity_usd,
        energy=Energy(idle, dynamic, hosts, network, joules - machine),
        capital_usd=capital_usd,
        run_capital_usd=run_capital_usd,
        run_electricity_usd=run_electricity_usd,
        standby_watts=standby_watts,
    )


def capital_usd_of(system: System, where: Footprint, inputs: CostInputs) -> float:
    """The price of all that is bought."""
    return float(CapacityPlan.capital_usd.value(_known(system, where, inputs)))


def standby_watts_of(system: System, where: Footprint, inputs: CostInputs) -> float:
    """What the building draws when nothing is served."""
    return float(CapacityPlan.standby_watts.value(_known(system, where, inputs)))


def usd_per_year(
    capital_usd: float, mean_watts: float, standby_watts: float, inputs: CostInputs
) -> float:
    """Capital written off and electricity of a year, served in and idle as `inputs` say."""
    known = {
        "capital_usd": capital_usd,
        "serving_watts": mean_watts,
        "standby_watts": standby_watts,
    }
    return float(CapacityPlan.usd_per_year.value(known | _prices(inputs)))


def _known(system: System, where: Footprint, inputs: CostInputs) -> dict[str, float | None]:
    """What the formulas start from, by the names that they have for it."""
    return {
        "chips_bought": where.bought_chip_count,
        "nodes": where.node_count,
        "system_chips": system.topology.chip_count,
        "system_price_usd": system.price_usd,
        "chip_price_usd": system.chip.price_usd,
        "chip_idle_watts": system.chip.idle_watts,
        "host_watts_per_node": system.host_watts_per_node,
        "network_watts_per_node": system.network_watts_per_node,
        **_prices(inputs),
    }


def _prices(inputs: CostInputs) -> dict[str, float]:
    return {
        "system_price_factor": inputs.system_price_factor,
        "power_usage_effectiveness": inputs.power_usage_effectiveness,
        "electricity_usd_per_kwh": inputs.electricity_usd_per_kwh,
        "amortisation_years": inputs.amortisation_years,
        "utilisation_share": inputs.utilisation,
    }
