"""Latency: the metrics of one request, with the serving field's definitions, in picoseconds."""

from collections.abc import Iterator, Mapping

import numpy as np

from rack_sim.engine.observer import Outcome
from rack_sim.foundation.arrays import Int64Array
from rack_sim.metrics.log import RequestLog

# name -> (definition, whether a single output token has one)
LATENCY_METRICS: Mapping[str, str] = {
    "ttft": "arrival to first output token, queueing included",
    "tpot": "(e2el - ttft) / (output tokens - 1); left out where there is one output token",
    "e2el": "arrival to last output token",
    "scheduling_delay": "arrival to the first prefill row entering the pipeline",
    "ntpot": "e2el / output tokens",
}


PERCENTS = (50, 90, 95, 99)
# Outcomes of requests that do not fit: no lower rate would change them.
TOO_LONG = (Outcome.REJECTED_CONTEXT, Outcome.REJECTED_KV)

_NEEDED = (
    "outcome",
    "output_tokens",
    "arrival_ps",
    "prefill_start_ps",
    "first_token_ps",
    "finish_ps",
)


def finished_rows(chunk: Mapping[str, Int64Array]) -> dict[str, Int64Array]:
    """The rows of a chunk whose request finished."""
    keep = chunk["outcome"] == Outcome.FINISHED
    return {name: values[keep] for name, values in chunk.items()}


def latencies_ps(rows: Mapping[str, Int64Array]) -> dict[str, Int64Array]:
    """Every latency metric of finished rows; `tpot` is -1 where there is one output token.

    Quotients are rounded to the nearest picosecond, halves up.
    """
    return {metric: _latency_ps(rows, metric) for metric in LATENCY_METRICS}


def _latency_ps(rows: Mapping[str, Int64Array], metric: str) -> Int64Array:
    outputs = rows["output_tokens"]
    if metric == "ttft":
        return rows["first_token_ps"] - rows["arrival_ps"]
    if metric == "tpot":
        spent_ps = rows["finish_ps"] - rows["first_token_ps"]
        return np.where(outputs > 1, _divided(spent_ps, np.maximum(outputs - 1, 1)), -1)
    if metric == "scheduling_delay":
        return rows["prefill_start_ps"] - rows["arrival_ps"]
    whole_ps = rows["finish_ps"] - rows["arrival_ps"]
    return whole_ps if metric == "e2el" else _divided(whole_ps, outputs)


def metric_chunks(log: RequestLog, metric: str) -> Iterator[Int64Array]:
    """One latency metric of every finished request that has it, in chunks."""
    for chunk in log.chunks():
        wanted = {name: chunk[name] for name in _NEEDED}
        values = _latency_ps(finished_rows(wanted), metric)
        yield values[values >= 0]


def _divided(amount: Int64Array, parts: Int64Array) -> Int64Array:
    # Not (2 x amount + parts) // (2 x parts): twice a long latency need not fit 64 bits.
    return amount // parts + (2 * (amount % parts) >= parts)
