"""Latency: how the latencies of requests are distributed."""

import numpy as np
from markupsafe import Markup

from rack_sim.report.html.page import Chart, Section, Table
from rack_sim.report.html.plot import (
    INK,
    SKY,
    bars,
    layout,
    limit_line,
    line,
)
from rack_sim.report.html.quantity import figure, milliseconds, share
from rack_sim.report.html.requests import METRICS, Requests

_HISTOGRAM_BINS = 60
_CDF_POINTS = 200
_PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
# Beyond this many times the value at p99, a histogram is squeezed by a few.
_TAIL_RATIO = 3.0


def distribution_section(requests: Requests) -> Section:
    """How each latency is distributed over the requests that finished."""
    charts, sentences = [], []
    for metric in METRICS:
        values = requests.latencies_ms[metric]
        if not len(values):
            sentences.append(f"{METRICS[metric]}: no request has one.")
        elif values[0] == values[-1]:
            sentences.append(
                f"{METRICS[metric]}: {milliseconds(float(values[0]))} for every request that has "
                "one; there is nothing to draw."
            )
        else:
            charts.append(_distribution(metric, requests))
    return Section(
        "distributions", "How it is distributed", sentences=tuple(sentences), charts=tuple(charts)
    )


def _distribution(metric: str, requests: Requests) -> Chart:
    values = requests.latencies_ms[metric]
    percentiles = {percent: float(np.percentile(values, percent)) for percent in _PERCENTS}
    limit = requests.objectives_ms.get(metric)
    end = min(float(values[-1]), _TAIL_RATIO * percentiles[99])
    if limit is not None and limit <= 2 * end:
        end = max(end, limit * 1.05)
    start = float(values[0])
    start = 0.0 if start < 0.5 * end else start
    shown = values[values <= end]
    counts, edges = np.histogram(shown, bins=_HISTOGRAM_BINS, range=(start, end))
    shares = 100 * counts / len(values)
    grid = np.linspace(0, 100, _CDF_POINTS + 1)
    curve = np.percentile(values, grid)
    kept = curve <= end
    name = METRICS[metric]
    histogram = bars(
        "requests (left)",
        ((edges[:-1] + edges[1:]) / 2).tolist(),
        shares.tolist(),
        SKY,
        unit="% of requests",
        width=float(edges[1] - edges[0]),
        hovertemplate=Markup("about %{x:.4~g} ms: %{y:.3~g} % of requests<extra></extra>"),
    )
    cumulative = line(
        "finished within (right)",
        curve[kept].tolist(),
        grid[kept].tolist(),
        INK,
        yaxis="y2",
        hovertemplate=Markup("%{y:.4~g} % within %{x:.4~g} ms<extra></extra>"),
    )
    more = (
        limit_line(limit, f"SLO {milliseconds(limit)}", middle=(start + end) / 2)
        if limit and limit <= end
        else {}
    )
    says = (
        f"Half of the finished requests are within {milliseconds(percentiles[50])}, 99 % within "
        f"{milliseconds(percentiles[99])}, all within {milliseconds(percentiles[100])}."
    )
    within = requests.within(metric)
    if limit is not None and within is not None:
        says += f" {share(within)} meet the objective of {milliseconds(limit)}."
        if limit > end:
            says += " It lies to the right of what is drawn."
    beyond = len(values) - len(shown)
    note = f"{beyond:,} of {len(values):,} requests lie beyond the right edge." if beyond else ""
    return Chart(
        f"distribution-{metric}",
        name,
        says,
        (histogram, cumulative),
        layout(
            "ms",
            "share of requests, %",
            xaxis={"range": [start, end]},
            yaxis={"range": [0, 1.14 * float(shares.max())]},
            yaxis2={
                "title": {"text": "finished within, %"},
                "overlaying": "y",
                "side": "right",
                "range": [0, 114],  # room for the words of the objective
                "tickvals": [0, 25, 50, 75, 100],
                "showgrid": False,
            },
            bargap=0,
            **more,
        ),
        Table(
            f"{name}, percentiles of {len(values):,} requests",
            ("Percentile", "#ms"),
            tuple((f"p{percent:g}", figure(ms, 5)) for percent, ms in percentiles.items()),
        ),
        note=note,
    )
