"""Trace: looks at a file of recorded requests."""

from pathlib import Path
from typing import Annotated

import typer

from rack_sim.cli.console import err, headings, out, say_json, table
from rack_sim.cli.options import JsonOption, SkipBadRowsOption
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.workload.summary import summarise
from rack_sim.workload.trace import TraceOptions, TraceWorkload

trace = typer.Typer(help="Look at a file of recorded requests.", no_args_is_help=True)


@trace.callback()
def _trace() -> None:
    """Look at a file of recorded requests."""


@trace.command()
def summary(
    file: Annotated[Path, typer.Argument(help="The trace; its format is recognised.")],
    skip_bad_rows: SkipBadRowsOption = False,
    columns: Annotated[
        str,
        typer.Option(
            metavar="OURS=THEIRS,…",
            help="What the columns of a file of another format hold, such as "
            "arrival_s=start,input_tokens=prompt,output_tokens=answer.",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Print counts, rates, burstiness and length percentiles of a trace.

    Where the trace has them, also sessions, priorities and the share of the input that lies in
    prefixes seen before: what a prefix cache without a limit would find.

    Formats: Azure LLM inference 2023 and 2024, BurstGPT, Mooncake, Vidur, Qwen-Bailian, and our
    own (arrival_s, input_tokens, output_tokens) as CSV, JSONL or Parquet; gzip and zstd too.

    Example:

        rack-sim trace summary AzureLLMInferenceTrace_conv.csv
    """
    workload = TraceWorkload(
        file, TraceOptions(skip_bad_rows=skip_bad_rows, columns=_pairs(columns))
    )
    check = workload.validate()
    found = summarise(workload)
    if as_json:
        say_json({"format": check.format_name, **found.as_dict()})
        return
    title = f"{file} ({check.format_name} format)"
    out.print(table(title, headings("quantity, >value, unit"), found.rows()))
    if check.skipped_count:
        err.print(f"{check.skipped_count} malformed rows were skipped")
        for line, reason in check.skipped_rows[:20]:
            err.print(f"  {file}:{line}: {reason}", soft_wrap=True)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """The pairs of `--columns`. Raises InputError where a part is none."""
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(separator for _, separator, _ in parts):
        hint = "--columns arrival_s=start,input_tokens=prompt,output_tokens=answer"
        raise InputError(
            Problem(f"{text!r} is no list of OURS=THEIRS", "--columns", suggestion=hint)
        )
    return tuple((name.strip(), column.strip()) for name, _, column in parts)
