"""Run page: the report of a finished run, the answer first."""

from collections.abc import Iterable

from rack_sim.record.record import Record
from rack_sim.report.chart import Panels
from rack_sim.report.charts.critical_path import critical_path_charts
from rack_sim.report.charts.latency import latency_charts
from rack_sim.report.charts.latency_split import split_charts
from rack_sim.report.charts.over_time import over_time_charts
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.answer import answer_section, headline
from rack_sim.report.html.inputs import inputs_sections
from rack_sim.report.html.limits import cost_section, limits_section
from rack_sim.report.html.page import Page, Section
from rack_sim.report.html.rack import rack_of
from rack_sim.report.html.rack_section import rack_section
from rack_sim.report.html.replicas import replicas_section
from rack_sim.report.html.requests import requests_of
from rack_sim.report.html.warnings import lost_requests, run_warnings, warnings_section
from rack_sim.report.numbers import counted, number_text


def run_page(run: Record) -> Page:
    """The page of a run. Raises InputError where one of its tables cannot be read."""
    row = run.summary
    requests, rack = requests_of(run), rack_of(run)
    warnings = tuple(run_warnings(run, requests))
    drawn, data = rack_section(rack, run)
    sections = (
        answer_section(run, requests, rack.memory_name, warnings),
        drawn,
        _drawn("split", "Where the time goes", split_charts(run)),
        _drawn("distributions", "How it is distributed", latency_charts(run, requests)),
        _drawn("over-time", "Over time", over_time_charts(run)),
        _drawn("critical-path", "What a token waits for", critical_path_charts(run)),
        limits_section(run),
        replicas_section(run),
        cost_section(run),
        *inputs_sections(run.facts, run.resolved),
        warnings_section(warnings, lost_requests(requests)),
    )
    description = str(run.resolved.get("description") or "")
    facts = (
        *((f"The scenario says: {description}",) if description else ()),
        f"Traffic: {run.facts['workload']}",
        f"{counted(row['request_count'], 'request')}, "
        f"{number_text(row['simulated_s'], 4)} s simulated",
        f"Scenario {row['scenario_hash']}, seed {row['seed']}",
    )
    return Page(
        title=str(row["scenario"]),
        subtitle=headline(row),
        facts=facts,
        sections=tuple(section for section in sections if section is not None),
        data={"rack": data},
        origin=f"Written by rack-sim {row['version']} from the files of the run, scenario "
        f"{row['scenario_hash']}, seed {row['seed']}. The CSV files beside this page have every "
        "number; resolved.yaml runs it again.",
    )


def _drawn(name: str, title: str, groups: Iterable[Panels]) -> Section:
    """A section of charts, or of what they say where there is nothing to draw."""
    found = tuple(groups)
    empty = [c.says for panels in found for c in panels.charts if not c.values_of and not c.cells]
    sentences = tuple(dict.fromkeys(empty))
    return Section(name, title, sentences=sentences, charts=draw_all(found))
