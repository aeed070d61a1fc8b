"""Answer: does it fit, how fast is it, what does it cost: in words, with figures and units."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rack_sim.metrics.summary import Value
from rack_sim.metrics.words import METRICS as WORDS
from rack_sim.record.footprint import rack_noun_of
from rack_sim.record.record import Record
from rack_sim.report.html.page import Answer, HtmlTable, Section, fact_of
from rack_sim.report.html.requests import METRICS, Requests
from rack_sim.report.html.warnings import warnings_ahead
from rack_sim.report.numbers import (
    NONE,
    counted,
    milliseconds,
    number_of,
    number_text,
    share,
    size,
    usd,
    watts,
)

# The percentile that a run's objectives are judged at; a study may ask for another attainment.
JUDGED_PERCENT = 99
_WINDOWS = {"steady": "the steady window", "whole_run": "the whole run"}


def answer_section(
    run: Record, requests: Requests, memory: str, warnings: Sequence[str]
) -> Section:
    """The first thing a reader sees. `memory` is what the chips' memory is called."""
    row = run.summary
    return Section(
        "answer",
        "The answer",
        sentences=warnings_ahead(warnings),
        answers=(_fit(run, memory), _speed(row, requests), _cost(row, run)),
        tables=(_latencies(row),) + ((_objectives(requests),) if requests.objectives_ms else ()),
    )


def headline(row: Mapping[str, Value]) -> str:
    """The answer in one sentence, for a title or a preview."""
    if not row["finished_count"]:
        return f"{row['model']} on {counted(row['chip_count'], 'chip')}: no request finished"
    # Where no request has a second token, nobody has a speed.
    speed = row["output_tok_s_per_user_p50"]
    return (
        f"{row['model']} on {counted(row['chip_count'], 'chip')}: "
        + (f"{number_text(speed)} tokens/s per user, " if speed is not None else "")
        + f"TTFT p99 {milliseconds(row['ttft_ms_p99'])}, "
        f"{usd(row['usd_per_million_output_tokens'])} per million output tokens"
    )


def slo_sentence(row: Mapping[str, Value], requests: Requests) -> tuple[str, str, str]:
    """Whether objectives are met: a sentence, its verdict and its sign."""
    if row["slo_asked"]:
        met = row["slo_met"] == "yes"
        reached = ", ".join(_reached(row, requests))
        text = f"Asked for is: {row['slo_asked']}. Reached is: {reached}."
        if not met and row["finished_count"] != row["request_count"]:
            text += " A request that fits and is turned away or given up misses it, too."
        return text, "good" if met else "bad", "SLO met" if met else "SLO not met"
    attainment = number_of(row["slo_attainment"])
    if attainment is None:
        return "No objective is given, so none can be missed.", "", "No SLO given"
    limits = " and ".join(
        f"{WORDS[metric].short} ≤ {milliseconds(limit)}"
        for metric, limit in requests.objectives_ms.items()
    )
    lost = requests.count - requests.finished_count
    # Not all finished requests have every latency, so this is at least what they all met.
    parts = [requests.within(metric) for metric in requests.objectives_ms]
    finished = number_of(row["finished_count"])
    of_finished = attainment * requests.count / finished if finished else None
    text = f"{share(attainment)} of all requests meet {limits}"
    if lost and of_finished is not None and parts:
        text += (
            f": {share(min(1.0, of_finished))} of those that finished; {counted(lost, 'request')} "
            "got no answer and count as missed"
        )
    met = attainment >= JUDGED_PERCENT / 100
    sign = f"SLO met at p{JUDGED_PERCENT}" if met else f"SLO not met at p{JUDGED_PERCENT}"
    verb = "reaches" if met else "misses"
    text += f". That {verb} an attainment of {JUDGED_PERCENT} %."
    return text, "good" if met else "bad", sign


def _reached(row: Mapping[str, Value], requests: Requests) -> Iterator[str]:
    """What the run reached of what was asked of it as a whole."""
    for objective in requests.asked:
        yield f"{objective.name} {milliseconds(row[objective.column])}"
    if "% of the requests" in str(row["slo_asked"]):
        yield f"{share(row['fit_slo_attainment'])} of the requests that fit"


def _fit(run: Record, memory: str) -> Answer:
    row, precision = run.summary, run.resolved.get("precision") or {}
    used, capacity = number_of(row["sram_used_bytes_max"]), number_of(row["sram_capacity_bytes"])
    formats = ", ".join(
        f"{_format_words(value)} {words}"
        for words, value in (("weights", precision.get("weights")), ("KV", precision.get("kv")))
        if value
    )
    replicas = (
        f"{counted(row['replica_count'], 'replica')} of "
        if number_of(row["replica_count"]) != 1
        else ""
    )
    sentence = (
        f"{row['model']}{f' ({formats})' if formats else ''} on {row['system']}, as {replicas}"
        f"{counted(row['stage_count'], 'stage')} × {counted(row['tensor_parallel'], 'chip')}. The "
        f"fullest chip uses {size(used)} of {size(capacity)} of its {memory}"
        f"{f' ({share(used / capacity)})' if used and capacity else ''}."
    )
    place = rack_noun_of(run.facts.get("footprint"))
    idle = (fact_of(counted(row["idle_chip_count"], "chip"), f"not used, in the same {place}s"),)
    facts = (
        fact_of(counted(row["chip_count"], "chip"), "hold the model"),
        fact_of(counted(row["rack_count"], place), "they stand in"),
        fact_of(counted(row["spare_chip_count"], "chip"), f"spare, in the same {place}s"),
        *(idle if row["idle_chip_count"] else ()),
        fact_of(
            size(row["weight_bytes"]),
            "of weights, all chips together" if not replicas else "of weights, in each replica",
        ),
    )
    return Answer("Does it fit?", sentence, facts, "good", "It fits")


def _format_words(given: Any) -> str:  # noqa: ANN401 - a file may hold anything
    """A format as a scenario gives it: by name, with a group and a scale, or for each kind."""
    if not isinstance(given, dict):
        return str(given)
    if "format" in given:
        return f"{given['format']} with {given.get('scale', 'fp32')} scales of {given['group']}"
    own = [f"{kind} {_format_words(form)}" for kind, form in given.items() if kind != "default"]
    return ", ".join([*own, f"all else {_format_words(given.get('default'))}"])


def _speed(row: Mapping[str, Value], requests: Requests) -> Answer:
    said, verdict, sign = slo_sentence(row, requests)
    window = _WINDOWS.get(str(row["window_kind"]), str(row["window_kind"]))
    speed, finished = row["output_tok_s_per_user_p50"], number_text(row["request_throughput_rps"])
    output = number_text(row["output_throughput_tok_s"], 4)
    facts = (
        fact_of(f"{number_text(speed)} tokens/s", "per user, at the median TPOT"),
        fact_of(milliseconds(row["ttft_ms_p50"]), "TTFT, p50"),
        fact_of(milliseconds(row["ttft_ms_p99"]), "TTFT, p99"),
        fact_of(milliseconds(row["tpot_ms_p99"]), "TPOT, p99"),
        fact_of(f"{output} tokens/s", "output, all users", window),
        fact_of(f"{finished} requests/s", "finished", window),
    )
    return Answer("How fast is it?", said, facts, verdict, sign)


def _cost(row: Mapping[str, Value], run: Record) -> Answer:
    assumed = [
        str(item.get("name"))
        for item in run.facts.get("assumed", [])
        if str(item.get("name")).startswith("cost.")
    ]
    sentence = (
        f"At this load, {usd(row['capital_usd_per_million_output_tokens'])} of what a million "
        "output tokens cost is capital, "
        f"{usd(row['electricity_usd_per_million_output_tokens'])} electricity."
    )
    if not row["output_token_count"]:
        sentence = "No output token was made, so none has a cost."
    if assumed:
        sentence += f" {counted(len(assumed), 'cost input').capitalize()} are assumed, not sourced."
    facts = [
        fact_of(watts(row["mean_watts"]), "mean, building included"),
        fact_of(usd(row["usd_per_million_output_tokens"]), "per million output tokens"),
        fact_of(usd(row["usd_per_million_total_tokens"]), "per million tokens, prompts too"),
        fact_of(f"{number_text(row['joules_per_output_token'])} J", "per output token"),
        fact_of(usd(row["capital_usd"]), "capital"),
    ]
    if row["api_price"]:
        facts.append(
            fact_of(
                usd(row["margin_usd_per_million_output_tokens"]),
                "margin per million output tokens",
                f"at the prices of {row['api_price']}",
            )
        )
    return Answer("What does it cost?", sentence, tuple(facts))


def _latencies(row: Mapping[str, Value]) -> HtmlTable:
    parts = ("mean", "p50", "p90", "p95", "p99")
    return HtmlTable(
        "Latencies of finished requests, ms",
        ("Metric", *(f"#{part}" for part in parts)),
        tuple(
            (words.title, *(number_text(row[f"{name}_ms_{part}"], 4) for part in parts))
            for name, words in WORDS.items()
        ),
        is_open=True,
    )


def _objectives(requests: Requests) -> HtmlTable:
    rows = []
    for metric, limit in requests.objectives_ms.items():
        within, worst = requests.within(metric), requests.percentile(metric, JUDGED_PERCENT)
        met = NONE if worst is None else "met" if worst <= limit else "missed"
        limits = milliseconds(limit), milliseconds(worst)
        rows.append((METRICS[metric], *limits, share(within), met))
    return HtmlTable(
        "Objectives, each alone, of the requests that finished",
        ("Objective", "#limit", f"#p{JUDGED_PERCENT}", "#within", f"at p{JUDGED_PERCENT}"),
        tuple(rows),
        is_open=True,
        note="Requests that were rejected or given up meet no objective; the sentence above counts "
        "them, this table does not.",
    )
