"""Serving on the command line: fleets, batches and slots, and what their files say of them."""

import csv
import json
import multiprocessing
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rack_sim.metrics.columns import FILES

Cli = Callable[..., tuple[int, str, str]]
Rows = list[dict[str, str]]

HERE = Path(__file__).parent
# Something of everything: the scenario, and what is changed in it.
RUNS: dict[str, tuple[str, list[str]]] = {
    "batches": ("batches", []),
    "scarce": ("batches", ["serving.policy.kv_capacity_mib=20", "serving.replicas=1"]),
    "impatient": ("batches", ["serving.timeout_ms=30", "serving.queue_limit=4",
                              "serving.queue=priority", "workload.arrivals.rate_rps=4000"]),
    "cached": ("batches", ["serving.prefix_cache={capacity_mib: 8, block_tokens: 16}",
                           "serving.router=prefix_affinity"]),
    "drafted": ("batches", ["serving.speculation={draft_tokens: 3, acceptance: 0.6, "
                            "draft_latency_us: 20}", "serving.router=join_shortest_queue"]),
    "pools": ("batches", ["serving.disaggregation={prefill_replicas: 1}"]),
    "chunks": ("batches", ["serving.policy.chunk_tokens=32",
                           "serving.router=least_outstanding_tokens"]),
    "slots": ("slots", []),
    "slots_by_request": ("slots", ["serving.policy.kv_reservation=request",
                                   "serving.policy.priority=prefill"]),
    "slots_impatient": ("slots", ["serving.timeout_ms=20", "serving.queue_limit=2",
                                  "workload.arrivals.rate_rps=4000"]),
    "slots_cached": ("slots", ["serving.prefix_cache={capacity_mib: 8, block_tokens: 16}"]),
    "slots_drafted": ("slots", ["serving.speculation={draft_tokens: 1, acceptance: 0.6, "
                                "draft_latency_us: 2}"]),
    # Slow long programs: at the longest one's interval, busy steps would be more than all time.
    "slots_in_slow_buckets": ("slots", ["system.chip.matrix.feed_gbytes_per_s=10",
                                        "serving.policy.context_buckets=[256, 1024, 2048]",
                                            "serving.policy.kv_reservation=request"]),
    "slots_in_buckets": ("slots", ["serving.policy.context_buckets=[128, 512, 2048]"]),
}  # fmt: skip
# Each of the eight terms of a token, and their sum, is rounded to six decimals of a millisecond.
ROUNDED_SUM_MS = 9 * 0.5e-6


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the two scenarios and nothing else."""
    monkeypatch.chdir(tmp_path)
    for name in ("batches.yaml", "slots.yaml"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


def run(cli: Cli, name: str, *more: str, out: str) -> Path:
    scenario, overrides = RUNS[name]
    sets = [word for override in overrides for word in ("--set", override)]
    said = cli("run", f"{scenario}.yaml", "--no-figures", "-q", "--out", out, *sets, *more)
    assert said == (0, "", "")
    return Path(out)


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def total(rows: Rows, name: str) -> int:
    return sum(int(row[name]) for row in rows if row[name])


_done: dict[str, Path] = {}


@pytest.fixture(params=sorted(RUNS))
def ran(
    request: pytest.FixtureRequest, cli: Cli, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Each of the runs, made once, with its tables as Parquet."""
    name = request.param
    if name not in _done:
        _done[name] = run(cli, name, "--parquet", out=str(tmp_path_factory.mktemp(name) / "out"))
    return name, _done[name]


def test_everybody_ends_in_one_way(ran: tuple[str, Path]) -> None:
    """Of the run, of every replica and of every bin: what came is what left."""
    name, folder = ran
    (summary,) = read(folder / "summary.csv")
    requests, bins = read(folder / "requests.csv"), read(folder / "timeline.csv")
    replicas = read(folder / "replicas.csv")
    ways = {way: int(summary[f"{way}_count"]) for way in ("finished", "rejected", "timed_out")}
    assert sum(ways.values()) == int(summary["request_count"]) == len(requests) == 200
    assert summary["unserved_count"] == "0"
    assert total(bins, "arrived") == 200
    for way, count in ways.items():
        assert count == sum(row["status"] == way for row in requests)
        assert count == total(bins, way) == total(replicas, f"{way}_count")
    if "impatient" in name:
        assert ways["timed_out"] and ways["rejected"]
    else:
        assert ways["finished"] == 200 - ways["rejected"]
    assert ways["finished"]
    routed = [row for row in replicas if row["role"] != "decode"]
    assert total(routed, "request_count") == 200
    for row in replicas:
        here = [r for r in requests if r["replica"] == row["replica"]]
        assert int(row["finished_count"]) == sum(r["status"] == "finished" for r in here)


def test_tokens_are_counted_alike_everywhere(ran: tuple[str, Path]) -> None:
    name, folder = ran
    (summary,) = read(folder / "summary.csv")
    requests, bins = read(folder / "requests.csv"), read(folder / "timeline.csv")
    replicas = read(folder / "replicas.csv")
    finished = [row for row in requests if row["status"] == "finished"]
    assert total(finished, "output_tokens") == int(summary["output_token_count"])
    assert total(finished, "output_tokens") == total(replicas, "output_tokens")
    for column in ("prompt_tokens", "cached_tokens", "recomputed_tokens"):
        assert total(bins, column) == total(replicas, column)
    assert total(replicas, "preemption_count") == int(summary["preemption_count"])
    assert total(replicas, "recomputed_tokens") == int(summary["recomputed_token_count"])
    if "impatient" not in name:
        prefilled = total(replicas, "prompt_tokens") + total(replicas, "cached_tokens")
        if int(summary["preemption_count"]) == 0:
            assert prefilled == total(finished, "input_tokens")
            assert total(finished, "cached_tokens") == total(replicas, "cached_tokens")
        assert total(finished, "preemption_count") == int(summary["preemption_count"])
        accepted = total(finished, "accepted_draft_tokens")
        assert accepted == total(replicas, "accepted_draft_tokens")
        assert total(bins, "output_tokens") == total(finished, "output_tokens")


def test_the_parts_of_a_token_are_the_mean_gap(ran: tuple[str, Path]) -> None:
    """On slots every revolution, on batches every iteration: nothing is unexplained."""
    name, folder = ran
    (summary,) = read(folder / "summary.csv")
    if name.endswith("buckets"):
        assert summary["tpot_slack_ms"] == summary["tpot_bound_by"] == "", "several programs"
        return
    terms = (
        "fixed_latency", "compute", "weight_feed", "memory", "link_latency",
        "link_serialisation", "slack", "draft",
    )  # fmt: skip
    parts = {term: float(summary[f"tpot_{term}_ms"]) for term in terms}
    assert min(parts.values()) >= 0
    mean = pytest.approx(float(summary["itl_ms_mean"]), abs=ROUNDED_SUM_MS)
    assert sum(parts.values()) == mean
    assert summary["tpot_bound_by"] == max(parts, key=lambda term: parts[term])


def test_columns_of_requests_say_what_happened(ran: tuple[str, Path]) -> None:
    name, folder = ran
    requests = read(folder / "requests.csv")
    finished = [row for row in requests if row["status"] == "finished"]
    replica_count = len(read(folder / "replicas.csv"))
    assert {int(row["replica"]) for row in requests} <= set(range(replica_count))
    for row in finished:
        time = {key[:-3]: Decimal(row[key]) for key in row if key.endswith("_ms") and row[key]}
        assert time["queue"] == time["admitted"] - time["arrival"]
        assert time["prefill"] == time["prefill_end"] - time["prefill_start"]
        assert int(row["cached_tokens"]) < int(row["input_tokens"])
        assert (row["slot"] != "") == name.startswith("slots")
        apart = row["prefill_replica"] != ""
        assert apart == (time["transfer"] > 0) == (name == "pools")
    for row in requests:
        if row["status"] != "finished":
            assert row["reason"]
            began = row["status"] == "timed_out"
            assert (row["preemption_count"] != "") == began
            assert (row["queue_ms"] != "") == (row["admitted_ms"] != "") <= began
            assert row["finish_ms"] == row["ttft_ms"] == row["e2el_ms"] == ""


@pytest.mark.parametrize(
    ("name", "column", "file"),
    [
        ("scarce", "preemption_count", "requests.csv"),
        ("cached", "cached_tokens", "requests.csv"),
        ("slots_cached", "cached_tokens", "requests.csv"),
        ("drafted", "accepted_draft_tokens", "requests.csv"),
        ("slots_drafted", "accepted_draft_tokens", "requests.csv"),
        ("pools", "transfer_count", "replicas.csv"),
        ("scarce", "recomputed_tokens", "replicas.csv"),
    ],
)
def test_the_runs_do_reach_what_they_are_for(cli: Cli, name: str, column: str, file: str) -> None:
    """Else the laws above would hold of nothing."""
    assert total(read(run(cli, name, out="out") / file), column) > 0


def test_replicas_of_pools_have_their_roles(cli: Cli) -> None:
    folder = run(cli, "pools", out="out")
    (summary,) = read(folder / "summary.csv")
    prefill, *decode = read(folder / "replicas.csv")
    assert [prefill["role"], *(row["role"] for row in decode)] == ["prefill", "decode", "decode"]
    requests = [row for row in read(folder / "requests.csv") if row["status"] == "finished"]
    assert {row["prefill_replica"] for row in requests} == {"0"}
    assert {row["replica"] for row in requests} == {"1", "2"}
    assert total(decode, "transfer_count") == len(requests)
    # Keys and values of 4 layers, 8 heads of 64 elements, 2 bytes each.
    token_bytes = 4 * 2 * 8 * 64 * 2
    prompts = total(requests, "input_tokens")
    assert total(decode, "transfer_bytes") == prompts * token_bytes
    mean = sum(float(row["transfer_ms"]) for row in requests) / len(requests)
    assert float(summary["transfer_ms_mean"]) == pytest.approx(mean, abs=1e-6)


def test_replicas_and_iterations_add_up(ran: tuple[str, Path]) -> None:
    name, folder = ran
    (summary,) = read(folder / "summary.csv")
    replicas = read(folder / "replicas.csv")
    busy_ms = sum(Decimal(row["busy_ms"]) for row in replicas)
    share = float(busy_ms) / 1000 / len(replicas) / float(summary["simulated_s"])
    # Nine decimals in the file.
    assert float(summary["replica_utilisation"]) == pytest.approx(share, abs=1e-8)
    for row in replicas:
        assert int(row["kv_tokens_max"]) <= int(row["kv_capacity_tokens"])
        assert 0 <= float(row["utilisation"]) <= 1
    if name.startswith("slots"):
        assert not (folder / "iterations.csv").exists()
        return
    iterations = read(folder / "iterations.csv")
    count = total(iterations, "iteration_count")
    assert count == int(summary["iteration_count"])
    spent_ms = sum(int(r["iteration_count"]) * float(r["time_ms_mean"]) for r in iterations)
    # A mean of a row is rounded to the picosecond.
    assert spent_ms == pytest.approx(float(busy_ms), abs=count * 0.5e-9 + 1e-9)


def test_parquet_is_the_csv_cell_by_cell(ran: tuple[str, Path]) -> None:
    """Whole numbers and fractions to the last digit, words as they are, nothing for nothing."""
    _, folder = ran
    read_as = {pa.int64(): int, pa.float64(): float, pa.string(): str}
    names = sorted(path.stem for path in folder.glob("*.csv"))
    assert names == sorted(path.stem for path in folder.glob("*.parquet"))
    for name in names:
        table, rows = pq.read_table(folder / f"{name}.parquet"), read(folder / f"{name}.csv")
        columns = [column.name for column in FILES[f"{name}.csv"]]
        assert table.column_names == columns
        for column in columns:
            kind = read_as[table.schema.field(column).type]
            expected = [kind(row[column]) if row[column] != "" else None for row in rows]
            assert table.column(column).to_pylist() == expected, (name, column)


@pytest.mark.parametrize("name", ["batches", "slots"])
@pytest.mark.parametrize("router", ["round_robin", "random", "session_affinity"])
def test_any_number_of_processes_writes_the_same(cli: Cli, name: str, router: str) -> None:
    """Three replicas in one process, in two, in one each."""
    chosen = ("--set", f"serving.router={router}")
    expected = tables(run(cli, name, *chosen, out="one"))
    assert len({row["replica"] for row in read(Path("one/requests.csv"))}) == 3
    for jobs in (2, 3):
        assert tables(run(cli, name, *chosen, "--jobs", str(jobs), out=f"in_{jobs}")) == expected
        assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["serving.router=join_shortest_queue"],
         "the router join_shortest_queue looks at all replicas"),
        (["serving.disaggregation={prefill_replicas: 1}"], "caches go from replica to replica"),
        (["serving.replicas=1"], "there is one replica"),
        (["workload={kind: closed_loop, users: 6, input_tokens: {kind: fixed, tokens: 5}, "
          "output_tokens: {kind: fixed, tokens: 5}, request_count: 9}"],
         "users of a closed loop go from replica to replica"),
    ],
)  # fmt: skip
def test_who_cannot_be_replayed_apart_is_told_why(cli: Cli, overrides: list[str], why: str) -> None:
    sets = [word for override in overrides for word in ("--set", override)]
    common = ("run", "batches.yaml", "--no-figures", *sets)
    code, out, err = cli(*common, "--json", "--jobs", "2", "--out", "two")
    assert (code, err) == (0, f"replayed in one process: {why}\n")
    assert json.loads(out)["unserved_count"] == 0
    assert cli(*common, "--jobs", "2", "-q", "--out", "quiet") == (0, "", "")
    assert cli(*common, "-q", "--out", "one") == (0, "", "")
    assert tables(Path("one")) == tables(Path("two")) == tables(Path("quiet"))


@pytest.mark.parametrize("name", ["batches", "slots"])
def test_prompts_alone_have_a_bottleneck_and_no_time_per_token(cli: Cli, name: str) -> None:
    """One output token each: it comes with the prompt, and no gap between tokens is measured."""
    change = "workload.output_tokens={kind: fixed, tokens: 1}"
    options = ("--set", change, "--no-figures", "--no-workbook")
    code, out, err = cli("run", f"{name}.yaml", *options, "--out", "alone")
    assert (code, err) == (0, "")
    assert "None" not in out
    assert "nothing" not in out
    (row,) = read(Path("alone/summary.csv"))
    assert row["tpot_ms_p50"] == row["output_tok_s_per_user_p50"] == ""
    page = Path("alone/report.html").read_text(encoding="utf-8")
    assert "chips: TTFT p99 " in page
    if name == "batches":
        term = row["bottleneck"].removeprefix("iteration: ")
        assert term in {"compute", "memory", "fixed_latency", "link_latency", "link_serialisation"}
        assert row["tpot_bound_by"] == ""


@pytest.mark.parametrize("name", sorted(RUNS))
def test_every_step_writes_the_same(cli: Cli, name: str) -> None:
    skipped = run(cli, name, out="skipped")
    stepped = run(cli, name, "--every-step", out="stepped")
    assert tables(skipped) == tables(stepped)


@pytest.mark.parametrize("name", ["batches", "slots"])
def test_nobody_comes(cli: Cli, name: str) -> None:
    """A duration too short for the first arrival: empty tables, figures that say so."""
    nobody = (
        "workload={kind: synthetic, arrivals: {kind: poisson, rate_rps: 0.001}, "
        "input_tokens: {kind: fixed, tokens: 5}, output_tokens: {kind: fixed, tokens: 5}, "
        "duration_ps: 1}"
    )
    code, out, err = cli(
        *("run", f"{name}.yaml", "--set", nobody, "--set", "slo={ttft_ms: 5}", "--parquet"),
        *("--out", "out"),
    )
    assert (code, err) == (0, "")
    assert "0: 0 finished, 0 rejected, 0 timed out, 0 unserved" in out
    (summary,) = read(Path("out/summary.csv"))
    assert (summary["request_count"], summary["slo_attainment"]) == ("0", "")
    assert read(Path("out/requests.csv")) == []
    assert len(read(Path("out/replicas.csv"))) == 3
