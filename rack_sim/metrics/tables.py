"""Tables: the rows of every file, as text cells in the order of `columns`.

Times are exact decimals; empty cells mean that there is no such value.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from rack_sim.compiler.machine import Machine
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.serving import ReplayTotals
from rack_sim.engine.timeline import LEVELS
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.units import PS_PER_US, format_ms
from rack_sim.metrics import text_columns
from rack_sim.metrics.cells import share
from rack_sim.metrics.column_log import ColumnLog
from rack_sim.metrics.latency import LATENCY_METRICS, finished_rows, latencies_ps
from rack_sim.metrics.log import RequestLog
from rack_sim.metrics.text_columns import milliseconds, numbers, words
from rack_sim.partition.placement import groups

TextRow = tuple[str, ...]

_TIMES = ("admitted_ps", "prefill_start_ps", "prefill_end_ps", "first_token_ps", "finish_ps")


def request_lines(log: RequestLog, reasons: Mapping[int, str]) -> Iterator[str]:
    """One line of text per request, by request number: the cells, with commas between.

    `reasons` says what each outcome but the good one means (see `outcome_reasons`). A million
    requests are a million lines, so a chunk is written column by column.
    """
    for chunk in log.chunks():
        finished = iter(_finished_lines(finished_rows(chunk)))
        for number, outcome in enumerate(chunk["outcome"].tolist()):
            if outcome == Outcome.FINISHED:
                yield next(finished)
            else:
                row = {name: int(values[number]) for name, values in chunk.items()}
                yield ",".join(_other_cells(row, reasons[outcome]))


def _other_cells(row: Mapping[str, int], reason: str) -> Iterator[str]:
    """The cells of a request that did not finish: what is known of it, and no latencies."""
    yield str(row["request_id"])
    yield Outcome(row["outcome"]).status
    yield reason
    yield format_ms(row["arrival_ps"])
    yield from (str(row["input_tokens"]), str(row["output_tokens"]))
    yield from (format_ms(row[name]) if row[name] >= 0 else "" for name in _TIMES)
    for name in ("slot", "replica", "prefill_replica"):
        yield str(row[name]) if row[name] >= 0 else ""
    for first, last in (("arrival_ps", "admitted_ps"), ("prefill_start_ps", "prefill_end_ps")):
        yield format_ms(row[last] - row[first]) if row[last] >= 0 else ""
    for name in ("decode_wait_ps", "transfer_ps"):
        yield format_ms(row[name]) if row[name] else ""
    began = row["outcome"] == Outcome.TIMED_OUT
    for name in ("preemptions", "hit_tokens", "accepted_draft_tokens"):
        yield str(row[name]) if began else ""
    yield from ("" for _ in LATENCY_METRICS)


def _finished_lines(rows: Mapping[str, Int64Array]) -> list[str]:
    """The lines of finished requests."""
    count = len(rows["request_id"])
    return text_columns.lines(
        [
            numbers(rows["request_id"]),
            words("finished,", count),
            milliseconds(rows["arrival_ps"]),
            numbers(rows["input_tokens"]),
            numbers(rows["output_tokens"]),
            *(milliseconds(rows[name]) for name in _TIMES),
            *(numbers(rows[name]) for name in ("slot", "replica", "prefill_replica")),
            milliseconds(rows["admitted_ps"] - rows["arrival_ps"]),
            milliseconds(rows["prefill_end_ps"] - rows["prefill_start_ps"]),
            *(milliseconds(rows[name]) for name in ("decode_wait_ps", "transfer_ps")),
            *(numbers(rows[n]) for n in ("preemptions", "hit_tokens", "accepted_draft_tokens")),
            *(milliseconds(times_ps) for times_ps in latencies_ps(rows).values()),
        ]
    )


def outcome_reasons(fleet: FleetPlan) -> dict[int, str]:
    """What each way not to finish means on this fleet."""
    timing, admission = fleet.timing, fleet.admission
    timeout_ms = format_ms(admission.timeout_ps or 0).rstrip("0").rstrip(".")
    return {
        Outcome.REJECTED_CONTEXT: (
            f"input + output tokens exceed the longest context of {timing.context_tokens}"
        ),
        Outcome.REJECTED_KV: f"its reservation exceeds the cache of {timing.kv_tokens} tokens",
        Outcome.REJECTED_QUEUE: f"{admission.queue_limit} requests waited already",
        Outcome.TIMED_OUT: f"not finished {timeout_ms} ms after its arrival",
    }


def timeline_lines(bins: ColumnLog, bin_ps: int) -> Iterator[str]:
    """One line of text per bin, from the start of the workload: the cells, with commas between."""
    number = 0
    for chunk in bins.chunks():
        count = len(chunk["arrived"])
        micros = [at * bin_ps // PS_PER_US for at in range(number, number + count)]
        number += count
        yield from text_columns.lines(
            [
                text_columns.decimals(*np.divmod(np.array(micros), 10**6), places=6),
                *(
                    text_columns.shares(values, bin_ps) if name in LEVELS else numbers(values)
                    for name, values in chunk.items()
                ),
            ]
        )


def stage_rows(step: StepTiming, totals: ReplayTotals) -> Iterator[TextRow]:
    """One row per stage of the first replica."""
    busy_steps = totals.first_busy_ps // step.interval_ps
    for timing, transfer in zip(step.stages, step.transfers, strict=True):
        stage = timing.stage
        terms = timing.terms.by_name()
        terms.pop("slack")
        yield (
            str(stage.number),
            stage.blocks[0].name,
            stage.blocks[-1].name,
            str(len(stage.blocks)),
            str(stage.chips[0]),
            format_ms(timing.service_ps),
            *map(format_ms, terms.values()),
            share(timing.service_ps * busy_steps, totals.end_ps),
            format_ms(transfer.message.duration_ps),
        )


def chip_rows(machine: Machine, totals: ReplayTotals) -> Iterator[TextRow]:
    """One row per chip of the first system, unused ones included."""
    plan = machine.plan
    topology = plan.system.topology
    capacity = plan.system.chip.capacity_bytes
    placed = {
        chip: (stage, memory)
        for stage in plan.stages
        for chip, memory in zip(stage.chips, stage.memory, strict=True)
    }
    groups_of = groups(topology, plan.tensor_parallel)[: plan.stage_count * len(totals.replicas)]
    of_others = {chip for group in groups_of for chip in group} - placed.keys()
    rack_of = topology.rack_of_node()
    spare = set(topology.spare_nodes)
    for chip, node in enumerate(topology.node_of_chip()):
        head = (str(chip), str(node), str(rack_of[node]))
        if chip not in placed:
            role = "spare" if node in spare else "replica" if chip in of_others else "idle"
            yield (*head, role, "", "0", str(capacity), format_ms(0), share(0, 1))
            continue
        stage, memory = placed[chip]
        service_ps = machine.service_ps(stage.number)
        yield (
            *head,
            "stage",
            str(stage.number),
            str(machine.used_bytes(memory)),
            str(capacity),
            "" if service_ps is None else format_ms(service_ps),
            share(machine.stage_busy_ps(stage.number, totals.first_busy_ps), totals.end_ps),
        )


def memory_rows(machine: Machine) -> Iterator[TextRow]:
    """One row per chip that holds a part of the model: its memory map."""
    plan = machine.plan
    tiers = [plan.system.chip.tier_of(kind).name for kind in ("weights", "kv", "activations")]
    capacity = plan.system.chip.capacity_bytes
    for stage in plan.stages:
        for chip, memory in zip(stage.chips, stage.memory, strict=True):
            kinds = machine.memory_use(stage, memory)[:4]
            rest = capacity - sum(kinds)
            yield (*map(str, (chip, stage.number, *kinds, rest, capacity)), *tiers)


def replica_rows(totals: ReplayTotals) -> Iterator[TextRow]:
    """One row per replica."""
    for books in totals.replicas:
        yield (
            str(books.number),
            books.role,
            *map(
                str,
                (
                    books.request_count,
                    books.finished_count,
                    books.rejected_count,
                    books.timed_out_count,
                    books.prompt_tokens,
                    books.cached_tokens,
                    books.recomputed_tokens,
                    books.output_tokens,
                    books.draft_tokens,
                    books.accepted_draft_tokens,
                    books.preemptions,
                    books.transfer_count,
                    books.transfer_bytes,
                ),
            ),
            format_ms(books.busy_ps),
            share(min(books.busy_ps, totals.end_ps), totals.end_ps),
            str(books.running_max),
            str(books.waiting_max),
            str(books.kv_tokens_max),
            str(books.parked_tokens_max),
            str(books.kv_tokens),
            format_ms(books.end_ps),
        )


def iteration_rows(totals: ReplayTotals) -> Iterator[TextRow]:
    """One row per number of rows that iterations had."""
    for rows, count in (totals.batches.by_rows if totals.batches else {}).items():
        yield (
            str(rows),
            str(count.iterations),
            share(count.tokens, count.iterations),
            share(count.sampled_rows, count.iterations),
            format_ms(_rounded(count.duration_ps, count.iterations)),
        )


def _rounded(amount: int, parts: int) -> int:
    """A quotient, rounded to the nearest whole number."""
    return (2 * amount + parts) // (2 * parts)
