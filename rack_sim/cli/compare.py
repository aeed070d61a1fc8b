"""Compare: scenarios and finished runs side by side, in one table and one set of figures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from rack_sim.cli.console import table
from rack_sim.cli.leave import leaving
from rack_sim.cli.options import Output, SetOption, grouped
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import counted
from rack_sim.metrics.slo import slo_of
from rack_sim.metrics.summary import Value
from rack_sim.study.compare import Comparison, comparison_hash, contenders, run_comparison
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


@grouped
def compare(
    *,
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Scenario files or presets (simulated now) and directories of finished runs; "
            "NAME=RUN gives one a name.",
        ),
    ],
    overrides: SetOption = None,
    slo: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC=TIME,…",
            help="Objectives that judge all: ttft, tpot or e2el of a request, and with _mean, _p50 "
            "… of the run [those of the first that has any].",
        ),
    ] = None,
    output: Output,
) -> None:
    """Compare scenarios and finished runs: speed, latency, power, cost, and what binds each.

    What is not alike in all is said first. One set of objectives judges all. What cannot run is
    listed with its reason; exit code 3 only where none can. Of two, it says what changed between
    them, inputs and outputs.

    Examples:

        rack-sim compare llama70b llama70b-a100

        rack-sim compare llama70b llama70b-a100 --slo ttft=2s,tpot=30ms

        rack-sim compare before=reports/llama70b-1a2b3c4d5e6f after=my-scenario.yaml
    """
    found = contenders(references, overrides or [])
    if len(found) < 2:
        raise InputError("one run is no comparison: name another scenario or directory")
    asked = None if slo is None else slo_of(slo)
    with leaving(output, f"compare-{comparison_hash(found, asked)}") as work:
        result = run_comparison(
            found,
            asked,
            on_progress=lambda name, share: work.show(f"simulating {name}", share),
        )
        work.leave(result)
    work.say(content=lambda: _content(result, work.shown), lines=lambda: _lines(result))


def _lines(result: Comparison) -> Iterator[str | Table]:
    if result.unlike:
        yield f"not alike in all: {', '.join(result.unlike)}"
    yield f"judged by: {result.judged_by}"
    yield from _tables(result)
    for row in result.rows:
        if row.reason:
            yield f"{row.name} cannot run: {row.reason}"


def _content(result: Comparison, target: Path) -> dict[str, object]:
    return {
        "path": str(target),
        "runs": result.tables["compare.csv"].records,
        "judged_by": result.judged_by,
        "not_alike": result.unlike,
        "changes": [
            {
                "kind": change.kind,
                "key": change.key,
                "before": change.before,
                "after": change.after,
                "change_share": change.share,
            }
            for change in result.changes
        ],
        "in_words": headlines(result.changes),
    }


def _tables(result: Comparison) -> Iterator[Table]:
    rows = result.tables["compare.csv"].records
    ran = [row for row in rows if row["status"] == "ran"]
    if len(ran) > _SIDE_BY_SIDE_MAX:
        yield table(
            f"{counted(len(ran), 'run')} compared",
            [("", "left"), *((words, "right") for words, _, _ in _SHORT)],
            [
                (str(row["name"]), *(_cell(row[column], digits) for _, column, digits in _SHORT))
                for row in ran
            ],
        )
        return
    yield table(
        f"{counted(len(ran), 'run')} compared",
        [("", "left"), *((str(row["name"]), "right") for row in ran)],
        [(words, *(_cell(row[column], digits) for row in ran)) for words, column, digits in _ROWS],
    )
    inputs = [change for change in result.changes if change.kind == "input"]
    if len(rows) != 2:
        return
    first, second = (str(row["name"]) for row in rows)
    shown = [
        (change.key, _brief(change.before), _brief(change.after))
        for change in inputs[:_INPUTS_SHOWN]
    ]
    if len(inputs) > _INPUTS_SHOWN:
        shown.append((f"… and {len(inputs) - _INPUTS_SHOWN} more (changes.csv)", "", ""))
    title = f"inputs that changed: {len(inputs)}" if inputs else "no input changed"
    if inputs:
        yield table(title, [("key", "left"), (first, "left"), (second, "left")], shown)
    said = headlines(result.changes)
    if said:
        yield table(f"outputs, from {first} to {second}", [("", "left")], [(s,) for s in said])


def _cell(value: Value, digits: int) -> str:
    if isinstance(value, int | float):
        return f"{value:,.{digits}f}"
    return value or "-"


def _brief(value: object) -> str:
    text = "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
