"""Options: arguments that several commands share, one by one or as a group."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from rack_sim.report.views import Wanted
from rack_sim.scenario import Scenario, load_scenario

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
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


@dataclass(frozen=True)
class ScenarioOptions:
    """A scenario, and what is changed of it: options of the commands that ask one."""

    scenario: ScenarioArgument
    trace: TraceOption = None
    overrides: SetOption = None
    seed: SeedOption = None
    skip_bad_rows: SkipBadRowsOption = False

    @property
    def settings(self) -> list[str]:
        """Every change as KEY=VALUE, the seed among them."""
        return with_seed(self.overrides, self.seed)

    def load(self, *more: str) -> Scenario:
        """The scenario, with `more` changes. Raises InputError with every problem of it."""
        return load_scenario(
            self.scenario,
            [*self.settings, *more],
            trace=self.trace,
            skip_bad_rows=self.skip_bad_rows,
        )


@dataclass(frozen=True)
class OutputOptions:
    """Where a result goes, what is made of it, and what is said: options of what leaves one."""

    out_dir: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where files go [a new one in reports/]."),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False
    quiet: QuietOption = False
    as_json: JsonOption = False
    figures: Annotated[bool, typer.Option(help="Draw figures.")] = True
    workbook: Annotated[bool, typer.Option(help="Write report.xlsx.")] = True
    html: Annotated[
        bool, typer.Option("--html/--no-html", help="Write report.html, a page that opens offline.")
    ] = True
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write every table as Parquet, too.")
    ] = False

    @property
    def wanted(self) -> Wanted:
        """What is made of the result."""
        return Wanted(self.figures, self.workbook, self.html, self.parquet)


def with_seed(overrides: list[str] | None, seed: int | None) -> list[str]:
    """The overrides, the seed among them."""
    return [*(overrides or []), *([f"seed={seed}"] if seed is not None else [])]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of its parameters that are groups of options."""
    groups: dict[str, tuple[type, list[str]]] = {}
    parameters: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        found: Mapping[str, inspect.Parameter] = {name: parameter}
        if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation):
            found = inspect.signature(parameter.annotation).parameters
            groups[name] = (parameter.annotation, list(found))
        parameters |= {n: p.replace(kind=p.KEYWORD_ONLY) for n, p in found.items()}

    @wraps(command)
    def flat(**given: Any) -> None:  # noqa: ANN401 - whatever options hold
        whole = {
            name: kind(**{field: given.pop(field) for field in fields})
            for name, (kind, fields) in groups.items()
        }
        command(**whole, **given)

    del flat.__wrapped__  # typer is to see this one
    flat.__annotations__ = {name: one.annotation for name, one in parameters.items()}
    flat.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return flat
