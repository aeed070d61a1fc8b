"""Latency charts: which share of the requests has at most this TTFT, TPOT and end-to-end time."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rack_sim.metrics.words import METRICS, capital
from rack_sim.record.record import Record
from rack_sim.report.chart import (
    LOG_RATIO,
    Axis,
    Chart,
    Limit,
    Panels,
    Series,
    axis_of,
    empty_chart,
)
from rack_sim.report.colours import BLUE, FAINT_INK, PERCENTILE_LOOKS, Look
from rack_sim.report.html.requests import Requests, requests_of
from rack_sim.report.numbers import milliseconds, number_text, percent_text

_METRICS = ("ttft", "tpot", "e2el")
_SHARES = (0.0, 25.0, 50.0, 75.0, 100.0)
_BIN_COUNT = 24
# Up to so many requests are seen one by one, as steps, and in no histogram.
_STEPS_MAX = 100
# Of more, so many points: dense in the tail, in which objectives are asked.
_PERCENTS = np.concatenate([np.arange(0, 99, 0.5), np.arange(99, 100.01, 0.1)])
_CURVE, _BINS = Look(BLUE, marker=""), Look(FAINT_INK, "dot", "")


def latency_charts(run: Record, known: Requests | None = None) -> Iterator[Panels]:
    """Each latency as the share of finished requests at or below it, beside its objective.

    Requests that are `known` are not read again.
    """
    requests = known or requests_of(run)
    charts = [_distribution(metric, requests) for metric in _METRICS]
    drawn = [chart for chart in charts if chart.values_of]
    # Two metrics may have the same to say.
    said = {chart.says: chart for chart in charts if not chart.values_of}
    found = (*drawn, *said.values())
    has_slo = bool(requests.objectives_ms)
    yield Panels("latency", _title(run), _says(run, has_slo=has_slo), found, columns=len(drawn))


def _distribution(metric: str, requests: Requests) -> Chart:
    values = requests.latencies_ms[metric]
    if not len(values) or values[0] == values[-1]:
        return empty_chart(f"distribution-{metric}", "", _in_words(metric, requests))
    slo_ms, met = requests.objectives_ms.get(metric), _met(requests, metric)
    half, most = (float(np.percentile(values, percent)) for percent in (50, 99))
    says = f"{len(values):,} requests finished and have it, all within {milliseconds(values[-1])}."
    axis = _axis(metric, values, half, slo_ms)
    return Chart(
        f"distribution-{metric}",
        f"{capital(METRICS[metric].short)}: half within {milliseconds(half)}, "
        f"99 % within {milliseconds(most)}",
        axis,
        Axis("share of finished requests", "%", high=100.0, marks=_SHARES),
        (
            _curve(values),
            *([_bins(values, axis)] if len(values) > _STEPS_MAX else []),
            *(
                Series(
                    f"p{percent}: {milliseconds(value)}",
                    (value,),
                    (float(percent),),
                    PERCENTILE_LOOKS[percent],
                    "points",
                    mark_size=1.2,
                )
                for percent, value in ((50, half), (99, most))
            ),
        ),
        f"{says} {met}.".removesuffix(" ."),
        () if slo_ms is None else (Limit(slo_ms, met, axis="x"),),
    )


def _in_words(metric: str, requests: Requests) -> str:
    """What is said where there is nothing to draw."""
    title, values = METRICS[metric].title, requests.latencies_ms[metric]
    if len(values):
        who = "the one request" if len(values) == 1 else "every request"
        says = f"{title}: {milliseconds(values[0])} for {who} that has it."
        return f"{says} {_met(requests, metric)}.".removesuffix(" .")
    if requests.finished_count:
        return f"{title}: every output is one token."
    return "No request finished."


def _met(requests: Requests, metric: str) -> str:
    """How many met the objective; nothing where there is none."""
    slo_ms, within = requests.objectives_ms.get(metric), requests.within(metric)
    return "" if within is None else f"SLO {milliseconds(slo_ms)}: met by {percent_text(within)}"


def _axis(metric: str, values: NDArray[np.float64], half: float, slo_ms: float | None) -> Axis:
    low, high = float(values[0]), float(values[-1])
    axis = axis_of(
        METRICS[metric].short,
        "ms",
        [low, high],
        bounds=[] if slo_ms is None else [slo_ms],
        scale="log" if low > 0 and high > LOG_RATIO * half else "linear",
    )
    shown = [value for value in (low, high, slo_ms) if value is not None and value <= axis.high]
    if axis.scale == "log" or min(shown) < 0.5 * max(shown):
        return axis
    aside = 0.06 * (max(shown) - min(shown))
    return replace(axis, low=min(shown) - aside, high=max(shown) + aside)


def _curve(values: NDArray[np.float64]) -> Series:
    """Values by rank, and the share of the requests up to each: by steps where they are few."""
    count = len(values)
    if count <= _STEPS_MAX:
        ranks = np.arange(count)
        x, y = np.repeat(values, 2), np.repeat(np.arange(count + 1), 2)[1:-1] / count
    else:
        ranks = np.unique(np.ceil(_PERCENTS / 100 * count).astype(int).clip(1, count) - 1)
        x, y = values[ranks], (ranks + 1) / count
    return Series("at or below", tuple(x.tolist()), tuple((100 * y).tolist()), _CURVE)


def _bins(values: NDArray[np.float64], axis: Axis) -> Series:
    """The share of the requests in each of some equal steps, drawn at its middle."""
    low, high = float(values[0]), float(values[-1])
    if axis.scale == "log":
        edges = np.geomspace(low, high, _BIN_COUNT + 1)
        middles, width = np.sqrt(edges[1:] * edges[:-1]), f"{edges[1] / edges[0]:.2f}×"
        edges[0], edges[-1] = low, high
    else:
        edges = np.linspace(low, high, _BIN_COUNT + 1)
        middles, width = (edges[1:] + edges[:-1]) / 2, f"{number_text(edges[1] - edges[0])} ms"
    counts, _ = np.histogram(values, bins=edges)
    shares = 100 * counts / len(values)
    return Series(
        f"in each step of {width}", tuple(middles.tolist()), tuple(shares.tolist()), _BINS
    )


def _title(run: Record) -> str:
    row = run.summary
    ttft_ms, tpot_ms = row["ttft_ms_p99"], row["tpot_ms_p99"]
    if not isinstance(ttft_ms, float):
        return f"None of {row['request_count']:,} requests finished: no latency to show"
    text = f"p99 of the time to first token is {number_text(ttft_ms)} ms"
    if isinstance(tpot_ms, float):
        text += f", of the time per output token {number_text(tpot_ms, 4)} ms"
    return text


def _says(run: Record, *, has_slo: bool) -> str:
    row = run.summary
    text = (
        f"{run.name}: {row['finished_count']:,} of {row['request_count']:,} requests finished, "
        f"{row['rejected_count']:,} rejected"
    )
    attainment = row["slo_attainment"]
    if has_slo and isinstance(attainment, float | int):
        text += f"; {percent_text(attainment)} of all requests finished and met every SLO"
    return text
