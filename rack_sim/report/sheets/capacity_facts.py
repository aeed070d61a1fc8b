"""Capacity facts: what the formulas of the Capacity sheet start from: a run, or a load study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rack_sim.metrics.capacity import RESULTS, WHOLE_RACKS, CapacityVerdict, RacksInUse
from rack_sim.metrics.formula import calculated
from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record

RUN_BASIS = "this run"
WINDOW_BASIS = "steady window"
LIMIT_BASIS = "compiled limit"
KNEE_BASIS = "knee of the SLO"
KEPT_UP_BASIS = "keeps up"
OWN_BASIS = "own figure"

_MEANINGS = {
    RUN_BASIS: "All requests of this run over its whole length, filling and draining included. It "
    "served so many, with the share of objectives met below; it may well serve more.",
    WINDOW_BASIS: "What finished in the steady window, as offered requests. Costs are counted over "
    "the whole run, so this differs a little from them.",
    LIMIT_BASIS: "An upper bound: every row of every step carries a token. Queues grow long before "
    "it, and objectives are missed; no machine should be planned at it.",
    KNEE_BASIS: "The highest rate of the study at which so many requests met every objective as "
    "the study asked for.",
    KEPT_UP_BASIS: "The highest rate of the study at which the queue did not grow, whatever "
    "objectives were met.",
    OWN_BASIS: "What the cell Own capacity above says, for example the knee of `rack-sim sweep "
    "load`.",
}
_KNEES = {
    KNEE_BASIS: "slo_met_rps",
    KEPT_UP_BASIS: "kept_up_rps",
    LIMIT_BASIS: "capacity_limit_rps",
}
# What the run counted itself: quantity -> column of summary.csv, and decimals that it has
_COUNTED = {
    "chips_of_model": ("chip_count", 0),
    "spare_chips": ("spare_chip_count", 0),
    "idle_chips": ("idle_chip_count", 0),
    "racks": ("rack_count", 0),
    "capital_usd": ("capital_usd", 2),
    "serving_watts": ("mean_watts", 3),
    "usd_per_million_output_tokens": ("usd_per_million_output_tokens", 6),
    "usd_per_million_total_tokens": ("usd_per_million_total_tokens", 6),
}
_PRICES = {
    "chip_price_usd": ("system", "chip", "price_usd"),
    "chip_idle_watts": ("system", "chip", "idle_watts"),
    "chip_peak_watts": ("system", "chip", "peak_watts"),
    "host_watts_per_node": ("system", "host_watts_per_node"),
    "network_watts_per_node": ("system", "network_watts_per_node"),
    "system_price_factor": ("cost", "system_price_factor"),
    "electricity_usd_per_kwh": ("cost", "electricity_usd_per_kwh"),
    "power_usage_effectiveness": ("cost", "power_usage_effectiveness"),
    "utilisation_share": ("cost", "utilisation"),
    "amortisation_years": ("cost", "amortisation_years"),
}
_COUNTS = (
    "chips_per_replica",
    "replicas_per_system",
    "system_chips",
    "chips_per_node",
    "usable_chips_per_node",
    "nodes_per_rack",
)

# Of the requests that were not turned away. assumed: what scenarios/studies/load.yaml asks, too.
ATTAINMENT_ASKED = 0.99


@dataclass(frozen=True)
class Basis:
    """A rate that a planner may take for the capacity of what is bought together, and why."""

    name: str
    rps: float
    meaning: str


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
    racks: tuple[RacksInUse, ...]
    own: Mapping[str, tuple[Value, int]]
    own_name: str = "this run"
    purpose: str = ""
    met: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def choices(self) -> dict[str, Any]:
        """The cells that may be changed, as they come."""
        return {
            "rate_rps": self.rate_rps,
            "headroom_share": 0.0,
            "capacity_basis": self.bases[0].name,
            "own_capacity_rps": self.bases[0].rps,
            **({} if self.met else {"attainment_asked_share": ATTAINMENT_ASKED}),
            "system_price_usd": self.system_price_usd,
            "bought_by": WHOLE_RACKS,
            "spare_share": 0.0,
            **self.numbers,
        }

    def planned(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Every quantity of the sheet by its name, where these cells are changed."""
        known = {"attainment_share": self.attainment, **self.choices, **(changes or {})}
        rates = {basis.name: basis.rps for basis in self.bases}
        rates[OWN_BASIS] = known["own_capacity_rps"]
        known |= {"basis_table": [*rates.items()], "rack_table": self.racks}
        return calculated((*RESULTS, CapacityVerdict.verdict), known)


def run_facts(run: Record) -> CapacityFacts | str:
    """The facts of a run, or why there are none."""
    row, footprint = run.summary, run.facts["footprint"]
    requests, outputs = (_number(row[name]) for name in ("request_count", "output_token_count"))
    if not (_number(row["simulated_s"]) and _number(row["finished_count"]) and outputs):
        return "No request was served in this run: it shows no capacity."
    replicas = int(_number(row["replica_count"]))
    together = replicas if set(run.frame("replicas.csv")["role"]) != {"both"} else 1
    return CapacityFacts(
        title=str(row["scenario"]),
        bases=_bases(_run_rates(row, replicas / together)),
        rate_rps=requests / _number(row["simulated_s"]),
        attainment=_attainment(row),
        attainment_words="in this run, of the requests that were not turned away",
        numbers={
            **numbers_of(run.resolved, footprint),
            "replicas_per_set": together,
            "joules_per_request": _number(row["energy_chips_dynamic_joules"]) / requests,
            "output_tokens_per_request": outputs / requests,
            "tokens_per_request": (outputs + _number(row["input_token_count"])) / requests,
        },
        system_price_usd=system_price_of(run.resolved),
        racks=racks_of(footprint),
        own={name: (row[column], digits) for name, (column, digits) in _COUNTED.items()},
    )


def _run_rates(row: Mapping[str, Value], sets: float) -> dict[str, float]:
    """Offered requests per second of one set, by what they are taken from."""
    requests, finished = _number(row["request_count"]), _number(row["finished_count"])
    rates = {RUN_BASIS: requests / _number(row["simulated_s"]) / sets}
    if row["window_kind"] == "steady":
        rate = _number(row["request_throughput_rps"]) * requests / finished
        rates[WINDOW_BASIS] = rate / sets
    rows = _number(row["input_token_count"]) + _number(row["output_token_count"]) - finished
    if row["compiled_limit_tok_s"] and rows:
        rates[LIMIT_BASIS] = _number(row["compiled_limit_tok_s"]) / (rows / requests) / sets
    return rates


def _attainment(row: Mapping[str, Value]) -> float | None:
    """Of the requests that were not turned away, the share that met every objective."""
    requests, met = _number(row["request_count"]), row["slo_attainment"]
    let_in = requests - _number(row["rejected_count"])
    return min(1.0, _number(met) * requests / let_in) if met is not None and let_in else None


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
            found.append(_of_knee(knee, at, footprint, inputs))
    return found


def _of_knee(
    knee: Mapping[str, Any],
    at: Mapping[str, Any],
    footprint: Mapping[str, Any],
    inputs: Mapping[str, Any],
) -> CapacityFacts:
    rate, window_rps = float(at["offered_rps"]), at["request_throughput_rps"]
    served = at["finished_count"] / at["request_count"]
    outputs = at["output_throughput_tok_s"] / window_rps * served if window_rps else 0.0
    numbers, replicas = numbers_of(inputs, footprint), footprint["replica_count"]
    dynamic = numbers["chip_peak_watts"] - numbers["chip_idle_watts"]
    busiest = float(knee["kept_up_rps"] or rate)
    return CapacityFacts(
        title=str(knee["machine"]),
        bases=_bases(
            {name: float(knee[column]) for name, column in _KNEES.items() if knee[column]}
        ),
        rate_rps=rate,
        attainment=at["fit_slo_attainment"],
        attainment_words="at the knee, of the requests that fit",
        numbers={
            **numbers,
            "replicas_per_set": replicas,
            "joules_per_request": dynamic * footprint["chips_per_replica"] * replicas / busiest,
            "output_tokens_per_request": outputs,
        },
        system_price_usd=system_price_of(inputs),
        racks=racks_of(footprint),
        own={},
        notes={
            "joules_per_request": "assumed: every chip draws its peak at the highest rate that is "
            "kept up with, the most it can be; a run counts it"
        },
    )


def _bases(rates: Mapping[str, float]) -> tuple[Basis, ...]:
    """Rates with what they mean, and one that the planner gives."""
    known = [Basis(name, rps, _MEANINGS[name]) for name, rps in rates.items()]
    return (*known, own_basis(known[0].rps))


def own_basis(rps: float) -> Basis:
    """A rate that the planner gives."""
    return Basis(OWN_BASIS, rps, _MEANINGS[OWN_BASIS])


def numbers_of(inputs: Mapping[str, Any], footprint: Mapping[str, Any]) -> dict[str, float]:
    """Prices and watts of a resolved scenario, and counts of a footprint of manifest.json."""
    prices = {name: _given(inputs, path) or 0.0 for name, path in _PRICES.items()}
    return prices | {name: footprint[name] for name in _COUNTS}


def system_price_of(inputs: Mapping[str, Any]) -> float | None:
    """The price of a whole system, where it has one of its own."""
    return _given(inputs, ("system", "system_price_usd"))


def racks_of(footprint: Mapping[str, Any]) -> tuple[RacksInUse, ...]:
    """How the racks of a system fill, from no replica on."""
    return (RacksInUse(0, 0, 0, 0, 0), *(RacksInUse(**step) for step in footprint["racks"]))


def _given(inputs: Mapping[str, Any], path: Sequence[str]) -> float | None:
    """A number of a resolved scenario, with or without its source."""
    value: Any = inputs
    for key in path:
        value = value.get(key)
    value = value["value"] if isinstance(value, Mapping) else value
    return None if value is None else float(value)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0
