"""Validate: checks files of every kind and says every problem at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from rack_sim.cli.console import complain, out, tell
from rack_sim.cli.options import SetOption
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import counted
from rack_sim.scenario import (
    FileKind,
    PartKind,
    kind_of_file,
    load_part,
    load_scenario,
    load_study,
    load_system,
)


def validate(
    scenarios: Annotated[
        list[str],
        typer.Argument(
            help="Files of any kind that rack-sim reads, finished directories, or presets' names.",
            metavar="FILE...",
        ),
    ],
    overrides: SetOption = None,
) -> None:
    """Check scenarios, their presets and traces, and every other file, without running anything.

    A file is judged as what it is: a scenario, study, system, chip, model (a config.json), price,
    trace, table of measurements, or what a finished run left. Prints every problem as
    file:line:column and exits with 2 if there is any. --set is of scenarios and studies.

    Example:

        rack-sim validate scenarios/llama70b.yaml my-scenario.yaml
    """
    wrong = False
    for reference in scenarios:
        kind: FileKind | None = None
        try:
            kind = kind_of_file(reference)
            if overrides and kind not in ("scenario", "study"):
                message = f"{reference} is a {_NOUNS[kind]}: --set changes scenarios and studies"
                raise InputError(Problem(message, f"--set {overrides[0]}"))
            said = _JUDGES[kind](reference, overrides or ())
        except InputError as error:
            complain(error)
            if kind and Path(reference).exists():
                tell(f"{reference} was judged as a {_NOUNS[kind]}")
            wrong = True
        else:
            out.print(f"{reference}: ok ({said})", soft_wrap=True, markup=False)
    if wrong:
        raise typer.Exit(InputError.exit_code)


def _scenario(reference: str, overrides: Sequence[str]) -> str:
    loaded = load_scenario(reference, overrides)
    assumed = sum(1 for item in loaded.provenance if item.is_assumed)
    return (
        f"scenario {loaded.name}, {assumed} of {len(loaded.provenance)} numbers assumed, digest "
        f"{loaded.scenario_hash}"
    )


def _study(reference: str, overrides: Sequence[str]) -> str:
    return f"study {load_study(reference, overrides).name}"


def _system(reference: str, _: Sequence[str]) -> str:
    return f"system {load_system(reference).name}"


def _part(kind: PartKind) -> Callable[[str, Sequence[str]], str]:
    return lambda reference, _: f"{kind} {load_part(kind, reference)}"


def _measurements(reference: str, _: Sequence[str]) -> str:
    from rack_sim.study.measurements import read_measurements

    return f"measurements, {counted(len(read_measurements(Path(reference))), 'row')}"


def _trace(reference: str, _: Sequence[str]) -> str:
    from rack_sim.workload.trace import TraceOptions, TraceWorkload

    check = TraceWorkload(Path(reference), TraceOptions()).validate()
    return f"trace in {check.format_name} format, {counted(check.request_count, 'request')}"


def _finished(reference: str, _: Sequence[str]) -> str:
    from rack_sim.report.html import read_finished

    path = Path(reference)
    return read_finished(path if path.is_dir() else path.parent)


_JUDGES: dict[FileKind, Callable[[str, Sequence[str]], str]] = {
    "scenario": _scenario,
    "study": _study,
    "system": _system,
    "chip": _part("chip"),
    "model": _part("model"),
    "price": _part("price"),
    "measurements": _measurements,
    "trace": _trace,
    "finished": _finished,
}
_NOUNS: dict[FileKind, str] = {
    **{kind: kind for kind in _JUDGES},
    "measurements": "table of measurements",
    "finished": "finished directory",
}
