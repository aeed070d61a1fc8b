"""Capacity lines: inputs, facts and results of the Capacity sheet: names, units, formulas, notes.

Formulas name cells in braces; which cells those are is known when the sheet is written.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rack_sim.metrics.cost import SECONDS_PER_YEAR

WHOLE_RACKS = "whole racks"
SINGLE_NODES = "single nodes"
HOURS_PER_YEAR = SECONDS_PER_YEAR / 3600
RACKS = ("replicas, from", "racks", "nodes", "chips in them", "of these spare")


class Line(NamedTuple):
    """One line of the sheet. `allowed` is what an input cell takes, in xlsxwriter's words."""

    name: str
    label: str
    unit: str
    note: str
    formula: str = ""
    allowed: Mapping[str, Any] = {}


def _at_least(value: float, *, above: bool = False, empty: bool = False) -> dict[str, Any]:
    words = "more than" if above else "at least"
    return {
        "validate": "decimal",
        "criteria": ">" if above else ">=",
        "value": value,
        "ignore_blank": empty,
        "error_title": "Not a number that fits",
        "error_message": f"This takes a number of {words} {value:g}.",
    }


def _share(lowest: float) -> dict[str, Any]:
    return {
        "validate": "decimal",
        "criteria": "between",
        "minimum": lowest,
        "maximum": 1,
        "error_title": "Not a share",
        "error_message": "This takes a share: more than 0 %, at most 100 %.",
    }


_LIST = {
    "validate": "list",
    "error_title": "Not in the list",
    "error_message": "Choose one of the list.",
}

INPUTS = (
    Line(
        "rate_rps",
        "Request rate",
        "1/s",
        "requests that arrive per second, of the same kind as in the simulation, those included "
        "that are turned away because they are too long",
        allowed=_at_least(0),
    ),
    Line(
        "headroom_share",
        "Headroom",
        "share",
        "how much more than this rate it must be able to serve within the objectives: 20 % buys "
        "for 1.2 times the rate",
        allowed=_at_least(0),
    ),
    Line(
        "capacity_basis",
        "Capacity from",
        "",
        "which of the rates below one set can serve (choose from the list)",
        allowed=_LIST,
    ),
    Line(
        "own_capacity_rps",
        "Own capacity",
        "1/s",
        "counts where Capacity from says: own figure; of one set",
        allowed=_at_least(0, above=True),
    ),
    Line(
        "attainment_asked_share",
        "Requests that must meet the objectives",
        "share",
        "of those not turned away; for the verdict below, no number depends on it",
        allowed=_share(0),
    ),
    Line(
        "chip_price_usd",
        "Price of a chip",
        "USD",
        "does not count where a system has a price of its own",
        allowed=_at_least(0),
    ),
    Line(
        "system_price_factor",
        "System price factor",
        "ratio",
        "price of everything over that of its chips; likewise",
        allowed=_at_least(0),
    ),
    Line(
        "system_price_usd",
        "Price of a whole system",
        "USD",
        "empty: chips x price x factor; else racks in use pay their share of it by chips",
        allowed=_at_least(0, empty=True),
    ),
    Line(
        "electricity_usd_per_kwh",
        "Price of electricity",
        "USD/kWh",
        "",
        allowed=_at_least(0),
    ),
    Line(
        "power_usage_effectiveness",
        "PUE",
        "ratio",
        "power of the building over that of the machines",
        allowed=_at_least(1),
    ),
    Line(
        "utilisation_share",
        "Utilisation",
        "share",
        "share of the year in which requests come at this rate; the rest of the year it stands "
        "idle, powered and paid for",
        allowed=_share(1e-6),
    ),
    Line(
        "amortisation_years",
        "Amortisation",
        "years",
        "years over which capital is written off",
        allowed=_at_least(0, above=True),
    ),
    Line(
        "bought_by",
        "Bought by",
        "",
        "whole racks: with the spare and unused nodes that stand in them; single nodes: with the "
        "share of spares below",
        allowed={**_LIST, "source": [WHOLE_RACKS, SINGLE_NODES]},
    ),
    Line(
        "spare_share",
        "Spares",
        "share",
        "spare chips over chips of the model, in nodes of their own; counts only where bought by "
        "single nodes",
        allowed=_at_least(0),
    ),
)

FACTS = (
    Line(
        "replicas_per_set",
        "Replicas bought together",
        "replicas",
        "one; or all, where prefill and decode replicas serve each other or a whole machine was "
        "studied",
    ),
    Line("chips_per_replica", "Chips of a replica", "chips", "the plan: stages x tensor parallel"),
    Line("replicas_per_system", "Replicas that a system holds", "replicas", "the plan"),
    Line("system_chips", "Chips of a system", "chips", "the system, spares included"),
    Line("chips_per_node", "Chips of a node", "chips", "the system"),
    Line(
        "usable_chips_per_node",
        "of these usable",
        "chips",
        "the plan: as many as whole tensor-parallel groups fill",
    ),
    Line("nodes_per_rack", "Nodes of a rack", "nodes", "the system"),
    Line(
        "output_tokens_per_request",
        "Output tokens of a request",
        "tokens",
        "of the simulation: output tokens over all requests, those turned away included",
    ),
    Line(
        "tokens_per_request",
        "Prompt and output tokens of a request",
        "tokens",
        "likewise",
    ),
    Line(
        "joules_per_request",
        "Energy of a request",
        "J",
        "what busy chips draw above idle in this run, over its requests; it is taken to be the "
        "same at other rates, where batches may be fuller",
    ),
    Line("chip_idle_watts", "Chip, idle", "W", "the chip"),
    Line("chip_peak_watts", "Chip, busy", "W", "the chip"),
    Line("host_watts_per_node", "Host of a node", "W", "the system; drawn always"),
    Line("network_watts_per_node", "Switches of a node", "W", "the system; drawn always"),
)


def _holding(replicas: str) -> str:
    """Nodes of one system that hold so many replicas, which fill them in order."""
    return f"ROUNDUP(ROUND({replicas}*{{chips_per_replica}}/{{usable_chips_per_node}},9),0)"


def _by_racks(column: int, otherwise: str) -> str:
    looked_up = (
        f"{{full_systems}}*VLOOKUP({{replicas_per_system}},{{rack_table}},{column},TRUE)"
        f"+VLOOKUP({{rest_replicas}},{{rack_table}},{column},TRUE)"
    )
    return f'IF({{bought_by}}="{WHOLE_RACKS}",{looked_up},{otherwise})'


RESULTS = (
    Line(
        "capacity_rps",
        "Capacity of one set",
        "1/s",
        "of the table above",
        "INDEX({basis_rps},MATCH({capacity_basis},{basis_names},0))",
    ),
    Line(
        "replica_sets",
        "Sets",
        "sets",
        "rate x (1 + headroom) / capacity, rounded up (a billionth above a whole number is whole)",
        "ROUNDUP(ROUND({rate_rps}*(1+{headroom_share})/{capacity_rps},9),0)",
    ),
    Line(
        "replicas",
        "Replicas",
        "replicas",
        "sets x replicas bought together",
        "{replica_sets}*{replicas_per_set}",
    ),
    Line(
        "load_share",
        "Load",
        "share",
        "rate over the capacity of all sets: the rest is kept free",
        'IF({replica_sets}=0,"",{rate_rps}/({replica_sets}*{capacity_rps}))',
    ),
    Line(
        "chips_of_model",
        "Chips that hold the model",
        "chips",
        "replicas x chips of a replica",
        "{replicas}*{chips_per_replica}",
    ),
    Line(
        "full_systems",
        "Systems filled",
        "systems",
        "replicas / replicas that a system holds, rounded down",
        "INT({replicas}/{replicas_per_system})",
    ),
    Line(
        "rest_replicas",
        "Replicas in the last system",
        "replicas",
        "the rest of them",
        "{replicas}-{full_systems}*{replicas_per_system}",
    ),
    Line(
        "nodes_of_model",
        "Nodes that hold the model",
        "nodes",
        "of each system: replicas x chips of a replica / usable chips of a node, rounded up",
        f"{{full_systems}}*{_holding('{replicas_per_system}')}+{_holding('{rest_replicas}')}",
    ),
    Line(
        "nodes",
        "Nodes",
        "nodes",
        "in the racks in use (sheet Racks), or those that hold the model and whole spare ones",
        _by_racks(
            3,
            "{nodes_of_model}+ROUNDUP(ROUND({chips_of_model}*{spare_share}/{chips_per_node},9),0)",
        ),
    ),
    Line(
        "racks",
        "Racks",
        "racks",
        "in use (sheet Racks), or what the nodes need",
        _by_racks(2, "ROUNDUP(ROUND({nodes}/{nodes_per_rack},9),0)"),
    ),
    Line(
        "chips_bought",
        "Chips to buy",
        "chips",
        "all that stand in these racks or nodes; all are powered and paid for",
        _by_racks(4, "{nodes}*{chips_per_node}"),
    ),
    Line(
        "spare_chips",
        "of these spare",
        "chips",
        "of spare nodes",
        _by_racks(5, "({nodes}-{nodes_of_model})*{chips_per_node}"),
    ),
    Line(
        "idle_chips",
        "of these without use",
        "chips",
        "chips to buy less those of the model and spares",
        "{chips_bought}-{chips_of_model}-{spare_chips}",
    ),
    Line(
        "capital_usd",
        "Capital",
        "USD",
        "chips x price x factor, or their share of the price of a whole system",
        "IF(ISNUMBER({system_price_usd}),{system_price_usd}*{chips_bought}/{system_chips},"
        "{chips_bought}*{chip_price_usd}*{system_price_factor})",
    ),
    Line(
        "standby_watts",
        "Power standing by",
        "W",
        "PUE x (chips x idle + nodes x (host + switches))",
        "{power_usage_effectiveness}*({chips_bought}*{chip_idle_watts}"
        "+{nodes}*({host_watts_per_node}+{network_watts_per_node}))",
    ),
    Line(
        "serving_watts",
        "Power serving",
        "W",
        "that, and PUE x energy of a request x rate",
        "{standby_watts}+{power_usage_effectiveness}*{joules_per_request}*{rate_rps}",
    ),
    Line(
        "peak_watts",
        "Power at most",
        "W",
        "as if every chip that holds the model were busy all the time: what feeds must carry",
        "{standby_watts}+{power_usage_effectiveness}*{chips_of_model}"
        "*({chip_peak_watts}-{chip_idle_watts})",
    ),
    Line(
        "mean_kilowatts",
        "Power, mean over the year",
        "kW",
        "utilisation x serving + (1 - utilisation) x standing by",
        "({utilisation_share}*{serving_watts}+(1-{utilisation_share})*{standby_watts})/1000",
    ),
    Line(
        "capital_usd_per_year",
        "Capital written off",
        "USD/year",
        "capital / years",
        "{capital_usd}/{amortisation_years}",
    ),
    Line(
        "electricity_usd_per_year",
        "Electricity",
        "USD/year",
        f"mean power x {HOURS_PER_YEAR:,.0f} hours x price",
        f"{{mean_kilowatts}}*{HOURS_PER_YEAR:.0f}*{{electricity_usd_per_kwh}}",
    ),
    Line(
        "usd_per_year",
        "Together",
        "USD/year",
        "capital written off and electricity",
        "{capital_usd_per_year}+{electricity_usd_per_year}",
    ),
    Line(
        "output_mtokens_per_year",
        "Output tokens",
        "million/year",
        "rate x output tokens of a request x utilisation x a year",
        f"{{rate_rps}}*{{output_tokens_per_request}}*{{utilisation_share}}*{SECONDS_PER_YEAR:.0f}/10^6",
    ),
    Line(
        "usd_per_million_output_tokens",
        "Cost of a million output tokens",
        "USD",
        "together / output tokens",
        'IF({output_mtokens_per_year}=0,"",{usd_per_year}/{output_mtokens_per_year})',
    ),
    Line(
        "usd_per_million_total_tokens",
        "with prompt tokens counted",
        "USD",
        "the same over prompt and output tokens",
        f'IF({{rate_rps}}*{{tokens_per_request}}=0,"",{{usd_per_year}}/({{rate_rps}}'
        f"*{{tokens_per_request}}*{{utilisation_share}}*{SECONDS_PER_YEAR:.0f}/10^6))",
    ),
)
