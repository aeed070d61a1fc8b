"""Timeline: a compiled program and a replay as a trace to look at."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rack_sim.cli.console import err, out, say_json, table, tell
from rack_sim.cli.options import (
    JsonOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    with_seed,
)
from rack_sim.cli.place import result_file
from rack_sim.compiler.step import program_of
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import PS_PER_MS, PS_PER_NS, format_bytes, format_time
from rack_sim.foundation.version import VERSION
from rack_sim.pipeline import explain, simulate
from rack_sim.record.place import file_place
from rack_sim.report.timeline import Movie, write_timeline
from rack_sim.scenario import load_scenario
from rack_sim.study.jitter import jittered_step
from rack_sim.timing.shape import ProgramKind


def timeline(
    scenario: ScenarioArgument,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where it goes [reports/NAME-HASH.trace.json.gz]."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    program: Annotated[
        Literal["decode", "prefill"],
        typer.Option(help="A step that makes tokens, or one that reads a prompt."),
    ] = "decode",
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of the step, instead of the scenario's.")
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(min=1, help="Context bucket of the step, instead of the scenario's longest."),
    ] = None,
    window_ms: Annotated[
        int,
        typer.Option(min=0, help="Simulated time whose requests are shown; 0: replay nothing."),
    ] = 2000,
    jitter_ns: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=10**6,
            help="Show one token alone as it would run if operators took longer by this on "
            "average (see docs/determinism.md), and no requests.",
        ),
    ] = None,
    seed: SeedOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every task of a token, and the first requests of a replay, as a trace to look at.

    Open the file in https://ui.perfetto.dev (or chrome://tracing): each chip is a process, each of
    its units and links a track, each message an arrow. One token comes first, then what the chips
    do during one interval of serving, then which requests are on which slot.

    Examples:

        rack-sim timeline llama70b

        rack-sim timeline llama70b --program prefill --rows 8 --window-ms 0 --out prompt.json.gz

        rack-sim timeline llama70b --jitter-ns 50

    A reactive chip (system.chip.execution=reactive) begins everything when it can, with the jitter
    that its preset says (operator_jitter); one token of it is shown.
    """
    if out_file is not None:
        file_place(out_file, force=True)  # what could be no file has no ending to speak of
    if out_file is not None and out_file.suffix != ".gz":
        raise InputError(
            Problem(
                "is written as gzip, which viewers know by its name",
                f"--out {out_file}",
                suggestion=f"--out {out_file.with_name(out_file.name + '.gz')}",
            )
        )
    loaded = load_scenario(scenario, with_seed(overrides, seed), served=False)
    chip = loaded.deployment.system.chip
    if chip.execution == "reactive" and jitter_ns is None:
        jitter_ns = chip.operator_jitter_ps // PS_PER_NS
    window_ms = window_ms if jitter_ns is None else 0
    changed = f"-{program}" if program != "decode" else ""
    changed += f"-{rows}-rows" if rows else ""
    changed += f"-context-{context}" if context else ""
    changed += f"-jitter-{jitter_ns}-ns" if jitter_ns is not None else ""
    name = f"{loaded.name}-{loaded.scenario_hash}{changed}.trace.json.gz"
    target = Path("reports") / name if out_file is None else out_file
    with result_file(target, force=force) as draft:
        with err.status("placing the model") as status, draft.path.open("wb") as file:
            kind: ProgramKind = program
            log = None
            if window_ms:
                status.update("replaying")
                result = simulate(loaded, on_note=tell)
                step, log = result.explanation.step, result.collector.requests
            else:
                step = explain(loaded, on_note=tell).step
            status.update("writing the trace")
            shown, interval_ps = program_of(step, kind, rows, context)
            movie = Movie(shown, interval_ps, log, window_ms * PS_PER_MS)
            slips_ps: list[int] = []
            if jitter_ns is not None:
                ran = jittered_step(shown, jitter_ns * PS_PER_NS, seed=loaded.seed)
                movie, slips_ps = Movie(ran.program, interval_ps, ran=True), ran.slip_ps.tolist()
            written = write_timeline(
                file,
                movie,
                {
                    "scenario": loaded.name,
                    "scenario_hash": loaded.scenario_hash,
                    "version": VERSION,
                },
            )
        size_bytes = draft.path.stat().st_size
    if as_json:
        say_json(
            {
                "path": str(draft.shown),
                "size_bytes": size_bytes,
                "program": shown.title,
                "event_count": written.event_count,
                "task_count": written.task_count,
                "arrow_count": written.arrow_count,
                "request_count": written.request_count,
                "latency_ps": written.latency_ps,
                "interval_ps": written.interval_ps,
                **({"stage_slip_ps": slips_ps} if slips_ps else {}),
            }
        )
        return
    about = [
        ("program", shown.title),
        ("one token", f"{format_time(written.latency_ps)}, {written.task_count:,} tasks"),
        ("interval between steps", format_time(written.interval_ps)),
        (
            "requests shown",
            f"{written.request_count:,} of the first {window_ms:,} ms" if window_ms else "none",
        ),
        ("events", f"{written.event_count:,}, {written.arrow_count:,} of them begin arrows"),
        ("size", format_bytes(size_bytes)),
    ]
    if slips_ps:
        places = (0, len(slips_ps) // 2, len(slips_ps) - 1)
        words = (
            f"stage {place}: {format_time(slips_ps[place])}" for place in dict.fromkeys(places)
        )
        compiled = f"compiled {format_time(shown.latency_ps)}"
        about[1] = ("one token", f"{about[1][1]}; {compiled}")
        about.append(("begins later than compiled", ", ".join(words)))
    out.print(table(loaded.name, [("", "left"), ("", "left")], about))
    out.print("open in https://ui.perfetto.dev", soft_wrap=True)
    out.print(f"file: {draft.shown}", soft_wrap=True)
