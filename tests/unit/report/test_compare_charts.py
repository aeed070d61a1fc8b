"""The charts of a comparison: every run that ran, what is best, and what is for the better."""

from collections.abc import Mapping

from rack_sim.metrics.compare_columns import CHANGES, COMPARE
from rack_sim.record.record import Record
from rack_sim.record.table import Table
from rack_sim.report.chart import Chart, Panels
from rack_sim.report.charts.compare import compare_charts
from rack_sim.report.colours import BETTER, WORSE

SPEED, PER_CHIP = "output_tok_s_per_user_p50", "output_tok_s_per_chip"


def run_of(name: str, speed: float, dense: float, usd: float) -> dict[str, object]:
    return {
        "name": name,
        "status": "ran",
        SPEED: speed,
        PER_CHIP: dense,
        f"{PER_CHIP}_frontier": "yes" if name != "dull" else "no",
        "usd_per_million_output_tokens": usd,
        "output_tokens_per_usd": 1e6 / usd,
        "chip_count": 8,
    }


def told(*runs: Mapping[str, object], changes: tuple[tuple[object, ...], ...] = ()):
    columns = [column.name for column in COMPARE]
    rows = [[run.get(name) for name in columns] for run in runs]
    tables = {
        "compare.csv": Table(COMPARE, lambda: rows),
        "changes.csv": Table(CHANGES, lambda: changes),
    }
    facts = {"comparison": [], "not_alike": ["models"]}
    found = compare_charts(Record("compare", facts, tables))
    return {panels.name: panels for panels in found}


def chart_of(panels: Panels, name: str) -> Chart:
    return next(chart for chart in panels.charts if chart.name == name)


FAST, CHEAP = run_of("fast", 300.0, 2.0, 100.0), run_of("cheap", 20.0, 90.0, 1.5)
DULL = run_of("dull", 10.0, 1.0, 120.0)
LOST = {"name": "lost", "status": "infeasible", "reason": "too large"}


def test_the_frontier_passes_the_best_and_leaves_out_what_is_beaten():
    pictures = told(FAST, CHEAP, DULL, LOST)
    pareto = chart_of(pictures["pareto"], "pareto-output-tok-s-per-chip")
    line, *points = pareto.series
    assert [(one.name, one.x, one.y) for one in points] == [
        ("fast", (300,), (2,)),
        ("cheap", (20,), (90,)),
        ("dull", (10,), (1,)),
    ]
    corners = list(zip(line.x, line.y, strict=True))
    assert {(300, 2), (20, 90)} <= set(corners)
    assert (10, 1) not in corners
    assert corners[-1] == (300, pareto.y.low), "down to the edge"
    assert (pareto.x.scale, pareto.y.scale) == ("log", "log")
    assert (
        "fast is fastest for a user (300 tokens/s), cheap yields most" in pictures["pareto"].title
    )
    assert "cannot run: lost" in pictures["pareto"].says


def test_a_run_has_one_colour_in_every_chart():
    pictures = told(FAST, CHEAP)
    pareto = chart_of(pictures["pareto"], "pareto-output-tok-s-per-chip")
    bars = chart_of(pictures["compared"], "compared-usd-per-million-output-tokens")
    (one,) = bars.series
    assert one.y == (100, 1.5)
    assert [look.colour for look in one.looks] == [s.look.colour for s in pareto.series[1:]]
    assert bars.title.endswith("least cheap, 1.5 USD")
    assert "compared-slo-attainment" not in {c.name for c in pictures["compared"].charts}


def test_a_fall_in_cost_is_for_the_better():
    changes = (
        ("output", "usd_per_million_output_tokens", 100.0, 18.0, -0.82),
        ("output", "ttft_ms_p99", 10.0, 20.0, 1.0),
        ("input", "seed", 1, 2, 1.0),
    )
    (chart,) = told(FAST, CHEAP, changes=changes)["changed"].charts
    by_name = {one.name: one for one in chart.series}
    assert by_name["better"].y == (None, -82)
    assert by_name["worse"].y == (100, None)
    assert (by_name["better"].look, by_name["worse"].look) == (BETTER, WORSE)
    assert chart.x.labels == ("TTFT p99, ms", "USD per million output tokens")


def test_what_served_nothing_is_said():
    nothing = {**FAST, SPEED: None, PER_CHIP: None, "output_tokens_per_usd": None}
    pictures = told({**nothing, "usd_per_million_output_tokens": None})
    assert pictures["pareto"].charts == ()
    assert "no speed to compare" in pictures["pareto"].title
    assert pictures["compared"].title == "Nothing was served"
