"""Grid columns: results.csv of a grid study, and which of them need no replay."""

from rack_sim.metrics.column import Column, count, number, words

GRID_HEAD: tuple[Column, ...] = (
    words("study", "name of the study"),
    count("point", "", "number of the point, from 0; the last key of the grid changes fastest"),
    words("point_name", "machine (where there are several) and the values of the grid"),
    words("machine", "name of the machine in the study"),
)
GRID_STATUS: tuple[Column, ...] = (
    words(
        "status",
        "ok; infeasible: does not fit; bad_input: values that do not go together; failed: neither",
    ),
    words("reason", "why there are no numbers"),
)
GRID_AXIS = Column(
    "grid.KEY", "that of KEY", "any", "one column for each key of the grid: its value"
)

COMPILED: tuple[Column, ...] = (
    number("compiled_token_gap_ms", "ms", "compiled time between two tokens of one sequence"),
    number("compiled_step_latency_ms", "ms", "compiled time from entry to the token's return"),
    number("compiled_interval_ms", "ms", "compiled time between two slots"),
    count("concurrent_sequences_max", "sequences", "full contexts that this cut has cache for"),
    count("chips_min", "chips", "chips whose memory holds the weights alone"),
)
"""What the compiler and the partitioner know, beside the columns of the summary."""

EXPLAINED = frozenset(
    {
        *(column.name for column in COMPILED),
        "scenario",
        "system",
        "model",
        "policy",
        "chip_count",
        "spare_chip_count",
        "idle_chip_count",
        "rack_count",
        "replica_count",
        "stage_count",
        "tensor_parallel",
        "slot_count",
        "slot_rows",
        "weight_bytes",
        "sram_used_bytes_max",
        "sram_capacity_bytes",
        "compiled_limit_tok_s",
        "physical_limit_tok_s",
        "tok_latency_limit_ms",
        "bottleneck",
        "scenario_hash",
        "version",
        "seed",
    }
)
"""Columns that there are without a replay."""
