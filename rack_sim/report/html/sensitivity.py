"""Sensitivity page: which inputs move cost and speed most, in words, figures and a table."""

from collections.abc import Sequence

from rack_sim.metrics.words import capital
from rack_sim.record.record import Record
from rack_sim.report.charts.sensitivity import sensitivity_charts
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.inputs import input_warnings, inputs_sections
from rack_sim.report.html.page import Page, Section, Table
from rack_sim.report.html.warnings import warnings_section
from rack_sim.report.numbers import cell, counted, number_text
from rack_sim.report.swings import Swing, notes_of, swings_of
from rack_sim.study.sensitivity import SPEED, USD

_TOLD = 3
# column of the share -> what it is of
_EFFECTS = {
    "usd_change_share": "the cost of an output token",
    "speed_change_share": "the speed of the median user",
}
_NOTHING = 0.0005  # less than this share of change is none to be seen


def sensitivity_page(record: Record) -> Page:
    """The page of a finished sensitivity."""
    manifest, base, swings = record.facts, record.facts["base"], swings_of(record)
    percent = f"{manifest['change']:.0%}"
    model = manifest["model"].get("name")
    speed = base[SPEED]
    charts = draw_all(sensitivity_charts(record))
    notes = notes_of(record)
    return Page(
        title=f"Sensitivity: {record.name}",
        subtitle=f"What do {percent} less and more of each input, alone, do to cost and speed?",
        facts=(
            f"{model} on {record.resolved['system'].get('name')}",
            f"Traffic: {manifest['workload']}; replayed: {manifest['replayed']}",
            f"As it is: {number_text(base[USD])} USD per million output tokens"
            + (f", {number_text(speed)} tokens/s per user" if speed is not None else ""),
            f"Scenario {manifest['scenario_hash']}, seed {manifest['seed']}",
        ),
        sections=(
            Section("answer", "The answer", points=tuple(_answers(swings))),
            Section("figures", "Figures", charts=charts),
            Section("tables", "Tables", tables=(_table(swings),), points=notes),
            *inputs_sections(manifest, record.resolved),
            warnings_section(tuple(input_warnings(manifest))),
        ),
        origin=f"Written by rack-sim {manifest['version']} from the files of the sensitivity of "
        f"the scenario {manifest['scenario_hash']}. sensitivity.csv has every number.",
    )


def _answers(swings: Sequence[Swing]) -> list[str]:
    """The inputs that move each of the two most, and how many move neither."""
    said = []
    for column, words in _EFFECTS.items():
        ranked = sorted(swings, key=lambda swing: -swing.widest(column))
        for swing in ranked[:_TOLD]:
            if swing.widest(column) < _NOTHING:
                break
            sides = [row for row in swing.sides if row[column] is not None and row["change_share"]]
            parts = (
                f"{abs(row['change_share']):.0%} {'more' if row['change_share'] > 0 else 'less'} "
                f"by {row[column]:+.1%}"
                for row in sides
            )
            said.append(f"{capital(swing.name)} changes {words}: {', '.join(parts)}.")
    still = [s.name for s in swings if all(s.widest(column) < _NOTHING for column in _EFFECTS)]
    if still:
        move = "moves" if len(still) == 1 else "move"
        said.append(f"{counted(len(still), 'input')} {move} neither: {', '.join(still)}.")
    return said


def _table(swings: Sequence[Swing]) -> Table:
    rows = []
    for swing in swings:
        for row in swing.sides:
            rows.append(
                (
                    f"{swing.name}, {swing.unit}",
                    f"{row['change_share']:+.0%}",
                    cell(row["before"]),
                    cell(row["after"]),
                    number_text(row[USD], 4),
                    number_text(row[SPEED], 4),
                    "replayed" if row["how"] == "replayed" else "recomputed",
                )
            )
    heads = ("Input", "#change", "#from", "#to", "#USD per million", "#tokens/s per user", "how")
    return Table("Every input that was changed", heads, tuple(rows), is_open=True)
