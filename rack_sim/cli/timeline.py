"""Timeline: a compiled program and a replay as a trace to look at."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import typer

from rack_sim.cli.console import facts_table, out, say_json, tell
from rack_sim.cli.options import (
    JsonOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    grouped,
    with_seed,
)
from rack_sim.cli.place import result_file
from rack_sim.cli.progress import Shown, progress
from rack_sim.compiler.step import program_of
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import PS_PER_MS, PS_PER_NS, format_bytes, format_time
from rack_sim.foundation.version import VERSION
from rack_sim.pipeline import explain, simulate
from rack_sim.record.place import file_place
from rack_sim.report.timeline import Movie, TimelineFacts, write_timeline
from rack_sim.scenario import Scenario, load_scenario
from rack_sim.study.jitter import jittered_step


@dataclass(frozen=True)
class Step:
    """Which step is shown, and what else: options."""

    program: Annotated[
        Literal["decode", "prefill"],
        typer.Option(help="A step that makes tokens, or one that reads a prompt."),
    ] = "decode"
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of the step, instead of the scenario's.")
    ] = None
    context: Annotated[
        int | None,
        typer.Option(min=1, help="Context bucket of the step, instead of the scenario's longest."),
    ] = None
    window_ms: Annotated[
        int,
        typer.Option(min=0, help="Simulated time whose requests are shown; 0: replay nothing."),
    ] = 2000
    jitter_ns: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=10**6,
            help="Show one token alone as it would run if operators took longer by this on "
            "average (see docs/determinism.md), and no requests.",
        ),
    ] = None

    def on(self, scenario: Scenario) -> "Step":
        """The same on a scenario: a reactive chip has its own jitter, and jitter no requests."""
        chip, jitter_ns = scenario.deployment.system.chip, self.jitter_ns
        if chip.execution == "reactive" and jitter_ns is None:
            jitter_ns = chip.operator_jitter_ps // PS_PER_NS
        if jitter_ns is None:
            return self
        return replace(self, jitter_ns=jitter_ns, window_ms=0)

    @property
    def words(self) -> str:
        """What of it differs from the usual, for the name of a file."""
        changed = f"-{self.program}" if self.program != "decode" else ""
        changed += f"-{self.rows}-rows" if self.rows else ""
        changed += f"-context-{self.context}" if self.context else ""
        return changed + (f"-jitter-{self.jitter_ns}-ns" if self.jitter_ns is not None else "")


@dataclass(frozen=True)
class _Filmed:
    """What was written: the program's name and compiled time, its counts, how late stages begin."""

    title: str
    compiled_ps: int
    written: TimelineFacts
    slips_ps: list[int]


@grouped
def timeline(
    *,
    scenario: ScenarioArgument,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where it goes [reports/NAME-HASH.trace.json.gz]."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    step: Step,
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
        _refuse_no_gzip(out_file)
    loaded = load_scenario(scenario, with_seed(overrides, seed), served=False)
    step = step.on(loaded)
    name = f"{loaded.name}-{loaded.scenario_hash}{step.words}.trace.json.gz"
    target = Path("reports") / name if out_file is None else out_file
    with result_file(target, force=force) as draft:
        with progress() as show, draft.path.open("wb") as file:
            filmed = _film(loaded, step, file, show)
        size_bytes = draft.path.stat().st_size
    if as_json:
        say_json({"path": str(draft.shown), "size_bytes": size_bytes, **_content(filmed)})
        return
    about = [*_about(filmed, step.window_ms), ("size", format_bytes(size_bytes)), *_late(filmed)]
    out.print(facts_table(loaded.name, about))
    out.print("open in https://ui.perfetto.dev", soft_wrap=True)
    out.print(f"file: {draft.shown}", soft_wrap=True)


def _refuse_no_gzip(out_file: Path) -> None:
    file_place(out_file, force=True)  # what could be no file has no ending to speak of
    if out_file.suffix != ".gz":
        raise InputError(
            Problem(
                "is written as gzip, which viewers know by its name",
                f"--out {out_file}",
                suggestion=f"--out {out_file.with_name(out_file.name + '.gz')}",
            )
        )


def _film(loaded: Scenario, asked: Step, file: BinaryIO, show: Shown) -> _Filmed:
    """Writes the trace."""
    show("placing the model")
    log = None
    if asked.window_ms:
        show("replaying")
        result = simulate(loaded, on_note=tell)
        step, log = result.explanation.step, result.collector.requests
    else:
        step = explain(loaded, on_note=tell).step
    show("writing the trace")
    shown, interval_ps = program_of(step, asked.program, asked.rows, asked.context)
    movie = Movie(shown, interval_ps, log, asked.window_ms * PS_PER_MS)
    slips_ps: list[int] = []
    if asked.jitter_ns is not None:
        ran = jittered_step(shown, asked.jitter_ns * PS_PER_NS, seed=loaded.seed)
        movie, slips_ps = Movie(ran.program, interval_ps, ran=True), ran.slip_ps.tolist()
    origin = {
        "scenario": loaded.name,
        "scenario_hash": loaded.scenario_hash,
        "version": VERSION,
    }
    written = write_timeline(file, movie, origin)
    return _Filmed(shown.title, shown.latency_ps, written, slips_ps)


def _content(filmed: _Filmed) -> dict[str, object]:
    return {
        "program": filmed.title,
        **asdict(filmed.written),
        **({"stage_slip_ps": filmed.slips_ps} if filmed.slips_ps else {}),
    }


def _about(filmed: _Filmed, window_ms: int) -> Iterator[tuple[str, str]]:
    written = filmed.written
    compiled = f"; compiled {format_time(filmed.compiled_ps)}" if filmed.slips_ps else ""
    yield "program", filmed.title
    took = f"{format_time(written.latency_ps)}, {written.task_count:,} tasks"
    yield "one token", f"{took}{compiled}"
    yield "interval between steps", format_time(written.interval_ps)
    requests = f"{written.request_count:,} of the first {window_ms:,} ms" if window_ms else "none"
    yield "requests shown", requests
    yield "events", f"{written.event_count:,}, {written.arrow_count:,} of them begin arrows"


def _late(filmed: _Filmed) -> Iterator[tuple[str, str]]:
    """How much later than compiled the first, the middle and the last stage begin."""
    slips_ps = filmed.slips_ps
    if slips_ps:
        places = dict.fromkeys((0, len(slips_ps) // 2, len(slips_ps) - 1))
        words = (f"stage {place}: {format_time(slips_ps[place])}" for place in places)
        yield "begins later than compiled", ", ".join(words)
