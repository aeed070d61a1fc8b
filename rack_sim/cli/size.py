"""Size: the smallest, the cheapest and the most frugal system that meets objectives."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rack_sim.cli.leave import leaving
from rack_sim.cli.options import OutputOptions, ScenarioOptions, grouped
from rack_sim.foundation.errors import Problem, Problems
from rack_sim.report.sizing_words import goals_words
from rack_sim.study.sizing import Candidate, Sizing, SizingRequest
from rack_sim.study.sizing import size as size_scenario

# What is searched, and the option that bounds it.
_SEARCHED = {
    "partition.tensor_parallel": "--tensor-parallel",
    "partition.stages": "--stages",
    "serving.replicas": "--max-replicas",
}


@dataclass(frozen=True)
class SizingOptions:
    """What is asked for, and where it is looked for: options."""

    slo: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC=TIME,…",
            help="Bounds: ttft, tpot, itl, e2el, ntpot or scheduling_delay with _mean, _p50, _p90, "
            "_p95 or _p99. Without it, the scenario's own slo and --attainment.",
        ),
    ] = None
    rate: Annotated[
        float | None,
        typer.Option(metavar="RPS", help="Requests per second, instead of the workload's own."),
    ] = None
    attainment: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Without --slo: of the requests that fit, those that must meet the scenario's slo "
            "[0.99].",
        ),
    ] = None
    tensor_parallel: Annotated[
        str | None,
        typer.Option(metavar="N,…", help="Only these degrees [all inside a node]."),
    ] = None
    stages: Annotated[
        str | None,
        typer.Option(metavar="N,…", help="Only these, as 36,54-56 [all that fit]."),
    ] = None
    max_replicas: Annotated[
        int | None, typer.Option(metavar="N", help="No more replicas than this [256].")
    ] = None
    requests: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Replay so many requests [the scenario's, or more where these are over too soon].",
        ),
    ] = None

    def request(self, overrides: list[str] | None) -> SizingRequest:
        """It, read. Raises InputError with every problem of it and of --set."""
        problems = Problems()
        tensor_parallel, stages = (
            None if text is None else _counts(option, text, problems)
            for option, text in (
                ("--tensor-parallel", self.tensor_parallel),
                ("--stages", self.stages),
            )
        )
        for text in overrides or ():
            option = _SEARCHED.get(text.partition("=")[0].strip(), "")
            if option:
                hint = f"{option} bounds it"
                problems.append(Problem("is what is searched", f"--set {text}", suggestion=hint))
        problems.refuse()
        return SizingRequest(
            self.slo,
            self.rate,
            attainment=self.attainment,
            tensor_parallel=tensor_parallel,
            stages=stages,
            replicas_max=self.max_replicas,
            request_count=self.requests,
        )


@grouped
def size(*, question: ScenarioOptions, asked: SizingOptions, output: OutputOptions) -> None:
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
    request = asked.request(question.overrides)
    free = [f"{key}=auto" for key in ("partition.tensor_parallel", "partition.stages")]
    loaded = question.load(*free)
    with leaving(output) as work:
        work.show("reading the traffic")
        found = size_scenario(
            loaded,
            request,
            on_progress=lambda text, replays: work.show(text, detail=f"{replays} replays done"),
            on_note=work.show.note,
        )
        work.leave(found, f"{loaded.name}-size-{found.sizing_hash}")
    commands = {
        goals: _run_command(question, work.shown, found, candidate)
        for candidate, goals in found.winners.values()
    }

    by_goal = {str(goal): line for goals, line in commands.items() for goal in goals}
    work.say(
        also=lambda record: {
            "answers": [
                {**row, "command": by_goal[str(row["goal"])]} for row in record.rows("sizing.csv")
            ]
        },
        lines=(f"run it ({goals_words(goals)}):\n  {line}" for goals, line in commands.items()),
    )


def _run_command(
    question: ScenarioOptions, target: Path, found: Sizing, candidate: Candidate
) -> str:
    """The command that replays a candidate, to the same numbers.

    Where a --set of this one is about the same as one that it needs, or malformed rows were
    skipped, it starts from what was written.
    """
    given, needed = question.settings, found.settings_of(candidate)
    keys = [f"{text.partition('=')[0].strip()}." for text in (*given, *needed)]
    mine, its = keys[: len(given)], keys[len(given) :]
    clash = any(a.startswith(b) or b.startswith(a) for a in mine for b in its)
    check = found.scenario.trace_check
    if clash or (check and check.skipped_count):
        words, texts = ["rack-sim", "run", str(target / "resolved.yaml")], needed
    else:
        trace = ["--trace", question.trace] if question.trace else []
        words = ["rack-sim", "run", question.scenario, *trace]
        texts = (*given, *needed)
    return shlex.join([*words, *(word for text in texts for word in ("--set", text))])


# assumed: no model has more blocks to make stages of, nor a node more chips to share one
_COUNTS_MOST = 1000


def _counts(option: str, text: str, problems: list[Problem]) -> list[int]:
    """The numbers that an option lists; what is wrong is noted."""
    numbers: list[int] = []
    for part in map(str.strip, text.split(",")):
        first, dash, last = part.partition("-")
        ends = [end.strip() for end in ((first, last) if dash else (first,))]
        # More digits than any count of chips has.
        if not all(end.isdecimal() and len(end) < 7 for end in ends):
            hint = "as in 4,8 or 36,54-56"
            problems.append(Problem(f"{part!r} is no count", option, suggestion=hint))
            continue
        span = range(int(ends[0]), int(ends[-1]) + 1)
        if len(span) > _COUNTS_MOST:
            message = f"{part} is {len(span):,} counts, more than {_COUNTS_MOST:,}"
            problems.append(Problem(message, option, suggestion="a narrower range"))
            continue
        numbers += span
    return numbers
