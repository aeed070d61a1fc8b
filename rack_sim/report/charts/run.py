"""Run charts: where time, energy and money go, and what the run is held against."""

from collections.abc import Iterator

from rack_sim.record.record import Record
from rack_sim.report.chart import Panels
from rack_sim.report.charts.critical_path import critical_path_charts
from rack_sim.report.charts.energy_and_cost import energy_and_cost_charts
from rack_sim.report.charts.latency import latency_charts
from rack_sim.report.charts.latency_split import split_charts
from rack_sim.report.charts.limits import limits_charts
from rack_sim.report.charts.over_time import over_time_charts
from rack_sim.report.charts.replicas import replicas_charts


def run_charts(run: Record) -> Iterator[Panels]:
    """All charts of a run; what a chart cannot be stands in `figures`."""
    yield from split_charts(run)
    yield from latency_charts(run)
    yield from over_time_charts(run)
    yield from critical_path_charts(run)
    yield from limits_charts(run)
    yield from energy_and_cost_charts(run)
    yield from replicas_charts(run)
