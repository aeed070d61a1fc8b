"""Column: what every table is made of."""

from typing import Literal, NamedTuple

# Columns without a unit that hold words; the others hold whole numbers.
_WORDS = {
    "activation_tier",
    "api_price",
    "block",
    "bottleneck",
    "first_block",
    "kind",
    "kv_tier",
    "last_block",
    "machine",
    "model",
    "point_name",
    "policy",
    "reason",
    "role",
    "scenario",
    "scenario_hash",
    "slo_asked",
    "slo_met",
    "status",
    "study",
    "system",
    "task",
    "tpot_bound_by",
    "ttft_bound_by",
    "unit",
    "version",
    "weight_tier",
    "window_kind",
}
# Units of what is counted; a mean of it is no whole number.
_COUNTED = {
    "",
    "blocks",
    "bytes",
    "chips",
    "iterations",
    "racks",
    "replicas",
    "requests",
    "rows",
    "sequences",
    "slots",
    "tokens",
    "vectors",
}


class Column(NamedTuple):
    """One column: its name, its unit, what it means."""

    name: str
    unit: str
    definition: str


def kind_of(column: Column) -> Literal["words", "count", "number"]:
    """What the cells of a column hold; any may be empty."""
    if column.unit == "" and column.name in _WORDS:
        return "words"
    if column.unit in _COUNTED and not column.name.endswith("_mean"):
        return "count"
    return "number"
