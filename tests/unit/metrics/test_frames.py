"""DataFrames of a run have the columns and, cell by cell, the values of its files."""

import csv

import pandas as pd
import pytest

from rack_sim.metrics import frames
from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import FILES
from rack_sim.pipeline import Result, explain, simulate
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import load_scenario

STATIC = ("serving.timeout_ms=2500", "workload.request_count=60")
REACTIVE = ("workload.request_count=40",)


@pytest.fixture(scope="module", params=[("llama70b", STATIC), ("llama70b-a100", REACTIVE)])
def run(request, tmp_path_factory):
    """A run whose requests end in every way, and its files."""
    result = simulate(load_scenario(*request.param))
    folder = tmp_path_factory.mktemp("run")
    leave(result, folder, wall_s=1.0, wanted=Wanted(figures=False))
    return result, folder


def test_every_file_is_a_frame_of_the_same_values(run):
    result, folder = run
    made = result.frames()
    assert {f"{name}.csv" for name in made} == {path.name for path in folder.glob("*.csv")}
    for name, frame in made.items():
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert list(frame.columns) == header
        assert len(frame) == len(rows)
        for column, texts in zip(FILES[f"{name}.csv"], zip(*rows, strict=True), strict=True):
            values = frame[column.name]
            if column.kind == "words":
                assert values.tolist() == list(texts)
            else:
                assert values.isna().tolist() == [text == "" for text in texts]
                read = int if column.kind == "count" else float
                assert values.dropna().tolist() == [read(text) for text in texts if text]


def test_types_do_not_depend_on_what_is_missing(run):
    """Counts are whole numbers, also where one is missing; words are never numbers."""
    for name, frame in run[0].frames().items():
        for column in FILES[f"{name}.csv"]:
            dtype = frame[column.name].dtype
            if column.kind == "count":
                assert str(dtype) == "Int64", column
            elif column.kind == "number":
                assert str(dtype) == "float64", column
            else:
                assert pd.api.types.is_string_dtype(dtype), column


def test_every_table_has_a_method_of_its_name(run):
    result, _ = run
    for file in FILES:
        name = file.removesuffix(".csv")
        frame = getattr(result, "summary_frame" if name == "summary" else name)()
        assert list(frame.columns) == [column.name for column in FILES[file]]
        assert (name in result.frames()) == (len(frame) > 0)


def test_what_there_is_without_a_replay(run):
    """The memory map of an explanation is that of the run, and adds up to what chips have."""
    found = explain(run[0].explanation.scenario)
    memory = found.memory()
    pd.testing.assert_frame_equal(memory, run[0].memory())
    assert found.chip_count == len(memory) == found.stage_count * found.tensor_parallel
    parts = ["weight_bytes", "kv_bytes", "activation_bytes", "program_bytes", "free_bytes"]
    assert (memory[parts].sum(axis=1) == memory["capacity_bytes"]).all()
    assert memory["weight_bytes"].sum() >= found.weight_bytes  # some are rounded up to each chip
    assert len(found.critical_path()) == len(run[0].critical_path())


def test_long_tables_are_read_in_pieces(monkeypatch):
    """Of a table that is a piece and a bit, nothing is lost, and the numbering goes on."""
    monkeypatch.setattr(frames, "_ROWS_AT_ONCE", 3)
    columns = [
        Column("kind", "", "words", ""),
        Column("tokens", "tokens", "count", ""),
        Column("wait_ms", "ms", "number", ""),
    ]
    for length in (0, 1, 3, 4, 7):
        rows = [
            (f"k{n}", "" if n == 3 else str(n), "" if n == 2 else f"{n}.5") for n in range(length)
        ]
        frame = frames.frame_of(columns, rows)
        assert list(frame.columns) == ["kind", "tokens", "wait_ms"]
        assert frame.index.tolist() == list(range(length))
        assert frame["kind"].tolist() == [row[0] for row in rows]
        assert frame["tokens"].dropna().tolist() == [n for n in range(length) if n != 3]
        assert str(frame["tokens"].dtype) == "Int64"


def test_a_result_says_how_requests_ended(run):
    result: Result = run[0]
    counted = result.requests()["status"].value_counts()
    assert counted.get("finished", 0) == result.summary["finished_count"]
    assert counted.get("timed_out", 0) == result.summary["timed_out_count"]
