"""Summary: one flat row per run, with stable names, every number from exact integers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from rack_sim.compiler.limits import Limits
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.serving import ReplayTotals
from rack_sim.foundation.units import PS_PER_MS, PS_PER_S
from rack_sim.metrics.cost import CostInputs, cost_of, footprint_of
from rack_sim.metrics.gaps import GapLog, mean_and_percentiles
from rack_sim.metrics.latency import LATENCY_METRICS, finished_rows, latencies_ps, metric_chunks
from rack_sim.metrics.log import Collector
from rack_sim.metrics.quantiles import exact_sum, percentiles
from rack_sim.metrics.slo import Slo

PERCENTS = (50, 90, 95, 99)
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
    step: StepTiming
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
    """The summary row of a run."""
    plan, step = facts.step.plan, facts.step
    window = window_of(facts)
    counts = _count(facts, window)
    tokens = _count_tokens(facts, window)
    where = footprint_of(step)
    row: dict[str, Value] = {
        **facts.head,
        "chip_count": where.chip_count,
        "spare_chip_count": where.spare_chip_count,
        "idle_chip_count": where.idle_chip_count,
        "rack_count": where.rack_count,
        "replica_count": 1,
        "stage_count": plan.stage_count,
        "tensor_parallel": plan.tensor_parallel,
        "slot_count": step.slot_count,
        "slot_rows": step.rows,
        "weight_bytes": plan.weight_bytes,
        "sram_used_bytes_max": plan.used_bytes_max,
        "sram_capacity_bytes": plan.system.chip.fast_memory.capacity_bytes,
        "request_count": facts.totals.request_count,
        "finished_count": counts["finished"],
        "rejected_count": counts["rejected"],
        "unserved_count": facts.totals.request_count - counts["finished"] - counts["rejected"],
        "input_token_count": counts["input_tokens"],
        "output_token_count": counts["output_tokens"],
        "simulated_s": _seconds(facts.totals.end_ps),
        "window_kind": window.kind,
        "window_start_s": _seconds(window.first_bin * facts.bin_ps),
        "window_s": _seconds(window.duration_ps),
    }
    for metric in LATENCY_METRICS:
        row |= _latency_columns(facts, metric)
    row |= _gap_columns(facts.collector.gap_runs)
    row |= _split_columns(facts, counts)
    row |= _throughput_columns(facts, window, counts, tokens)
    row |= _slo_columns(facts, window, counts)
    row |= _machine_columns(facts, counts, tokens, row)
    return row | dict(facts.tail)


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
        counts["rejected"] += len(chunk["request_id"]) - finished
        counts["input_tokens"] += exact_sum(rows["input_tokens"])
        counts["output_tokens"] += exact_sum(rows["output_tokens"])
        counts["admission_ps"] += exact_sum(rows["admitted_ps"] - rows["arrival_ps"])
        counts["row_wait_ps"] += exact_sum(rows["prefill_start_ps"] - rows["admitted_ps"])
        counts["prefill_ps"] += exact_sum(rows["prefill_end_ps"] - rows["prefill_start_ps"])
        counts["pass_ps"] += exact_sum(rows["first_token_ps"] - rows["prefill_end_ps"])
        met = np.ones(finished, dtype=bool)
        measured = latencies_ps(rows)
        for metric, bound_ps in facts.slo.bounds_ps.items():
            met &= measured[metric] <= bound_ps  # a single token has no tpot (-1): met
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


def _latency_columns(facts: RunFacts, metric: str) -> dict[str, Value]:
    log = facts.collector.requests
    count, amount = 0, 0
    for values in metric_chunks(log, metric):
        count += len(values)
        amount += exact_sum(values)
    names = [f"{metric}_ms_mean", *(f"{metric}_ms_p{percent}" for percent in PERCENTS)]
    if not count:
        return dict.fromkeys(names)
    found = percentiles(lambda: metric_chunks(log, metric), count, PERCENTS)
    return dict(zip(names, map(_milliseconds, [Fraction(amount, count), *found]), strict=True))


def _gap_columns(gaps: GapLog) -> dict[str, Value]:
    """Inter-token latency: the pooled gaps between tokens of all requests."""
    names = ["itl_ms_mean", *(f"itl_ms_p{percent}" for percent in PERCENTS)]
    found = mean_and_percentiles(gaps, PERCENTS)
    return (
        dict(zip(names, map(_milliseconds, found), strict=True)) if found else dict.fromkeys(names)
    )


def _split_columns(facts: RunFacts, counts: Counter[str]) -> dict[str, Value]:
    """Where TTFT and TPOT went, in means that add up to theirs, and the largest part of each."""
    terms = facts.step.terms
    finished = counts["finished"]
    row: dict[str, Value] = {}
    parts: dict[str, int] = {}
    if finished:
        parts = {
            "admission": counts["admission_ps"],
            "row_wait": counts["row_wait_ps"],
            "prefill": counts["prefill_ps"],
            "pass": counts["pass_ps"],
        }
    for name in ("admission", "row_wait", "prefill", "pass"):
        row[f"ttft_{name}_ms_mean"] = (
            _milliseconds(Fraction(parts[name], finished)) if parts else None
        )
    row["ttft_bound_by"] = max(parts, key=lambda name: parts[name]) if parts else None
    for name, spent in terms.by_name().items():
        row[f"tpot_{name}_ms"] = _milliseconds(Fraction(spent))
    row["tpot_bound_by"] = terms.largest
    return row


def _throughput_columns(
    facts: RunFacts, window: Window, counts: Counter[str], tokens: Counter[str]
) -> dict[str, Value]:
    chips = facts.step.plan.chip_count
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
        "compiled_limit_tok_s": facts.limits.compiled_rows_per_s,
        "physical_limit_tok_s": facts.limits.system_rows_per_s,
        "total_throughput_to_compiled_ratio": _ratio(
            (tokens["prompt_tokens"] + tokens["output_tokens"]) * PS_PER_S,
            facts.limits.compiled_rows_per_s * window.duration_ps,
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
        "slo_attainment": round(counts["met"] / facts.totals.request_count, 9),
        "request_goodput_rps": _rate(counts["met_in_window"], window.duration_ps),
    }


def _machine_columns(
    facts: RunFacts, counts: Counter[str], tokens: Counter[str], row: Mapping[str, Value]
) -> dict[str, Value]:
    step, limits, totals = facts.step, facts.limits, facts.totals
    offered = totals.end_ps * step.rows
    cost = cost_of(
        step, facts.cost, duration_ps=totals.end_ps, busy_step_count=totals.busy_step_count
    )
    outputs = counts["output_tokens"]
    tpot_ms = row["tpot_ms_p50"]
    limit_ms = limits.token_limit_ps / PS_PER_MS
    return {
        "slot_row_utilisation": _ratio(totals.row_step_count * step.interval_ps, offered),
        "step_utilisation": _ratio(totals.busy_step_count * step.interval_ps, totals.end_ps),
        "kv_reserved_share_mean": _ratio(
            tokens["run_kv_token_ps"], step.plan.demand.kv_tokens * totals.end_ps
        ),
        "tok_latency_limit_ms": round(limit_ms, 6),
        "tpot_to_limit_ratio": (
            round(tpot_ms / limit_ms, 6) if isinstance(tpot_ms, float) and limit_ms else None
        ),
        "bottleneck": step.bottleneck,
        "mean_watts": round(cost.mean_watts, 3),
        "joules_per_output_token": round(cost.joules / outputs, 6) if outputs else None,
        "usd_per_million_output_tokens": round(cost.usd / outputs * 1e6, 6) if outputs else None,
    }


def _seconds(ps: int) -> float:
    return round(ps / PS_PER_S, 9)


def _milliseconds(ps: Fraction) -> float:
    return round(float(ps / PS_PER_MS), 6)


def _rate(amount: int | Fraction, span_ps: int) -> float | None:
    return round(float(Fraction(amount) * PS_PER_S / span_ps), 6) if span_ps else None


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 9) if whole else None
