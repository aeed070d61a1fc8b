"""`rack-sim sweep` of a grid: its files, failed points, limits, and going on where it stopped."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest

import rack_sim.study.grid
from rack_sim.pipeline import explain, simulate
from rack_sim.scenario import load_scenario, load_study
from rack_sim.scenario.library import presets
from rack_sim.study.grid import result_columns
from rack_sim.study.kinds import run_study

Cli = Callable[..., tuple[int, str, str]]

SLOW = pytest.mark.slow

STUDY = """kind: grid
name: tiny
description: A small model on a rack
scenario: small.yaml
overrides: {model.num_hidden_layers: 1, partition.tensor_parallel: 8, partition.stages: 1}
grid:
  serving.concurrent_sequences: [1, 4, 2000]
  workload.arrivals.rate_rps: [20, 40]
collect: [tpot_ms_p50, ttft_ms_p99, bottleneck]
"""


@pytest.fixture
def study(small: Path) -> Path:
    path = small.with_name("tiny.yaml")
    path.write_text(STUDY, encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sweep_of(cli: Cli, *options: object) -> tuple[Path, str]:
    code, out, err = cli("sweep", "tiny.yaml", *options)
    assert code == 0, err
    return Path(out.rsplit("files: ", 1)[1].strip()), err


def test_it_writes_a_row_for_every_point(cli: Cli, study: Path) -> None:
    """Each row is what a run of that combination gives; what does not fit has its reason."""
    folder, err = sweep_of(cli)
    assert {path.name for path in folder.iterdir()} == {
        "results.csv",
        "manifest.json",
        "resolved.yaml",
        "report.html",
        "report.xlsx",
        "grid.png",
        "grid.svg",
    }
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "no journal is left"
    rows = read(folder / "results.csv")
    loaded = load_study("tiny.yaml")
    assert list(rows[0]) == [column.name for column in result_columns(loaded)]
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["infeasible"] * 2
    keys = ("serving.concurrent_sequences", "workload.arrivals.rate_rps")
    fixed = ["model.num_hidden_layers=1", "partition.tensor_parallel=8", "partition.stages=1"]
    for row in rows[:4]:
        changes = [f"{key}={row[f'grid.{key}']}" for key in keys]
        scenario = load_scenario("small.yaml", [*fixed, *changes])
        explanation = explain(scenario)
        summary = simulate(scenario, explanation=explanation).summary
        for name, value in summary.items():
            assert row[name] == ("" if value is None else str(value)), name
        assert explanation.compiled
        gap_ms = explanation.compiled.revolution_ps / 10**9
        assert float(row["compiled_token_gap_ms"]) == gap_ms
        assert row["reason"] == ""
    assert all("times the bytes of a" in row["reason"] for row in rows[4:])
    assert "concurrent_sequences=2000, rate_rps=20 and 1 other point: infeasible: " in err
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["points_by_status"] == {
        "ok": 4,
        "infeasible": 2,
        "bad_input": 0,
        "failed": 0,
    }
    assert folder.name == f"tiny-{manifest['study_hash']}"


def test_other_processes_and_the_resolved_study_give_the_same_bytes(cli: Cli, study: Path) -> None:
    for out, *options in (
        ("a", "tiny.yaml"),
        ("b", "tiny.yaml", "--jobs", 2),
        ("c", "a/resolved.yaml", "--backend", "loky"),
    ):
        assert cli("sweep", *options, "--out", out, "-q") == (0, "", "")
    for name in ("results.csv", "resolved.yaml", "grid.png", "grid.svg"):
        whole = Path("a", name).read_bytes()
        assert whole == Path("b", name).read_bytes() == Path("c", name).read_bytes()


def test_tables_to_read_on(cli: Cli, study: Path) -> None:
    folder, _ = sweep_of(cli, "--parquet", "--no-figures")
    table = pd.read_parquet(folder / "results.parquet")
    frame = run_study(load_study("tiny.yaml")).frame()
    assert list(table.columns) == list(frame.columns)
    assert len(table) == len(frame) == 6
    assert table["grid.serving.concurrent_sequences"].tolist() == [1, 1, 4, 4, 2000, 2000]
    for name in ("tpot_ms_p50", "chip_count", "finished_count"):
        assert table[name].dropna().tolist() == frame[name].dropna().tolist()
        assert table[name].isna().tolist() == [False] * 4 + [True] * 2
    code, out, _ = cli("sweep", "tiny.yaml", "--json", "--no-figures")
    assert code == 0
    found = json.loads(out)
    assert [point["status"] for point in found["points"]] == frame["status"].tolist()
    assert found["points"][0]["ttft_ms_p99"] == frame["ttft_ms_p99"][0]


def test_explain_serves_nothing(cli: Cli, study: Path) -> None:
    """What needs no replay is what the replay says."""
    explained = ("--set", "mode=explain", "--set", "collect=[chip_count]")
    folder, _ = sweep_of(cli, "--no-figures", *explained)
    replayed, _ = sweep_of(cli, "--no-figures")
    for one, other in zip(
        read(folder / "results.csv"), read(replayed / "results.csv"), strict=True
    ):
        given = {name: value for name, value in one.items() if value}
        assert "ttft_ms_p99" not in given
        assert given == {name: other[name] for name in given}
        assert one["status"] != "ok" or len(given) > 25


def test_exit_codes(cli: Cli, study: Path) -> None:
    """Files with the reasons are written all the same where no point has numbers."""
    none = ("--set", "grid.serving.concurrent_sequences=[2000]", "--out", "none", "-q")
    assert cli("sweep", "tiny.yaml", *none)[0] == 3
    assert {row["status"] for row in read(Path("none/results.csv"))} == {"infeasible"}
    bad = ("--set", "grid.serving.max_context_tokens=[10000]", "--out", "bad", "-q")
    assert cli("sweep", "tiny.yaml", *bad)[0] == 2
    assert {row["status"] for row in read(Path("bad/results.csv"))} == {"bad_input"}
    code, out, err = cli("sweep", "tiny.yaml", "--set", "grid.seed=[]")
    assert (code, out) == (2, "")
    assert err == "error: --set grid.seed=[]: grid.seed: needs at least 1 entries\n"
    Path("mine").mkdir()
    Path("mine", "notes.txt").touch()
    assert cli("sweep", "tiny.yaml", "--out", "mine")[0] == 2
    long = "n" * 250  # a directory can have this name, its journal cannot
    code, _, err = cli("sweep", "tiny.yaml", "--out", long)
    assert code == 2
    assert err.endswith(".points.jsonl: cannot be written: File name too long (another --out)\n")
    assert not Path("reports").exists()


def test_a_bug_in_one_point_leaves_the_others(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rack_sim.study.grid.run_point

    def sometimes(task: object) -> dict[str, object]:
        monkeypatch.setattr("rack_sim.study.grid_point.simulate", broken if broken_now() else real)
        return whole(task)  # type: ignore[arg-type]

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nothing")

    real, calls = simulate, iter(range(100))

    def broken_now() -> bool:
        return next(calls) == 2

    monkeypatch.setattr("rack_sim.study.grid.run_point", sometimes)
    folder, err = sweep_of(cli, "--no-figures")
    rows = read(folder / "results.csv")
    assert [row["status"] for row in rows][:4] == ["ok", "ok", "failed", "ok"]
    assert rows[2]["reason"] == "ZeroDivisionError: by nothing"
    assert "failed: ZeroDivisionError: by nothing" in err


def test_a_large_grid_is_asked_for_twice(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = ("--set", f"grid.seed={list(range(168))}")
    code, out, err = cli("sweep", "tiny.yaml", *wide)
    assert (code, out) == (2, "")
    assert "tiny.yaml: grid: 1,008 points (3 x 2 x 168) are more than 1,000 (--yes to go on)" in err
    assert not Path("reports").exists()
    run = []
    monkeypatch.setattr(
        "rack_sim.study.grid.run_point",
        lambda task: run.append(task) or {"status": "infeasible", "reason": "no", "values": {}},
    )
    assert cli("sweep", "tiny.yaml", *wide, "--yes", "--no-figures", "-q")[0] == 3
    assert len(run) == 1008
    monkeypatch.setenv("RACK_SIM_LIMITS", "points=1000")
    assert (
        "1,008 points, more than the limit of 1,000" in cli("sweep", "tiny.yaml", *wide, "--yes")[2]
    )


def test_what_a_kind_cannot_use(cli: Cli, study: Path) -> None:
    for options, words in (
        (("load", "--jobs", 2), "--jobs 2: a study of kind load runs in one process"),
        (("jitter", "--backend", "dask"), "--backend dask: a study of kind jitter runs in one"),
        (("tiny.yaml", "--backend", "dsk"), "is no backend (did you mean 'dask'?)"),
        (("tiny.yaml", "--jobs", 0), "--jobs 0: must be at least 1"),
    ):
        code, out, err = cli("sweep", *options)
        assert (code, out) == (2, "")
        assert words in err
    assert not Path("reports").exists()


def interrupted_after(count: int, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Ctrl-C as the next point begins; the points that ran."""
    whole, run = rack_sim.study.grid.run_point, []

    def counted(task: object) -> dict[str, object]:
        if len(run) == count:
            raise KeyboardInterrupt
        run.append(task)
        return whole(task)  # type: ignore[arg-type]

    monkeypatch.setattr("rack_sim.study.grid.run_point", counted)
    return run


def test_it_goes_on_where_it_was_interrupted(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("sweep", "tiny.yaml", "--out", "whole", "-q")[0] == 0
    with monkeypatch.context() as patch:
        interrupted_after(2, patch)
        code, out, err = cli("sweep", "tiny.yaml")
    assert (code, out) == (130, "")
    (journal,) = Path("reports").iterdir()
    assert journal.name.startswith("tiny-")
    assert journal.name.endswith(".points.jsonl")
    assert f"2 finished points kept in {journal}: the same command goes on from there" in err
    with monkeypatch.context() as patch:
        run = interrupted_after(100, patch)
        folder, err = sweep_of(cli)
    assert "2 of 6 points were there already" in err
    assert len(run) == 4
    for name in ("results.csv", "resolved.yaml", "grid.png"):
        assert (folder / name).read_bytes() == Path("whole", name).read_bytes()
    assert not journal.exists()


def test_an_altered_row_is_computed_again(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said on stderr with its line; the table is that of a sweep that nobody touched."""
    assert cli("sweep", "tiny.yaml", "--out", "whole", "-q")[0] == 0
    with monkeypatch.context() as patch:
        interrupted_after(3, patch)
        assert cli("sweep", "tiny.yaml")[0] == 130
    (journal,) = Path("reports").iterdir()
    lines = journal.read_bytes().splitlines(keepends=True)
    altered = lines[2].replace(b'"ttft_ms_p99":', b'"ttft_ms_p99":9')
    assert altered != lines[2]
    journal.write_bytes(b"".join([*lines[:2], altered, *lines[3:]]))
    with monkeypatch.context() as patch:
        run = interrupted_after(100, patch)
        folder, err = sweep_of(cli)
    assert f"{journal}:3: is not as it was written" in err
    assert "2 of 6 points were there already" in err
    assert len(run) == 4
    assert (folder / "results.csv").read_bytes() == Path("whole/results.csv").read_bytes()


def test_rows_of_other_code_are_kept(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupted_after(1, patch)
        assert cli("sweep", "tiny.yaml")[0] == 130
    monkeypatch.setattr("rack_sim.study.grid.code_state", lambda: "changed")
    code, _, err = cli("sweep", "tiny.yaml")
    assert code == 2
    assert "not changed, and are kept (--fresh sets it aside and begins anew)" in err


def test_an_interruption_before_the_first_point_leaves_nothing(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_after(0, monkeypatch)
    assert cli("sweep", "tiny.yaml")[0] == 130
    assert not Path("reports").exists()


def test_rows_of_another_version_are_kept(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupted_after(2, patch)
        assert cli("sweep", "tiny.yaml")[0] == 130
    (journal,) = Path("reports").iterdir()
    content = journal.read_bytes()
    monkeypatch.setattr("rack_sim.study.grid.VERSION", "999")
    code, _, err = cli("sweep", "tiny.yaml")
    assert code == 2
    assert "not 999, and are kept (--fresh sets it aside and begins anew)" in err
    assert journal.read_bytes() == content
    folder, err = sweep_of(cli, "--fresh", "--no-figures")
    assert "what was there before is in" in err
    assert Path(f"{journal}.1").read_bytes() == content
    assert folder.exists()


# A sweep that stands still when its journal has so many rows.
STOPPED = """
import os, signal, sys
from rack_sim.study.journal import Journal
add, least = Journal.add, int(sys.argv.pop(1))
def adding(journal, *row):
    add(journal, *row)
    if journal.path.read_bytes().count(b"\\n") - 1 >= least:
        os.kill(os.getpid(), signal.SIGSTOP)
Journal.add = adding
from rack_sim.__main__ import main
main()
"""


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def rows_in(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0


@pytest.mark.parametrize(("jobs", "kills"), [(1, (3, 9)), pytest.param(2, (9,), marks=SLOW)])
def test_a_killed_sweep_goes_on(cli: Cli, study: Path, jobs: int, kills: tuple[int, ...]) -> None:
    """kill -9 in the middle; then the same command gives what an uninterrupted one gives."""
    wide = ("--set", f"grid.seed={list(range(6))}", "--no-figures")
    assert cli("sweep", "tiny.yaml", *wide, "--out", "whole", "-q")[0] == 0
    options = (*wide, "--out", "killed", "--jobs", str(jobs))
    journal = Path("killed.points.jsonl")
    for least in kills:
        process = subprocess.Popen(
            [sys.executable, "-c", STOPPED, str(least), "sweep", "tiny.yaml", *options],
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 300
        while not is_stopped(process):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        workers = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        while any(map(runs, workers)):  # they end by themselves
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert not Path("killed").exists()
        assert rows_in(journal) == least
    there = kills[-1]
    code, _, err = cli("sweep", "tiny.yaml", *options)
    assert code == 0
    assert f"{there} of 36 points were there already" in err
    for name in ("results.csv", "resolved.yaml"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes()
    assert not journal.exists()
    assert sorted(path.name for path in Path().iterdir() if path.is_dir()) == ["killed", "whole"]


def test_a_trace_that_is_another_one_where_a_point_runs(
    cli: Cli, study: Path, own_trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said in the row, and tried again by the same command."""
    text = STUDY.replace("  workload.arrivals.rate_rps: [20, 40]\n", "")
    text = text.replace("stages: 1}", "stages: 1, workload: {kind: trace, path: own.csv}}")
    study.write_text(text, encoding="utf-8")
    folder, _ = sweep_of(cli, "--no-figures")
    assert [row["status"] for row in read(folder / "results.csv")] == ["ok", "ok", "infeasible"]
    whole = rack_sim.study.grid.run_point

    def changed(task: object) -> dict[str, object]:
        own_trace.write_text(own_trace.read_text().replace("0.1,5,1", "0.1,6,1"))
        return whole(task)  # type: ignore[arg-type]

    monkeypatch.setattr("rack_sim.study.grid.run_point", changed)
    code, _, err = cli("sweep", "tiny.yaml", "--no-figures", "--out", "other")
    assert code == 1
    assert "the trace is another one where this ran" in err
    assert {row["status"] for row in read(Path("other/results.csv"))} == {"failed"}


def test_shipped_grids_name_what_they_ask() -> None:
    """Every shipped grid has a description, and its file says how to run it."""
    grids = 0
    for name, path in presets("study").items():
        study = load_study(name)
        if study.kind != "grid":
            continue
        grids += 1
        assert study.name == name
        assert study.description
        assert f"rack-sim sweep {name}" in path.read_text(encoding="utf-8")
    assert grids >= 6


@SLOW
def test_a_shipped_grid_runs(cli: Cli, small: Path) -> None:
    code, out, err = cli("sweep", "tensor-parallel", "--no-figures", "--json")
    assert code == 0, err
    points = json.loads(out)["points"]
    assert [point["status"] for point in points].count("ok") == 7


def test_what_points_set_each_for_itself_is_no_assumption(cli: Cli, study: Path) -> None:
    """What all points share stays listed, wherever it was set."""
    text = study.read_text(encoding="utf-8").replace("[1, 4, 2000]", "[1]") + (
        "points:\n"
        "  - {name: as it is}\n"
        "  - {name: slower, overrides: {system.links.local.latency_ns: 700}}\n"
    )
    study.write_text(text, encoding="utf-8")
    folder, _ = sweep_of(cli, "--no-figures")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    named = [item["name"] for key in ("assumed", "sourced") for item in manifest[key]]
    assert "system.links.local.latency_ps" not in named
    assert "system.links.local.payload_bytes" in named


def test_what_is_varied_is_no_assumption(cli: Cli, study: Path) -> None:
    """Nor has it a source: only what stays the same is listed with one or with a why."""
    text = study.read_text(encoding="utf-8").replace(
        "workload.arrivals.rate_rps: [20, 40]", "system.links.local.latency_ns: [200, 700]"
    )
    study.write_text(text.replace("[1, 4, 2000]", "[1]"), encoding="utf-8")
    folder, _ = sweep_of(cli, "--no-figures")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    named = [item["name"] for key in ("assumed", "sourced") for item in manifest[key]]
    assert "system.links.local.latency_ps" not in named
    assert "system.links.local.payload_bytes" in named
    assert manifest["grid"] == {
        "serving.concurrent_sequences": [1],
        "system.links.local.latency_ns": [200, 700],
    }
