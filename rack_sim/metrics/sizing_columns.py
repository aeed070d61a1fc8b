"""Sizing columns: sizing.csv and candidates.csv of `rack-sim size`."""

from collections.abc import Iterable
from typing import Literal

from rack_sim.metrics.column import Column, count, flag, number, words

Goal = Literal["fewest_chips", "cheapest", "least_power"]
GOALS: tuple[Goal, ...] = ("fewest_chips", "cheapest", "least_power")

_CANDIDATE = (
    count("tensor_parallel", "chips", "chips that share a stage"),
    count("stage_count", "stages", "stages of a replica"),
    count("replica_count", "replicas", "copies of the model"),
)
_FOOTPRINT = (
    count("bought_chip_count", "chips", "all that must be bought: in use, spare and idle"),
    count("chip_count", "chips", "of these, chips that hold a part of the model"),
    count("spare_chip_count", "chips", "of these, spare chips of the racks in use"),
    count("idle_chip_count", "chips", "of these, chips of the racks in use without a part"),
    count("node_count", "nodes", "nodes of the racks in use"),
    count("rack_count", "racks", "racks in use"),
    number("capital_usd", "USD", "price of the racks in use and what stands in them"),
    number("standby_watts", "W", "what the building draws when nothing is served"),
)
_COSTS = (
    number(
        "usd_per_year",
        "USD",
        "capital over the years it is written off in, and electricity; of a pruned candidate at "
        "least so much",
    ),
    number("mean_watts", "W", "mean power of the building in the replay; of a pruned one at least"),
    number("usd_per_million_output_tokens", "USD", "as in summary.csv; only of what was replayed"),
)
_OBJECTIVES = (
    number(
        "METRIC_ms_STATISTIC",
        "ms",
        "for each objective asked for: the column of summary.csv; of a pruned candidate it cannot "
        "be less",
    ),
    number("METRIC_ms_STATISTIC_margin", "ms", "its bound less its value: below 0 it is missed"),
    number("METRIC_ms_STATISTIC_margin_share", "share", "the same over the bound"),
    number(
        "slo_attainment",
        "share",
        "without --slo: of the requests that fit, those that met the scenario's slo; of a pruned "
        "candidate it cannot be more",
    ),
    number("slo_attainment_margin", "share", "that less the share asked for"),
    number("slo_attainment_margin_share", "share", "the same over the share asked for"),
)

CANDIDATES: tuple[Column, ...] = (
    *_CANDIDATE,
    flag("and_more", "the row stands for all larger numbers of replicas, too"),
    *_FOOTPRINT,
    words(
        "verdict",
        "meets or fails (it was replayed), or pruned (a bound shows that it fails or cannot win)",
    ),
    words(
        "reason",
        "what it fails on, gravest first, or the bound: an objective; saturation (the backlog "
        "grows); too_short (it grew, and too few requests tell); turned_away; capacity (fewer rows "
        "than are offered); rows_in_time (too few rows for the first tokens in time); does_not_fit "
        "(no room for the cache of one sequence); better_known (no goal can be reached better)",
    ),
    words("detail", "the same in words"),
    words("best_for", "goals it is the answer to"),
    *_COSTS,
    number("output_throughput_tok_s", "token/s", "as in summary.csv; only of what was replayed"),
    number("replica_utilisation", "share", "as in summary.csv; only of what was replayed"),
    *_OBJECTIVES,
)

SIZING: tuple[Column, ...] = (
    words(
        "goal",
        "fewest_chips (that must be bought; of equals that hold the model, then dollars), cheapest "
        "(usd_per_year) or least_power (mean_watts)",
    ),
    *_CANDIDATE,
    *_FOOTPRINT,
    *_COSTS,
    number("rate_rps", "1/s", "offered rate asked for"),
    count("request_count", "requests", "requests replayed"),
    count("fit_request_count", "requests", "of these, requests that fit the compiled context"),
    words("tightest_objective", "the objective of which most is used"),
    number("tightest_load_share", "share", "its value over its bound"),
    words("ttft_bound_by", "as in summary.csv"),
    words("tpot_bound_by", "as in summary.csv"),
    words("bottleneck", "as in summary.csv"),
    words(
        "next_smaller",
        "the nearest with fewer chips to buy that fails: tensor parallel x stages x replicas",
    ),
    words("next_smaller_fails_on", "reason of that candidate"),
    number("next_smaller_value", "", "its value of the objective it fails on, in its unit"),
    words("one_less", "the same shape with one replica fewer"),
    words("one_less_fails_on", "reason of that candidate"),
    number("one_less_value", "", "its value of the objective it fails on, in its unit"),
    flag(
        "is_short",
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
            number(name, unit, "its value"),
            number(f"{name}_margin", unit, "what is left"),
            number(f"{name}_margin_share", "share", "the same over the bound"),
        ]
    return tuple(found)


def fixed_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Those that do not depend on what was asked."""
    return tuple(column for column in columns if column not in _OBJECTIVES)
