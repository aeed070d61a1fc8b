"""Sizing capacity: what the formulas of the Capacity sheet start from, of an answer of a sizing."""

from rack_sim.report.numbers import spaced
from rack_sim.report.sheets.capacity_facts import (
    Basis,
    CapacityFacts,
    numbers_of,
    own_basis,
    racks_of,
    system_price_of,
)
from rack_sim.report.sizing_tables import SizingTables, Winner, name_of
from rack_sim.report.sizing_words import (
    bound_words,
    goals_words,
    objective_name,
    value_words,
)

SIZED_BASIS = "this answer"
# What the answer says itself: quantity -> column of sizing.csv, and decimals that it has
_COUNTED = {
    "chips_of_model": ("chip_count", 0),
    "chips_bought": ("bought_chip_count", 0),
    "spare_chips": ("spare_chip_count", 0),
    "idle_chips": ("idle_chip_count", 0),
    "racks": ("rack_count", 0),
    "capital_usd": ("capital_usd", 2),
    "standby_watts": ("standby_watts", 3),
    "serving_watts": ("mean_watts", 3),
    "usd_per_year": ("usd_per_year", 2),
}

_PURPOSE = (
    "Change the yellow cells: everything else is a formula and follows. The answer was replayed at "
    "one rate with one number of replicas; for others the sheet takes each replica to serve as "
    "much as there. Size again before you buy."
)


def sizing_facts(sizing: SizingTables, winner: Winner) -> CapacityFacts:
    """The facts of an answer: it serves the rate that was asked, and each replica its part."""
    row, served, footprint = winner.row, winner.entry["served"], winner.entry["footprint"]
    inputs, replicas = sizing.record.resolved, int(row["replica_count"])
    requests, outputs = served["request_count"], served["output_token_count"]
    each, numbers = sizing.rate_rps / replicas, numbers_of(inputs, footprint)
    # As the answer's watts and dollars a year have it: the mean of the replay, at the rate asked.
    dynamic_watts = row["mean_watts"] - row["standby_watts"]
    dynamic_watts /= numbers["power_usage_effectiveness"]
    return CapacityFacts(
        title=f"{sizing.name}, {name_of(row)} ({goals_words(winner.goals)})",
        bases=(Basis(SIZED_BASIS, each, _meaning(sizing, winner)), own_basis(each)),
        rate_rps=sizing.rate_rps,
        attainment=None,
        attainment_words="",
        numbers={
            **numbers,
            "replicas_per_set": 1,
            "joules_per_request": dynamic_watts / sizing.rate_rps,
            "output_tokens_per_request": outputs / requests,
            "tokens_per_request": (outputs + served["input_token_count"]) / requests,
        },
        system_price_usd=system_price_of(inputs),
        racks=racks_of(footprint),
        own={name: (row[column], digits) for name, (column, digits) in _COUNTED.items()},
        own_name="this answer",
        purpose=_PURPOSE,
        met=_met(sizing, winner),
        notes=_notes(winner),
    )


def _notes(winner: Winner) -> dict[str, str]:
    """What is other than on the sheet of a run."""
    served, usd = winner.entry["served"], winner.row["usd_per_million_output_tokens"]
    counted_joules = served["energy_chips_dynamic_joules"] / served["request_count"]
    return {
        "joules_per_request": "what busy chips draw above idle on average in the replay, over the "
        "rate asked: so the answer's watts and dollars a year come out; taken to be the same at "
        f"other rates. Counted over the requests it is {counted_joules:,.6g} J, since the replay "
        "also fills and drains",
        "usd_per_million_output_tokens": "together / output tokens, at this rate all the time; "
        f"over the whole replay it is {usd:,.6g} USD, since less is served while the system fills "
        "and drains",
    }


def _meaning(sizing: SizingTables, winner: Winner) -> str:
    replicas = int(winner.row["replica_count"])
    text = (
        f"{replicas:,} replicas together served {sizing.rate_rps:g} requests/s within every "
        "objective, so each its part of it, and it may well serve more. That other numbers of "
        "replicas serve as much each was not replayed: requests are dealt otherwise among them."
    )
    other = sizing.candidate(winner.row["one_less"])
    if other is not None and other["verdict"] == "fails":
        text += (
            f" {replicas - 1:,} of them, at {sizing.rate_rps / (replicas - 1):,.4g} requests/s "
            "each, were replayed and fail."
        )
    return text


def _met(sizing: SizingTables, winner: Winner) -> str:
    """Each objective with what was measured."""
    said = (
        f"{objective_name(asked)} {value_words(asked, winner.row[asked.column])} "
        f"({bound_words(asked)})"
        for asked in sizing.objectives
    )
    return spaced(f"{name_of(winner.row)} at {sizing.rate_rps:g} requests/s: {'; '.join(said)}")
