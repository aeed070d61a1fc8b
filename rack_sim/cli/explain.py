"""Explain: which chip holds what, and how fast a token passes, or a model alone; no replay."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from rack_sim.cli.batches import batch_dict, batch_tables
from rack_sim.cli.compiled import (
    changes_table,
    collectives_table,
    programs_of,
    programs_table,
)
from rack_sim.cli.console import (
    err,
    facts_table,
    headings,
    out,
    say_json,
    table,
    tell,
)
from rack_sim.cli.deployment import (
    deployment_facts,
    deployment_values,
    limit_values,
    limits_table,
    stage_values,
)
from rack_sim.cli.model_page import model_dict, model_tables
from rack_sim.cli.options import JsonOption, ScenarioArgument, SetOption
from rack_sim.cli.topology import survey_table
from rack_sim.compiler.changes import MachineChange, changes
from rack_sim.compiler.interval import Separations
from rack_sim.compiler.program import Program
from rack_sim.foundation.units import counted, format_bytes, format_time
from rack_sim.hardware.survey import survey
from rack_sim.metrics.critical_path import shares
from rack_sim.pipeline import Explanation
from rack_sim.pipeline import explain as explain_scenario
from rack_sim.scenario import load_scenario
from rack_sim.scenario.group import format_ranges
from rack_sim.scenario.model_alone import is_model, load_model, refuse_misspelt
from rack_sim.study.model_needs import ModelNeeds

# Rows of the table of tasks; the rest is one row.
_WAY_COUNT_MAX = 12


def explain(
    scenario: ScenarioArgument, overrides: SetOption = None, as_json: JsonOption = False
) -> None:
    """Show how a scenario's model is placed and what bounds it, or a model alone; nothing is run.

    Chips and stages, the network, the SRAM map, which roof binds each operator, where the time of
    a token goes, which algorithms collectives take and why, the compiled programs, the physical
    limits, and what one more link, twice the clock or half the hop latency would do.

    Reactive chips run no program: shown are their memory and cache, how long iterations of one to
    as many rows as there can be take at several contexts, collectives, and the physical limits.

    Of a model alone (a config.json, a folder that has one, a preset's name): parameters by kind,
    bytes, FLOP and cache, and the fewest chips of every system preset that hold it. --set may
    change keys of the model (model.num_hidden_layers=16), its formats (precision.weights=fp8) and
    its cache (serving.max_context_tokens, serving.concurrent_sequences).

    Examples:

        rack-sim explain llama70b

        rack-sim explain llama70b --set precision.weights=fp16   # exits with 3: does not fit

        rack-sim explain llama70b-a100 --json

        rack-sim explain my-model/config.json --set precision.weights=fp8
    """
    if is_model(scenario):
        _explain_model(scenario, overrides or [], as_json=as_json)
        return
    refuse_misspelt(scenario)
    with err.status("placing the model"):
        found = explain_scenario(load_scenario(scenario, overrides or []), on_note=tell)
    if found.batch is not None:
        if as_json:
            say_json(batch_dict(found, found.batch))
            return
        for drawn in batch_tables(found, found.batch):
            out.print(drawn)
        return
    with err.status("compiling programs and changes of the machine"):
        programs, apart = programs_of(found.step)
        changed = list(changes(found.plan))
    if as_json:
        say_json(_as_dict(found) | _compiled_dict(programs, apart, changed))
        return
    for drawn in (
        _deployment(found),
        survey_table(survey(found.plan.system.topology)),
        _sram(found),
        _stages(found),
        _operators(found),
        _token(found),
        _way(found),
        collectives_table(found.step),
        programs_table(programs, apart),
        limits_table(
            found,
            found.step.revolution_ps,
            found.limits.compiled_rows_per_s or 0,
            "as compiled",
        ),
        changes_table(found.step, changed),
    ):
        out.print(drawn)


def _explain_model(reference: str, overrides: Sequence[str], *, as_json: bool) -> None:
    found = ModelNeeds(load_model(reference, overrides))
    with err.status("looking at every system"):
        _ = found.needs
    if as_json:
        say_json(model_dict(found))
        return
    for drawn in model_tables(found):
        out.print(drawn)


def _deployment(found: Explanation) -> Table:
    plan, step = found.plan, found.step
    topology = plan.system.topology
    algorithms = Counter(
        name for stage in step.stages for block in stage.blocks for name in block.algorithms
    )
    rows = [
        *deployment_facts(plan),
        (
            "ports",
            f"{max(topology.ports_used())} used of {topology.port_count} on the busiest chip",
        ),
        (
            "chips",
            f"{plan.chip_count} in {counted(plan.stage_count, 'stage')} of {plan.tensor_parallel}; "
            f"{plan.system.active_chip_count - plan.chip_count} active chips not used",
        ),
        ("collectives", ", ".join(f"{n} x {a}" for a, n in algorithms.items() if a != "none")),
        (
            "slots",
            f"{step.slot_count} of {counted(step.rows, 'row')}: interval "
            f"{format_time(step.interval_ps)}, revolution {format_time(step.revolution_ps)}",
        ),
        (
            "cache",
            f"room for {plan.demand.kv_tokens:,} tokens; this cut would hold "
            f"{plan.concurrent_sequences_max} sequences of {plan.demand.shape.context_tokens}",
        ),
        ("bottleneck", step.bottleneck),
    ]
    return facts_table(f"{found.scenario.name}", rows)


def _sram(found: Explanation) -> Table:
    """Chips grouped by equal SRAM maps."""
    capacity = found.plan.system.chip.capacity_bytes
    alike: dict[tuple[int, ...], list[int]] = {}
    states = found.plan.has_states
    for stage in found.plan.stages:
        for memory in stage.memory:
            key = (
                memory.weight_bytes,
                memory.kv_bytes,
                *([memory.state_bytes] if states else []),
                memory.activation_bytes,
                memory.program_bytes,
            )
            alike.setdefault(key, []).append(stage.number)
    rows = []
    for sizes, stages in sorted(alike.items(), key=lambda item: -sum(item[0])):
        rows.append(
            (
                str(len(stages)),
                _ranges(sorted(set(stages))),
                *map(format_bytes, sizes),
                format_bytes(capacity - sum(sizes)),
                f"{sum(sizes) / capacity:.1%}",
            )
        )
    kept = ("cache", "states") if states else ("cache",)
    names = ("weights", *kept, "activations", "program", "free", "full")
    return table(
        f"SRAM map: bytes on a chip of {format_bytes(capacity)}",
        [("chips", "right"), ("stages", "left"), *((name, "right") for name in names)],
        rows,
    )


def _stages(found: Explanation) -> Table:
    """Stages grouped by what they hold and how long they take."""
    alike: dict[tuple[str, str], list[int]] = {}
    for timing in found.step.stages:
        held = Counter(block.kind for block in timing.stage.blocks)
        text = " + ".join(f"{count} {kind}" for kind, count in held.items())
        alike.setdefault((text, format_time(timing.service_ps)), []).append(timing.stage.number)
    rows = [
        (str(len(numbers)), _ranges(numbers), text, service)
        for (text, service), numbers in alike.items()
    ]
    return table(
        "stages",
        headings(">count, stages, blocks, >service"),
        rows,
    )


def _operators(found: Explanation) -> Table:
    """Every operator of a token's way once, with the roof that binds it."""
    counts: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    example: dict[str, Any] = {}
    for stage in found.step.stages:
        for block in stage.blocks:
            for operator in block.operators:
                counts[operator.name] += 1
                spent[operator.name] += operator.duration_ps
                example[operator.name] = operator
    rows = []
    for name, operator in example.items():
        terms = operator.terms
        roof_ps = terms.total_ps - terms.fixed_latency_ps
        roof = next((n for n in ("compute", "weight_feed", "memory") if terms.by_name()[n]), "none")
        rows.append(
            (
                name,
                str(counts[name]),
                format_time(terms.fixed_latency_ps),
                f"{format_time(roof_ps)} {roof}",
                operator.binding,
                format_time(spent[name]),
            )
        )
    headings = ("count", "fixed", "+ highest roof", "binds", "in all")
    return table(
        "operators of one step, on the fullest shard",
        [("operator", "left"), *((text, "right") for text in headings)],
        rows,
    )


def _token(found: Explanation) -> Table:
    step = found.step
    rows = [
        (name, format_time(spent), f"{spent / step.revolution_ps:.1%}")
        for name, spent in step.terms.by_name().items()
    ]
    rows.append(("time per output token", format_time(step.revolution_ps), "100.0%"))
    return table("where the time of one token goes", headings("term, >, >"), rows)


def _way(found: Explanation) -> Table:
    """The tasks that make a token take as long as it does, by name."""
    groups, latency_ps = shares(found.step.program), found.step.latency_ps
    rows = [
        (
            share.name,
            share.where if share.where == "link" else f"{share.where} unit",
            f"{share.task_count:,}",
            format_time(share.spent_ps),
            f"{share.spent_ps / latency_ps:.1%}",
        )
        for share in groups[:_WAY_COUNT_MAX]
    ]
    rest = groups[_WAY_COUNT_MAX:]
    if rest:
        spent_ps = sum(share.spent_ps for share in rest)
        count = sum(share.task_count for share in rest)
        rows.append(
            (
                f"{counted(len(rest), 'other')}",
                "",
                f"{count:,}",
                format_time(spent_ps),
                f"{spent_ps / latency_ps:.1%}",
            )
        )
    return table(
        f"the way of one token: what the {format_time(latency_ps)} of a step are made of",
        headings("task, on, >count, >time, >share"),
        rows,
    )


def _as_dict(found: Explanation) -> dict[str, Any]:
    plan, step = found.plan, found.step
    return {
        "scenario": found.scenario.name,
        **deployment_values(plan),
        "sram_used_bytes_max": plan.used_bytes_max,
        "sram_capacity_bytes": plan.system.chip.capacity_bytes,
        "concurrent_sequences_max": plan.concurrent_sequences_max,
        "slot_count": step.slot_count,
        "slot_rows": step.rows,
        "latency_ps": step.latency_ps,
        "interval_ps": step.interval_ps,
        "revolution_ps": step.revolution_ps,
        "bottleneck": step.bottleneck,
        "terms_ps": step.terms.by_name(),
        **limit_values(found),
        "stages": [
            {
                **stage_values(timing.stage),
                "service_ps": timing.service_ps,
                "used_bytes_max": max(memory.used_bytes for memory in timing.stage.memory),
            }
            for timing in step.stages
        ],
    }


def _compiled_dict(
    programs: Sequence[Program], apart: Separations, changed: Sequence[MachineChange]
) -> dict[str, Any]:
    return {
        "programs": [
            {
                "program": program.shape.program,
                "rows": program.shape.rows,
                "context_tokens": program.shape.context_tokens,
                "task_count": len(program),
                "latency_ps": program.latency_ps,
                "separation_ps": {
                    other.shape.program: wait_ps
                    for other, wait_ps in zip(programs, apart.pair_ps[number], strict=True)
                },
            }
            for number, program in enumerate(programs)
        ],
        "interval_bound_by": apart.bound_by,
        "changes": [
            {
                "change": change.title,
                "latency_ps": change.step.latency_ps,
                "interval_ps": change.step.interval_ps,
                "revolution_ps": change.step.revolution_ps,
            }
            for change in changed
        ],
    }


def _ranges(numbers: list[int]) -> str:
    """Numbers in short: ``0, 3-5``; long lists are cut."""
    parts = format_ranges(numbers).split(",")
    return ", ".join(parts if len(parts) <= 6 else [*parts[:6], "…"])
