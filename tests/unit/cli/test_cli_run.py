"""What a run leaves behind, recomputed from its own text."""

import csv
import json
import shutil
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest

from rack_sim.metrics.columns import FILES, SUMMARY
from rack_sim.metrics.latency import LATENCY_METRICS

Cli = Callable[..., tuple[int, str, str]]
Rows = list[dict[str, str]]

# Iterations are what reactive chips have.
OF_SLOTS = {name: columns for name, columns in FILES.items() if name != "iterations.csv"}
MIXED = (
    "run",
    "small.yaml",
    "--no-figures",
    "-q",
    "--set",
    "workload.input_tokens={kind: lognormal, mean_tokens: 150, p50_tokens: 90}",
    "--set",
    "workload.output_tokens={kind: lognormal, mean_tokens: 60, p50_tokens: 20}",
    "--set",
    "workload.request_count=300",
    "--set",
    "slo={ttft_ms: 200, tpot_ms: 5}",
)


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tables(folder: str | Path) -> dict[str, bytes]:
    """Every CSV of a run."""
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.csv"))}


_done: dict[str, Path] = {}


@pytest.fixture
def ran(cli: Cli, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few hundred requests of mixed lengths, some of them rejected: made once."""
    if "out" not in _done:
        folder = tmp_path_factory.mktemp("ran") / "out"
        assert cli(*MIXED, "--out", folder) == (0, "", ""), "--quiet says nothing"
        _done["out"] = folder
    shutil.copytree(_done["out"], "out")
    return Path("out")


def test_files_and_cells(ran: Path) -> None:
    others = {"manifest.json", "resolved.yaml", "report.html", "report.xlsx"}
    assert {path.name for path in ran.iterdir()} == {*OF_SLOTS, *others}
    for name, columns in OF_SLOTS.items():
        data = (ran / name).read_bytes()
        assert b"\r" not in data
        assert data.endswith(b"\n")
        with (ran / name).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert header == [column.name for column in columns], name
        assert rows, name
        assert {len(row) for row in rows} == {len(header)}, name
        for row in rows:
            for cell in row:
                assert not cell.startswith(("=", "+", "-", "@", "\t")), (name, cell)


def test_requests_are_consistent(ran: Path) -> None:
    """Every metric again from the times in the file, exactly, in decimals."""
    rows = read(ran / "requests.csv")
    assert [int(row["request_id"]) for row in rows] == list(range(300))
    finished = [row for row in rows if row["status"] == "finished"]
    rejected = [row for row in rows if row["status"] == "rejected"]
    assert len(finished) + len(rejected) == 300
    assert min(len(finished), len(rejected)) > 0
    for row in rejected:
        assert row["reason"] == "input + output tokens exceed the longest context of 1024"
        assert int(row["input_tokens"]) + int(row["output_tokens"]) > 1024
        assert row["replica"] == "0"
        assert not any(row[name] for name in list(row)[6:] if name != "replica")
    picosecond = Decimal("1e-9")
    for row in finished:
        assert row["reason"] == ""
        names = ("arrival", "admitted", "prefill_start", "prefill_end", "first_token", "finish")
        times = [Decimal(row[f"{name}_ms"]) for name in names]
        assert times == sorted(times)
        arrival, _, start, end, first, finish = times
        assert end < first
        outputs = int(row["output_tokens"])
        assert Decimal(row["ttft_ms"]) == first - arrival
        assert Decimal(row["e2el_ms"]) == finish - arrival
        assert Decimal(row["scheduling_delay_ms"]) == start - arrival
        ntpot = ((finish - arrival) / outputs).quantize(picosecond, ROUND_HALF_UP)
        assert Decimal(row["ntpot_ms"]) == ntpot
        if outputs == 1:
            assert row["tpot_ms"] == ""
            assert first == finish
        else:
            tpot = ((finish - first) / (outputs - 1)).quantize(picosecond, ROUND_HALF_UP)
            assert Decimal(row["tpot_ms"]) == tpot


def test_summary_follows_from_the_requests(ran: Path) -> None:
    """Means and percentiles by numpy; what is compared is rounded to 1e-6 ms."""
    (summary,) = read(ran / "summary.csv")
    rows = read(ran / "requests.csv")
    finished = [row for row in rows if row["status"] == "finished"]
    for metric in LATENCY_METRICS:
        values = [float(row[f"{metric}_ms"]) for row in finished if row[f"{metric}_ms"]]
        expected = {"mean": np.mean(values)}
        for percent in (50, 90, 95, 99):
            expected[f"p{percent}"] = np.percentile(values, percent)
        for part, value in expected.items():
            given = float(summary[f"{metric}_ms_{part}"])
            assert given == pytest.approx(value, rel=1e-9, abs=1e-6), (metric, part)
    gaps = [
        (float(row["finish_ms"]) - float(row["first_token_ms"])) / (int(row["output_tokens"]) - 1)
        for row in finished
        for _ in range(int(row["output_tokens"]) - 1)
    ]
    assert float(summary["itl_ms_mean"]) == pytest.approx(np.mean(gaps), rel=1e-9, abs=1e-6)
    assert float(summary["itl_ms_p99"]) == pytest.approx(np.percentile(gaps, 99), abs=1e-6)
    assert int(summary["request_count"]) == len(rows)
    assert int(summary["finished_count"]) == len(finished)
    assert int(summary["rejected_count"]) == len(rows) - len(finished)
    assert int(summary["unserved_count"]) == 0
    for kind in ("input", "output"):
        total = sum(int(row[f"{kind}_tokens"]) for row in finished)
        assert int(summary[f"{kind}_token_count"]) == total
    end_ms = max(float(row["finish_ms"]) for row in finished)
    assert float(summary["simulated_s"]) >= end_ms / 1000 - 1e-9
    per_user = 1000 / float(summary["tpot_ms_p50"])
    assert float(summary["output_tok_s_per_user_p50"]) == pytest.approx(per_user, abs=1e-3)
    met = [
        row for row in finished if float(row["ttft_ms"]) <= 200 and float(row["tpot_ms"] or 0) <= 5
    ]
    assert 0 < len(met) <= len(finished)
    assert float(summary["slo_attainment"]) == round(len(met) / len(rows), 9)


def test_throughputs_follow_from_the_timeline(ran: Path) -> None:
    (summary,) = read(ran / "summary.csv")
    bins = read(ran / "timeline.csv")
    start, length = float(summary["window_start_s"]), float(summary["window_s"])
    inside = [row for row in bins if start <= float(row["start_s"]) < start + length]
    for name, column in [
        ("request_throughput_rps", "finished"),
        ("input_throughput_tok_s", "prompt_tokens"),
        ("output_throughput_tok_s", "output_tokens"),
    ]:
        for prefix, rows, span in [
            ("", inside, length),
            ("run_", bins, float(summary["simulated_s"])),
        ]:
            rate = sum(int(row[column]) for row in rows) / span
            assert float(summary[prefix + name]) == pytest.approx(rate, abs=1e-6)


def test_what_went_in_came_out(ran: Path) -> None:
    rows = read(ran / "requests.csv")
    bins = read(ran / "timeline.csv")
    finished = [row for row in rows if row["status"] == "finished"]
    for column, expected in [
        ("arrived", len(rows)),
        ("finished", len(finished)),
        ("rejected", len(rows) - len(finished)),
        ("prompt_tokens", sum(int(row["input_tokens"]) for row in finished)),
        ("output_tokens", sum(int(row["output_tokens"]) for row in finished)),
    ]:
        assert sum(int(row[column]) for row in bins) == expected, column
    assert [float(row["start_s"]) for row in bins] == list(range(len(bins)))
    seconds = sum(float(row["waiting_mean"]) + float(row["running_mean"]) for row in bins)
    spent = sum(float(row["e2el_ms"]) for row in finished) / 1000
    assert seconds == pytest.approx(spent, rel=1e-6), "time in the system, counted both ways"


def test_memory_fits_and_balances(ran: Path) -> None:
    (summary,) = read(ran / "summary.csv")
    rows = read(ran / "memory.csv")
    parts = ("weight_bytes", "kv_bytes", "activation_bytes", "program_bytes", "free_bytes")
    for row in rows:
        assert sum(int(row[part]) for part in parts) == int(row["capacity_bytes"])
        assert int(row["free_bytes"]) >= 0
    used = max(int(row["capacity_bytes"]) - int(row["free_bytes"]) for row in rows)
    assert used == int(summary["sram_used_bytes_max"])
    chips = read(ran / "chips.csv")
    assert [int(row["chip"]) for row in chips] == list(range(72))
    roles = [row["role"] for row in chips]
    assert roles.count("stage") == int(summary["chip_count"]) == len(rows)
    assert roles.count("spare") == int(summary["spare_chip_count"])
    for name in ("chips.csv", "stages.csv", "links.csv"):
        for row in read(ran / name):
            assert 0 <= float(row["utilisation"]) <= 1, (name, row)


def test_manifest(ran: Path) -> None:
    (summary,) = read(ran / "summary.csv")
    manifest = json.loads((ran / "manifest.json").read_text(encoding="utf-8"))
    for name in ("scenario", "scenario_hash", "version"):
        assert manifest[name] == summary[name]
    assert str(manifest["seed"]) == summary["seed"]
    assert manifest["trace"] is None
    assert len(manifest["assumed"]) > 3
    assert all(item["why"] for item in manifest["assumed"])
    assert all(item["source"] and item["grade"] for item in manifest["sourced"])
    assert manifest["wall_s"] >= 0


def test_equal_bytes(cli: Cli, ran: Path) -> None:
    """Again, step by step, from resolved.yaml, and without --quiet: the same tables."""
    expected = tables(ran)
    assert set(expected) == set(OF_SLOTS)
    assert cli(*MIXED, "--out", "again")[0] == 0
    assert cli(*MIXED, "--every-step", "--out", "stepped")[0] == 0
    assert (
        cli(
            "run",
            "out/resolved.yaml",
            "--no-figures",
            "--no-html",
            "--no-workbook",
            "--out",
            "resolved",
        )[0]
        == 0
    )
    for name in ("again", "stepped", "resolved"):
        assert tables(name) == expected, name
        resolved = (Path(name) / "resolved.yaml").read_bytes()
        assert resolved == (ran / "resolved.yaml").read_bytes()


def test_equal_bytes_of_a_trace(cli: Cli, own_trace: Path) -> None:
    options = ("--no-figures", "--no-html", "--no-workbook", "-q")
    assert cli("run", "small.yaml", *options, "--trace", "own.csv", "--out", "one")[0] == 0
    assert cli("run", "one/resolved.yaml", *options, "--out", "two")[0] == 0
    assert cli("run", "one/resolved.yaml", *options, "--every-step", "--out", "three")[0] == 0
    assert tables("one") == tables("two") == tables("three")
    rows = read(Path("one/requests.csv"))
    assert [row["status"] for row in rows] == ["finished"] * 3 + ["rejected", "finished"]
    assert [row["arrival_ms"] for row in rows[:2]] == ["0.000000000", "100.000000000"]
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows] == [
        tuple(line.split(",")[1:]) for line in own_trace.read_text().splitlines()[1:]
    ]
    manifest = json.loads(Path("one/manifest.json").read_text())
    assert manifest["trace"]["request_count"] == 5
    assert manifest["trace"]["format"] == "rack-sim"


def test_seeds(cli: Cli, small: Path) -> None:
    options = ("--no-figures", "--no-html", "--no-workbook", "-q")
    assert cli("run", "small.yaml", *options, "--seed", 9, "--out", "a")[0] == 0
    assert cli("run", "small.yaml", *options, "--set", "seed=9", "--out", "b")[0] == 0
    assert cli("run", "small.yaml", *options, "--out", "c")[0] == 0
    assert tables("a") == tables("b")
    assert tables("a")["requests.csv"] != tables("c")["requests.csv"]
    (summary,) = read(Path("a/summary.csv"))
    assert summary["seed"] == "9"


def test_json(cli: Cli, small: Path) -> None:
    code, out, err = cli(
        "run", "small.yaml", "--no-figures", "--no-html", "--no-workbook", "--json", "--out", "out"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found.pop("path") == "out"
    assert list(found) == [column.name for column in SUMMARY]
    (summary,) = read(Path("out/summary.csv"))
    for name, cell in summary.items():
        value = found[name]
        assert cell == ("" if value is None else str(value)), name
    assert found["slo_attainment"] is None
    quiet = cli(
        "run",
        "small.yaml",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--json",
        "-q",
        "--out",
        "quiet",
    )
    assert json.loads(quiet[1]) == {**found, "path": "quiet"}
    assert quiet[2] == ""


def test_tables_on_the_terminal(cli: Cli, small: Path) -> None:
    code, out, err = cli(
        "run", "small.yaml", "--no-figures", "--no-html", "--no-workbook", "--out", "out"
    )
    assert (code, err) == (0, "")
    assert "small: llama-2-7b on groq-rack-72" in out
    assert "50: 50 finished, 0 rejected, 0 timed out, 0 unserved" in out
    assert out.endswith("files: out\n")
    (summary,) = read(Path("out/summary.csv"))
    for metric in LATENCY_METRICS:
        assert f"{float(summary[f'{metric}_ms_p99']):,.3f}" in out


def test_names_of_runs(cli: Cli, small: Path) -> None:
    """By default a run is named after its content; another of the same gets a number."""
    for _ in range(3):
        assert cli("run", "small.yaml", "--no-figures", "--no-html", "--no-workbook", "-q")[0] == 0
    (summary,) = read(next(Path("reports").iterdir()) / "summary.csv")
    name = f"small-{summary['scenario_hash']}"
    assert {path.name for path in Path("reports").iterdir()} == {name, f"{name}-2", f"{name}-3"}


def test_force_replaces_a_run_whole(cli: Cli, ran: Path) -> None:
    command = (
        "run",
        "small.yaml",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "-q",
        "--out",
        "out",
        "--force",
    )
    assert cli(*command, "--parquet")[0] == 0
    assert (ran / "links.parquet").exists()
    (ran / "notes.txt").write_text("precious")
    code, _, err = cli(*command)
    assert (code, "also other things, and is kept: notes.txt" in err) == (2, True)
    (ran / "notes.txt").unlink()
    assert cli(*command)[0] == 0
    assert not (ran / "links.parquet").exists(), "of the run before"
    assert {path.name for path in Path().iterdir()} == {"small.yaml", "out"}


def test_words_that_look_like_formulas(cli: Cli, small: Path) -> None:
    """A spreadsheet must take no cell for a formula."""
    override = 'model.name="=HYPERLINK(1) =2"'
    assert (
        cli(
            "run",
            "small.yaml",
            "--no-figures",
            "--no-html",
            "--no-workbook",
            "-q",
            "--out",
            "out",
            "--set",
            override,
        )[0]
        == 0
    )
    (summary,) = read(Path("out/summary.csv"))
    assert summary["model"] == "'=HYPERLINK(1) =2"
