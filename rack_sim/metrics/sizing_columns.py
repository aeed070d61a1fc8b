"""Sizing columns: sizing.csv and candidates.csv of `rack-sim size`."""

from collections.abc import Iterable
from typing import Literal

from rack_sim.metrics.column import Column

Goal = Literal["fewest_chips", "cheapest", "least_power"]
GOALS: tuple[Goal, ...] = ("fewest_chips", "cheapest", "least_power")

_CANDIDATE = (
    Column("tensor_parallel", "chips", "count", "chips that share a stage"),
    Column("stage_count", "stages", "count", "stages of a replica"),
    Column("replica_count", "replicas", "count", "copies of the model"),
)
_FOOTPRINT = (
    Column(
        "bought_chip_count", "chips", "count", "all that must be bought: in use, spare and idle"
    ),
    Column("chip_count", "chips", "count", "of these, chips that hold a part of the model"),
    Column("spare_chip_count", "chips", "count", "of these, spare chips of the racks in use"),
    Column(
        "idle_chip_count", "chips", "count", "of these, chips of the racks in use without a part"
    ),
    Column("node_count", "nodes", "count", "nodes of the racks in use"),
    Column("rack_count", "racks", "count", "racks in use"),
    Column("capital_usd", "USD", "number", "price of the racks in use and what stands in them"),
    Column("standby_watts", "W", "number", "what the building draws when nothing is served"),
)
_COSTS = (
    Column(
        "usd_per_year",
        "USD",
        "number",
        "capital over the years it is written off in, and electricity; of a pruned candidate at "
        "least so much",
    ),
    Column(
        "mean_watts",
        "W",
        "number",
        "mean power of the building in the replay; of a pruned one at least",
    ),
    Column(
        "usd_per_million_output_tokens",
        "USD",
        "number",
        "as in summary.csv; only of what was replayed",
    ),
)
_OBJECTIVES = (
    Column(
        "METRIC_ms_STATISTIC",
        "ms",
        "number",
        "for each objective asked for: the column of summary.csv; of a pruned candidate it cannot "
        "be less",
    ),
    Column(
        "METRIC_ms_STATISTIC_margin",
        "ms",
        "number",
        "its bound less its value: below 0 it is missed",
    ),
    Column("METRIC_ms_STATISTIC_margin_share", "share", "number", "the same over the bound"),
    Column(
        "slo_attainment",
        "share",
        "number",
        "without --slo: of the requests that fit, those that met the scenario's slo; of a pruned "
        "candidate it cannot be more",
    ),
    Column("slo_attainment_margin", "share", "number", "that less the share asked for"),
    Column("slo_attainment_margin_share", "share", "number", "the same over the share asked for"),
)

CANDIDATES: tuple[Column, ...] = (
    *_CANDIDATE,
    Column(
        "and_more", "true/false", "flag", "the row stands for all larger numbers of replicas, too"
    ),
    *_FOOTPRINT,
    Column(
        "verdict",
        "",
        "words",
        "meets or fails (it was replayed), or pruned (a bound shows that it fails or cannot win)",
    ),
    Column(
        "reason",
        "",
        "words",
        "what it fails on, gravest first, or the bound: an objective; saturation (the backlog "
        "grows); too_short (it grew, and too few requests tell); turned_away; capacity (fewer rows "
        "than are offered); rows_in_time (too few rows for the first tokens in time); does_not_fit "
        "(no room for the cache of one sequence); better_known (no goal can be reached better)",
    ),
    Column("detail", "", "words", "the same in words"),
    Column("best_for", "", "words", "goals it is the answer to"),
    *_COSTS,
    Column(
        "output_throughput_tok_s",
        "token/s",
        "number",
        "as in summary.csv; only of what was replayed",
    ),
    Column(
        "replica_utilisation", "share", "number", "as in summary.csv; only of what was replayed"
    ),
    *_OBJECTIVES,
)

SIZING: tuple[Column, ...] = (
    Column(
        "goal",
        "",
        "words",
        "fewest_chips (that must be bought; of equals that hold the model, then dollars), cheapest "
        "(usd_per_year) or least_power (mean_watts)",
    ),
    *_CANDIDATE,
    *_FOOTPRINT,
    *_COSTS,
    Column("rate_rps", "1/s", "number", "offered rate asked for"),
    Column("request_count", "requests", "count", "requests replayed"),
    Column(
        "fit_request_count", "requests", "count", "of these, requests that fit the compiled context"
    ),
    Column("tightest_objective", "", "words", "the objective of which most is used"),
    Column("tightest_load_share", "share", "number", "its value over its bound"),
    Column("ttft_bound_by", "", "words", "as in summary.csv"),
    Column("tpot_bound_by", "", "words", "as in summary.csv"),
    Column("bottleneck", "", "words", "as in summary.csv"),
    Column(
        "next_smaller",
        "",
        "words",
        "the nearest with fewer chips to buy that fails: tensor parallel x stages x replicas",
    ),
    Column("next_smaller_fails_on", "", "words", "reason of that candidate"),
    Column(
        "next_smaller_value", "", "number", "its value of the objective it fails on, in its unit"
    ),
    Column("one_less", "", "words", "the same shape with one replica less"),
    Column("one_less_fails_on", "", "words", "reason of that candidate"),
    Column("one_less_value", "", "number", "its value of the objective it fails on, in its unit"),
    Column(
        "is_short",
        "true/false",
        "flag",
        "arrivals lasted less than four times what 99 % of the requests take: more would tell",
    ),
    *_OBJECTIVES,
)


def objective_columns(names: Iterable[str]) -> tuple[Column, ...]:
    """The columns of the objectives that were asked for, by the columns they bound."""
    found = []
    for name in names:
        unit = "ms" if "_ms_" in name else "share"
        found += [
            Column(name, unit, "number", "its value"),
            Column(f"{name}_margin", unit, "number", "what is left"),
            Column(f"{name}_margin_share", "share", "number", "the same over the bound"),
        ]
    return tuple(found)


def fixed_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Those that do not depend on what was asked."""
    return tuple(column for column in columns if column not in _OBJECTIVES)
