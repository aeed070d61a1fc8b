"""Capacity facts: what the formulas of the Capacity sheet start from: a run, or a load study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record

RUN_BASIS = "this run"
WINDOW_BASIS = "steady window"
LIMIT_BASIS = "compiled limit"
KNEE_BASIS = "knee of the SLO"
KEPT_UP_BASIS = "keeps up"
OWN_BASIS = "own figure"

# Of the requests that were not turned away. assumed: what scenarios/studies/load.yaml asks, too.
ATTAINMENT_ASKED = 0.99


@dataclass(frozen=True)
class Basis:
    """A rate that a planner may take for the capacity of what is bought together, and why."""

    name: str
    rps: float
    meaning: str


@dataclass(frozen=True)
class Racks:
    """From so many replicas on (up to the next entry), a system's racks in use hold so much."""

    replicas: int
    racks: int
    nodes: int
    chips: int
    spares: int


@dataclass(frozen=True)
class CapacityFacts:
    """One machine and its traffic.

    A *set* is what is bought together: one replica, or a whole fleet where prefill and decode
    replicas serve each other. `numbers` are what the formulas name; `own` what the run itself
    counted, to be held against the formulas. `attainment` is the share of the requests that were
    not turned away that met every objective; where objectives bound percentiles, `met` says
    instead how they are met. `notes` stand in place of the common ones, by line.
    """

    title: str
    bases: tuple[Basis, ...]
    rate_rps: float
    attainment: float | None
    attainment_words: str
    numbers: Mapping[str, float]
    system_price_usd: float | None
    racks: tuple[Racks, ...]
    own: Mapping[str, tuple[Value, int]]
    own_name: str = "this run"
    purpose: str = ""
    met: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


def run_facts(run: Record) -> CapacityFacts | str:
    """The facts of a run, or why there are none."""
    row = run.summary
    seconds, requests = _number(row["simulated_s"]), _number(row["request_count"])
    finished, outputs = _number(row["finished_count"]), _number(row["output_token_count"])
    if not (seconds and finished and outputs):
        return "No request was served in this run: it shows no capacity."
    footprint = run.facts["footprint"]
    roles = set(run.frame("replicas.csv")["role"])
    replicas = int(_number(row["replica_count"]))
    together = replicas if roles != {"both"} else 1
    sets = replicas / together
    inputs = run.resolved
    bases = [
        Basis(
            RUN_BASIS,
            requests / seconds / sets,
            "All requests of this run over its whole length, filling and draining included. It "
            "served so many, with the share of objectives met below; it may well serve more.",
        )
    ]
    if row["window_kind"] == "steady":
        rate = _number(row["request_throughput_rps"]) * requests / finished
        bases.append(
            Basis(
                WINDOW_BASIS,
                rate / sets,
                "What finished in the steady window, as offered requests. Costs are counted over "
                "the whole run, so this differs a little from them.",
            )
        )
    rows = _number(row["input_token_count"]) + outputs - finished
    if row["compiled_limit_tok_s"] and rows:
        bases.append(
            Basis(
                LIMIT_BASIS,
                _number(row["compiled_limit_tok_s"]) / (rows / requests) / sets,
                "An upper bound: every row of every step carries a token. Queues grow long before "
                "it, and objectives are missed; no machine should be planned at it.",
            )
        )
    bases.append(own_basis(bases[0].rps))
    met = row["slo_attainment"]
    let_in = requests - _number(row["rejected_count"])
    attainment = _number(met) * requests / let_in if met is not None and let_in else None
    dynamic = _number(row["energy_chips_dynamic_joules"])
    return CapacityFacts(
        title=str(row["scenario"]),
        bases=tuple(bases),
        rate_rps=requests / seconds,
        attainment=min(1.0, attainment) if attainment is not None else None,
        attainment_words="in this run, of the requests that were not turned away",
        numbers={
            **prices_of(inputs),
            **counts_of(footprint),
            "replicas_per_set": together,
            "joules_per_request": dynamic / requests,
            "output_tokens_per_request": outputs / requests,
            "tokens_per_request": (outputs + _number(row["input_token_count"])) / requests,
        },
        system_price_usd=system_price_of(inputs),
        racks=racks_of(footprint),
        own={
            "chips_of_model": (row["chip_count"], 0),
            "spare_chips": (row["spare_chip_count"], 0),
            "idle_chips": (row["idle_chip_count"], 0),
            "racks": (row["rack_count"], 0),
            "capital_usd": (row["capital_usd"], 2),
            "serving_watts": (row["mean_watts"], 3),
            "usd_per_million_output_tokens": (row["usd_per_million_output_tokens"], 6),
            "usd_per_million_total_tokens": (row["usd_per_million_total_tokens"], 6),
        },
    )


def study_facts(
    manifest: Mapping[str, Any],
    resolved: Mapping[str, Any],
    knees: Sequence[Mapping[str, Any]],
    loads: Sequence[Mapping[str, Any]],
) -> list[CapacityFacts]:
    """The facts of each machine of a load study whose knee is known; rows are those of its files.

    A machine that served nothing has none.
    """
    points = {point["name"]: point["scenario"] for point in resolved.get("points") or ()}
    footprints = {item["name"]: item.get("footprint") for item in manifest.get("machines") or ()}
    found = []
    for knee in knees:
        name = knee["machine"]
        footprint, inputs = footprints.get(name), points.get(name)
        rows = [row for row in loads if row["machine"] == name]
        rate = knee["slo_met_rps"] or knee["kept_up_rps"]
        at = next((row for row in rows if row["offered_rps"] == rate), None)
        if footprint and inputs and at and at["finished_count"]:
            found.append(_of_knee(name, knee, at, footprint, inputs))
    return found


def _of_knee(
    name: str,
    knee: Mapping[str, Any],
    at: Mapping[str, Any],
    footprint: Mapping[str, Any],
    inputs: Mapping[str, Any],
) -> CapacityFacts:
    rate = float(at["offered_rps"])
    texts = (
        (
            KNEE_BASIS,
            "slo_met_rps",
            "The highest rate of the study at which so many requests met every objective as the "
            "study asked for.",
        ),
        (
            KEPT_UP_BASIS,
            "kept_up_rps",
            "The highest rate of the study at which the queue did not grow, whatever objectives "
            "were met.",
        ),
        (
            LIMIT_BASIS,
            "capacity_limit_rps",
            "An upper bound: every row carries a token. No machine should be planned at it.",
        ),
    )
    bases = [Basis(word, float(knee[key]), text) for word, key, text in texts if knee[key]]
    bases.append(own_basis(bases[0].rps))
    served = at["finished_count"] / at["request_count"]
    window_rps, window_tok_s = at["request_throughput_rps"], at["output_throughput_tok_s"]
    outputs = window_tok_s / window_rps * served if window_rps else 0.0
    prices = prices_of(inputs)
    busiest = float(knee["kept_up_rps"] or rate)
    replicas = footprint["replica_count"]
    dynamic = prices["chip_peak_watts"] - prices["chip_idle_watts"]
    return CapacityFacts(
        title=str(name),
        bases=tuple(bases),
        rate_rps=rate,
        attainment=at["fit_slo_attainment"],
        attainment_words="at the knee, of the requests that fit",
        numbers={
            **prices,
            **counts_of(footprint),
            "replicas_per_set": replicas,
            # At most: as if every chip drew its peak at the highest rate that is kept up with.
            "joules_per_request": dynamic * footprint["chips_per_replica"] * replicas / busiest,
            "output_tokens_per_request": outputs,
        },
        system_price_usd=system_price_of(inputs),
        racks=racks_of(footprint),
        own={},
    )


def own_basis(rps: float) -> Basis:
    """A rate that the planner gives."""
    return Basis(
        OWN_BASIS,
        rps,
        "What the cell Own capacity above says, for example the knee of `rack-sim sweep load`.",
    )


def prices_of(inputs: Mapping[str, Any]) -> dict[str, float]:
    """Prices and watts of a resolved scenario."""
    chip, cost = inputs["system"]["chip"], inputs["cost"]
    system = inputs["system"]
    return {
        "chip_price_usd": _plain(chip["price_usd"]),
        "chip_idle_watts": _plain(chip["idle_watts"]),
        "chip_peak_watts": _plain(chip["peak_watts"]),
        "host_watts_per_node": _plain(system["host_watts_per_node"]),
        "network_watts_per_node": _given(inputs, "system", "network_watts_per_node") or 0.0,
        "system_price_factor": _plain(cost["system_price_factor"]),
        "electricity_usd_per_kwh": _plain(cost["electricity_usd_per_kwh"]),
        "power_usage_effectiveness": _plain(cost["power_usage_effectiveness"]),
        "utilisation_share": _plain(cost["utilisation"]),
        "amortisation_years": _plain(cost["amortisation_years"]),
    }


def counts_of(footprint: Mapping[str, Any]) -> dict[str, float]:
    """Counts of a footprint, as manifest.json has it."""
    names = ("chips_per_replica", "replicas_per_system", "system_chips")
    return {
        **{name: footprint[name] for name in names},
        "chips_per_node": footprint["chips_per_node"],
        "usable_chips_per_node": footprint["usable_chips_per_node"],
        "nodes_per_rack": footprint["nodes_per_rack"],
    }


def system_price_of(inputs: Mapping[str, Any]) -> float | None:
    """The price of a whole system, where it has one of its own."""
    return _given(inputs, "system", "system_price_usd")


def racks_of(footprint: Mapping[str, Any]) -> tuple[Racks, ...]:
    """How the racks of a system fill, from no replica on."""
    return (Racks(0, 0, 0, 0, 0), *(Racks(**step) for step in footprint["racks"]))


def _plain(value: Any) -> float:  # noqa: ANN401 - a number, or one with its source
    return float(value["value"] if isinstance(value, Mapping) else value)


def _given(inputs: Mapping[str, Any], *keys: str) -> float | None:
    value: Any = inputs
    for key in keys:
        value = value.get(key)
    return None if value is None else _plain(value)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0
