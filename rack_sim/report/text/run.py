"""Run text: a run's numbers: the system, the traffic, rates, limits and latencies."""

from collections import Counter
from collections.abc import Iterator, Mapping
from math import inf

from rack_sim.foundation.units import counted, format_bytes
from rack_sim.metrics.columns import REQUESTS
from rack_sim.metrics.latency import PERCENTS
from rack_sim.metrics.slo import AttainmentObjective, slo_of_keys
from rack_sim.metrics.summary import Value
from rack_sim.record.footprint import rack_noun_of
from rack_sim.record.record import Record
from rack_sim.report.text import Line, TextTable, number

_WINDOWS = {"steady": "steady window", "whole_run": "whole run"}
_LATENCIES = ("ttft", "tpot", "itl", "e2el", "scheduling_delay", "ntpot")
_STATISTICS = ("mean", *(f"p{percent}" for percent in PERCENTS))


def run_text(run: Record) -> Iterator[Line]:
    """What `rack-sim run` prints."""
    row = run.summary
    place = rack_noun_of(run.facts["footprint"])
    yield TextTable(
        f"{row['scenario']}: {row['model']} on {row['system']}",
        [("", "left"), ("", "left")],
        [*_machine(row, place), *_traffic(run), *_asked(run), *_rates(row), *_limits(row)],
    )
    yield TextTable(
        "latency, ms",
        [("", "left"), *((name, "right") for name in _STATISTICS)],
        [
            (name, *(number(row[f"{name}_ms_{statistic}"], 3) for statistic in _STATISTICS))
            for name in _LATENCIES
        ],
    )


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


def _traffic(run: Record) -> list[tuple[str, str]]:
    row = run.summary
    lost, arriving = _requests(run)
    rows = [
        ("workload", f"{run.facts['workload']}{arriving}"),
        (
            "requests",
            f"{row['request_count']}: {row['finished_count']} finished, "
            f"{row['rejected_count']} rejected, {row['timed_out_count']} timed out, "
            f"{row['unserved_count']} unserved",
        ),
    ]
    return [*rows, *(("", f"{count} {words}") for words, count in lost.most_common())]


def _requests(run: Record) -> tuple[Counter[str], str]:
    """Requests without an answer by status and reason; the rate at which requests came, as drawn.

    Row by row: they may be a million.
    """
    names = [column.name for column in REQUESTS]
    status, reason, arrival = (names.index(n) for n in ("status", "reason", "arrival_ms"))
    lost: Counter[str] = Counter()
    first_ms, last_ms, count = inf, -inf, 0
    for row in map(tuple, run.tables["requests.csv"].rows()):
        arrived_ms = float(row[arrival] or 0)
        first_ms, last_ms, count = min(first_ms, arrived_ms), max(last_ms, arrived_ms), count + 1
        if row[status] != "finished":
            lost[f"{row[status]}: {row[reason]}".replace("_", " ", 1)] += 1
    if count < 2 or first_ms == last_ms:
        return lost, ""
    return lost, f"; {(count - 1) * 1000 / (last_ms - first_ms):,.4g} req/s came"


def _asked(run: Record) -> list[tuple[str, str]]:
    """What is asked of the run as a whole, what it reached, and whether that is enough."""
    row = run.summary
    rows: list[tuple[str, str]] = []
    for objective in slo_of_keys(run.resolved.get("slo") or {}).objectives:
        if isinstance(objective, AttainmentObjective):
            reached = f"{number(row['fit_slo_attainment'], 4)} of them do"
        else:
            reached = f"{number(row[objective.column], 3)} ms"
        rows.append(("asked for" if not rows else "", f"{objective}: {reached}"))
    if rows:
        rows.append(("", "all of it is met" if row["slo_met"] == "yes" else "that is missed"))
    return rows


def _rates(row: Mapping[str, Value]) -> list[tuple[str, str]]:
    attainment = row["slo_attainment"]
    slo = (
        "none for single requests"
        if attainment is None
        else f"{number(attainment, 4)} of all requests meet every objective; "
        f"goodput {number(row['request_goodput_rps'], 3)} requests/s"
    )
    return [
        ("tokens/s per user", f"{number(row['output_tok_s_per_user_p50'], 1)} (1 / median TPOT)"),
        (
            "tokens/s in all",
            f"{number(row['output_throughput_tok_s'], 1)} output, "
            f"{number(row['input_throughput_tok_s'], 1)} prompt "
            f"(over the {_WINDOWS[str(row['window_kind'])]}, {number(row['window_s'], 1)} s)",
        ),
        ("objectives", slo),
        *_batches(row),
    ]


def _batches(row: Mapping[str, Value]) -> list[tuple[str, str]]:
    """How full the machine was."""
    if row["iteration_count"] is None:
        text = (
            f"{number(row['slot_row_utilisation'], 3)} of all rows carried a token; every row "
            f"would be {number(row['compiled_limit_tok_s'], 0)} tokens/s"
        )
        rows = [("slots", text)]
    else:
        text = (
            f"{row['iteration_count']:,}, {number(row['batch_sequences_mean'], 1)} sequences "
            f"decoding in each; busy {number(row['replica_utilisation'], 3)} of the time"
        )
        rows = [("iterations", text)]
        if row["preemption_count"]:
            text = (
                f"{row['preemption_count']:,}; {row['recomputed_token_count']:,} tokens were "
                "prefilled again"
            )
            rows.append(("preemptions", text))
    if row["cached_token_share"]:
        text = f"{number(row['cached_token_share'], 3)} of all prompt tokens"
        rows.append(("prefix cache hits", text))
    if row["draft_acceptance"] is not None:
        text = f"{number(row['draft_acceptance'], 3)} of the tokens proposed were accepted"
        rows.append(("draft", text))
    if row["transfer_ms_mean"] is not None:
        text = f"{number(row['transfer_ms_mean'], 3)} ms from prefill to decode, mean"
        rows.append(("cache transfers", text))
    return rows


def _limits(row: Mapping[str, Value]) -> list[tuple[str, str]]:
    ratio = row["tpot_to_limit_ratio"]
    return [
        ("bottleneck", str(row["bottleneck"] or "-")),
        (
            "time goes to",
            f"TTFT: {row['ttft_bound_by'] or '-'} (means: admission "
            f"{number(row['ttft_admission_ms_mean'], 1)}, row wait "
            f"{number(row['ttft_row_wait_ms_mean'], 1)}, prefill "
            f"{number(row['ttft_prefill_ms_mean'], 1)}, pass "
            f"{number(row['ttft_pass_ms_mean'], 1)} ms); TPOT: "
            f"{row['tpot_bound_by'] or '- (no token came after a first)'}",
        ),
        (
            "physical limit",
            f"TPOT {number(row['tok_latency_limit_ms'], 4)} ms (weights read once at full memory "
            "speed)"
            + (f"; the median is {number(ratio, 1)} times that" if ratio is not None else ""),
        ),
        (
            "energy and cost",
            f"{number(row['joules_per_output_token'], 2)} J per output token, "
            f"{number(row['usd_per_million_output_tokens'], 2)} USD per million of them, "
            f"{number(row['electricity_usd_per_million_output_tokens'], 2)} of it electricity "
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
        f"sold for {number(row['api_usd_per_million_output_tokens'], 2)} USD per million output "
        f"tokens (prompts included), a margin of "
        f"{number(row['margin_usd_per_million_output_tokens'], 2)}; "
    )
    if not isinstance(share, float):
        text += "revenue does not pay the electricity"
    elif share > 1:
        text += f"it never breaks even: it would have to serve so {number(share, 1)} times over"
    else:
        text += f"it breaks even when it serves so for {share:.1%} of the year"
    if years is not None:
        text += f"; revenue less electricity pays the capital in {number(years, 2)} years"
    return [(f"at {row['api_price']}", text)]


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0
