"""The kind that is stated of a column is that of every cell that real runs and studies write."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import rack_sim
from rack_sim.metrics.column import Column, ColumnKind, read_cell
from rack_sim.metrics.columns import FILES
from rack_sim.metrics.compare_columns import CHANGES, COMPARE, SENSITIVITY
from rack_sim.metrics.sizing_columns import (
    CANDIDATES,
    SIZING,
    fixed_columns,
    objective_columns,
)
from rack_sim.record.columns_reference import COMMAND_FILES
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import STUDIES
from rack_sim.study.compare import contenders, run_comparison
from rack_sim.study.grid import result_columns
from rack_sim.study.sensitivity import run_sensitivity

Tables = dict[Path, Sequence[Column]]

GRID = """
kind: grid
name: small
scenario: llama70b
grid:
  workload.request_count: [20, 30]
  precision.weights: [int8, fp16]
collect: [chip_count]
"""
JITTER = {
    "step_count": 60,
    "warmup_step_count": 1,
    "operator_jitter_ns": [0, 50],
    "points": [{"name": "7", "overrides": {"partition.stages": 72}}],
}


def _run(folder: Path) -> Tables:
    """Of static chips, with requests that end in every way."""
    changed = {"serving.timeout_ms": 2500, "workload.request_count": 60}
    leave(rack_sim.simulate("llama70b", changed), folder, wall_s=1.0, wanted=Wanted(figures=False))
    return {path: FILES[path.name] for path in folder.glob("*.csv")}


def _reactive(folder: Path) -> Tables:
    found = rack_sim.simulate("llama70b-a100", {"workload.request_count": 30})
    leave(found, folder, wall_s=1.0, wanted=Wanted(figures=False))
    return {path: FILES[path.name] for path in folder.glob("*.csv")}


def _load(folder: Path) -> Tables:
    """With a rate that is too much."""
    keys = ["request_count=200", "rates_rps=[2,400]"]
    found = rack_sim.sweep("load", keys)
    leave(
        found,
        folder,
        wall_s=1.0,
        wanted=Wanted(figures=False, workbook=False, html=False, parquet=True),
    )
    return {folder / name: columns for name, columns in STUDIES["load"].tables.items()}


def _jitter(folder: Path) -> Tables:
    """With a machine whose name looks like a number."""
    found = rack_sim.sweep("jitter", JITTER)
    leave(
        found,
        folder,
        wall_s=1.0,
        wanted=Wanted(figures=False, workbook=False, html=False, parquet=True),
    )
    return {folder / name: columns for name, columns in STUDIES["jitter"].tables.items()}


def _grid(folder: Path) -> Tables:
    """With points that do not fit, which have no numbers."""
    file = folder / "small.yaml"
    file.write_text(GRID, encoding="utf-8")
    found = rack_sim.sweep(file)
    assert isinstance(found, rack_sim.GridResult)
    leave(
        found,
        folder,
        wall_s=1.0,
        wanted=Wanted(figures=False, workbook=False, html=False, parquet=True),
    )
    return {folder / "results.csv": result_columns(found.study)}


def _size(folder: Path) -> Tables:
    found = rack_sim.size(
        "llama70b",
        {"workload.arrivals.rate_rps": 1},
        slo="ttft_p99=2s,tpot_p99=10ms",
        tensor_parallel=[8],
        stages=[72],
        replicas_max=1,
        request_count=300,
    )
    leave(found, folder, wall_s=1.0, wanted=Wanted(figures=False, workbook=False, html=False))
    asked = objective_columns(objective.column for objective in found.objectives)
    return {
        folder / "sizing.csv": (*fixed_columns(SIZING), *asked),
        folder / "candidates.csv": (*fixed_columns(CANDIDATES), *asked),
    }


def _compare(folder: Path) -> Tables:
    found = run_comparison(contenders(["llama70b", "llama70b-a100"], ["workload.request_count=20"]))
    leave(found, folder, wall_s=1.0, wanted=Wanted(figures=False, html=False))
    return {folder / "compare.csv": COMPARE, folder / "changes.csv": CHANGES}


def _sensitivity(folder: Path) -> Tables:
    scenario = rack_sim.load("llama70b-a100", {"workload.request_count": 20})
    leave(run_sensitivity(scenario), folder, wall_s=1.0, wanted=Wanted(figures=False))
    return {folder / "sensitivity.csv": SENSITIVITY}


MAKERS = (_run, _reactive, _load, _jitter, _grid, _size, _compare, _sensitivity)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__[1:])
def test_every_cell_is_of_its_columns_kind(make: Callable[[Path], Tables], tmp_path: Path) -> None:
    for path, columns in make(tmp_path).items():
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert header == [column.name for column in columns]
        assert rows, path
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
            strange = [cell for cell in cells if cell and not _is_of(column.kind, cell)]
            assert not strange, (path.name, column, strange[:3])
        if path.with_suffix(".parquet").exists():
            _same_in_parquet(path, columns, rows)


def _is_of(kind: ColumnKind, cell: str) -> bool:
    if kind == "count":
        return cell.removeprefix("-").isdecimal()
    if kind == "flag":
        return cell in ("true", "false")
    return kind != "number" or math.isfinite(float(cell))


def _same_in_parquet(path: Path, columns: Sequence[Column], rows: list[list[str]]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(path.with_suffix(".parquet"))
    assert table.column_names == [column.name for column in columns]
    for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
        wanted = [read_cell(column.kind, cell) for cell in cells]
        assert table[column.name].to_pylist() == wanted, column


def _stated() -> Iterator[Column]:
    for files in (FILES, COMMAND_FILES, *(study.tables for study in STUDIES.values())):
        for columns in files.values():
            yield from columns


def test_kinds_go_with_units() -> None:
    """Words have no unit, a flag has its own, and whatever is measured is a number."""
    for column in _stated():
        if column.kind in ("words", "any"):
            assert column.unit in ("", "that of KEY"), column
        assert (column.kind == "flag") == (column.unit == "true/false"), column
        if column.unit in ("ms", "s", "ns", "1/s", "token/s", "share", "ratio", "J", "W", "USD"):
            assert column.kind == "number", column


def test_one_name_is_one_kind_in_the_tables_of_a_run() -> None:
    """A column that stands in several files can be joined on."""
    found: dict[str, set[ColumnKind]] = {}
    for columns in FILES.values():
        for column in columns:
            found.setdefault(column.name, set()).add(column.kind)
    assert {name for name, kinds in found.items() if len(kinds) > 1} == set()


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("words", "1e9", "1e9"),
        ("words", "", None),
        ("count", "007", 7),
        ("number", "1e-3", 0.001),
        ("number", "12", 12),
        ("flag", "false", False),
        ("any", "fewest_chips", "fewest_chips"),
        ("any", "0.5", 0.5),
    ],
)
def test_a_cell_is_read_by_its_kind(kind: ColumnKind, cell: str, value: object) -> None:
    found = read_cell(kind, cell)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "cell"), [("count", "1.5"), ("count", "many"), ("number", "x"), ("flag", "yes")]
)
def test_a_cell_of_another_kind_is_refused(kind: ColumnKind, cell: str) -> None:
    with pytest.raises(ValueError, match=cell):
        read_cell(kind, cell)


def test_a_frame_of_a_load_study_has_the_stated_types() -> None:
    """A limit in words where a rate failed: words are no numbers, whatever their name."""
    found = rack_sim.sweep("load", ["request_count=200", "rates_rps=[2,400]"])
    frames = rack_sim.study_frames(found)
    knee = frames["knee.csv"]
    types = {"words": "str", "count": "Int64", "number": "float64", "flag": "boolean"}
    for name, columns in STUDIES["load"].tables.items():
        for column in columns:
            dtype = str(frames[name][column.name].dtype)
            assert dtype in (types[column.kind], "object" if column.kind == "words" else ""), column
    limits = [point.limited_by for point in found.points]
    assert knee["slo_limited_by"].tolist() == limits
    assert any(limits)
