"""Size: the smallest, the cheapest and the most frugal system that meets objectives."""

import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TimeElapsedColumn

from rack_sim.cli.console import err, out, say_json, tell, words_column
from rack_sim.cli.options import (
    HtmlOption,
    JsonOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    SkipBadRowsOption,
    TraceOption,
    with_seed,
)
from rack_sim.cli.place import result_directory
from rack_sim.cli.size_view import size_content, size_tables
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.work_estimate import no_note
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import load_scenario
from rack_sim.study.sizing import Sizing
from rack_sim.study.sizing import size as size_scenario
from rack_sim.study.sizing.candidate import Candidate

# What is searched, and the option that bounds it.
_SEARCHED = {
    "partition.tensor_parallel": "--tensor-parallel",
    "partition.stages": "--stages",
    "serving.replicas": "--max-replicas",
}


def size(
    scenario: ScenarioArgument,
    slo: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC=TIME,…",
            help="Bounds: ttft, tpot, itl, e2el, ntpot or scheduling_delay with _mean, _p50, _p90, "
            "_p95 or _p99. Without it, the scenario's own slo and --attainment.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="RPS", help="Requests per second, instead of the workload's own."),
    ] = None,
    attainment: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Without --slo: of the requests that fit, those that must meet the scenario's slo "
            "[0.99].",
        ),
    ] = None,
    tensor_parallel: Annotated[
        str | None,
        typer.Option(metavar="N,…", help="Only these degrees [all inside a node]."),
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(metavar="N,…", help="Only these, as 36,54-56 [all that fit]."),
    ] = None,
    max_replicas: Annotated[
        int | None, typer.Option(metavar="N", help="No more replicas than this [256].")
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Replay so many requests [the scenario's, or more where these are over too soon].",
        ),
    ] = None,
    trace: TraceOption = None,
    overrides: SetOption = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where files go [reports/NAME-size-HASH]."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    seed: SeedOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: JsonOption = False,
    skip_bad_rows: SkipBadRowsOption = False,
    figures: Annotated[bool, typer.Option(help="Draw figures.")] = True,
    workbook: Annotated[bool, typer.Option(help="Write report.xlsx.")] = True,
    html: HtmlOption = True,
) -> None:
    """Find the smallest, the cheapest and the least power-hungry system that meets an SLO.

    Replicas x stages x tensor parallel are searched: what partition and serving.replicas say in the
    scenario does not count. Bounds rule out what cannot meet the SLO or cannot win, everything else
    is replayed, so the answer is exact for the space that is printed. Exit code 3: nothing in the
    space meets the SLO; it says what is the best there is and which limit is in the way.

    Examples:

        rack-sim size llama70b --slo ttft_p99=0.5s,tpot_p99=10ms --rate 40

        rack-sim size llama70b-a100 --slo ttft_p99=2s,tpot_p99=200ms --rate 40 --max-replicas 64

        rack-sim size llama70b --rate 20 --attainment 0.95 --stages 54,72

        rack-sim size llama70b --trace my-trace.csv --slo e2el_p95=5s
    """
    started = time.perf_counter()
    counts = _counts(tensor_parallel, stages, overrides)
    free = [f"{key}=auto" for key in ("partition.tensor_parallel", "partition.stages")]
    given = with_seed(overrides, seed)
    loaded = load_scenario(scenario, [*given, *free], trace=trace, skip_bad_rows=skip_bad_rows)
    columns = (words_column(), BarColumn(), TimeElapsedColumn())
    hidden = quiet or not err.is_terminal
    with ExitStack() as stack:
        # What cannot be written to is said before the search, not after it.
        draft = None
        if out_dir is not None:
            draft = stack.enter_context(result_directory(out_dir, "", force=force))
        bar = Progress(*columns, console=err, transient=True, disable=hidden)
        stack.enter_context(bar)
        task = bar.add_task("reading the traffic", total=None)
        try:
            found = size_scenario(
                loaded,
                slo,
                rate,
                attainment=attainment,
                tensor_parallel=counts[0],
                stages=counts[1],
                replicas_max=max_replicas,
                request_count=requests,
                on_progress=lambda text, replays: bar.update(
                    task, description=f"{text} ({replays} replays done)"
                ),
                on_note=no_note if quiet else tell,
            )
        except KeyboardInterrupt:
            if draft is None:
                bar.stop()
                err.print("nothing was written")
            raise
        if draft is None:
            name = f"{loaded.name}-size-{found.sizing_hash}"
            draft = stack.enter_context(result_directory(None, name, force=force))
        leave(
            found,
            draft.path,
            wall_s=time.perf_counter() - started,
            wanted=Wanted(figures, workbook, html),
            on_step=lambda text: bar.update(task, description=text),
        )
    target = draft.shown
    commands = {
        goals: shlex.join(_run_command(scenario, trace, given, target, found, candidate))
        for candidate, goals in found.winners.values()
    }
    if not quiet:
        for warning in found.warnings():
            err.print(f"warning: {warning}", soft_wrap=True)
    if as_json:
        say_json({**size_content(found, commands), "path": str(target)})
    elif not quiet:
        for shown in size_tables(found):
            out.print(shown)
        for goals, line in commands.items():
            words_of = ", ".join(goal.replace("_", " ") for goal in goals)
            out.print(f"run it ({words_of}):\n  {line}", soft_wrap=True)
        out.print(f"files: {target}", soft_wrap=True)


def _run_command(
    scenario: str,
    trace: str | None,
    given: Sequence[str],
    target: Path,
    found: Sizing,
    candidate: Candidate,
) -> list[str]:
    """The command that replays a candidate, to the same numbers.

    Where a --set of this one is about the same as one that it needs, or malformed rows were
    skipped, it starts from what was written.
    """
    needed = found.settings_of(candidate)
    keys = [f"{text.partition('=')[0].strip()}." for text in (*given, *needed)]
    mine, its = keys[: len(given)], keys[len(given) :]
    clash = any(a.startswith(b) or b.startswith(a) for a in mine for b in its)
    check = found.scenario.trace_check
    if clash or (check and check.skipped_count):
        words, texts = ["rack-sim", "run", str(target / "resolved.yaml")], needed
    else:
        words = ["rack-sim", "run", scenario, *(["--trace", trace] if trace else [])]
        texts = (*given, *needed)
    return [*words, *(word for text in texts for word in ("--set", text))]


# assumed: no model has more blocks to make stages of, nor a node more chips to share one
_COUNTS_MOST = 1000


def _counts(
    tensor_parallel: str | None, stages: str | None, overrides: list[str] | None
) -> tuple[list[int] | None, list[int] | None]:
    """The numbers that two options list. Raises InputError with every problem of the options."""
    problems: list[Problem] = []
    found: list[list[int] | None] = []
    for option, text in (("--tensor-parallel", tensor_parallel), ("--stages", stages)):
        numbers: list[int] = []
        for part in text.split(",") if text is not None else ():
            first, dash, last = part.strip().partition("-")
            ends = [first, last] if dash else [first]
            # More digits than any count of chips has.
            if not all(end.strip().isdecimal() and len(end.strip()) < 7 for end in ends):
                hint = "as in 4,8 or 36,54-56"
                problems.append(Problem(f"{part.strip()!r} is no count", option, suggestion=hint))
                continue
            span = range(int(ends[0]), int(ends[-1]) + 1)
            if len(span) > _COUNTS_MOST:
                message = f"{part.strip()} is {len(span):,} counts, more than {_COUNTS_MOST:,}"
                problems.append(Problem(message, option, suggestion="a narrower range"))
                continue
            numbers += span
        found.append(None if text is None else numbers)
    for text in overrides or ():
        option = _SEARCHED.get(text.partition("=")[0].strip(), "")
        if option:
            problems.append(
                Problem("is what is searched", f"--set {text}", suggestion=f"{option} bounds it")
            )
    if problems:
        raise InputError(problems)
    return found[0], found[1]
