"""Summary: a run's numbers as tables in the terminal."""

from collections import Counter
from collections.abc import Mapping

from rich.table import Table

from rack_sim.cli.console import table
from rack_sim.engine.observer import Outcome
from rack_sim.foundation.units import PS_PER_S, counted, format_bytes
from rack_sim.metrics.latency import PERCENTS
from rack_sim.metrics.slo import AttainmentObjective
from rack_sim.metrics.summary import Value
from rack_sim.metrics.tables import outcome_reasons
from rack_sim.pipeline import Result

_WINDOWS = {"steady": "steady window", "whole_run": "whole run"}
_LATENCIES = ("ttft", "tpot", "itl", "e2el", "scheduling_delay", "ntpot")


def summary_tables(result: Result) -> list[Table]:
    """What `rack-sim run` prints: the system, the traffic, latencies, rates, limits."""
    row = result.summary
    latency = table(
        "latency, ms",
        [("", "left"), ("mean", "right"), *((f"p{percent}", "right") for percent in PERCENTS)],
        [
            (
                name,
                *(
                    _number(row[f"{name}_ms_{part}"], 3)
                    for part in ("mean", *(f"p{percent}" for percent in PERCENTS))
                ),
            )
            for name in _LATENCIES
        ],
    )
    place = result.explanation.plan.system.topology.rack_noun
    facts = table(
        f"{row['scenario']}: {row['model']} on {row['system']}",
        [("", "left"), ("", "left")],
        [*_machine(row, place), *_traffic(result), *_asked(result), *_rates(row), *_limits(row)],
    )
    return [facts, latency]


def _machine(row: Mapping[str, Value], place: str) -> list[tuple[str, str]]:
    used, capacity = _int(row["sram_used_bytes_max"]), _int(row["sram_capacity_bytes"])
    return [
        (
            "chips",
            f"{row['chip_count']} (+ {row['spare_chip_count']} spare, {row['idle_chip_count']} "
            f"not used) in {counted(_int(row['rack_count']), place)}",
        ),
        (
            "replicas",
            f"{counted(_int(row['replica_count']), 'replica')} of "
            f"{counted(_int(row['stage_count']), 'stage')} x "
            f"{counted(_int(row['tensor_parallel']), 'chip')}"
            + (
                f", {counted(_int(row['slot_count']), 'slot')} of "
                f"{counted(_int(row['slot_rows']), 'row')}"
                if row["slot_count"]
                else ""
            ),
        ),
        (
            "memory, fullest chip",
            f"{format_bytes(used)} of {format_bytes(capacity)} ({used / capacity:.1%})",
        ),
    ]


def _traffic(result: Result) -> list[tuple[str, str]]:
    row = result.summary
    rows = [
        ("workload", result.explanation.scenario.workload.description + _arriving(result)),
        (
            "requests",
            f"{row['request_count']}: {row['finished_count']} finished, "
            f"{row['rejected_count']} rejected, {row['timed_out_count']} timed out, "
            f"{row['unserved_count']} unserved",
        ),
    ]
    outcomes: Counter[int] = Counter()
    for chunk in result.collector.requests.chunks():
        outcomes.update(chunk["outcome"].tolist())
    for outcome, reason in outcome_reasons(result.explanation.fleet).items():
        if outcomes[outcome]:
            rows.append(("", f"{outcomes[outcome]} {Outcome(outcome).status}: {reason}"))
    return rows


def _arriving(result: Result) -> str:
    """The rate at which requests came, as drawn."""
    chunks = list(result.collector.requests.chunks())
    count = result.totals.request_count
    first_ps = min((int(chunk["arrival_ps"].min()) for chunk in chunks), default=0)
    last_ps = max((int(chunk["arrival_ps"].max()) for chunk in chunks), default=0)
    if count < 2 or first_ps == last_ps:
        return ""
    return f"; {(count - 1) * PS_PER_S / (last_ps - first_ps):,.4g} req/s came"


def _asked(result: Result) -> list[tuple[str, str]]:
    """What is asked of the run as a whole, what it reached, and whether that is enough."""
    row = result.summary
    rows: list[tuple[str, str]] = []
    for objective in result.explanation.scenario.slo.objectives:
        if isinstance(objective, AttainmentObjective):
            reached = f"{_number(row['fit_slo_attainment'], 4)} of them do"
        else:
            reached = f"{_number(row[objective.column], 3)} ms"
        rows.append(("asked for" if not rows else "", f"{objective}: {reached}"))
    if rows:
        rows.append(("", "all of it is met" if row["slo_met"] == "yes" else "that is missed"))
    return rows


def _rates(row: Mapping[str, Value]) -> list[tuple[str, str]]:
    attainment = row["slo_attainment"]
    slo = (
        "none for single requests"
        if attainment is None
        else f"{_number(attainment, 4)} of all requests meet every objective; "
        f"goodput {_number(row['request_goodput_rps'], 3)} requests/s"
    )
    return [
        ("tokens/s per user", f"{_number(row['output_tok_s_per_user_p50'], 1)} (1 / median TPOT)"),
        (
            "tokens/s in all",
            f"{_number(row['output_throughput_tok_s'], 1)} output, "
            f"{_number(row['input_throughput_tok_s'], 1)} prompt "
            f"(over the {_WINDOWS[str(row['window_kind'])]}, {_number(row['window_s'], 1)} s)",
        ),
        ("objectives", slo),
        *_batches(row),
    ]


def _batches(row: Mapping[str, Value]) -> list[tuple[str, str]]:
    """How full the machine was."""
    if row["iteration_count"] is None:
        text = (
            f"{_number(row['slot_row_utilisation'], 3)} of all rows carried a token; every row "
            f"would be {_number(row['compiled_limit_tok_s'], 0)} tokens/s"
        )
        rows = [("slots", text)]
    else:
        text = (
            f"{row['iteration_count']:,}, {_number(row['batch_sequences_mean'], 1)} sequences "
            f"decoding in each; busy {_number(row['replica_utilisation'], 3)} of the time"
        )
        rows = [("iterations", text)]
        if row["preemption_count"]:
            text = (
                f"{row['preemption_count']:,}; {row['recomputed_token_count']:,} tokens were "
                "prefilled again"
            )
            rows.append(("preemptions", text))
    if row["cached_token_share"]:
        text = f"{_number(row['cached_token_share'], 3)} of all prompt tokens"
        rows.append(("prefix cache hits", text))
    if row["draft_acceptance"] is not None:
        text = f"{_number(row['draft_acceptance'], 3)} of the tokens proposed were accepted"
        rows.append(("draft", text))
    if row["transfer_ms_mean"] is not None:
        text = f"{_number(row['transfer_ms_mean'], 3)} ms from prefill to decode, mean"
        rows.append(("cache transfers", text))
    return rows


def _limits(row: Mapping[str, Value]) -> list[tuple[str, str]]:
    ratio = row["tpot_to_limit_ratio"]
    return [
        ("bottleneck", str(row["bottleneck"] or "-")),
        (
            "time goes to",
            f"TTFT: {row['ttft_bound_by'] or '-'} (means: admission "
            f"{_number(row['ttft_admission_ms_mean'], 1)}, row wait "
            f"{_number(row['ttft_row_wait_ms_mean'], 1)}, prefill "
            f"{_number(row['ttft_prefill_ms_mean'], 1)}, pass "
            f"{_number(row['ttft_pass_ms_mean'], 1)} ms); TPOT: "
            f"{row['tpot_bound_by'] or '- (no token came after a first)'}",
        ),
        (
            "physical limit",
            f"TPOT {_number(row['tok_latency_limit_ms'], 4)} ms (weights read once at full memory "
            "speed)"
            + (f"; the median is {_number(ratio, 1)} times that" if ratio is not None else ""),
        ),
        (
            "energy and cost",
            f"{_number(row['joules_per_output_token'], 2)} J per output token, "
            f"{_number(row['usd_per_million_output_tokens'], 2)} USD per million of them, "
            f"{_number(row['electricity_usd_per_million_output_tokens'], 2)} of it electricity "
            "(some inputs are assumed: manifest.json)",
        ),
        *_against_price(row),
    ]


def _against_price(row: Mapping[str, Value]) -> list[tuple[str, str]]:
    """What the tokens are sold for, and when that pays for the machine."""
    if row["api_price"] is None:
        return []
    years, share = row["payback_years"], row["break_even_utilisation"]
    text = (
        f"sold for {_number(row['api_usd_per_million_output_tokens'], 2)} USD per million output "
        f"tokens (prompts included), a margin of "
        f"{_number(row['margin_usd_per_million_output_tokens'], 2)}; "
    )
    if not isinstance(share, float):
        text += "revenue does not pay the electricity"
    elif share > 1:
        text += f"it never breaks even: it would have to serve so {_number(share, 1)} times over"
    else:
        text += f"it breaks even when it serves so for {share:.1%} of the year"
    if years is not None:
        text += f"; revenue less electricity pays the capital in {_number(years, 2)} years"
    return [(f"at {row['api_price']}", text)]


def _number(value: Value, digits: int) -> str:
    return f"{value:,.{digits}f}" if isinstance(value, int | float) else "-"


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0
