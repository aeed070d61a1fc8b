"""The first sheet of a workbook: the answer in figures, with units and currency, and a chart."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spreadsheets import drawn, opened

import rack_sim
import rack_sim.cli
from rack_sim.foundation.version import VERSION
from rack_sim.report.sheets.sheet import number_format
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import load_study
from rack_sim.study import load, mapping
from rack_sim.study.sensitivity import run_sensitivity
from rack_sim.timing.terms import Terms
from reports import report

SMALL = Path(__file__).parents[1] / "scenario" / "small.yaml"
SLOTS = Path(__file__).parents[1] / "cli" / "slots.yaml"
PLAN = ["partition={tensor_parallel: 8, stages: 8}", "workload.request_count=20"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def figures(folder: Path) -> dict[str, list[Any]]:
    """The lines of the first sheet above the list of sheets, by their words."""
    found: dict[str, list[Any]] = {}
    for row in opened(folder / "report.xlsx")["Summary"].iter_rows(min_row=3):
        if row[0].value == "Sheets":
            break
        found.setdefault(str(row[0].value), list(row[1:]))
    return found


def charts(folder: Path) -> list[list[list[float]]]:
    return drawn(opened(folder / "report.xlsx"), "Summary")


@pytest.mark.parametrize("name", ["slots", "batches"])
def test_a_run_opens_with_figures(finished: Callable[[str], Path], name: str) -> None:
    folder = finished(name)
    (summary,) = rows(folder / "summary.csv")
    found = figures(folder)
    for words, column, unit in (
        ("Chips that hold the model", "chip_count", "chips"),
        ("First token, median", "ttft_ms_p50", "ms"),
        ("First token, 99 of 100 requests within", "ttft_ms_p99", "ms"),
        ("Between two tokens, median", "tpot_ms_p50", "ms"),
        ("Requests served", "request_throughput_rps", "requests/s"),
        ("A million output tokens", "usd_per_million_output_tokens", "USD"),
        ("Capital", "capital_usd", "USD"),
        ("Requests that met every objective", "slo_attainment", None),
    ):
        value, said, *_ = found[words]
        assert value.value == float(summary[column]), words
        assert said.value == unit
        assert ("$" in value.number_format) == (unit == "USD")
    watts = float(summary["mean_watts"])
    assert found["Mean power"][0].value == pytest.approx(watts / 1000, rel=1e-15)
    # what the mean time to the first token, and the mean gap, is made of: all that is not nothing
    first = [f"ttft_{part}_ms_mean" for part in ("admission", "row_wait", "prefill", "pass")]
    gap = [f"tpot_{name}_ms" for name in ("draft", *Terms().by_name())]
    for (shares, _), names in zip(charts(folder), (first, gap), strict=True):
        assert sorted(shares) == sorted(ms for name in names if (ms := float(summary[name] or 0)))


def test_each_machine_of_a_load_study_has_its_rates(tmp_path: Path) -> None:
    node = "system: groq-node-8, model.num_hidden_layers: 1, partition.stages: 1"
    machines = ", ".join(
        f"{{name: {name}, overrides: {{{node}, serving.slot_rows: {count}}}}}"
        for name, count in (("one", 1), ("two", 2))
    )
    given = [f"points=[{machines}]", "rates_rps=[20, 300]", "request_count=60"]
    result = load.run(load_study("load", [*given, "slo={ttft_ms: 500}"]))
    leave(result, tmp_path, wall_s=0, wanted=Wanted(figures=False, html=False))
    knees, found = rows(tmp_path / "knee.csv"), figures(tmp_path)
    assert [cell.value for cell in found["Offered load"][:2]] == ["one", "two"]
    for words, column in (
        ("Meets its objectives up to", "slo_met_rps"),
        ("Keeps up with", "kept_up_rps"),
        ("Every row in use at", "capacity_limit_rps"),
    ):
        values = [cell.value for cell in found[words][:2]]
        assert values == [float(row[column]) if row[column] else None for row in knees]
    rates = ("slo_met_rps", "kept_up_rps", "capacity_limit_rps")
    assert charts(tmp_path) == [[[float(r[name]) for r in knees if r[name]] for name in rates]]


def test_a_grid_says_between_what_its_numbers_lie(tmp_path: Path) -> None:
    """The lowest and the highest of what is collected, and at which values of what was changed."""
    said = {"description": "", "study_hash": "a", "assumed_by_the_study": []}
    said |= {
        "machines": [],
        "assumed": [],
        "sourced": [],
        "collect": {"tpot_ms_p50": "TPOT, median"},
    }
    manifest = {**said, "kind": "grid", "study": "x", "version": VERSION}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "results.csv").write_text(
        "machine,grid.system.links,grid.hop_ns,status,reason,tpot_ms_p50,ttft_ms_p99\n"
        "m,1,10,ok,,3.5,1\nm,1,20,infeasible,no,,\nm,2,10,ok,,1.25,2\nm,2,20,ok,,9.75,3\n"
    )
    report(tmp_path, tmp_path / "report.xlsx")
    found = figures(tmp_path)
    low, high, unit, where = (cell.value for cell in found["TPOT, median"][:4])
    assert (low, high, unit) == (1.25, 9.75, "ms")
    assert where == "lowest at links 2, hop_ns 10; highest at links 2, hop_ns 20"
    assert not {"ttft_ms_p99", "tpot_ms_p50"} & found.keys(), "a column has words"


def test_a_mapping_has_its_figures_and_a_chart_on_the_first_sheet(tmp_path: Path) -> None:
    study, out = tmp_path / "cuts.yaml", tmp_path / "out"
    study.write_text(f"kind: mapping\nname: cuts\nscenario: {SLOTS}\n")
    out.mkdir()
    found = mapping.run(load_study(study))
    leave(found, out, wall_s=0, wanted=Wanted(figures=False, html=False))
    chips = [int(row["chip_count"]) for row in rows(out / "mapping.csv")]
    low, high = (cell.value for cell in figures(out)["Chips"][:2])
    assert (low, high) == (min(chips), max(chips))
    assert len(opened(out / "report.xlsx")["Summary"]._charts) == 1


def test_runs_that_are_compared_stand_side_by_side(
    finished: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = [f"a={finished('slots')}", f"b={finished('batches')}", "--out", str(out), "-q"]
    monkeypatch.setattr(sys, "argv", ["rack-sim", "compare", *words, "--no-figures"])
    assert rack_sim.cli.exit_code() == 0
    compared, found = rows(out / "compare.csv"), figures(out)
    for label, column in (
        ("Chips", "chip_count"),
        ("TTFT p99", "ttft_ms_p99"),
        ("USD per million output tokens", "usd_per_million_output_tokens"),
        ("Mean power", "mean_kilowatts"),
    ):
        before, after = (float(row[column]) for row in compared)
        # sixteen digits is what the file keeps
        assert [cell.value for cell in found[label][:2]] == pytest.approx(
            [before, after], rel=1e-15
        )
        change = found[label][3].value
        assert change == (f"{after / before - 1:+.1%}" if after != before else None)
    assert [cell.value for cell in found["System"][:2]] == [row["system"] for row in compared]
    names = ("output_tok_s_per_user_p50", "usd_per_million_output_tokens")
    for (values,), name in zip(charts(out), names, strict=True):
        assert values == pytest.approx([float(row[name]) for row in compared], rel=1e-15)


def test_a_sensitivity_says_what_moves_the_cost(tmp_path: Path) -> None:
    found = run_sensitivity(rack_sim.load(SMALL, PLAN), change=0.25)
    leave(found, tmp_path, wall_s=0, wanted=Wanted(figures=False, html=False))
    shown = figures(tmp_path)
    base = found.base["usd_per_million_output_tokens"]
    assert shown["A million output tokens, as it is"][0].value == base
    table = rows(tmp_path / "sensitivity.csv")
    for name in ("price of the system", "electricity"):
        wanted = [float(row["usd_change_share"]) for row in table if row["input"] == name]
        assert [cell.value for cell in shown[name][:2]] == wanted
    (sides,) = charts(tmp_path)
    shares = [abs(float(row["usd_change_share"])) for row in table if row["usd_change_share"]]
    assert max(abs(value) for side in sides for value in side) == pytest.approx(
        100 * max(shares), rel=1e-15
    )


@pytest.mark.parametrize("unit", ["USD", "USD/year", "USD/kWh"])
def test_money_has_its_sign(unit: str) -> None:
    for part in number_format(unit).split(";"):
        assert '"$"' in part
