"""Collective: what an all-reduce and its like take on chips, size by size, as in nccl-tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import typer
from rich.table import Table

from rack_sim.cli.console import facts_table, out, say_json, table
from rack_sim.cli.options import JsonOption, grouped
from rack_sim.cli.progress import progress
from rack_sim.foundation.errors import InputError, Problem, Problems, suggest
from rack_sim.foundation.units import PS_PER_US, counted, format_time
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.scenario import load_system
from rack_sim.scenario.group import active_chips, format_ranges, parse_group
from rack_sim.scenario.sizes import format_size, parse_sizes
from rack_sim.study.collective_sweep import CollectiveQuestion, CollectiveSweep, time_sizes
from rack_sim.timing.algorithms import ALGORITHMS, OPERATIONS, Algorithm
from rack_sim.timing.collectives import TOO_MANY

AUTO: Literal["auto"] = "auto"
_CHOICES: tuple[Algorithm | Literal["auto"], ...] = (AUTO, *ALGORITHMS)
_REDUCES = ("all_reduce", "reduce_scatter")
# A failed link may be in the way of very many routes; the first say enough.
_PROBLEMS_MAX = 8

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True)
class CollectiveOptions:
    """What is timed, as given: options."""

    system: Annotated[
        str,
        typer.Argument(
            help="A system's name (see `rack-sim list systems`), a file, or one in a line: "
            "`ring:8,link_gbytes_per_s=25,latency_ns=700`."
        ),
    ]
    operation: Annotated[
        str, typer.Option("--op", metavar="OP", help=", ".join(OPERATIONS) + ".")
    ] = "all_reduce"
    algorithm: Annotated[
        str,
        typer.Option(metavar="NAME", help="auto (the fastest), " + ", ".join(ALGORITHMS) + "."),
    ] = AUTO
    sizes: Annotated[
        str,
        typer.Option(
            "--bytes",
            metavar="SIZES",
            help="Size of the whole buffer: `64KB`, `1KiB,4KiB`, or a range `1KiB..1GiB`.",
        ),
    ] = "1KiB..1GiB"
    factor: Annotated[int, typer.Option(help="From one size of a range to the next.")] = 2
    group: Annotated[
        str | None,
        typer.Option(
            metavar="CHIPS",
            help="`8`: the first eight chips; `0,8,16` or `0-7,16-23`: these [all active chips].",
        ),
    ] = None


@grouped
def collective(
    *,
    question: CollectiveOptions,
    framing: Annotated[
        bool,
        typer.Option(
            "--framing/--no-framing", help="Whole vectors with their overhead, or plain bytes."
        ),
    ] = True,
    why: Annotated[
        bool,
        typer.Option("--why", help="Say of the largest size what other algorithms would take."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Time a collective operation on some chips of a system.

    Sizes and bandwidths are those of nccl-tests: the whole buffer, size over time, and what that
    asks of each chip's links. Messages are scheduled on the links they share; the table names the
    busiest link. docs/collectives.md says what each algorithm does.

    Examples:

        rack-sim collective groq-node-8 --bytes 1KiB..1MiB --factor 4

        rack-sim collective groq-rack-72 --group 0-7,16-23 --op all-to-all --bytes 64KB --why

        rack-sim collective ring:8,link_gbytes_per_s=25,latency_ns=700 --no-framing --json
    """
    asked = _asked(question, framing=framing, why=why)
    with progress() as show:
        try:
            sweep = time_sizes(
                asked,
                lambda done, size_bytes: show(
                    f"timing {format_size(size_bytes)}", done / len(asked.sizes_bytes)
                ),
            )
        except InputError as error:
            raise InputError(_shortened(error.problems)) from None
    if as_json:
        say_json(sweep.as_dict())
        return
    # A system in one line may be longer than the table is wide.
    out.print(f"{sweep.asked.operation} on {sweep.asked.system.name}", style="bold", soft_wrap=True)
    out.print(_heading(sweep))
    out.print(_rows(sweep))
    left_out = _left_out(sweep)
    if left_out:
        out.print(
            f"Not tried, for they have too many messages to be placed one by one, and perhaps "
            f"faster: {left_out}."
        )
    if why:
        out.print(_others(sweep))


def _asked(question: CollectiveOptions, *, framing: bool, why: bool) -> CollectiveQuestion:
    """The question, read. Raises InputError with every problem of it."""
    problems = Problems()
    with problems.gathered():
        operation = _word(question.operation, OPERATIONS, "--op")
    with problems.gathered():
        algorithm = _word(question.algorithm, _CHOICES, "--algorithm")
        if why and algorithm != AUTO:
            hint = "--algorithm auto"
            problems.append(Problem("there is no choice to explain", "--why", suggestion=hint))
    with problems.gathered():
        sizes_bytes = parse_sizes(question.sizes, question.factor)
    with problems.gathered():
        system = load_system(question.system)
        chips = _chips(system, question.group)
    problems.refuse()
    taken = None if algorithm == AUTO else algorithm
    return CollectiveQuestion(system, chips, operation, taken, tuple(sizes_bytes), framing)


def _chips(system: System, group: str | None) -> tuple[int, ...]:
    topology = system.topology
    chips = active_chips(topology) if group is None else parse_group(group, topology)
    if len(chips) < 2:
        message = f"a collective needs at least two chips: {system.name} has one"
        raise InputError(Problem(message))
    return chips


def _word(given: str, allowed: Sequence[Word], place: str) -> Word:
    """One of the allowed words, with dashes or underscores. Raises InputError for another."""
    normal = given.strip().lower().replace("-", "_")
    for word in allowed:
        if word == normal:
            return word
    hint = suggest(normal, allowed)
    raise InputError(Problem(f"{given!r} is not known", place, suggestion=hint))


def _shortened(problems: Sequence[Problem]) -> list[Problem]:
    shown = list(problems[:_PROBLEMS_MAX])
    if len(problems) > _PROBLEMS_MAX:
        shown.append(Problem(f"and {len(problems) - _PROBLEMS_MAX:,} more like these"))
    return shown


def _heading(sweep: CollectiveSweep) -> Table:
    topology = sweep.asked.system.topology
    spare = {chip for node in topology.spare_nodes for chip in topology.nodes[node]}
    spare_count = len(spare.intersection(sweep.asked.group))
    rows = [
        (
            "group",
            f"{counted(len(sweep.asked.group), 'chip')}: {_cut(format_ranges(sweep.asked.group))}; "
            f"{counted(len(sweep.nodes), 'node')}: {_cut(format_ranges(sweep.nodes))}"
            + (f"; {spare_count} of them spare" if spare_count else ""),
        )
    ]
    if topology.switch_count:
        first = topology.chip_count
        rows.append(("switches", format_ranges(range(first, first + topology.switch_count))))
    rows += [(f"{kind} links", _link(kind_of, sweep)) for kind, kind_of in sweep.links.items()]
    if sweep.asked.algorithm:
        rows.append(("algorithm", sweep.asked.algorithm))
    rows.append(("size", "the whole buffer, as in nccl-tests"))
    if sweep.asked.operation in _REDUCES:
        rows.append(("time", "links only; what additions take is not in it"))
    return facts_table("", rows)


def _link(kind: LinkType, sweep: CollectiveSweep) -> str:
    framing = "no framing"
    if sweep.asked.framing:
        framing = f"{kind.payload_bytes:,} bytes take {kind.wire_bytes:,} of the wire"
    return (
        f"{kind.bytes_per_s / 10**9:,.6g} GB/s a cable, {format_time(kind.latency_ps)}, {framing}"
    )


def _rows(sweep: CollectiveSweep) -> Table:
    chosen = sweep.asked.algorithm is None
    columns = [
        ("size", "right"),
        *([("algorithm", "left")] if chosen else []),
        ("steps", "right"),
        ("time\nµs", "right"),
        ("algbw\nGB/s", "right"),
        ("busbw\nGB/s", "right"),
        ("busiest\nlink", "left"),
        ("busy", "right"),
    ]
    rows = [
        (
            format_size(row.size_bytes),
            *([row.algorithm] if chosen else []),
            f"{row.step_count:,}",
            _microseconds(row.time_ps),
            _gbytes(row.algorithm_bytes_per_s),
            _gbytes(row.bus_bytes_per_s),
            f"{row.binding_link.source}->{row.binding_link.target} {row.binding_link.kind}",
            f"{row.binding_link.share:.1%}",
        )
        for row in sweep.rows
    ]
    drawn = table("", columns, rows)
    # So that it fits into 80 columns with links between chips of three digits and no word broken.
    drawn.padding = (0, 1, 0, 0)
    drawn.columns[1].no_wrap = True
    return drawn


def _others(sweep: CollectiveSweep) -> Table:
    """What the algorithms that were not taken would take, for the largest size."""
    largest = max(sweep.rows, key=lambda row: row.size_bytes)
    taken = f"{format_time(largest.time_ps)}, taken"
    rows = [
        (name, largest.not_taken.get(name, taken))
        for name in ALGORITHMS
        if name == largest.algorithm or name in largest.not_taken
    ]
    return facts_table(
        f"why {largest.algorithm} for {format_size(largest.size_bytes)}",
        rows,
    )


def _left_out(sweep: CollectiveSweep) -> str:
    """Algorithms that might have been faster but are too large to be placed."""
    reasons = sweep.rows[0].not_taken
    return ", ".join(name for name, reason in reasons.items() if reason.endswith(TOO_MANY))


def _microseconds(ps: int) -> str:
    """To the nanosecond below a millisecond; --json has all digits."""
    us = ps / PS_PER_US
    return f"{us:,.3f}" if us < 1000 else f"{us:,.1f}"


def _gbytes(bytes_per_s: float) -> str:
    """GB/s with two decimals, as nccl-tests, or with two digits where that would be nothing."""
    gbytes = bytes_per_s / 10**9
    return f"{gbytes:,.2f}" if gbytes >= 0.1 else f"{gbytes:.2g}"


def _cut(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
