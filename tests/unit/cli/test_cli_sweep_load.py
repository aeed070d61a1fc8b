"""`rack-sim sweep` of a load study: files, tables, JSON, exit codes."""

import csv
import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rack_sim.scenario import STUDIES

Cli = Callable[..., tuple[int, str, str]]
SWEEP = importlib.import_module("rack_sim.cli.sweep")

STUDY = """kind: load
name: rush
scenario: small.yaml
points:
  - name: one row
    overrides: {partition: {stages: 1, tensor_parallel: 8}, model.num_hidden_layers: 1}
  - name: two rows
    overrides:
      partition: {stages: 1, tensor_parallel: 8}
      model.num_hidden_layers: 1
      serving.slot_rows: 2
rates_rps: [20, 2000]
"""


@pytest.fixture
def study(small: Path) -> Path:
    text = small.read_text(encoding="utf-8")
    small.write_text(text + "slo: {ttft_ms: 50, tpot_ms: 10}\n", encoding="utf-8")
    path = small.with_name("rush.yaml")
    path.write_text(STUDY, encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_writes_a_directory(cli: Cli, study: Path) -> None:
    code, out, _ = cli("sweep", "rush.yaml")
    assert code == 0
    (folder,) = Path("reports").iterdir()
    assert out.endswith(f"files: {folder}\n")
    assert {path.name for path in folder.iterdir()} == {
        *STUDIES["load"].tables,
        "manifest.json",
        "resolved.yaml",
        "report.xlsx",
        "report.html",
        *(f"load_{name}.{kind}" for name in ("latency", "goodput") for kind in ("png", "svg")),
    }
    for name, columns in STUDIES["load"].tables.items():
        head = (folder / name).read_text(encoding="utf-8").splitlines()[0]
        assert head == ",".join(column.name for column in columns)
    rows = read(folder / "load.csv")
    assert [(row["machine"], row["rate_rps"]) for row in rows] == [
        (machine, rate) for machine in ("one row", "two rows") for rate in ("20.0", "2000.0")
    ]
    for row in rows:
        whole = int(row["finished_count"]) + int(row["rejected_count"])
        assert whole == int(row["request_count"]) == 50
        span_s = float(row["arrival_span_s"])
        assert float(row["offered_rps"]) == pytest.approx(49 / span_s, rel=1e-5)
        assert float(row["ttft_ms_p50"]) <= float(row["ttft_ms_p90"]) <= float(row["ttft_ms_p99"])
    knees = read(folder / "knee.csv")
    for knee, low, high in zip(knees, rows[::2], rows[1::2], strict=True):
        assert (low["keeps_up"], high["keeps_up"]) == ("true", "false")
        assert (low["meets_slo"], high["meets_slo"]) == ("true", "false")
        assert (knee["slo_met_rps"], knee["slo_failed_rps"]) == (
            low["offered_rps"],
            high["offered_rps"],
        )
        assert knee["slo_limited_by"] == "saturation"
        ratio = float(knee["kept_up_rps"]) / float(knee["capacity_limit_rps"])
        assert float(knee["kept_up_to_capacity_ratio"]) == pytest.approx(ratio, abs=1e-6)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert folder.name == f"rush-{manifest['study_hash']}"
    assert manifest["kind"] == "load"
    assert [machine["scenario_seed"] for machine in manifest["machines"]] == [1, 1]


def test_the_same_study_gives_the_same_bytes(cli: Cli, study: Path) -> None:
    """Run twice, and from what was resolved; another seed of the scenarios gives others."""
    for number, source in enumerate(["rush.yaml", "rush.yaml", "0/resolved.yaml"]):
        assert cli("sweep", source, "--out", number, "--no-figures", "-q") == (0, "", "")
    for name in (*STUDIES["load"].tables, "resolved.yaml"):
        first = Path("0", name).read_bytes()
        assert first == Path("1", name).read_bytes() == Path("2", name).read_bytes()
    options = ("--out", "3", "--no-figures", "-q", "--seed", 5)
    assert cli("sweep", "rush.yaml", *options) == (0, "", "")
    assert Path("0/load.csv").read_bytes() != Path("3/load.csv").read_bytes()


def test_json_and_changes(cli: Cli, study: Path) -> None:
    changes = ("--set", "rates_rps=auto", "--set", "knee_precision=0.2", "--set", "attainment=0.9")
    code, out, _ = cli("sweep", "rush.yaml", "--json", "--no-figures", *changes)
    assert code == 0
    found = json.loads(out)
    assert (found["kind"], found["study"]) == ("load", "rush")
    for machine in found["machines"]:
        assert machine["attainment_asked"] == 0.9
        assert machine["slo_met_rps"] < machine["slo_failed_rps"] <= 1.2 * machine["slo_met_rps"]
        assert machine["kept_up_rps"] <= machine["capacity_limit_rps"]
        rates = [rate["offered_rps"] for rate in machine["rates"]]
        assert rates == sorted(rates)
        assert all(isinstance(rate["keeps_up"], bool) for rate in machine["rates"])
        assert {rate["machine"] for rate in machine["rates"]} == {machine["machine"]}
        assert machine["rates"][0]["e2el_ms_p99"] > 0


def test_tables_and_warnings(cli: Cli, study: Path) -> None:
    options = ("--no-figures", "--set", "request_count=5", "--set", "rates_rps=[1, 5000]")
    code, out, err = cli("sweep", "rush.yaml", *options)
    assert code == 0
    assert "meets the SLO up to" in out
    assert "one row: requests per second" in out
    assert "warning: one row: 5 requests at" in err
    assert cli("sweep", "rush.yaml", *options, "--quiet") == (0, "", "")


def test_exit_codes(cli: Cli, study: Path) -> None:
    code, out, err = cli("sweep", "rush.yaml", "--set", "rates_rps=[2, 1]")
    assert (code, out) == (2, "")
    assert "--set rates_rps=[2, 1]: rates_rps: must rise" in err
    code, _, err = cli("sweep", "rush.yaml", "--set", "serving.concurrent_sequences=99999")
    assert code == 3
    assert "kv_cache" in err
    code, _, err = cli("sweep", "rush.yaml", "--set", "serving.max_context_tokens=50")
    assert code == 2
    assert "rush.yaml: one row: at 20 requests/s nothing is served" in err
    assert not Path("reports").exists()


def test_an_interruption_leaves_nothing(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rack_sim.study.load.replay_rate", interrupted)
    code, out, err = cli("sweep", "rush.yaml")
    assert (code, out) == (130, "")
    assert "nothing was written" in err
    assert not Path("reports").exists()


def test_it_is_validated_and_listed(cli: Cli, study: Path) -> None:
    code, out, _ = cli("validate", "rush.yaml")
    assert (code, out) == (0, "rush.yaml: ok (study rush)\n")
    assert "load" in cli("list", "studies")[1]
