"""Capacity: what serving a rate takes and costs: quantities with unit, words and formula, once.

The Capacity sheet writes these formulas into its cells, and gives with them the values they have.
Capital, power and the dollars of a year are those of every run and sizing, too (`metrics.cost`).
A *set* is what is bought together: a replica, or replicas that serve one another.
"""

from typing import NamedTuple, TypeVar

from rack_sim.metrics.formula import (
    Allowed,
    Named,
    Quantity,
    Term,
    at_least,
    choice,
    equal,
    is_number,
    quotient,
    round_down,
    round_up,
    row_from,
    row_of,
)

SECONDS_PER_YEAR = 365.25 * 86_400
JOULES_PER_KWH = 3.6e6
WHOLE_RACKS = "whole racks"
SINGLE_NODES = "single nodes"

Amount = TypeVar("Amount", float, Term)


def electricity_usd(joules: Amount, usd_per_kwh: Amount) -> Amount:
    """What so much energy costs."""
    return joules / JOULES_PER_KWH * usd_per_kwh


class RacksInUse(NamedTuple):
    """From so many replicas on (up to the next entry), a system's racks in use hold so much."""

    replicas: int
    racks: int
    nodes: int
    chips: int
    spares: int


def _in_racks(counted: str, systems: Term, full: Term, rest: Term, racks: Term) -> Term:
    """What stands in the racks in use of full systems, and of one that holds the rest."""
    column = RacksInUse._fields.index(counted) + 1
    return systems * row_from(full, racks, column) + row_from(rest, racks, column)


# A table of formulas and inputs, set by hand.
# fmt: off
class CapacityPlan:
    """What a planner gives, what a run or study counted, and what follows, in this order."""

    # What the formulas look up: rows of `RacksInUse`; the words for a capacity, and the rate it is.
    rack_table, basis_table = Named(), Named()

    rate_rps = Quantity("Request rate", "1/s",
        "requests that arrive per second, of the same kind as in the simulation, those included "
        "that are turned away because they are too long", allowed=Allowed())
    headroom_share = Quantity("Headroom", "share",
        "how much more than this rate it must be able to serve within the objectives: 20 % buys "
        "for 1.2 times the rate", allowed=Allowed())
    capacity_basis = Quantity("Capacity from", "",
        "which of the rates below one set can serve (choose from the list)",
        allowed=Allowed(choices=()))
    own_capacity_rps = Quantity("Own capacity", "1/s",
        "counts where Capacity from says: own figure; of one set", allowed=Allowed(above=True))
    attainment_asked_share = Quantity("Requests that must meet the objectives", "share",
        "of those not turned away; for the verdict below, no number depends on it",
        allowed=Allowed(most=1.0))
    chip_price_usd = Quantity("Price of a chip", "USD",
        "does not count where a system has a price of its own", allowed=Allowed())
    system_price_factor = Quantity("System price factor", "ratio",
        "price of everything over that of its chips; likewise", allowed=Allowed())
    system_price_usd = Quantity("Price of a whole system", "USD",
        "empty: chips x price x factor; else racks in use pay their share of it by chips",
        allowed=Allowed(empty=True))
    electricity_usd_per_kwh = Quantity("Price of electricity", "USD/kWh", allowed=Allowed())
    power_usage_effectiveness = Quantity("PUE", "ratio",
        "power of the building over that of the machines", allowed=Allowed(least=1.0))
    utilisation_share = Quantity("Utilisation", "share",
        "share of the year in which requests come at this rate; the rest of the year it stands "
        "idle, powered and paid for", allowed=Allowed(least=1e-6, most=1.0))
    amortisation_years = Quantity("Amortisation", "years",
        "years over which capital is written off", allowed=Allowed(above=True))
    bought_by = Quantity("Bought by", "",
        "whole racks: with the spare and unused nodes that stand in them; single nodes: with the "
        "share of spares below", allowed=Allowed(choices=(WHOLE_RACKS, SINGLE_NODES)))
    spare_share = Quantity("Spares", "share",
        "spare chips over chips of the model, in nodes of their own; counts only where bought by "
        "single nodes", allowed=Allowed())

    replicas_per_set = Quantity("Replicas bought together", "replicas",
        "one; or all, where prefill and decode replicas serve each other or a whole machine was "
        "studied")
    chips_per_replica = Quantity("Chips of a replica", "chips",
        "the plan: stages x tensor parallel")
    replicas_per_system = Quantity("Replicas that a system holds", "replicas", "the plan")
    system_chips = Quantity("Chips of a system", "chips", "the system, spares included")
    chips_per_node = Quantity("Chips of a node", "chips", "the system")
    usable_chips_per_node = Quantity("of these usable", "chips",
        "the plan: as many as whole tensor-parallel groups fill")
    nodes_per_rack = Quantity("Nodes of a rack", "nodes", "the system")
    output_tokens_per_request = Quantity("Output tokens of a request", "tokens",
        "of the simulation: output tokens over all requests, those turned away included")
    tokens_per_request = Quantity("Prompt and output tokens of a request", "tokens", "likewise")
    joules_per_request = Quantity("Energy of a request", "J",
        "what busy chips draw above idle in this run, over its requests; it is taken to be the "
        "same at other rates, where batches may be fuller")
    chip_idle_watts = Quantity("Chip, idle", "W", "the chip")
    chip_peak_watts = Quantity("Chip, busy", "W", "the chip")
    host_watts_per_node = Quantity("Host of a node", "W", "the system; drawn always")
    network_watts_per_node = Quantity("Switches of a node", "W", "the system; drawn always")

    capacity_rps = Quantity("Capacity of one set", "1/s", "of the table above",
        row_of(capacity_basis, basis_table, 2))
    replica_sets = Quantity("Sets", "sets",
        "rate x (1 + headroom) / capacity, rounded up (a billionth above a whole number is whole)",
        round_up(rate_rps * (1 + headroom_share) / capacity_rps))
    replicas = Quantity("Replicas", "replicas", "sets x replicas bought together",
        replica_sets * replicas_per_set)
    load_share = Quantity("Load", "share",
        "rate over the capacity of all sets: the rest is kept free",
        quotient(rate_rps, replica_sets * capacity_rps))
    chips_of_model = Quantity("Chips that hold the model", "chips", "replicas x chips of a replica",
        replicas * chips_per_replica)
    full_systems = Quantity("Systems filled", "systems",
        "replicas / replicas that a system holds, rounded down",
        round_down(replicas / replicas_per_system))
    rest_replicas = Quantity("Replicas in the last system", "replicas", "the rest of them",
        replicas - full_systems * replicas_per_system)
    _by_racks = equal(bought_by, WHOLE_RACKS)
    _systems = (full_systems, replicas_per_system, rest_replicas, rack_table)
    nodes_of_model = Quantity("Nodes that hold the model", "nodes",
        "of each system: replicas x chips of a replica / usable chips of a node, rounded up",
        full_systems * round_up(replicas_per_system * chips_per_replica / usable_chips_per_node)
        + round_up(rest_replicas * chips_per_replica / usable_chips_per_node))
    nodes = Quantity("Nodes", "nodes",
        "in the racks in use (sheet Racks), or those that hold the model and whole spare ones",
        choice(_by_racks, _in_racks("nodes", *_systems),
            nodes_of_model + round_up(chips_of_model * spare_share / chips_per_node)))
    racks = Quantity("Racks", "racks", "in use (sheet Racks), or what the nodes need",
        choice(_by_racks, _in_racks("racks", *_systems), round_up(nodes / nodes_per_rack)))
    chips_bought = Quantity("Chips to buy", "chips",
        "all that stand in these racks or nodes; all are powered and paid for",
        choice(_by_racks, _in_racks("chips", *_systems), nodes * chips_per_node))
    spare_chips = Quantity("of these spare", "chips", "of spare nodes",
        choice(_by_racks, _in_racks("spares", *_systems),
            (nodes - nodes_of_model) * chips_per_node))
    idle_chips = Quantity("of these without use", "chips",
        "chips to buy less those of the model and spares",
        chips_bought - chips_of_model - spare_chips)
    capital_usd = Quantity("Capital", "USD",
        "chips x price x factor, or their share of the price of a whole system",
        choice(is_number(system_price_usd),
            system_price_usd * chips_bought / system_chips,
            chip_price_usd * system_price_factor * chips_bought))
    standby_watts = Quantity("Power standing by", "W",
        "PUE x (chips x idle + nodes x (host + switches))",
        power_usage_effectiveness
        * (chip_idle_watts * chips_bought + (host_watts_per_node + network_watts_per_node) * nodes))
    serving_watts = Quantity("Power serving", "W", "that, and PUE x energy of a request x rate",
        standby_watts + power_usage_effectiveness * joules_per_request * rate_rps)
    peak_watts = Quantity("Power at most", "W",
        "as if every chip that holds the model were busy all the time: what feeds must carry",
        standby_watts
        + power_usage_effectiveness * chips_of_model * (chip_peak_watts - chip_idle_watts))
    mean_watts = utilisation_share * serving_watts + (1 - utilisation_share) * standby_watts
    mean_kilowatts = Quantity("Power, mean over the year", "kW",
        "utilisation x serving + (1 - utilisation) x standing by", mean_watts / 1000)
    capital_usd_per_year = Quantity("Capital written off", "USD/year", "capital / years",
        capital_usd / amortisation_years)
    electricity_usd_per_year = Quantity("Electricity", "USD/year",
        f"mean power x {SECONDS_PER_YEAR / 3600:,.0f} hours x price",
        electricity_usd(mean_watts * SECONDS_PER_YEAR, electricity_usd_per_kwh))
    usd_per_year = Quantity("Together", "USD/year", "capital written off and electricity",
        capital_usd_per_year + electricity_usd_per_year)
    millions_per_year = rate_rps * utilisation_share * SECONDS_PER_YEAR / 1e6
    output_mtokens_per_year = Quantity("Output tokens", "million/year",
        "rate x output tokens of a request x utilisation x a year",
        millions_per_year * output_tokens_per_request)
    usd_per_million_output_tokens = Quantity("Cost of a million output tokens", "USD",
        "together / output tokens", quotient(usd_per_year, output_mtokens_per_year))
    usd_per_million_total_tokens = Quantity("with prompt tokens counted", "USD",
        "the same over prompt and output tokens",
        quotient(usd_per_year, millions_per_year * tokens_per_request))


class CapacityVerdict:
    """Whether the rate of a run is a capacity: did so many requests meet every objective?"""

    attainment_share = Quantity("Objectives met", "share",
        "share of requests that met every objective")
    verdict = Quantity("Verdict", "", "whether the rate of the run is a capacity",
        choice(is_number(attainment_share),
            choice(at_least(attainment_share, CapacityPlan.attainment_asked_share),
                "objectives are met by as many requests as asked for",
                "fewer requests than asked for meet the objectives: this is no capacity within "
                "the SLO"),
            "no objectives were given: nothing says that this rate is served well"))


# fmt: on


def _of_plan() -> tuple[Quantity, ...]:
    return tuple(one for one in vars(CapacityPlan).values() if isinstance(one, Quantity))


INPUTS = tuple(one for one in _of_plan() if one.allowed)
FACTS = tuple(one for one in _of_plan() if not (one.allowed or one.formula))
RESULTS = tuple(one for one in _of_plan() if one.formula)
