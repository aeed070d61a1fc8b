"""Compare columns: compare.csv and changes.csv of a comparison, sensitivity.csv of a tornado."""

from rack_sim.metrics.column import Column

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
LIMITS = ("tpot_bound_by", "ttft_bound_by", "bottleneck")
# What throughput is held against: column -> words.
DENSITIES: dict[str, str] = {
    "output_tok_s_per_chip": "output tokens/s per chip",
    "output_tok_s_per_kilowatt": "output tokens/s per kilowatt",
    "output_tokens_per_usd": "output tokens per US dollar",
}

COMPARE: tuple[Column, ...] = (
    Column("name", "", "words", "name of the scenario, or the one given on the command line"),
    Column(
        "source",
        "",
        "words",
        "simulated: now, for this comparison; finished: read from its directory",
    ),
    Column(
        "status",
        "",
        "words",
        "ran; or infeasible: the model does not fit, or nothing can be served",
    ),
    Column("reason", "", "words", "why it could not run"),
    Column("model", "", "words", "name of the model"),
    Column("system", "", "words", "name of the system"),
    Column("output_tok_s_per_user_p50", "token/s", "number", "1000 / median tpot"),
    Column("ttft_ms_p50", "ms", "number", "time to first token, median"),
    Column("ttft_ms_p99", "ms", "number", "time to first token, percentile 99"),
    Column(
        "total_throughput_tok_s",
        "token/s",
        "number",
        "prompt and output tokens, in the run's window",
    ),
    Column("output_throughput_tok_s", "token/s", "number", "output tokens, in the run's window"),
    Column("chip_count", "chips", "count", "chips that hold a part of the model"),
    Column("rack_count", "racks", "count", "racks that hold a part of the model"),
    Column(
        "mean_kilowatts", "kW", "number", "mean power, spares, hosts, network and building included"
    ),
    Column("joules_per_output_token", "J", "number", "energy of the run over its output tokens"),
    Column("usd_per_million_output_tokens", "USD", "number", "capital and electricity, likewise"),
    Column(
        "request_goodput_rps",
        "1/s",
        "number",
        "requests per second with every objective met; one set judges all",
    ),
    Column(
        "slo_attainment",
        "share",
        "number",
        "requests with every objective met, over all; one set judges all: manifest.json says which",
    ),
    *(Column(name, "", "words", f"{name} of its summary.csv: what binds it") for name in LIMITS),
    Column(
        "output_tok_s_per_chip", "token/s", "number", "output tokens per second and chip in use"
    ),
    Column(
        "output_tok_s_per_kilowatt",
        "token/s",
        "number",
        "output_throughput_tok_s over mean_kilowatts",
    ),
    Column("output_tokens_per_usd", "tokens", "number", "1e6 over usd_per_million_output_tokens"),
    *(
        Column(
            f"{name}_frontier",
            "",
            "words",
            "yes: none is as fast per user and better in this, or v.v.",
        )
        for name in DENSITIES
    ),
    Column("scenario_hash", "", "words", "digest of everything that went in"),
    Column("version", "", "words", "version of rack-sim"),
)

CHANGES: tuple[Column, ...] = (
    Column(
        "kind", "", "words", "input (a key of resolved.yaml) or output (a column of summary.csv)"
    ),
    Column("key", "", "words", "which"),
    Column("before", "", "any", "its value in the first run; empty where it has none"),
    Column("after", "", "any", "its value in the second"),
    Column("change_share", "share", "number", "after / before - 1, of numbers"),
)

SENSITIVITY: tuple[Column, ...] = (
    Column("input", "", "words", "what was changed, alone"),
    Column("how", "", "words", "recomputed from the same replay, or replayed"),
    Column("change_share", "share", "number", "how much it was changed by"),
    Column("before", "", "number", "its value in the scenario, in the unit beside it"),
    Column("after", "", "number", "its value now"),
    Column("unit", "", "words", "unit of the two"),
    Column("usd_per_million_output_tokens", "USD", "number", "cost now"),
    Column("usd_change_share", "share", "number", "that over the cost of the scenario, less 1"),
    Column("output_tok_s_per_user_p50", "token/s", "number", "speed of the median user now"),
    Column("speed_change_share", "share", "number", "that over the speed in the scenario, less 1"),
    Column("output_throughput_tok_s", "token/s", "number", "output tokens per second now"),
    Column("note", "", "words", "where less was changed than asked for, or why it could not be"),
)
