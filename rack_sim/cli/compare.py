"""Compare: scenarios and finished runs side by side, in one table and one set of figures."""

from typing import Annotated

import typer

from rack_sim.cli.leave import leaving
from rack_sim.cli.options import OutputOptions, SetOption, grouped
from rack_sim.foundation.errors import InputError
from rack_sim.metrics.slo import slo_of
from rack_sim.study.compare import comparison_hash, contenders, run_comparison


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
    output: OutputOptions,
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
    work.say()
