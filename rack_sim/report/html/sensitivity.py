"""Sensitivity page: which inputs move cost and speed most, in words, figures and a table."""

from collections.abc import Sequence

from rack_sim.report.html.inputs import assumptions_section, inputs_section
from rack_sim.report.html.page import Chart, Page, Section, Table
from rack_sim.report.html.plot import BLUE, ORANGE, bars, broken, layout
from rack_sim.report.html.quantity import cell, counted, figure
from rack_sim.report.sensitivity_tables import SensitivityTables, Swing
from rack_sim.study.sensitivity import SPEED, USD

_TOLD = 3
# column of the share -> what it is of
_EFFECTS = {
    "usd_change_share": "the cost of an output token",
    "speed_change_share": "the speed of the median user",
}
_NOTHING = 0.0005  # less than this share of change is none to be seen


def sensitivity_page(found: SensitivityTables) -> Page:
    """The page of a finished sensitivity."""
    manifest, base, swings = found.record.facts, found.base, found.swings
    percent = f"{manifest['change']:.0%}"
    model = manifest["model"].get("name")
    speed = base[SPEED]
    charts = tuple(
        chart for column in _EFFECTS if (chart := _tornado(swings, column, percent)) is not None
    )
    notes = found.notes
    return Page(
        title=f"Sensitivity: {found.name}",
        subtitle=f"What do {percent} less and more of each input, alone, do to cost and speed?",
        facts=(
            f"{model} on {found.record.resolved['system'].get('name')}",
            f"Traffic: {manifest['workload']}; replayed: {manifest['replayed']}",
            f"As it is: {figure(base[USD])} USD per million output tokens"
            + (f", {figure(speed)} tokens/s per user" if speed is not None else ""),
            f"Scenario {manifest['scenario_hash']}, seed {manifest['seed']}",
        ),
        sections=(
            Section("answer", "The answer", points=tuple(_answers(swings))),
            Section("figures", "Figures", charts=charts),
            Section("tables", "Tables", tables=(_table(swings),), points=notes),
            inputs_section(manifest, found.record.resolved),
            assumptions_section(manifest, manifest["assumed_by_the_sensitivity"]),
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
            parts = [
                f"{row['change_share']:+.0%} of it changes {words} by {row[column]:+.1%}"
                for row in swing.sides
                if row[column] is not None
            ]
            said.append(f"{swing.name}: {'; '.join(parts)}.")
    still = [s.name for s in swings if all(s.widest(column) < _NOTHING for column in _EFFECTS)]
    if still:
        said.append(f"{counted(len(still), 'input')} move neither: {', '.join(still)}.")
    return said


def _tornado(swings: Sequence[Swing], column: str, percent: str) -> Chart | None:
    """Bars of less and of more of each input that moves a number, the widest on top."""
    moved = [swing for swing in swings if swing.widest(column) >= _NOTHING]
    if not moved:
        return None
    drawn = sorted(moved, key=lambda swing: swing.widest(column))
    labels = [broken(swing.name) for swing in drawn]

    def values(sign: int) -> list[float | None]:
        found = []
        for swing in drawn:
            rows = [row for row in swing.sides if row["change_share"] * sign > 0]
            share = rows[0][column] if rows else None
            found.append(None if share is None else 100 * share)
        return found

    traces = [
        bars(f"{percent} {words} of it, or what there can be", labels, values(sign), colour,
             unit="%", sideways=True, pattern=pattern)
        for sign, words, colour, pattern in ((-1, "less", ORANGE, "/"), (1, "more", BLUE, ""))
    ]  # fmt: skip
    widest = drawn[-1]
    return Chart(
        column.removesuffix("_share").replace("_", "-"),
        f"What each input does to {_EFFECTS[column]}",
        f"Most is done by {widest.name}: {widest.widest(column):.1%}.",
        tuple(traces),
        layout("change, %", "", yaxis={"automargin": True}, barmode="overlay"),
        Table(
            f"Change of {_EFFECTS[column]}",
            ("Input", "#less of it", "#more of it"),
            tuple(
                (swing.name, *(_percent(value) for value in pair))
                for swing, *pair in zip(drawn[::-1], values(-1)[::-1], values(1)[::-1], strict=True)
            ),
        ),
        height_px=120 + 40 * len(drawn),
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f} %"


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
                    figure(row[USD], 4),
                    figure(row[SPEED], 4),
                    "replayed" if row["how"] == "replayed" else "recomputed",
                )
            )
    return Table(
        "Every input that was changed",
        (
            "Input",
            "#change",
            "#from",
            "#to",
            "#USD per million",
            "#tokens/s per user",
            "how",
        ),
        tuple(rows),
        is_open=True,
    )
