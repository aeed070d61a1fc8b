"""CLI: one file per command.

- `run`: replays a scenario and writes its files
- `explain`: which chip holds what, and how fast; nothing is replayed; `deployment`, `compiled`,
  `batches`, `iterations`, `model_page`: its tables
- `sweep`: a study: many replays compared
- `size`: the smallest system that meets an SLO
- `compare`: scenarios and finished runs side by side
- `report`: report.html and report.xlsx of what is finished, made again
- `sensitivity`: what each input of cost and machine, changed alone, does
- `timeline`: a program and a replay as a trace to look at
- `collective`: what an all-reduce and its like take on some chips
- `topology`: the facts of a system's network
- `validate`: checks scenarios
- `validate_model`: predictions beside measurements
- `calibrate`: a chip fitted on measurements
- `list`: the presets
- `trace`: looks at a trace
- `place`: where files go
- `console`: how the command line speaks
- `leave`: how a command that leaves a directory works; `progress`: what is being done
- `options`: arguments that several commands share
"""

import errno
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer

from rack_sim.cli.calibrate import calibrate
from rack_sim.cli.collective import collective
from rack_sim.cli.compare import compare
from rack_sim.cli.console import complain, out, tell
from rack_sim.cli.explain import explain
from rack_sim.cli.list import list_presets
from rack_sim.cli.report import report
from rack_sim.cli.run import run
from rack_sim.cli.sensitivity import sensitivity
from rack_sim.cli.size import size
from rack_sim.cli.sweep import sweep
from rack_sim.cli.timeline import timeline
from rack_sim.cli.topology import topology
from rack_sim.cli.trace import trace
from rack_sim.cli.validate import validate
from rack_sim.cli.validate_model import validate_model
from rack_sim.foundation.errors import InputError, RackSimError
from rack_sim.foundation.version import VERSION
from rack_sim.foundation.visible import in_brief
from rack_sim.record.place import NO_ROOM

_INTERRUPTED = 130
# What it says of a path that is no fault of ours.
_REFUSALS = (*NO_ROOM, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)
# typer may carry a click of its own, so the base of its errors is found through one of them.
_UsageError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

app = typer.Typer(
    name="rack-sim",
    help=(
        "Simulates racks of many chips that serve large language models.\n\n"
        "Start with: rack-sim run llama70b"
    ),
    epilog="Exit codes: 0 ok, 2 bad input, 3 infeasible, 1 a bug of ours, 130 interrupted "
    "(129 by SIGHUP, 143 by SIGTERM), 141 nobody reads the output.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(VERSION)
        raise typer.Exit


@app.callback()
def _rack_sim(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Options of the command itself; the help text stands where `app` is made."""


app.command()(run)
app.command()(size)
app.command()(sweep)
app.command()(compare)
app.command()(report)
app.command()(sensitivity)
app.command()(explain)
app.command()(timeline)
app.command()(topology)
app.command()(collective)
app.command()(validate)
app.command(name="validate-model")(validate_model)
app.command()(calibrate)
app.command(name="list")(list_presets)
app.add_typer(trace, name="trace")


def exit_code(was_interrupted: Callable[[], bool] = lambda: False) -> int:
    """Runs the command in `sys.argv`: trusted exit codes, no traceback for bad input.

    `was_interrupted` tells whether a signal has asked for the end: libraries make other errors of
    the interrupt that it raises.
    """
    try:
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except RackSimError as error:
        if was_interrupted():
            return _interrupted()
        complain(error)
        if error.exit_code == 1:
            tell("this is a bug in rack-sim; please report it")
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: our bug, said so
        if was_interrupted():
            return _interrupted()
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            where = in_brief(f"{error.filename}: ") if error.filename else ""
            what = "written" if error.errno in NO_ROOM else "used"
            tell(f"error: {where}cannot be {what}: {error.strerror}")
            return InputError.exit_code
        if isinstance(error, _UsageError):
            tell(_usage(error))
            return InputError.exit_code
        tell(traceback.format_exc().rstrip("\n"))
        tell("this is a bug in rack-sim; please report it with the lines above")
        return 1
    if code == _INTERRUPTED:  # what typer makes of Ctrl-C
        return _interrupted()
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    tell("interrupted")
    return _INTERRUPTED


def _usage(error: Any) -> str:  # noqa: ANN401 - a class of typer's own click
    """What is wrong with the words of the command line, and how they would be right.

    typer would show it as markup, in a frame; what is wrong may be any text.
    """
    words = f"error: {in_brief(error.format_message())}"
    context = getattr(error, "ctx", None)
    if context is None:
        return words
    return f"{words}\n{context.get_usage()}\nsee: {context.command_path} --help"
