"""CLI: one file per command.

- `run`: replays a scenario and writes its files
- `explain`: which chip holds what, and how fast; nothing is replayed
- `validate`: checks scenarios
- `list`: the presets
- `trace`: looks at a trace
- `console`: how the command line speaks
"""

import sys
import traceback

import click
import typer

from rack_sim.cli.console import complain
from rack_sim.cli.explain import explain
from rack_sim.cli.list import list_presets
from rack_sim.cli.run import run
from rack_sim.cli.trace import trace
from rack_sim.cli.validate import validate
from rack_sim.foundation.errors import RackSimError

_INTERRUPTED = 130

app = typer.Typer(
    name="rack-sim",
    help=(
        "Simulates racks of many chips that serve large language models.\n\n"
        "Start with: rack-sim run llama70b"
    ),
    epilog="Exit codes: 0 ok, 2 bad input, 3 infeasible, 1 a bug of ours, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(run)
app.command()(explain)
app.command()(validate)
app.command(name="list")(list_presets)
app.add_typer(trace, name="trace")


def main() -> None:
    """The `rack-sim` command: exit codes that scripts can trust, never a traceback for bad input."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        code = app(standalone_mode=False)
    except click.exceptions.Abort:
        return _interrupted()
    except click.ClickException as error:
        error.show()
        return 2
    except KeyboardInterrupt:
        return _interrupted()
    except RackSimError as error:
        complain(error)
        if error.exit_code == 1:
            print("this is a bug in rack-sim; please report it", file=sys.stderr)
        return error.exit_code
    except Exception:  # noqa: BLE001 - the last line of defence: our bug, said so
        traceback.print_exc()
        print("this is a bug in rack-sim; please report it with the lines above", file=sys.stderr)
        return 1
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    print("interrupted; nothing was written", file=sys.stderr)
    return _INTERRUPTED
