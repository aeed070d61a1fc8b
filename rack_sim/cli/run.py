"""Run: replays a scenario and writes its files."""

from typing import Annotated

import typer

from rack_sim.cli.console import tell
from rack_sim.cli.leave import leaving
from rack_sim.cli.options import OutputOptions, ScenarioOptions, grouped
from rack_sim.foundation.units import PS_PER_S
from rack_sim.pipeline import simulate


@grouped
def run(
    *,
    question: ScenarioOptions,
    every_step: Annotated[
        bool,
        typer.Option(
            "--every-step", help="Walk every slot entry or iteration: slow, with equal results."
        ),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Processes for replicas that do not know of each other."),
    ] = 1,
    output: OutputOptions,
) -> None:
    """Replay a scenario's traffic and write tables and figures.

    Examples:

        rack-sim run llama70b

        rack-sim run llama70b --trace AzureLLMInferenceTrace_conv.csv --out reports/azure

        rack-sim run scenarios/llama70b.yaml --set serving.slot_rows=2 --json
    """
    loaded = question.load()
    with leaving(output, f"{loaded.name}-{loaded.scenario_hash}") as work:

        def show(ended_count: int, now_ps: int) -> None:
            count = loaded.workload.request_count
            done = f"{ended_count:,} requests, {now_ps / PS_PER_S:,.0f} s simulated"
            work.show("replaying", ended_count / count if count else None, done)

        work.show("placing the model")
        result = simulate(
            loaded, every_step=every_step, jobs=jobs, on_progress=show, on_note=work.show.note
        )
        work.leave(result)
    check = loaded.trace_check
    if check and check.skipped_count and not output.quiet:
        tell(f"{check.skipped_count} malformed rows were skipped; manifest.json lists them")
    work.say()
