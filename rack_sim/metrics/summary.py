"""Summary: one flat row per run, with stable names, every number from exact integers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from rack_sim.compiler.limits import Limits
from rack_sim.compiler.machine import Machine, TokenGaps
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.serving import ReplayTotals
from rack_sim.foundation.units import PS_PER_MS, PS_PER_S
from rack_sim.metrics.checker import check_summary
from rack_sim.metrics.cost import CostInputs, footprint_of
from rack_sim.metrics.cost_row import cost_row
from rack_sim.metrics.gaps import mean_and_percentiles
from rack_sim.metrics.latency import (
    LATENCY_METRICS,
    PERCENTS,
    TOO_LONG,
    finished_rows,
    latencies_ps,
    metric_chunks,
)
from rack_sim.metrics.log import Collector, RequestLog
from rack_sim.metrics.quantiles import exact_sum, percentiles
from rack_sim.metrics.slo import Slo, met_by, run_meets
from rack_sim.metrics.token_split import token_split_ps
from rack_sim.metrics.words import PHASES, TERMS

Value = str | int | float | None

# A steady window of fewer bins than this says little; the whole run is the window then.
_WINDOW_BINS_MIN = 10


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a run that throughputs are counted over, in whole timeline bins."""

    kind: str
    first_bin: int
    end_bin: int
    duration_ps: int


@dataclass(frozen=True)
class RunFacts:
    """Everything a summary is made of; `head` and `tail` say which run it is."""

    head: Mapping[str, Value]
    tail: Mapping[str, Value]
    machine: Machine
    fleet: FleetPlan
    limits: Limits
    totals: ReplayTotals
    collector: Collector
    slo: Slo
    cost: CostInputs
    bin_ps: int
    warmup_share: float


def window_of(facts: RunFacts) -> Window:
    """The steady window: warm-up (a share of the arrival span) and drain left out.

    It ends with the last arrival. Where fewer than ten bins are left, it is the whole run.
    """
    last_arrival_ps = 0
    for chunk in facts.collector.requests.chunks():
        last_arrival_ps = max(last_arrival_ps, int(chunk["arrival_ps"].max()))
    share = Fraction(str(facts.warmup_share))
    first = -(-(share * last_arrival_ps) // facts.bin_ps)
    end = last_arrival_ps // facts.bin_ps
    if end - first >= _WINDOW_BINS_MIN:
        return Window("steady", int(first), int(end), int(end - first) * facts.bin_ps)
    return Window("whole_run", 0, facts.collector.bins.row_count, facts.totals.end_ps)


def summarise_run(facts: RunFacts) -> dict[str, Value]:
    """The summary row of a run. Raises ConservationError where it cannot be true."""
    window = window_of(facts)
    counts = _count(facts, window)
    tokens = _count_tokens(facts, window)
    row: dict[str, Value] = {
        **facts.head,
        **machine_row(facts.machine, facts.fleet.replica_count),
        "request_count": facts.totals.request_count,
        "finished_count": counts["finished"],
        "rejected_count": counts["rejected"],
        "timed_out_count": counts["timed_out"],
        "unserved_count": facts.totals.request_count
        - counts["finished"]
        - counts["rejected"]
        - counts["timed_out"],
        "input_token_count": counts["input_tokens"],
        "output_token_count": counts["output_tokens"],
        "simulated_s": _seconds(facts.totals.end_ps),
        "window_kind": window.kind,
        "window_start_s": _seconds(window.first_bin * facts.bin_ps),
        "window_s": _seconds(window.duration_ps),
    }
    for metric in LATENCY_METRICS:
        row |= _latency_columns(metric, _latency(facts.collector.requests, metric))
    # Of itl the gaps between tokens of all requests, pooled.
    gaps = mean_and_percentiles(facts.collector.gap_runs, PERCENTS)
    row |= _latency_columns("itl", gaps)
    row |= _split_columns(facts, counts, gaps)
    row |= _throughput_columns(facts, window, counts, tokens)
    row |= _slo_columns(facts, window, counts)
    row |= _asked_columns(facts, counts, row)
    row |= _machine_columns(facts, counts, tokens, row)
    check_summary(row)
    return row | dict(facts.tail)


def machine_row(machine: Machine, replica_count: int) -> dict[str, Value]:
    """The columns that the plan decides, without a replay."""
    plan, slots = machine.plan, machine.slots
    where = footprint_of(plan, replica_count)
    return {
        "chip_count": where.chip_count,
        "spare_chip_count": where.spare_chip_count,
        "idle_chip_count": where.idle_chip_count,
        "rack_count": where.rack_count,
        "replica_count": replica_count,
        "stage_count": plan.stage_count,
        "tensor_parallel": plan.tensor_parallel,
        "slot_count": slots.slot_count if slots else None,
        "slot_rows": slots.rows if slots else None,
        "weight_bytes": plan.weight_bytes,
        "sram_used_bytes_max": machine.used_bytes_max,
        "sram_capacity_bytes": plan.system.chip.capacity_bytes,
    }


def _count(facts: RunFacts, window: Window) -> Counter[str]:
    """Requests and tokens by fate; `met` requests met every objective."""
    counts: Counter[str] = Counter()
    start_ps = window.first_bin * facts.bin_ps
    end_ps = start_ps + window.duration_ps
    whole = window.kind == "whole_run"
    for chunk in facts.collector.requests.chunks():
        rows = finished_rows(chunk)
        finished = len(rows["request_id"])
        counts["finished"] += finished
        timed_out = int((chunk["outcome"] == Outcome.TIMED_OUT).sum())
        counts["timed_out"] += timed_out
        counts["rejected"] += len(chunk["request_id"]) - finished - timed_out
        counts["too_long"] += int(np.isin(chunk["outcome"], TOO_LONG).sum())
        counts["input_tokens"] += exact_sum(rows["input_tokens"])
        counts["output_tokens"] += exact_sum(rows["output_tokens"])
        counts["accepted"] += exact_sum(rows["accepted_draft_tokens"])
        counts["admission_ps"] += exact_sum(rows["admitted_ps"] - rows["arrival_ps"])
        counts["row_wait_ps"] += exact_sum(rows["prefill_start_ps"] - rows["admitted_ps"])
        counts["prefill_ps"] += exact_sum(rows["prefill_end_ps"] - rows["prefill_start_ps"])
        counts["pass_ps"] += exact_sum(rows["first_token_ps"] - rows["prefill_end_ps"])
        met = met_by(facts.slo, latencies_ps(rows))["all"]
        counts["met"] += int(met.sum())
        inside = (rows["finish_ps"] >= start_ps) & (rows["finish_ps"] < end_ps) | whole
        counts["met_in_window"] += int((met & inside).sum())
    return counts


def _count_tokens(facts: RunFacts, window: Window) -> Counter[str]:
    """Timeline columns summed over the window, and over the run under ``run_…``."""
    sums: Counter[str] = Counter()
    number = 0
    for chunk in facts.collector.bins.chunks():
        size = len(chunk["arrived"])
        places = np.arange(number, number + size)
        inside = (places >= window.first_bin) & (places < window.end_bin)
        for name, values in chunk.items():
            sums[name] += exact_sum(values[inside])
            sums[f"run_{name}"] += exact_sum(values)
        number += size
    return sums


def _latency(log: RequestLog, metric: str) -> list[Fraction]:
    """The mean of a metric of all requests that have it, then its percentiles; empty if none."""
    count, amount = 0, 0
    for values in metric_chunks(log, metric):
        count += len(values)
        amount += exact_sum(values)
    if not count:
        return []
    found = percentiles(lambda: metric_chunks(log, metric), count, PERCENTS)
    return [Fraction(amount, count), *found]


def _latency_columns(metric: str, found: Sequence[Fraction]) -> dict[str, Value]:
    names = [f"{metric}_ms_mean", *(f"{metric}_ms_p{percent}" for percent in PERCENTS)]
    if not found:
        return dict.fromkeys(names)
    return dict(zip(names, map(_milliseconds, found), strict=True))


def _split_columns(
    facts: RunFacts, counts: Counter[str], gaps: Sequence[Fraction]
) -> dict[str, Value]:
    """Where TTFT and the gaps went, in means that add up, and the largest part of each."""
    finished = counts["finished"]
    row: dict[str, Value] = {}
    parts = {name: counts[f"{name}_ps"] for name in PHASES} if finished else {}
    for name in PHASES:
        row[f"ttft_{name}_ms_mean"] = (
            _milliseconds(Fraction(parts[name], finished)) if parts else None
        )
    row["ttft_bound_by"] = max(parts, key=lambda name: parts[name]) if parts else None
    split = token_split_ps(
        facts.machine,
        facts.fleet,
        facts.totals,
        gaps[0] if gaps else Fraction(0),
        TokenGaps(facts.collector.gap_runs.gap_count, counts["accepted"]),
    )
    for name in TERMS:
        row[f"tpot_{name}_ms"] = _milliseconds(split[name]) if split else None
    row["tpot_bound_by"] = max(split, key=lambda name: split[name]) if split else None
    return row


def _throughput_columns(
    facts: RunFacts, window: Window, counts: Counter[str], tokens: Counter[str]
) -> dict[str, Value]:
    replicas = facts.fleet.replica_count
    chips = facts.machine.plan.chip_count * replicas
    compiled = facts.limits.compiled_rows_per_s
    run_ps = facts.totals.end_ps
    row: dict[str, Value] = {}
    for prefix, sums, span_ps in (("", "", window.duration_ps), ("run_", "run_", run_ps)):
        requests = tokens[f"{sums}finished"]
        inputs, outputs = tokens[f"{sums}prompt_tokens"], tokens[f"{sums}output_tokens"]
        row |= {
            f"{prefix}request_throughput_rps": _rate(requests, span_ps),
            f"{prefix}input_throughput_tok_s": _rate(inputs, span_ps),
            f"{prefix}output_throughput_tok_s": _rate(outputs, span_ps),
            f"{prefix}total_throughput_tok_s": _rate(inputs + outputs, span_ps),
            f"{prefix}output_tok_s_per_chip": _rate(Fraction(outputs, chips), span_ps),
        }
    row |= {
        "compiled_limit_tok_s": compiled * replicas if compiled else None,
        "physical_limit_tok_s": facts.limits.system_rows_per_s * replicas,
        "total_throughput_to_compiled_ratio": _ratio(
            (tokens["prompt_tokens"] + tokens["output_tokens"]) * PS_PER_S,
            (compiled or 0) * replicas * window.duration_ps,
        ),
    }
    log = facts.collector.requests
    finished = sum(len(values) for values in metric_chunks(log, "tpot"))
    if finished:
        (median,) = percentiles(lambda: metric_chunks(log, "tpot"), finished, (50,))
        row["output_tok_s_per_user_p50"] = round(float(PS_PER_S / median), 6) if median else None
    else:
        row["output_tok_s_per_user_p50"] = None
    return row


def _slo_columns(facts: RunFacts, window: Window, counts: Counter[str]) -> dict[str, Value]:
    """Attainment counts every request: one that was turned away met nothing."""
    if not facts.slo.bounds_ps:
        return {"slo_attainment": None, "request_goodput_rps": None}
    return {
        "slo_attainment": _ratio(counts["met"], facts.totals.request_count),
        "request_goodput_rps": _rate(counts["met_in_window"], window.duration_ps),
    }


def _asked_columns(
    facts: RunFacts, counts: Counter[str], row: Mapping[str, Value]
) -> dict[str, Value]:
    """What is asked of the run as a whole, and whether it is met."""
    fit = facts.totals.request_count - counts["too_long"]
    attained = _ratio(counts["met"], fit) if facts.slo.bounds_ps else None
    asked = facts.slo.objectives
    met = run_meets(facts.slo, {**row, "fit_slo_attainment": attained}, counts["finished"], fit)
    return {
        "fit_slo_attainment": attained,
        "slo_asked": "; ".join(map(str, asked)) or None,
        "slo_met": ("yes" if met else "no") if asked else None,
    }


def _machine_columns(
    facts: RunFacts, counts: Counter[str], tokens: Counter[str], row: Mapping[str, Value]
) -> dict[str, Value]:
    machine, limits, totals = facts.machine, facts.limits, facts.totals
    fleet = facts.fleet
    offered_ps = totals.end_ps * fleet.replica_count
    books = totals.replicas
    slots = machine.slots
    batches = totals.batches
    drafted = sum(book.draft_tokens for book in books)
    served = (counts["input_tokens"], counts["output_tokens"])
    tpot_ms = row["tpot_ms_p50"]
    limit_ms = limits.token_limit_ps / PS_PER_MS
    return {
        "slot_row_utilisation": (
            _ratio(_within(totals, "rows_ps", slots.rows), offered_ps * slots.rows)
            if slots
            else None
        ),
        "step_utilisation": _ratio(_within(totals, "busy_ps"), offered_ps) if slots else None,
        "replica_utilisation": _ratio(_within(totals, "busy_ps"), offered_ps),
        "iteration_count": batches.iteration_count if batches else None,
        "batch_sequences_mean": (
            _ratio(batches.token_count, batches.iteration_count) if batches else None
        ),
        "kv_reserved_share_mean": _ratio(
            tokens["run_kv_token_ps"], fleet.timing.kv_tokens * offered_ps
        ),
        "preemption_count": sum(book.preemptions for book in books),
        "recomputed_token_count": sum(book.recomputed_tokens for book in books),
        "cached_token_share": _ratio(
            sum(book.cached_tokens for book in books),
            sum(book.cached_tokens + book.prompt_tokens for book in books),
        ),
        "draft_acceptance": _ratio(sum(book.accepted_draft_tokens for book in books), drafted),
        "transfer_ms_mean": _transfer_mean(facts),
        "tok_latency_limit_ms": round(limit_ms, 6),
        "tpot_to_limit_ratio": (
            round(tpot_ms / limit_ms, 6) if isinstance(tpot_ms, float) and limit_ms else None
        ),
        "bottleneck": _bottleneck(machine, totals, row["tpot_bound_by"]),
        **cost_row(machine, fleet.replica_count, totals, facts.cost, served),
    }


def _within(totals: ReplayTotals, name: Literal["busy_ps", "rows_ps"], rows: int = 1) -> int:
    """The times of the replicas, of `rows` rows each, that lie before the end of the run.

    The last step's interval may reach beyond it.
    """
    return sum(min(getattr(book, name), totals.end_ps * rows) for book in totals.replicas)


def _bottleneck(machine: Machine, totals: ReplayTotals, tpot_bound_by: Value) -> str | None:
    """What binds steps or iterations; where nothing was decoded, what all iterations spent most on.

    None where there was no iteration.
    """
    if machine.bottleneck is not None:
        return machine.bottleneck
    if tpot_bound_by is None:
        if totals.batches is None or not totals.batches.iteration_count:
            return None
        spent = machine.chip_ps_by_term(totals.busy_ps, totals.batches)
        tpot_bound_by = max(spent, key=lambda name: spent[name])
    return f"iteration: {tpot_bound_by}"


def _transfer_mean(facts: RunFacts) -> float | None:
    if facts.fleet.disaggregation is None:
        return None
    count, amount = 0, 0
    for chunk in facts.collector.requests.chunks():
        rows = finished_rows(chunk)
        sent = rows["transfer_ps"][rows["prefill_replica"] >= 0]
        count, amount = count + len(sent), amount + exact_sum(sent)
    return _milliseconds(Fraction(amount, count)) if count else None


def number_of(row: Mapping[str, Value], name: str) -> float | None:
    """A number of a summary; None where there is none."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else None


def _seconds(ps: int) -> float:
    return round(ps / PS_PER_S, 9)


def _milliseconds(ps: Fraction) -> float:
    return round(float(ps / PS_PER_MS), 6)


def _rate(amount: int | Fraction, span_ps: int) -> float | None:
    return round(float(Fraction(amount) * PS_PER_S / span_ps), 6) if span_ps else None


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 9) if whole else None
