"""Inputs: what of cost and machine a sensitivity changes, one at a time, and how."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import PS_PER_NS
from rack_sim.hardware.chip import Chip
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.scenario import Scenario
from rack_sim.workload.offered import at_rate, offered_rate_rps

_GIGA, _TERA = 10**9, 10**12


@dataclass(frozen=True)
class Input:
    """One number that goes into a run, in `unit`.

    `value` reads it; `scaled` gives the scenario with it so many times as large. `is_replayed` says
    whether the replay changes, or only what is made of it. It stays between `lowest` and `highest`.
    """

    name: str
    unit: str
    is_replayed: bool
    value: Callable[[Scenario], float]
    scaled: Callable[[Scenario, float], Scenario]
    lowest: float = 0.0
    highest: float = float("inf")

    def missing(self, scenario: Scenario) -> str:
        """Why a scenario has no such input; nothing where it has."""
        try:
            value = self.value(scenario)
        except InputError as error:
            return error.problems[0].message
        return "" if value else "it is nothing: no share of it can be added"

    def factor(self, scenario: Scenario, wanted: float) -> float:
        """The factor that can be had: `wanted`, or what the bounds allow."""
        value = self.value(scenario)
        return min(max(value * wanted, min(self.lowest, value)), self.highest) / value


def _of_system(change: Callable[[System, float], System]) -> Callable[[Scenario, float], Scenario]:
    return lambda scenario, factor: scenario.with_system(change(scenario.deployment.system, factor))


def _of_chip(change: Callable[[Chip, float], Chip]) -> Callable[[Scenario, float], Scenario]:
    return _of_system(lambda system, factor: replace(system, chip=change(system.chip, factor)))


def _cost_input(name: str, unit: str, field: str, *, lowest: float, highest: float) -> Input:
    def scaled(scenario: Scenario, factor: float) -> Scenario:
        changed = {field: getattr(scenario.cost, field) * factor}
        return replace(scenario, cost=replace(scenario.cost, **changed))

    return Input(
        name,
        unit,
        False,
        lambda scenario: float(getattr(scenario.cost, field)),
        scaled,
        lowest=lowest,
        highest=highest,
    )


def _times(amount: int, factor: float) -> int:
    """A whole number of base units, at least one."""
    return max(1, round(amount * factor))


def _dearer(system: System, factor: float) -> System:
    chip = replace(system.chip, price_usd=system.chip.price_usd * factor)
    price_usd = None if system.price_usd is None else system.price_usd * factor
    return replace(system, chip=chip, price_usd=price_usd)


def _price(scenario: Scenario) -> float:
    """The whole system's price, racks that are not used included."""
    system = scenario.deployment.system
    if system.price_usd is not None:
        return system.price_usd
    chips = system.topology.chip_count
    return system.chip.price_usd * scenario.cost.system_price_factor * chips


def _hungrier(system: System, factor: float) -> System:
    chip = system.chip
    return replace(
        system,
        chip=replace(
            chip, idle_watts=chip.idle_watts * factor, peak_watts=chip.peak_watts * factor
        ),
        host_watts_per_node=system.host_watts_per_node * factor,
        network_watts_per_node=system.network_watts_per_node * factor,
    )


def _faster_memory(chip: Chip, factor: float) -> Chip:
    tiers = tuple(
        replace(tier, bandwidth_bytes_per_s=_times(tier.bandwidth_bytes_per_s, factor))
        for tier in chip.memory
    )
    feed = chip.matrix.feed_bytes_per_s
    matrix = replace(chip.matrix, feed_bytes_per_s=feed and _times(feed, factor))
    return replace(chip, memory=tiers, matrix=matrix)


def _more_flop(chip: Chip, factor: float) -> Chip:
    peaks = {name: _times(rate, factor) for name, rate in chip.matrix.peak_flop_per_s.items()}
    return replace(
        chip,
        matrix=replace(chip.matrix, peak_flop_per_s=peaks),
        vector_flop_per_s=_times(chip.vector_flop_per_s, factor),
    )


def _slower_operators(chip: Chip, factor: float) -> Chip:
    return replace(chip, operator_fixed_latency_ps=round(chip.operator_fixed_latency_ps * factor))


def _peak(scenario: Scenario) -> float:
    precision = scenario.deployment.shape.precision.compute
    return scenario.deployment.system.chip.matrix.peak_flop_per_s[precision] / _TERA


def _of_links(
    change: Callable[[LinkType, float], LinkType],
) -> Callable[[Scenario, float], Scenario]:
    def all_of(system: System, factor: float) -> System:
        topology = system.topology
        kinds = {name: change(kind, factor) for name, kind in topology.link_types.items()}
        return replace(system, topology=replace(topology, link_types=kinds))

    return _of_system(all_of)


def _wider(kind: LinkType, factor: float) -> LinkType:
    return replace(kind, bytes_per_s=_times(kind.bytes_per_s, factor))


def _later(kind: LinkType, factor: float) -> LinkType:
    return replace(kind, latency_ps=round(kind.latency_ps * factor))


def _link(field: str, unit: int) -> Callable[[Scenario], float]:
    def value(scenario: Scenario) -> float:
        kinds = scenario.deployment.system.topology.link_types
        return float(getattr(kinds["local"], field)) / unit

    return value


def _at_another_rate(scenario: Scenario, factor: float) -> Scenario:
    rate_rps = offered_rate_rps(scenario.workload) * factor
    return replace(scenario, workload=at_rate(scenario.workload, rate_rps))


INPUTS: tuple[Input, ...] = (
    Input("price of the system", "USD", False, _price, _of_system(_dearer)),
    _cost_input("years of use", "years", "amortisation_years", lowest=0.0, highest=1e3),
    _cost_input("utilisation", "share", "utilisation", lowest=1e-6, highest=1.0),
    _cost_input("electricity", "USD/kWh", "electricity_usd_per_kwh", lowest=0.0, highest=1e12),
    _cost_input("PUE", "ratio", "power_usage_effectiveness", lowest=1.0, highest=1e3),
    Input(
        "watts of everything",
        "W a chip",
        False,
        lambda scenario: scenario.deployment.system.chip.peak_watts,
        _of_system(_hungrier),
    ),
    Input(
        "memory bandwidth",
        "GB/s",
        True,
        lambda scenario: scenario.deployment.system.chip.fast_memory.bandwidth_bytes_per_s / _GIGA,
        _of_chip(_faster_memory),
    ),
    Input("peak FLOP", "TFLOP/s", True, _peak, _of_chip(_more_flop)),
    Input(
        "link bandwidth",
        "GB/s",
        True,
        _link("bytes_per_s", _GIGA),
        _of_links(_wider),
    ),
    Input("link latency", "ns", True, _link("latency_ps", PS_PER_NS), _of_links(_later)),
    Input(
        "fixed latency of operators",
        "ns",
        True,
        lambda scenario: scenario.deployment.system.chip.operator_fixed_latency_ps / PS_PER_NS,
        _of_chip(_slower_operators),
    ),
    Input(
        "rate of requests",
        "1/s",
        True,
        lambda scenario: offered_rate_rps(scenario.workload),
        _at_another_rate,
    ),
)
