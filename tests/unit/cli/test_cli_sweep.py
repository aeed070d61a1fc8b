"""`rack-sim sweep`: files, whole or not at all, and what it says."""

import csv
import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rack_sim.scenario import STUDIES

Cli = Callable[..., tuple[int, str, str]]
# The attribute of that name of `rack_sim.cli` is the command, a function.
SWEEP = importlib.import_module("rack_sim.cli.sweep")

STUDY = """kind: jitter
name: tiny
scenario: small.yaml
points:
  - name: one stage
    overrides: {partition: {stages: 1, tensor_parallel: 8}, model.num_hidden_layers: 1}
  - name: two stages
    overrides:
      partition: {stages: 2, tensor_parallel: 8, objective: most_tokens_per_chip}
      model.num_hidden_layers: 2
operator_jitter_ns: [0, 50, 500]
step_count: 12
warmup_step_count: 4
"""


@pytest.fixture
def study(small: Path) -> Path:
    path = small.with_name("tiny.yaml")
    path.write_text(STUDY, encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_writes_a_directory(cli: Cli, study: Path) -> None:
    code, out, err = cli("sweep", "tiny.yaml")
    assert (code, err) == (0, "")
    (folder,) = Path("reports").iterdir()
    assert out.endswith(f"files: {folder}\n")
    assert {path.name for path in folder.iterdir()} == {
        *STUDIES["jitter"].tables,
        "manifest.json",
        "resolved.yaml",
        "report.xlsx",
        "report.html",
        "jitter.png",
        "jitter.svg",
    }
    rows = read(folder / "jitter.csv")
    for name, columns in STUDIES["jitter"].tables.items():
        head = (folder / name).read_text(encoding="utf-8").splitlines()[0]
        assert head == ",".join(column.name for column in columns)
    assert [(row["machine"], row["operator_jitter_ns"]) for row in rows] == [
        (machine, jitter)
        for machine in ("one stage", "two stages")
        for jitter in ("0", "50", "500")
    ]
    for row in rows:
        if row["operator_jitter_ns"] == "0":
            assert row["token_gap_ms_p99"] == row["compiled_token_gap_ms"]
            assert row["step_latency_ms_mean"] == row["compiled_step_latency_ms"]
        gap_ms = float(row["token_gap_ms_mean"])
        assert float(row["tok_s_per_user"]) == pytest.approx(1000 / gap_ms, rel=1e-6)
        share = float(row["compiled_token_gap_ms"]) / gap_ms
        assert float(row["kept_share"]) == pytest.approx(share, abs=1e-6)
    slips = read(folder / "slip.csv")
    assert len(slips) == 3 * 1 + 3 * 2
    assert all(float(row["slip_ms_mean"]) == 0 for row in slips if row["operator_jitter_ns"] == "0")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert folder.name == f"tiny-{manifest['study_hash']}"
    assert manifest["seed"] == 0
    assert manifest["assumed_by_the_study"]
    assert [machine["name"] for machine in manifest["machines"]] == ["one stage", "two stages"]


def test_the_resolved_study_gives_the_same_bytes(cli: Cli, study: Path) -> None:
    assert cli("sweep", "tiny.yaml", "--out", "a", "--no-figures", "-q") == (0, "", "")
    assert cli("sweep", "a/resolved.yaml", "--out", "b", "--no-figures", "-q") == (0, "", "")
    for name in ("jitter.csv", "slip.csv", "resolved.yaml"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()
    options = ("--out", "c", "--no-figures", "-q", "--seed", 5)
    assert cli("sweep", "tiny.yaml", *options) == (0, "", "")
    assert Path("a/jitter.csv").read_bytes() != Path("c/jitter.csv").read_bytes()


def test_json_and_changes(cli: Cli, study: Path) -> None:
    changes = ("--set", "operator_jitter_us=[0, 1]", "--set", "precision.kv=fp8")
    code, out, err = cli("sweep", "tiny.yaml", "--json", "--no-figures", *changes)
    assert (code, err) == (0, "")
    found = json.loads(out)
    replays = found["machines"][1]["replays"]
    assert [replay["operator_jitter_ns"] for replay in replays] == [0, 1000]
    assert replays[0]["kept_share"] == 1
    assert replays[1]["kept_share"] < 1
    assert replays[1]["last_stage_slip_ms_mean"] > 0
    assert "kv: fp8" in Path(found["path"], "resolved.yaml").read_text(encoding="utf-8")


def test_exit_codes(cli: Cli, study: Path) -> None:
    code, out, err = cli("sweep", "tiny.yaml", "--set", "step_cout=3")
    assert (code, out) == (2, "")
    assert "unknown key 'step_cout'" in err
    code, out, err = cli(
        "sweep", "tiny.yaml", "--set", "step_count=2", "--set", "warmup_step_count=0"
    )
    assert (code, out) == (2, "")
    assert "tiny.yaml: step_count: 2 steps are too few" in err
    assert cli("sweep", "no-such-study")[0] == 2
    code, _, err = cli("sweep", "tiny.yaml", "--set", "serving.concurrent_sequences=99999")
    assert code == 3
    assert "kv_cache" in err
    Path("mine").mkdir()
    Path("mine/precious").write_text("")
    assert cli("sweep", "tiny.yaml", "--out", "mine")[0] == 2
    assert cli("sweep", "tiny.yaml", "--out", "mine", "--force")[0] == 2
    assert not Path("reports").exists()


def test_an_interruption_leaves_nothing(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rack_sim.cli.leave.leave", interrupted)
    code, out, err = cli("sweep", "tiny.yaml")
    assert (code, out) == (130, "")
    assert "nothing was written" in err
    assert not Path("reports").exists()


def test_help_teaches(cli: Cli) -> None:
    code, out, err = cli("sweep", "--help")
    assert (code, err) == (0, "")
    assert "rack-sim sweep jitter" in out
    assert "Example" in out


def test_studies_are_listed(cli: Cli) -> None:
    code, out, _ = cli("list", "studies")
    assert code == 0
    assert "jitter" in out
