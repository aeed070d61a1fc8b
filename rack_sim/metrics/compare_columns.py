"""Compare columns: compare.csv and changes.csv of a comparison, sensitivity.csv of a tornado."""

from rack_sim.metrics.column import Column, number, taken, words
from rack_sim.metrics.columns import SUMMARY

# Taken from a run's summary as they are: column -> what it is, in words for a person.
COMPARED: dict[str, str] = {
    "output_tok_s_per_user_p50": "tokens/s per user, median",
    "ttft_ms_p50": "TTFT p50, ms",
    "ttft_ms_p99": "TTFT p99, ms",
    "total_throughput_tok_s": "tokens/s in all, prompts included",
    "output_throughput_tok_s": "output tokens/s in all",
    "chip_count": "chips",
    "rack_count": "racks",
    "mean_watts": "watts",
    "joules_per_output_token": "J per output token",
    "usd_per_million_output_tokens": "USD per million output tokens",
    "slo_attainment": "SLO attainment",
}
LIMITS = {
    "tpot_bound_by": "TPOT bound by",
    "ttft_bound_by": "TTFT bound by",
    "bottleneck": "bottleneck",
}
# What throughput is held against: column -> words.
DENSITIES: dict[str, str] = {
    "output_tok_s_per_chip": "output tokens/s per chip",
    "output_tok_s_per_kilowatt": "output tokens/s per kilowatt",
    "output_tokens_per_usd": "output tokens per US dollar",
}

COMPARE: tuple[Column, ...] = (
    words("name", "name of the scenario, or the one given on the command line"),
    words("source", "simulated: now, for this comparison; finished: read from its directory"),
    words("status", "ran; or infeasible: the model does not fit, or nothing can be served"),
    words("reason", "why it could not run"),
    *taken(
        SUMMARY,
        "model",
        "system",
        "output_tok_s_per_user_p50",
        "ttft_ms_p50",
        "ttft_ms_p99",
        "total_throughput_tok_s",
        "output_throughput_tok_s",
        "chip_count",
        "rack_count",
    ),
    number("mean_kilowatts", "kW", "mean power, spares, hosts, network and building included"),
    *taken(
        SUMMARY,
        "joules_per_output_token",
        "usd_per_million_output_tokens",
        "request_goodput_rps",
        "slo_attainment",
        *LIMITS,
        "output_tok_s_per_chip",
    ),
    number("output_tok_s_per_kilowatt", "token/s", "output_throughput_tok_s over mean_kilowatts"),
    number("output_tokens_per_usd", "tokens", "1e6 over usd_per_million_output_tokens"),
    *(
        words(f"{name}_frontier", "yes: none is as fast per user and better in this, or v.v.")
        for name in DENSITIES
    ),
    *taken(SUMMARY, "scenario_hash", "version"),
)

CHANGES: tuple[Column, ...] = (
    words("kind", "input (a key of resolved.yaml) or output (a column of summary.csv)"),
    words("key", "which"),
    Column("before", "", "any", "its value in the first run; empty where it has none"),
    Column("after", "", "any", "its value in the second"),
    number("change_share", "share", "after / before - 1, of numbers"),
)

SENSITIVITY: tuple[Column, ...] = (
    words("input", "what was changed, alone"),
    words("how", "recomputed from the same replay, or replayed"),
    number("change_share", "share", "how much it was changed by"),
    number("before", "", "its value in the scenario, in the unit beside it"),
    number("after", "", "its value now"),
    words("unit", "unit of the two"),
    number("usd_per_million_output_tokens", "USD", "cost now"),
    number("usd_change_share", "share", "that over the cost of the scenario, less 1"),
    number("output_tok_s_per_user_p50", "token/s", "speed of the median user now"),
    number("speed_change_share", "share", "that over the speed in the scenario, less 1"),
    number("output_throughput_tok_s", "token/s", "output tokens per second now"),
    words("note", "where less was changed than asked for, or why it could not be"),
)
