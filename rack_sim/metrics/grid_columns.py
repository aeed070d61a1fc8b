"""Grid columns: results.csv of a grid study, and which of them need no replay."""

from rack_sim.metrics.column import Column

GRID_HEAD: tuple[Column, ...] = (
    Column("study", "", "words", "name of the study"),
    Column(
        "point",
        "",
        "count",
        "number of the point, from 0; the last key of the grid changes fastest",
    ),
    Column(
        "point_name", "", "words", "machine (where there are several) and the values of the grid"
    ),
    Column("machine", "", "words", "name of the machine in the study"),
)
GRID_STATUS: tuple[Column, ...] = (
    Column(
        "status",
        "",
        "words",
        "ok; infeasible: does not fit; bad_input: values that do not go together; failed: neither",
    ),
    Column("reason", "", "words", "why there are no numbers"),
)
GRID_AXIS = Column(
    "grid.KEY", "that of KEY", "any", "one column for each key of the grid: its value"
)

COMPILED: tuple[Column, ...] = (
    Column(
        "compiled_token_gap_ms", "ms", "number", "compiled time between two tokens of one sequence"
    ),
    Column(
        "compiled_step_latency_ms", "ms", "number", "compiled time from entry to the token's return"
    ),
    Column("compiled_interval_ms", "ms", "number", "compiled time between two slots"),
    Column(
        "concurrent_sequences_max",
        "sequences",
        "count",
        "full contexts that this cut has cache for",
    ),
    Column("chips_min", "chips", "count", "chips whose memory holds the weights alone"),
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
