"""Options: arguments that several commands share."""

from typing import Annotated

import typer

ScenarioArgument = Annotated[
    str, typer.Argument(help="A scenario file, or a preset's name (see `rack-sim list scenarios`).")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value: `--set serving.slot_rows=2`. May be given many times.",
    ),
]
TraceOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Replay this trace instead of the scenario's workload; its format is recognised.",
    ),
]
SkipBadRowsOption = Annotated[
    bool, typer.Option("--skip-bad-rows", help="Count and list malformed rows instead of refusing.")
]
SeedOption = Annotated[
    int | None, typer.Option(min=0, help="Seed of every random stream, instead of the scenario's.")
]
HtmlOption = Annotated[
    bool, typer.Option("--html/--no-html", help="Write report.html, a page that opens offline.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def with_seed(overrides: list[str] | None, seed: int | None) -> list[str]:
    """The overrides, the seed among them."""
    return [*(overrides or []), *([f"seed={seed}"] if seed is not None else [])]
