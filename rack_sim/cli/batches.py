"""Batches: what `rack-sim explain` shows of reactive chips, which run batches, not programs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from rack_sim.cli.console import facts_table, headings, table
from rack_sim.cli.deployment import (
    deployment_facts,
    deployment_values,
    limit_values,
    limits_table,
    stage_values,
)
from rack_sim.cli.iterations import (
    Iteration,
    collective_values,
    collectives,
    collectives_table,
    iteration_values,
    iterations,
    iterations_table,
)
from rack_sim.cli.topology import survey_table
from rack_sim.compiler.batches import BatchMachine
from rack_sim.engine.policies.policy import IterationLimits
from rack_sim.foundation.units import counted, format_bytes, format_time
from rack_sim.hardware.chip import KINDS, Chip
from rack_sim.hardware.survey import survey
from rack_sim.pipeline import Explanation

_KINDS = {
    "weights": "weights",
    "program_text": "program text",
    "activations": "activations",
    "kv_cache": "cache",
    "states": "states of sequences",
    "left_free": "left free on purpose",
}


def batch_tables(found: Explanation, machine: BatchMachine) -> list[Table]:
    """Everything that is known of reactive chips before they serve."""
    examples = list(iterations(machine, _most(found)))
    return [
        _deployment(found, machine),
        survey_table(survey(found.plan.system.topology)),
        _stages(machine),
        _memory(machine),
        _cache(machine),
        iterations_table(examples),
        collectives_table(list(collectives(machine, _most(found)))),
        _limits(found, examples),
    ]


def batch_dict(found: Explanation, machine: BatchMachine) -> dict[str, Any]:
    """The same for programs that read it."""
    plan, timing = machine.plan, machine.timing
    states = timing.state_bytes_per_sequence
    return {
        "scenario": found.scenario.name,
        **deployment_values(plan),
        "replica_count": found.fleet.replica_count,
        "sram_used_bytes_max": machine.used_bytes_max,
        "sram_capacity_bytes": plan.system.chip.capacity_bytes,
        "memory_tiers": {kind: plan.system.chip.tier_of(kind).name for kind in KINDS},
        "chip_bytes": {name: size for name, _, size in _sizes(machine)},
        "concurrent_sequences_max": machine.sequences_max,
        "block_tokens": timing.block_tokens,
        "block_count": timing.block_count,
        "kv_tokens": timing.kv_tokens,
        "kv_bytes_per_token": timing.kv_bytes_per_token,
        **({"state_bytes_per_sequence": states} if states else {}),
        "launch_count": machine.timer.launch_count(1),
        **limit_values(found),
        "stages": [
            {
                **stage_values(stage),
                "weight_bytes_max": max(memory.weight_bytes for memory in stage.memory),
            }
            for stage in plan.stages
        ],
        "iterations": [iteration_values(one) for one in iterations(machine, _most(found))],
        "collectives": [collective_values(one) for one in collectives(machine, _most(found))],
    }


def _most(found: Explanation) -> IterationLimits:
    limits = found.scenario.serving.policy.iteration_limits
    if limits is None:
        raise AssertionError("a policy for reactive chips says what its iterations hold")
    return limits


def _deployment(found: Explanation, machine: BatchMachine) -> Table:
    plan, most = machine.plan, _most(found)
    fleet = found.fleet
    split = (
        f", {fleet.prefill_count} of them only for prefill" if fleet.prefill_count else ", alike"
    )
    rows = [
        *deployment_facts(plan),
        (
            "chips",
            f"{plan.chip_count} in {counted(plan.stage_count, 'stage')} of {plan.tensor_parallel}",
        ),
        (
            "replicas",
            f"{fleet.replica_count:,}{split if fleet.replica_count > 1 else ''}",
        ),
        (
            "batches",
            f"at most {most.rows:,} rows and {most.sequences:,} sequences an "
            f"iteration; {machine.timer.launch_count(1):,} kernels and collectives are launched, "
            f"{_launch_text(plan.system.chip)}",
        ),
    ]
    return facts_table(f"{found.scenario.name}", rows)


def _launch_text(chip: Chip) -> str:
    text = f"{format_time(chip.operator_fixed_latency_ps)} each"
    if chip.collective_fixed_ps != chip.operator_fixed_latency_ps:
        text += f", of a collective {format_time(chip.collective_fixed_ps)}"
    if chip.iteration_host_ps or chip.sequence_host_ps:
        text += f"; the host takes {format_time(chip.iteration_host_ps)} between iterations"
    if chip.sequence_host_ps:
        text += f" and {format_time(chip.sequence_host_ps)} for every sampled row"
    return text


def _stages(machine: BatchMachine) -> Table:
    rows = []
    for stage in machine.plan.stages:
        held = Counter(block.kind for block in stage.blocks)
        first, last = stage.chips[0], stage.chips[-1]
        rows.append(
            (
                str(stage.number),
                str(first) if first == last else f"{first} … {last}",
                " + ".join(f"{count} {kind}" for kind, count in held.items()),
                format_bytes(max(memory.weight_bytes for memory in stage.memory)),
            )
        )
    return table(
        "placement of one replica",
        headings(">stage, chips, blocks, >weights a chip"),
        rows,
    )


def _sizes(machine: BatchMachine) -> list[tuple[str, str, int]]:
    """Each kind of bytes on a chip: its name, words for it and how many; states where there are."""
    return [
        (name, words, machine.chip_bytes.get(name, 0))
        for name, words in _KINDS.items()
        if name != "states" or name in machine.chip_bytes
    ]


def _memory(machine: BatchMachine) -> Table:
    chip = machine.plan.system.chip
    if len(chip.memory) > 1:
        return _memory_tiers(machine)
    tier = chip.fast_memory
    sizes = [(words, size) for _, words, size in _sizes(machine)]
    sizes.append(("free", tier.capacity_bytes - sum(size for _, size in sizes)))
    return table(
        f"memory map of a chip: {format_bytes(tier.capacity_bytes)}",
        headings(", >, >"),
        [(words, format_bytes(size), f"{size / tier.capacity_bytes:.1%}") for words, size in sizes],
    )


def _memory_tiers(machine: BatchMachine) -> Table:
    """The memory map of a chip with several tiers: each kind in its own."""
    chip, rows = machine.plan.system.chip, []
    tiers = chip.tiers
    for number, tier in enumerate(chip.memory):
        sizes = [
            (words, size)
            for name, words, size in _sizes(machine)
            if tiers.by_kind.get(name, tiers.kv) == number
        ]
        sizes.append(("free", tier.capacity_bytes - sum(size for _, size in sizes)))
        rows += [
            (tier.name, words, format_bytes(size), f"{size / tier.capacity_bytes:.1%}")
            for words, size in sizes
        ]
    capacities = ", ".join(f"{t.name} {format_bytes(t.capacity_bytes)}" for t in chip.memory)
    return table(
        f"memory map of a chip: {capacities}",
        headings("tier, , >, >of the tier"),
        rows,
    )


def _cache(machine: BatchMachine) -> Table:
    timing = machine.timing
    states = timing.state_bytes_per_sequence
    rows = [
        ("blocks", f"{timing.block_count:,} of {counted(timing.block_tokens, 'token')}"),
        ("tokens", f"{timing.kv_tokens:,}"),
        (
            "bytes of a token",
            f"{timing.kv_bytes_per_token:,} over all chips of the replica",
        ),
        *(
            [("states of a sequence", f"{states:,} bytes over all chips of the replica")]
            if states
            else []
        ),
        ("longest context", counted(timing.context_tokens, "token")),
        ("sequences of that", f"{machine.sequences_max:,} at one time"),
    ]
    return facts_table("cache of one replica", rows)


def _limits(found: Explanation, examples: Sequence[Iteration]) -> Table:
    prompt = max((one for one in examples if one.is_prompt), key=lambda one: one.rows_per_s)
    return limits_table(
        found,
        examples[0].total_ps,
        prompt.rows_per_s,
        f"one sequence; {prompt.rows:,} rows of a prompt",
    )
