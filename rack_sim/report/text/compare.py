"""Compare text: runs side by side, and what changed between two."""

from collections.abc import Iterator

from rack_sim.foundation.units import counted
from rack_sim.record.record import Record
from rack_sim.report.comparison import changes_of
from rack_sim.report.text import Line, TextTable, number
from rack_sim.study.difference import headlines

# Rows of the terminal's table: words, column, digits; a column per contender.
_ROWS = (
    ("tokens/s per user, median", "output_tok_s_per_user_p50", 1),
    ("TTFT p50, ms", "ttft_ms_p50", 1),
    ("TTFT p99, ms", "ttft_ms_p99", 1),
    ("tokens/s in all", "total_throughput_tok_s", 0),
    ("output tokens/s in all", "output_throughput_tok_s", 0),
    ("chips", "chip_count", 0),
    ("racks", "rack_count", 0),
    ("kilowatts", "mean_kilowatts", 2),
    ("J per output token", "joules_per_output_token", 2),
    ("USD per million output tokens", "usd_per_million_output_tokens", 2),
    ("requests within SLO", "slo_attainment", 4),
    ("output tokens/s per chip", "output_tok_s_per_chip", 2),
    ("output tokens/s per kilowatt", "output_tok_s_per_kilowatt", 2),
    ("output tokens per USD", "output_tokens_per_usd", 0),
    ("TPOT bound by", "tpot_bound_by", 0),
    ("TTFT bound by", "ttft_bound_by", 0),
    ("bottleneck", "bottleneck", 0),
)
# Up to so many stand side by side, with every row; more stand below each other.
_SIDE_BY_SIDE_MAX = 3
_SHORT = (
    ("tok/s/user", "output_tok_s_per_user_p50", 1),
    ("TTFT p50", "ttft_ms_p50", 1),
    ("p99, ms", "ttft_ms_p99", 1),
    ("tok/s", "total_throughput_tok_s", 0),
    ("chips", "chip_count", 0),
    ("racks", "rack_count", 0),
    ("kW", "mean_kilowatts", 2),
    ("J/tok", "joules_per_output_token", 2),
    ("USD/M out", "usd_per_million_output_tokens", 2),
    ("in SLO", "slo_attainment", 3),
    ("TPOT bound by", "tpot_bound_by", 0),
    ("TTFT by", "ttft_bound_by", 0),
)
_INPUTS_SHOWN = 25


def compare_answers(record: Record) -> Iterator[str]:
    """What is not alike first, then what judges them, then of two what changed."""
    unlike = record.facts["not_alike"]
    if unlike:
        yield f"not alike in all: {', '.join(unlike)}"
    yield f"judged by: {record.facts['judged_by']}"
    if said := headlines(changes_of(record)):
        names = [str(row["name"]) for row in record.rows("compare.csv")]
        yield f"from {' to '.join(names)}:"
        yield from said


def compare_text(record: Record) -> Iterator[Line]:
    """The numbers, then what could not run."""
    yield from _tables(record)
    for row in record.rows("compare.csv"):
        if row["reason"]:
            yield f"{row['name']} cannot run: {row['reason']}"


def compare_content(record: Record) -> dict[str, object]:
    """Every run under the names of the table's columns, and what changed between two."""
    return {
        "runs": record.rows("compare.csv"),
        "judged_by": record.facts["judged_by"],
        "not_alike": record.facts["not_alike"],
        "changes": [
            {
                "kind": change.kind,
                "key": change.key,
                "before": change.before,
                "after": change.after,
                "change_share": change.share,
            }
            for change in changes_of(record)
        ],
        "in_words": headlines(changes_of(record)),
    }


def _tables(record: Record) -> Iterator[Line]:
    rows = record.rows("compare.csv")
    ran = [row for row in rows if row["status"] == "ran"]
    if len(ran) > _SIDE_BY_SIDE_MAX:
        yield TextTable(
            f"{counted(len(ran), 'run')} compared",
            [("", "left"), *((words, "right") for words, _, _ in _SHORT)],
            [
                (str(row["name"]), *(number(row[column], digits) for _, column, digits in _SHORT))
                for row in ran
            ],
        )
        return
    yield TextTable(
        f"{counted(len(ran), 'run')} compared",
        [("", "left"), *((str(row["name"]), "right") for row in ran)],
        [(words, *(number(row[column], digits) for row in ran)) for words, column, digits in _ROWS],
    )
    inputs = [change for change in changes_of(record) if change.kind == "input"]
    if len(rows) != 2 or not inputs:
        return
    first, second = (str(row["name"]) for row in rows)
    shown = [
        (change.key, _brief(change.before), _brief(change.after))
        for change in inputs[:_INPUTS_SHOWN]
    ]
    if len(inputs) > _INPUTS_SHOWN:
        shown.append((f"… and {len(inputs) - _INPUTS_SHOWN} more (changes.csv)", "", ""))
    yield TextTable(
        f"inputs that changed: {len(inputs)}",
        [("key", "left"), (first, "left"), (second, "left")],
        shown,
    )


def _brief(value: object) -> str:
    text = "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
