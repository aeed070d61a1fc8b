"""The Capacity sheet gives the run's own numbers, and those of metrics.cost where it is changed.

LibreOffice calculates; what it finds is held against the cost model and exact fractions, not
against the values that were written beside the formulas.
"""

from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from spreadsheets import FIFTEEN_DIGITS, SOFFICE, named, opened, recalculated

import rack_sim
from rack_sim.foundation.units import PS_PER_S
from rack_sim.metrics.capacity import RESULTS
from rack_sim.metrics.cost import cost_of, footprint_of
from rack_sim.metrics.work import powered_chip_ps, work_chip_ps
from rack_sim.record.footprint import footprint_entry
from rack_sim.record.store import read
from rack_sim.report.sheets.capacity_facts import CapacityFacts, run_facts
from rack_sim.report.views import Wanted, leave
from reports import report

TINY_MODEL = (
    "model={model_type: llama, name: tiny-llama, num_hidden_layers: 8, hidden_size: 1024, "
    "num_attention_heads: 16, num_key_value_heads: 8, intermediate_size: 2816, "
    "vocab_size: 32000, max_position_embeddings: 4096, tie_word_embeddings: false}"
)
# Nine racks of eight active nodes; a replica takes three nodes, so that racks fill unevenly.
RACKS = [
    "system=groq-576",
    TINY_MODEL,
    "partition.tensor_parallel=8",
    "partition.stages=3",
    "partition.objective=most_tokens_per_chip",
    "serving.max_context_tokens=2048",
    "serving.concurrent_sequences=4",
    "serving.replicas=3",
    "workload.request_count=400",
    "workload.arrivals.rate_rps=20",
]
# joules of the summary are rounded to the thousandth, of some 1e4: five parts in 1e8 of a watt;
# money of it to six places beside the decimal point is not compared here
ROUNDED = 1e-7

needs_office = pytest.mark.skipif(SOFFICE is None, reason="LibreOffice (soffice) is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A run of three replicas, and its folder."""
    result = rack_sim.simulate(rack_sim.load("llama70b", RACKS))
    folder = tmp_path_factory.mktemp("run")
    leave(result, folder, wall_s=0, wanted=Wanted(figures=False))
    return result, folder


def facts_of(folder: Path) -> CapacityFacts:
    facts = run_facts(read(folder))
    assert isinstance(facts, CapacityFacts)
    return facts


# what a planner types -> a name for it
CHANGES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "more": {"rate_rps": 173.0, "headroom_share": 0.25},
    "dear": {
        "rate_rps": 61.5,
        "chip_price_usd": 1234.5,
        "system_price_factor": 1.7,
        "utilisation_share": 0.35,
        "amortisation_years": 3,
    },
    "system price": {
        "rate_rps": 500,
        "headroom_share": 0.1,
        "system_price_usd": 9e6,
        "electricity_usd_per_kwh": 0.31,
        "power_usage_effectiveness": 1.07,
        "utilisation_share": 0.8,
    },
    "compiled limit": {"rate_rps": 2000, "capacity_basis": "compiled limit"},
    "own figure": {"rate_rps": 40, "capacity_basis": "own figure", "own_capacity_rps": 8},
    "nothing": {"rate_rps": 0},
    "objectives missed": {"attainment_share": 0.5},
    "single nodes": {"rate_rps": 30, "bought_by": "single nodes", "spare_share": 0.1},
}


@pytest.fixture(scope="module")
def office(run: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The workbook as LibreOffice calculates it, for each of the changes."""
    folder = tmp_path_factory.mktemp("office")
    book = opened(run[1] / "report.xlsx")
    for page in book.sheetnames:  # the formulas need no other sheet, and so it takes half the time
        if page not in ("Capacity", "Racks"):
            del book[page]
    files = []
    for number, changes in enumerate(CHANGES.values()):
        kept = {name: named(book, name).value for name in changes}
        for name, value in changes.items():
            named(book, name).value = value
        files.append(folder / f"{number}.xlsx")
        book.save(files[-1])
        for name, value in kept.items():
            named(book, name).value = value
    found = recalculated(files, folder)
    return {name: opened(path, values=True) for name, path in zip(CHANGES, found, strict=True)}


@needs_office
@pytest.mark.slow
def test_unchanged_formulas_give_the_run(office: dict[str, Any], run: tuple[Any, Path]) -> None:
    book, summary = office["as it comes"], run[0].summary
    for name, column, digits in (
        ("chips_of_model", "chip_count", 0),
        ("spare_chips", "spare_chip_count", 0),
        ("idle_chips", "idle_chip_count", 0),
        ("racks", "rack_count", 0),
        ("replicas", "replica_count", 0),
        ("capital_usd", "capital_usd", 2),
        ("serving_watts", "mean_watts", 3),
        ("usd_per_million_output_tokens", "usd_per_million_output_tokens", 6),
        ("usd_per_million_total_tokens", "usd_per_million_total_tokens", 6),
    ):
        assert round(named(book, name).value, digits) == summary[column], name
    page = book["Capacity"]
    (first,) = [row for row in range(1, page.max_row) if page.cell(row, 3).value == "difference"]
    differences = [page.cell(row, 3).value for row in range(first + 1, first + 9)]
    assert differences == [0] * 8


@needs_office
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in CHANGES if name not in ("single nodes", "nothing")]
)
def test_changed_formulas_are_the_cost_model(
    name: str, office: dict[str, Any], run: tuple[Any, Path]
) -> None:
    """Chips, watts and dollars as metrics.cost has them for the same replicas and prices."""
    result, changes = run[0], CHANGES[name]
    plan, totals = result.explanation.machine.plan, result.totals
    scenario = result.explanation.scenario
    own_rps = Fraction(totals.request_count * PS_PER_S, totals.end_ps)
    rate_rps = Fraction(changes["rate_rps"]) if "rate_rps" in changes else own_rps
    rows = result.summary["input_token_count"] + result.summary["output_token_count"]
    rows -= result.summary["finished_count"]
    capacity_rps = {
        "this run": own_rps / 3,
        "own figure": Fraction(changes.get("own_capacity_rps", 1)),
        "compiled limit": Fraction(result.explanation.limits.compiled_rows_per_s)
        / Fraction(rows, totals.request_count),
    }[changes.get("capacity_basis", "this run")]
    asked_rps = rate_rps * (1 + Fraction(changes.get("headroom_share", 0)))
    replicas = ceil(asked_rps / capacity_rps)
    inputs = replace(
        scenario.cost,
        **{
            field: changes[cell]
            for cell, field in {
                "amortisation_years": "amortisation_years",
                "system_price_factor": "system_price_factor",
                "electricity_usd_per_kwh": "electricity_usd_per_kwh",
                "power_usage_effectiveness": "power_usage_effectiveness",
                "utilisation_share": "utilisation",
            }.items()
            if cell in changes
        },
    )
    chip = replace(
        plan.system.chip, price_usd=changes.get("chip_price_usd", plan.system.chip.price_usd)
    )
    system = replace(
        plan.system, chip=chip, price_usd=changes.get("system_price_usd", plan.system.price_usd)
    )
    where = footprint_of(plan, replicas)
    # a thousand seconds at this rate, with the work of a request as in the run
    busy_ps = Fraction(powered_chip_ps(chip, work_chip_ps(result.explanation.machine, totals)))
    busy_ps *= rate_rps * 1000 / totals.request_count
    cost = cost_of(
        replace(plan, system=system),
        where,
        inputs,
        duration_ps=1000 * PS_PER_S,
        busy_chip_ps=busy_ps,
    )
    book = office[name]
    assert named(book, "replicas").value == replicas
    assert named(book, "chips_of_model").value == where.chip_count
    assert named(book, "spare_chips").value == where.spare_chip_count
    assert named(book, "idle_chips").value == where.idle_chip_count
    assert named(book, "nodes").value == where.node_count
    assert named(book, "racks").value == where.rack_count
    assert named(book, "capital_usd").value == pytest.approx(cost.capital_usd, rel=FIFTEEN_DIGITS)
    assert named(book, "standby_watts").value == pytest.approx(
        cost.standby_watts, rel=10 * FIFTEEN_DIGITS
    )
    assert named(book, "serving_watts").value == pytest.approx(cost.mean_watts, rel=ROUNDED)
    tokens = float(rate_rps * 1000 * result.summary["output_token_count"] / totals.request_count)
    if tokens:
        found = named(book, "usd_per_million_output_tokens").value
        assert found == pytest.approx(cost.usd / tokens * 1e6, rel=ROUNDED)


@needs_office
@pytest.mark.slow
def test_no_traffic_needs_nothing(office: dict[str, Any]) -> None:
    book = office["nothing"]
    for name in ("replicas", "chips_bought", "racks", "capital_usd", "usd_per_year"):
        assert named(book, name).value == 0
    assert named(book, "usd_per_million_output_tokens").value in (None, "")


@needs_office
@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_written_values_are_those_of_the_formulas(
    name: str, office: dict[str, Any], run: tuple[Any, Path]
) -> None:
    """What a program shows that does not calculate is what one shows that does."""
    plan = facts_of(run[1]).planned(CHANGES[name])
    for line in RESULTS:
        found = named(office[name], line.name).value
        wanted = plan[line.name]
        if wanted is None:
            assert found in (None, ""), line.name
        else:
            # sums and products of a dozen numbers
            assert found == pytest.approx(wanted, rel=10 * FIFTEEN_DIGITS), line.name


@needs_office
@pytest.mark.slow
def test_single_nodes_are_bought_with_spares(office: dict[str, Any], run: tuple[Any, Path]) -> None:
    """Replicas of three nodes of eight chips, a tenth of spares, whole nodes, racks of nine."""
    book = office["single nodes"]
    replicas = named(book, "replicas").value
    nodes = ceil(Fraction(replicas * 24) * Fraction(11, 10) / 8)
    assert named(book, "nodes").value == nodes
    assert named(book, "chips_bought").value == 8 * nodes
    assert named(book, "racks").value == ceil(nodes / 9)
    assert named(book, "spare_chips").value == 8 * nodes - 24 * replicas
    assert named(book, "idle_chips").value == 0


@needs_office
@pytest.mark.slow
def test_every_formula_of_the_workbook_is_right_as_written(
    run: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LibreOffice opens the very file and finds what stands in it, also where that is spoilt."""
    (found,) = recalculated([run[1] / "report.xlsx"], tmp_path / "whole")
    ours, formulas = opened(run[1] / "report.xlsx", values=True), opened(run[1] / "report.xlsx")
    theirs = opened(found, values=True)
    assert theirs.sheetnames == ours.sheetnames
    count = 0
    for page in formulas:
        for row in page.iter_rows():
            for cell in row:
                if cell.data_type != "f":
                    continue
                count += 1
                want = ours[page.title][cell.coordinate].value
                got = theirs[page.title][cell.coordinate].value
                place = f"{page.title}!{cell.coordinate}"
                if isinstance(want, int | float):
                    # latencies of the summary have six places behind the point, means of rows more
                    room = 1e-6 if page.title == "Requests" else 0
                    assert got == pytest.approx(want, rel=10 * FIFTEEN_DIGITS, abs=room), place
                else:
                    assert (got or "") == (want or ""), place
    assert count > 60

    planned = CapacityFacts.planned
    spoilt = {line.name: -1.0 for line in RESULTS}
    monkeypatch.setattr(CapacityFacts, "planned", lambda facts: planned(facts) | spoilt)
    report(run[1], tmp_path / "spoilt.xlsx")
    (found,) = recalculated([tmp_path / "spoilt.xlsx"], tmp_path / "whole")
    assert named(opened(tmp_path / "spoilt.xlsx", values=True), "chips_bought").value == -1
    book = opened(found, values=True)
    assert named(book, "chips_of_model").value == run[0].summary["chip_count"]


def test_racks_fill_as_footprints_do(run: tuple[Any, Path]) -> None:
    """Every number of replicas of one system is found in the table of racks."""
    plan = run[0].explanation.machine.plan
    entry = footprint_entry(plan, 3)
    assert entry["replicas_per_system"] == 72 // 3
    assert len(entry["racks"]) == 9
    for replicas in range(1, entry["replicas_per_system"] + 1):
        where = footprint_of(plan, replicas)
        row = [step for step in entry["racks"] if step["replicas"] <= replicas][-1]
        chips = where.chip_count + where.spare_chip_count + where.idle_chip_count
        assert (row["racks"], row["nodes"], row["chips"], row["spares"]) == (
            where.rack_count,
            where.node_count,
            chips,
            where.spare_chip_count,
        )


def test_inputs_are_marked_and_checked(run: tuple[Any, Path]) -> None:
    book = opened(run[1] / "report.xlsx")
    page = book["Capacity"]
    checked = {str(rule.sqref) for rule in page.data_validations.dataValidation}
    for name in facts_of(run[1]).choices:
        cell = named(book, name)
        yellow = cell.fill.fgColor.rgb == "FFFFF2CC"
        assert yellow == (cell.coordinate in checked), name
    assert len(checked) == 14
    lists = {rule.formula1 for rule in page.data_validations.dataValidation if rule.type == "list"}
    assert lists == {
        '"this run,compiled limit,own figure"',
        '"whole racks,single nodes"',
    } or lists == {
        '"this run,steady window,compiled limit,own figure"',
        '"whole racks,single nodes"',
    }


def test_attainment_is_of_requests_that_were_let_in(run: tuple[Any, Path]) -> None:
    summary = run[0].summary
    let_in = summary["request_count"] - summary["rejected_count"]
    assert 0 < let_in < summary["request_count"]
    met = summary["slo_attainment"] * summary["request_count"]
    assert facts_of(run[1]).attainment == pytest.approx(met / let_in, rel=FIFTEEN_DIGITS)


@needs_office
@pytest.mark.slow
def test_objectives_missed_are_said(office: dict[str, Any]) -> None:
    """A rate at which too few requests met their objectives is not called a capacity."""

    def verdict(name: str) -> str:
        page = office[name]["Capacity"]
        (text,) = [row[1] for row in page.iter_rows(values_only=True) if row[0] == "Verdict"]
        return str(text)

    assert "no capacity within the SLO" in verdict("objectives missed")
    assert "objectives are met" in verdict("as it comes")
