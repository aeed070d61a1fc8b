"""The commands that replay nothing: list, validate, explain, help and version."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import rack_sim
from rack_sim.engine.policies import POLICIES
from rack_sim.scenario.library import data_root, presets

Cli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("kind", ["chips", "systems", "models", "scenarios", "policies"])
def test_list(cli: Cli, kind: str) -> None:
    known = list(POLICIES) if kind == "policies" else list(presets(kind.removesuffix("s")))
    code, out, err = cli("list", kind)
    assert (code, err) == (0, "")
    first_words = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert set(known) <= first_words
    code, out, err = cli("list", kind, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert list(found) == known
    assert all(found.values()), "each says what it is"


def test_validate_many(cli: Cli, small: Path) -> None:
    text = small.read_text()
    Path("bad.yaml").write_text(text.replace("seed: 1", "sede: 1"))
    Path("worse.yaml").write_text("")
    code, out, err = cli("validate", "small.yaml", "bad.yaml", "worse.yaml", "llama70b", "nope")
    assert code == 2
    lines = out.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(
        r"small\.yaml: ok \(scenario small, \d+ of \d+ numbers assumed, digest [0-9a-f]{12}\)",
        lines[0],
    )
    assert lines[1].startswith("llama70b: ok (scenario llama70b, ")
    assert err.splitlines() == [
        "error: bad.yaml:14:1: unknown key 'sede' (did you mean 'seed'?)",
        "bad.yaml was judged as a scenario",
        "error: worse.yaml:1:1: is empty",
        "error: no scenario is called 'nope' (allowed: "
        + ", ".join(sorted(presets("scenario")))
        + ")",
    ]
    assert cli("validate", "small.yaml", "llama70b")[0] == 0
    assert cli("validate", "small.yaml", "--set", "sede=2")[0] == 2
    assert {path.name for path in Path().iterdir()} == {"small.yaml", "bad.yaml", "worse.yaml"}


def test_validate_reads_traces(cli: Cli, own_trace: Path) -> None:
    workload = "workload={kind: trace, path: own.csv}"
    assert cli("validate", "small.yaml", "--set", workload)[0] == 0
    own_trace.write_text(own_trace.read_text() + "9,x,1\n")
    code, _, err = cli("validate", "small.yaml", "--set", workload)
    assert code == 2
    assert "own.csv:7: input_tokens is 'x', not a whole number" in err


def test_explain_json(cli: Cli, small: Path) -> None:
    throughput = ("--set", "partition.objective=most_tokens_per_chip")
    code, out, err = cli("explain", "small.yaml", "--json", *throughput)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["parameter_count"] == 6_738_415_616  # as published for Llama-2 7B
    assert found["weight_bytes"] == 6_738_415_616  # int8
    assert found["chip_count"] == found["stage_count"] * found["tensor_parallel"]
    assert found["chips_min"] == -(-found["weight_bytes"] // found["sram_capacity_bytes"])
    assert found["sram_used_bytes_max"] <= found["sram_capacity_bytes"] == 220 * 2**20
    assert found["concurrent_sequences_max"] >= 4
    assert found["slot_count"] == -(-found["latency_ps"] // found["interval_ps"])
    assert found["revolution_ps"] == found["slot_count"] * found["interval_ps"]
    assert sum(found["terms_ps"].values()) == found["revolution_ps"]
    stages = found["stages"]
    assert [stage["stage"] for stage in stages] == list(range(found["stage_count"]))
    chips = [chip for stage in stages for chip in stage["chips"]]
    assert len(set(chips)) == len(chips) == found["chip_count"]
    assert max(stage["used_bytes_max"] for stage in stages) == found["sram_used_bytes_max"]
    # A unit is free for the next step before the whole stage is.
    assert found["interval_ps"] < max(stage["service_ps"] for stage in stages)
    decode, prefill = found["programs"]
    assert (decode["program"], prefill["program"]) == ("decode", "prefill")
    assert decode["latency_ps"] == found["latency_ps"]
    assert decode["separation_ps"]["decode"] <= found["interval_ps"]
    changed = {change["change"]: change for change in found["changes"]}
    assert changed["twice the clock"]["latency_ps"] < found["latency_ps"]
    assert changed["half the hop latency"]["latency_ps"] < found["latency_ps"]
    assert found["token_limit_ps"] <= found["token_feed_limit_ps"] <= found["revolution_ps"]


def test_explain_says_the_same_in_words(cli: Cli, small: Path) -> None:
    found = json.loads(cli("explain", "small.yaml", "--json")[1])
    code, out, err = cli("explain", "small.yaml")
    assert (code, err) == (0, "")
    assert "llama-2-7b: 6,738,415,616 parameters" in out
    expected = "{chip_count} in {stage_count} stages of {tensor_parallel}".format(**found)
    assert expected in out
    headings = ["SRAM map", "stages", "operators", "where the time", "the way of one token"]
    headings += ["collectives of one step", "programs, each checked", "what would help"]
    for heading in [*headings, "physical limits"]:
        assert heading in out
    assert found["bottleneck"] in out


def test_the_way_of_one_token_is_the_whole_of_it(cli: Cli, small: Path) -> None:
    """Twelve groups of tasks and the rest: their shares make 100 %."""
    out = cli("explain", "small.yaml")[1]
    lines = out[out.index("the way of one token") : out.index("physical limits")].splitlines()
    rows = [line.split() for line in lines if line.rstrip().endswith("%")]
    assert len(rows) == 13
    assert re.fullmatch(r"\d+ others", " ".join(rows[-1][:2]))
    # Thirteen shares, each rounded to a tenth.
    assert sum(float(row[-1].rstrip("%")) for row in rows) == pytest.approx(100, abs=13 * 0.05)
    assert all("unit" in row or "link" in row for row in rows[:-1])


def test_explain_the_shipped_scenario(cli: Cli, small: Path) -> None:
    found = json.loads(cli("explain", "llama70b", "--json")[1])
    assert (found["chip_count"], found["stage_count"]) == (576, 72)
    assert found["weight_bytes"] == 68_976_648_192
    assert found["revolution_ps"] == pytest.approx(10**12 / 300, rel=0.02), "300 tokens/s"


def test_explain_json_of_reactive_chips(cli: Cli, small: Path) -> None:
    code, out, err = cli("explain", "llama70b-a100", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["weight_bytes"] == 2 * found["parameter_count"]  # bf16
    sizes = found["chip_bytes"]
    assert found["sram_used_bytes_max"] == sum(sizes.values()) - sizes["left_free"]
    assert sum(sizes.values()) <= found["sram_capacity_bytes"] == 80 * 10**9
    # 80 layers of 8 heads of 128 elements, keys and values, two bytes each.
    assert found["kv_bytes_per_token"] == 80 * 8 * 128 * 2 * 2
    assert found["kv_tokens"] == found["block_count"] * found["block_tokens"]
    assert found["kv_tokens"] * found["kv_bytes_per_token"] == 4 * sizes["kv_cache"]
    assert found["concurrent_sequences_max"] == found["kv_tokens"] // 4096
    for one in found["iterations"]:
        assert sum(one["terms_ps"].values()) == one["total_ps"] >= found["token_limit_ps"]
        assert one["terms_ps"][one["bound_by"]] == max(one["terms_ps"].values())
        assert one["tok_s"] == pytest.approx(one["rows"] * 1e12 / one["total_ps"])
        assert one["tok_s"] <= found["system_rows_per_s_max"]
    decode = [one for one in found["iterations"] if one["kind"] == "decode"]
    assert {one["rows"] for one in decode} == {1, 8, 32, 128, 256}
    assert {one["context_tokens"] for one in decode} == {1, 1000, 4096}
    assert decode[0]["tok_s_per_user"] == pytest.approx(decode[0]["tok_s"])
    reduces = [one for one in found["collectives"] if one["operation"] == "all_reduce"]
    assert sum(one["count"] for one in reduces) == 2 * 80, "after attention and feed-forward"
    assert {one["row_bytes"] for one in reduces} == {8192 * 2}
    assert "programs" not in found
    assert "changes" not in found


@pytest.mark.parametrize("input_tokens", [999, 2048])
def test_explained_iterations_are_those_that_serve(
    cli: Cli, small: Path, input_tokens: int
) -> None:
    """One request alone: its prompt is an iteration, and so is each token that follows."""
    workload = (
        "workload={kind: synthetic, arrivals: {kind: constant, gap_ms: 1}, "
        f"input_tokens: {{kind: fixed, tokens: {input_tokens}}}, "
        "output_tokens: {kind: fixed, tokens: 2}, request_count: 1}"
    )
    explained = json.loads(cli("explain", "llama70b-a100", "--json")[1])["iterations"]
    served = json.loads(
        cli(
            "run",
            "llama70b-a100",
            "--set",
            workload,
            "--no-figures",
            "--no-html",
            "--no-workbook",
            "--out",
            "x",
            "--json",
        )[1]
    )
    wanted = {
        999: ("decode", 1, 1000, "tpot_ms_mean"),
        2048: ("prompt", 2048, 2048, "ttft_ms_mean"),
    }
    kind, rows, context, column = wanted[input_tokens]
    (one,) = (
        one
        for one in explained
        if (one["kind"], one["rows"], one["context_tokens"]) == (kind, rows, context)
    )
    # The summary has six decimals of a millisecond.
    assert served[column] == pytest.approx(one["total_ps"] / 1e9, abs=1e-6)


def test_explain_says_the_same_of_reactive_chips_in_words(cli: Cli, small: Path) -> None:
    found = json.loads(cli("explain", "llama70b-a100", "--json")[1])
    code, out, err = cli("explain", "llama70b-a100")
    assert (code, err) == (0, "")
    headings = ["placement of one replica", "memory map", "cache of one replica", "iterations of"]
    headings += ["collectives of an iteration", "physical limits of one replica"]
    for heading in headings:
        assert heading in out
    for heading in ("programs", "what would help", "slots"):
        assert heading not in out
    assert f"{found['block_count']:,} of 16 tokens" in out
    assert f"{found['concurrent_sequences_max']} at one time" in out
    for one in found["iterations"]:
        assert f"{one['total_ps'] / 1e9:.2f}" in out
    (full,) = (one for one in found["iterations"] if one["rows"] == 256 and one["cache_share"] > 1)
    assert f"{full['cache_share']:.1%}" in out


def test_explain_pools_and_stages_of_reactive_chips(cli: Cli, small: Path) -> None:
    pools = ("--set", "system=nvidia-a100-80-x8", "--set", "serving.replicas=2")
    pools += ("--set", "serving.disaggregation={prefill_replicas: 1}")
    assert "2, 1 of them only for prefill" in cli("explain", "llama70b-a100", *pools)[1]
    staged = ("--set", "partition.tensor_parallel=2", "--set", "partition.stages=2")
    found = json.loads(cli("explain", "llama70b-a100", "--json", *staged)[1])
    assert [stage["chips"] for stage in found["stages"]] == [[0, 1], [2, 3]]
    assert found["chip_count"] == 4


def test_help_and_version(cli: Cli) -> None:
    assert cli("--version") == (0, rack_sim.__version__ + "\n", "")
    for command in (
        (),
        ("run",),
        ("explain",),
        ("timeline",),
        ("validate",),
        ("list",),
        ("trace", "summary"),
    ):
        code, out, err = cli(*command, "--help")
        assert (code, err) == (0, ""), command
        assert "Usage" in out
        assert not command or "Example" in out or command == ("list",)


SCHEMAS = {"topologies": ("chip", "system", "price"), "scenarios": ("model", "study", "scenario")}


def test_validate_knows_what_a_file_is(cli: Cli, tmp_path: Path) -> None:
    """A system and a study are checked as what they are, not as scenarios."""
    root = data_root()
    system = root / "topologies" / "systems" / "groq-node-8.yaml"
    study = root / "scenarios" / "studies" / "jitter.yaml"
    code, out, err = cli("validate", str(system), str(study))
    assert (code, err) == (0, "")
    assert "ok (system groq-node-8)" in out
    assert "ok (study jitter)" in out
    mine = tmp_path / "mine.yaml"
    mine.write_text(system.read_text().replace("host_watts_per_node", "host_wats"))
    code, out, err = cli("validate", str(mine))
    assert code == 2
    assert "unknown key 'host_wats'" in err
    assert "model" not in err


def test_validate_judges_every_kind_of_file(cli: Cli, own_trace: Path, tmp_path: Path) -> None:
    """Each is told apart by what only its kind has, by file as by name."""
    root = data_root()
    config = tmp_path / "Mine-1B"
    config.mkdir()
    model = yaml.safe_load((root / "scenarios/models/llama-3-8b.yaml").read_text())
    (config / "config.json").write_text(json.dumps({**model, "name": "Mine 1B"}))
    given = {
        str(root / "topologies/chips/groq-lpu-v1.yaml"): "chip groq-lpu-v1",
        "groq-lpu-v1": "chip groq-lpu-v1",
        "groq-640": "system groq-640",
        "load": "study load",
        str(root / "scenarios/models/llama-3-8b.yaml"): "model llama-3-8b",
        str(config): "model Mine 1B",
        str(config / "config.json"): "model Mine 1B",
        str(root / "topologies/measurements.csv"): "measurements, ",
        "own.csv": "trace in rack-sim format, 5 requests",
        "small.yaml": "scenario small, ",
    }
    price = next((root / "topologies/prices").glob("*.yaml"))
    given[str(price)] = "price "
    code, out, err = cli("validate", *given)
    assert (code, err) == (0, "")
    for reference, said in given.items():
        assert f"{reference}: ok ({said}" in out, out
    run = tmp_path / "run"
    assert cli("run", "small.yaml", "--out", run, "--no-html", "--no-workbook")[0] == 0
    for reference in (run, run / "manifest.json"):
        code, out, err = cli("validate", reference)
        assert (code, err) == (0, "")
        assert f"{reference}: ok (finished run of scenario small)" in out
    for table, said in (("chips.csv", "finished run"), ("requests.csv", "trace in rack-sim")):
        assert f"{run / table}: ok ({said}" in cli("validate", run / table)[1]
    (run / "summary.csv").unlink()
    code, _, err = cli("validate", run)
    assert code == 2
    assert f"{run}/summary.csv: is missing: the result is not whole" in err
    assert err.endswith(f"{run} was judged as a finished directory\n")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("scenarios/article/prices.csv", "is a table of the reference article"),
        ("scenarios/article/published.csv", "is a table of the reference article"),
        *(
            (f"{folder}/schema/{name}.schema.json", "is a JSON schema")
            for folder, names in SCHEMAS.items()
            for name in names
        ),
        ("docs/validation.json", "is a record of rack-sim validate-model"),
        ("README.md", "mapping values are not allowed here"),
    ],
)
def test_validate_says_what_it_cannot_judge(cli: Cli, file: str, said: str) -> None:
    """What is none of the kinds is not called a wrong scenario or trace: one problem, no more."""
    code, _, err = cli("validate", data_root() / file)
    assert code == 2
    assert said in err
    assert err.count("error: ") == 1
    assert "judged as" not in err


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_a_trace_in_one_array_is_called_that(cli: Cli, small: Path, name: str) -> None:
    """Whatever its name is, and however long: it is not read as a scenario."""
    row = {"arrival_s": 1, "input_tokens": 2, "output_tokens": 3}
    Path(name).write_text(json.dumps([row] * 3, indent=1))
    code, _, err = cli("validate", name)
    assert code == 2
    assert f"error: {name}:1: is JSON in one array" in err
    assert "an object on each line (JSONL)" in err
    assert err.endswith(f"{name} was judged as a trace\n")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("chip.yaml", "name: c\nexecution: static\nmemorry: []\n", "unknown key 'memorry'"),
        ("m.json", '{"model_type": "llama", "hiden_size": 5}', "key 'hidden_size' is missing"),
        ("p.yaml", "name: p\ninput_usd_per_million_tokens: -1\n", "out of range"),
        ("t.csv", "arrival_s,input_tokens,output_tokens\n0,x,1\n", "t.csv:2"),
        ("v.csv", "chip,model,load\n1,2,3\n", "v.csv:1"),
        ("study.yaml", "kind: grid\nscenario: llama70b\n", "study.yaml:1:1: key 'name' is missing"),
    ],
)
def test_validate_says_what_is_wrong_in_words_of_the_kind(
    cli: Cli, small: Path, name: str, content: str, said: str
) -> None:
    Path(name).write_text(content)
    code, _, err = cli("validate", name)
    assert code == 2
    assert said in err
    assert "workload" not in err


def test_set_is_of_scenarios_and_studies(cli: Cli, small: Path) -> None:
    code, _, err = cli("validate", "groq-640", "--set", "seed=1")
    assert code == 2
    assert "--set seed=1: groq-640 is a system" in err
