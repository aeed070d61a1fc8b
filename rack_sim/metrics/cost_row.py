"""Cost row: energy, money and break-even of a run as columns of its summary, with definitions."""

from collections.abc import Mapping
from dataclasses import asdict

from rack_sim.compiler.machine import Machine
from rack_sim.engine.serving import ReplayTotals
from rack_sim.foundation.units import PS_PER_S
from rack_sim.hardware.chip import WORK_CLASSES
from rack_sim.metrics.capacity import SECONDS_PER_YEAR, electricity_usd
from rack_sim.metrics.column import Column, number, words
from rack_sim.metrics.cost import CostInputs, RunCost, cost_of, footprint_of
from rack_sim.metrics.work import OTHER, powered_chip_ps, work_chip_ps

CostValue = str | float | None

_CLASS_WORDS = {
    "compute": "bound by compute",
    "memory": "bound by memory or by the feed of weights",
    "link": "bytes on a link",
    "waiting": "fixed latency of operators and links",
    OTHER: "proposals of a draft",
}

COST_COLUMNS: tuple[Column, ...] = (
    number("mean_watts", "W", "mean power, spares, hosts, network and building included"),
    number("joules_per_output_token", "J", "energy of the run over its output tokens"),
    number("joules_per_total_token", "J", "the same over prompt and output tokens"),
    number("energy_chips_idle_joules", "J", "of the run: what all chips draw when idle, always"),
    number("energy_chips_dynamic_joules", "J", "of the run: what busy chips draw above that"),
    number("energy_hosts_joules", "J", "of the run: hosts"),
    number("energy_network_joules", "J", "of the run: switches and optics, where given"),
    number("energy_building_joules", "J", "of the run: cooling and losses (PUE - 1)"),
    *(
        number(f"busy_{name}_share", "share", f"of the time chips were busy: {text}")
        for name, text in _CLASS_WORDS.items()
    ),
    number("capital_usd", "USD", "price of the racks in use and what stands in them"),
    number("usd_per_million_output_tokens", "USD", "capital and electricity over output tokens"),
    number("usd_per_million_total_tokens", "USD", "the same over prompt and output tokens"),
    number("capital_usd_per_million_output_tokens", "USD", "of the first: capital written off"),
    number(
        "electricity_usd_per_million_output_tokens",
        "USD",
        "of the first: electricity, that of the idle rest of the year included",
    ),
    words("api_price", "whose prices the next columns take"),
    number("api_usd_per_million_output_tokens", "USD", "revenue at these, prompts included"),
    number("margin_usd_per_million_output_tokens", "USD", "revenue less cost"),
    number("margin_usd_per_million_total_tokens", "USD", "over prompt and output tokens"),
    number(
        "break_even_utilisation",
        "ratio",
        "share of the year in which it must serve so for revenue to pay cost; above 1: it cannot",
    ),
    number("payback_years", "years", "capital over revenue less electricity; empty where never"),
)

# Prices of tokens are per million.
_MILLION = 10**6


def cost_row(
    machine: Machine,
    replica_count: int,
    totals: ReplayTotals,
    inputs: CostInputs,
    tokens: tuple[int, int],
) -> dict[str, CostValue]:
    """The columns of `COST_COLUMNS`; `tokens` are those of finished requests, in and out."""
    work = work_chip_ps(machine, totals)
    cost = cost_of(
        machine.plan,
        footprint_of(machine.plan, replica_count),
        inputs,
        duration_ps=totals.end_ps,
        busy_chip_ps=powered_chip_ps(machine.plan.system.chip, work),
    )
    busy = sum(work.values())
    outputs, total = tokens[1], sum(tokens)
    return {
        "mean_watts": round(cost.mean_watts, 3),
        "joules_per_output_token": _per(cost.joules, outputs),
        "joules_per_total_token": _per(cost.joules, total),
        **{f"energy_{name}": round(joules, 3) for name, joules in asdict(cost.energy).items()},
        **{
            f"busy_{name}_share": round(work[name] / busy, 9) if busy else None
            for name in (*WORK_CLASSES, OTHER)
        },
        "capital_usd": round(cost.capital_usd, 2),
        "usd_per_million_output_tokens": _per(cost.usd * _MILLION, outputs),
        "usd_per_million_total_tokens": _per(cost.usd * _MILLION, total),
        "capital_usd_per_million_output_tokens": _per(cost.run_capital_usd * _MILLION, outputs),
        "electricity_usd_per_million_output_tokens": _per(
            cost.run_electricity_usd * _MILLION, outputs
        ),
        **_against_price(cost, inputs, tokens, totals.end_ps / PS_PER_S),
    }


def break_even_utilisation(cost: RunCost, inputs: CostInputs, revenue_usd_per_s: float) -> float:
    """Share of the year in which the machine must serve so that revenue pays for everything.

    A second of the year costs its capital, and standby power; a second of serving earns revenue and
    costs its power instead of standby's. Infinite where serving does not even pay its own power.
    """
    capital, standby, served = _usd_per_s(cost, inputs)
    gain = revenue_usd_per_s - served + standby
    return (capital + standby) / gain if gain > 0 else float("inf")


def payback_years(cost: RunCost, inputs: CostInputs, revenue_usd_per_s: float) -> float:
    """Years until revenue less electricity has paid the capital, at the stated utilisation."""
    _, standby, served = _usd_per_s(cost, inputs)
    share = inputs.utilisation
    earned = share * (revenue_usd_per_s - served) - (1 - share) * standby
    return cost.capital_usd / (earned * SECONDS_PER_YEAR) if earned > 0 else float("inf")


def _usd_per_s(cost: RunCost, inputs: CostInputs) -> tuple[float, float, float]:
    """What a second costs in capital, in electricity standing by, and in electricity serving."""
    return (
        cost.capital_usd / (inputs.amortisation_years * SECONDS_PER_YEAR),
        electricity_usd(cost.standby_watts, inputs.electricity_usd_per_kwh),
        electricity_usd(cost.mean_watts, inputs.electricity_usd_per_kwh),
    )


def _against_price(
    cost: RunCost, inputs: CostInputs, tokens: tuple[int, int], seconds: float
) -> Mapping[str, CostValue]:
    names = [column.name for column in COST_COLUMNS]
    row: dict[str, CostValue] = dict.fromkeys(names[names.index("api_price") :])
    price = inputs.api_price
    if price is None:
        return row
    row["api_price"] = price.name
    revenue = (
        tokens[0] * price.input_usd_per_million_tokens
        + tokens[1] * price.output_usd_per_million_tokens
    ) / _MILLION
    if not tokens[1] or not seconds:
        return row
    margin = revenue - cost.usd
    row |= {
        "api_usd_per_million_output_tokens": _per(revenue * _MILLION, tokens[1]),
        "margin_usd_per_million_output_tokens": _per(margin * _MILLION, tokens[1]),
        "margin_usd_per_million_total_tokens": _per(margin * _MILLION, sum(tokens)),
        "break_even_utilisation": _finite(break_even_utilisation(cost, inputs, revenue / seconds)),
        "payback_years": _finite(payback_years(cost, inputs, revenue / seconds)),
    }
    return row


def _per(amount: float, count: int) -> float | None:
    return round(amount / count, 6) if count else None


def _finite(value: float) -> float | None:
    return round(value, 6) if value < float("inf") else None
