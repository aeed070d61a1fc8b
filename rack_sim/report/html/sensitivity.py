"""Sensitivity page: which inputs move cost and speed most, in words, figures and a table."""

from collections.abc import Iterator

from rack_sim.metrics.words import capital
from rack_sim.record.record import Record
from rack_sim.report.charts.sensitivity import sensitivity_charts
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.inputs import input_warnings, inputs_sections
from rack_sim.report.html.page import HtmlTable, Page, Section
from rack_sim.report.html.warnings import warnings_section
from rack_sim.report.numbers import cell, counted, number_text
from rack_sim.report.swings import (
    MOVED_NUMBERS,
    VISIBLE,
    MovedNumber,
    Swing,
    notes_of,
    still_of,
    swings_of,
)
from rack_sim.study.sensitivity import SPEED, USD

_TOLD = 3


def sensitivity_page(record: Record) -> Page:
    """The page of a finished sensitivity."""
    manifest, base = record.facts, record.facts["base"]
    speed = base[SPEED]
    return Page(
        title=f"Sensitivity: {record.name}",
        subtitle=f"What do {manifest['change']:.0%} less and more of each input, alone, do to cost "
        "and speed?",
        facts=(
            f"{manifest['model']['name']} on {record.resolved['system'].get('name')}",
            f"Traffic: {manifest['workload']}; replayed: {manifest['replayed']}",
            f"As it is: {number_text(base[USD])} USD per million output tokens"
            + (f", {number_text(speed)} tokens/s per user" if speed is not None else ""),
            f"Scenario {manifest['scenario_hash']}, seed {manifest['seed']}",
        ),
        sections=(
            Section("answer", "The answer", points=tuple(sensitivity_answers(record))),
            Section("figures", "Figures", charts=draw_all(sensitivity_charts(record))),
            Section("tables", "Tables", tables=(_table(record),), points=notes_of(record)),
            *inputs_sections(manifest, record.resolved),
            warnings_section(tuple(input_warnings(manifest))),
        ),
        origin=f"Written by rack-sim {manifest['version']} from the files of the sensitivity of "
        f"the scenario {manifest['scenario_hash']}. sensitivity.csv has every number.",
    )


def sensitivity_answers(record: Record) -> Iterator[str]:
    """The inputs that move each of the two most, and how many move neither."""
    for effect in MOVED_NUMBERS:
        ranked = sorted(swings_of(record), key=lambda swing: -swing.widest(effect.column))
        for swing in ranked[:_TOLD]:
            if swing.widest(effect.column) >= VISIBLE:
                yield _answer(swing, effect)
    if still := still_of(record):
        move = "moves" if len(still) == 1 else "move"
        yield f"{counted(len(still), 'input')} {move} neither: {', '.join(still)}."


def _answer(swing: Swing, effect: MovedNumber) -> str:
    parts = (
        f"{abs(change):.0%} {'more' if change > 0 else 'less'} by {moved:+.1%}"
        for row in swing.sides
        if (moved := row[effect.column]) is not None and (change := row["change_share"])
    )
    what = f"the {effect.words[0].lower()}{effect.words[1:]}"
    return f"{capital(swing.name)} changes {what}: {', '.join(parts)}."


def _table(record: Record) -> HtmlTable:
    rows = (
        (
            f"{swing.name}, {swing.unit}",
            f"{row['change_share']:+.0%}",
            cell(row["before"]),
            cell(row["after"]),
            number_text(row[USD], 4),
            number_text(row[SPEED], 4),
            "replayed" if row["how"] == "replayed" else "recomputed",
        )
        for swing in swings_of(record)
        for row in swing.sides
    )
    heads = ("Input", "#change", "#from", "#to", "#USD per million", "#tokens/s per user", "how")
    return HtmlTable("Every input that was changed", heads, tuple(rows), is_open=True)
