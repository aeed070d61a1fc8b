"""`rack-sim timeline`: one file, whole or not at all."""

import gzip
import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]
# The attribute of that name of `rack_sim.cli` is the command, a function.
TIMELINE = importlib.import_module("rack_sim.cli.timeline")


def read(path: str | Path) -> dict:
    return json.loads(gzip.decompress(Path(path).read_bytes()))


def test_it_says_what_it_wrote(cli: Cli, small: Path) -> None:
    code, out, err = cli("timeline", "small.yaml")
    assert (code, err) == (0, "")
    (path,) = Path("reports").iterdir()
    found = read(path)
    assert out.endswith(f"file: {path}\n")
    assert "ui.perfetto.dev" in out
    assert f"{len(found['traceEvents']):,}" in out
    other = found["otherData"]
    assert path.name == f"{other['scenario']}-{other['scenario_hash']}.trace.json.gz"
    assert other["serving"]["window_ps"] == 2 * 10**12
    code, out, err = cli("timeline", "small.yaml", "--json", "--force")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["event_count"] == len(found["traceEvents"])
    assert facts["size_bytes"] == path.stat().st_size
    assert facts["latency_ps"] == other["latency_ps"]
    explained = json.loads(cli("explain", "small.yaml", "--json")[1])
    assert facts["latency_ps"] == explained["latency_ps"]
    assert facts["interval_ps"] == explained["interval_ps"]


def test_an_existing_file_is_kept(cli: Cli, small: Path) -> None:
    Path("mine.gz").write_text("precious")
    code, out, err = cli("timeline", "small.yaml", "--out", "mine.gz", "--window-ms", 0)
    assert (code, out) == (2, "")
    assert "exists already, and is kept" in err
    assert Path("mine.gz").read_text() == "precious"
    assert cli("timeline", "small.yaml", "--out", "mine.gz", "--window-ms", 0, "--force")[0] == 0
    assert read("mine.gz")["otherData"]["serving"] is None


def test_another_program(cli: Cli, small: Path) -> None:
    options = ("--program", "prefill", "--rows", 3, "--window-ms", 0, "--json")
    code, out, err = cli("timeline", "small.yaml", *options)
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["program"].startswith("prefill, 3 rows, ")
    assert facts["request_count"] == 0
    assert Path(facts["path"]).name.endswith("-prefill-3-rows.trace.json.gz")
    code, _, err = cli("timeline", "small.yaml", *options[:3], 10**6, "--window-ms", 0)
    assert code == 2
    assert "longer than the compiled context" in err
    assert cli("timeline", "small.yaml", "--program", "training")[0] == 2
    assert cli("timeline", "small.yaml", "--rows", 0)[0] == 2


def test_a_token_as_it_runs_with_jitter(cli: Cli, small: Path) -> None:
    """Every task once, the token later than compiled, no window; without jitter as compiled."""
    tiny = ("--set", "partition={stages: 2, tensor_parallel: 4}")
    tiny = (*tiny, "--set", "model.num_hidden_layers=2")
    code, out, err = cli("timeline", "small.yaml", "--jitter-ns", 500, "--json", *tiny)
    assert (code, err) == (0, "")
    facts = json.loads(out)
    explained = json.loads(cli("explain", "small.yaml", "--json", *tiny)[1])
    assert facts["latency_ps"] > explained["latency_ps"]
    assert facts["request_count"] == 0
    slips = facts["stage_slip_ps"]
    assert slips[0] == 0
    assert slips == sorted(slips)
    assert slips[-1] > 0
    other = read(facts["path"])["otherData"]
    assert other["window_of_serving"] is None
    assert other["one_token"]["tasks"] == facts["task_count"]
    assert Path(facts["path"]).name.endswith("-jitter-500-ns.trace.json.gz")
    facts = json.loads(cli("timeline", "small.yaml", "--jitter-ns", 0, "--json", *tiny)[1])
    assert facts["latency_ps"] == explained["latency_ps"]
    assert not any(facts["stage_slip_ps"])
    options = ("--jitter-ns", 500, "--seed", 9, "--force", *tiny)
    code, out, err = cli("timeline", "small.yaml", *options)
    assert (code, err) == (0, "")
    assert "begins later than compiled" in out


def test_an_interruption_leaves_nothing(
    cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TIMELINE, "write_timeline", interrupted)
    code, out, err = cli("timeline", "small.yaml", "--window-ms", 0)
    assert (code, out) == (130, "")
    assert "nothing was written" in err
    assert [entry.name for entry in Path().iterdir()] == ["small.yaml"]


def test_help_teaches(cli: Cli) -> None:
    code, out, err = cli("timeline", "--help")
    assert (code, err) == (0, "")
    assert "ui.perfetto.dev" in out
    assert "Example" in out


def test_a_context_bucket_is_a_program_of_its_own(cli: Cli, small: Path) -> None:
    """Less context is less to read; more than the plan has a cache for is refused."""
    latencies = []
    for context in ("64", "512"):
        code, out, err = cli(
            *("timeline", "small.yaml", "--window-ms", "0", "--context", context, "--json")
        )
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert f"context {context}" in found["program"]
        latencies.append(found["latency_ps"])
    assert latencies[0] < latencies[1]
    code, out, err = cli("timeline", "small.yaml", "--context", "100000")
    assert code == 2
    assert "--context: the plan has a cache for contexts of" in err


def test_a_name_that_says_otherwise_than_gzip_is_refused(cli: Cli, small: Path) -> None:
    code, out, err = cli("timeline", "small.yaml", "--out", "mine.json")
    assert (code, out) == (2, "")
    assert "--out mine.json.gz" in err


def test_a_reactive_chip_runs_when_it_can(cli: Cli, small: Path) -> None:
    """Its own jitter, if it has any, is what delays it; a policy for its requests is not asked."""
    reactive = ("--set", "system.chip.execution=reactive")
    slips = []
    for jitter in ((), ("--set", "system.chip.operator_jitter_ns=400")):
        code, out, err = cli("timeline", "small.yaml", *reactive, *jitter, "--json", "--force")
        assert (code, err) == (0, "")
        slips.append(json.loads(out)["stage_slip_ps"])
    assert not any(slips[0])
    assert slips[1][0] == 0
    assert sorted(slips[1]) == slips[1], "it grows along the line"
    assert slips[1][-1] > 0
    assert cli("run", "small.yaml", *reactive)[0] == 2
