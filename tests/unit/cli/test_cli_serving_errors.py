"""Serving on the command line: what does not go together is refused, with place and way out."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]

HERE = Path(__file__).parent
PLAIN = (
    "workload={kind: synthetic, arrivals: {kind: poisson, rate_rps: 4}, "
    "input_tokens: {kind: fixed, tokens: 5}, output_tokens: {kind: fixed, tokens: 5}, "
    "request_count: 4}"
)
LOOP = (
    "workload={kind: closed_loop, users: 3, input_tokens: {kind: fixed, tokens: 5}, "
    "output_tokens: {kind: fixed, tokens: 5}, request_count: 9}"
)
DRAFT = "serving.speculation={draft_tokens: 3, acceptance: 0.5}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the two scenarios and nothing else."""
    monkeypatch.chdir(tmp_path)
    for name in ("batches.yaml", "slots.yaml"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


def refused(cli: Cli, name: str, *overrides: str, code: int = 2) -> list[str]:
    """The lines on stderr; nothing is written, nor said on stdout."""
    sets = [word for override in overrides for word in ("--set", override)]
    before = sorted(Path().iterdir())
    found, out, err = cli("run", f"{name}.yaml", "--no-figures", *sets)
    assert found == code, err
    assert out == ""
    assert "Traceback" not in err
    assert sorted(Path().iterdir()) == before
    return err.splitlines()


@pytest.mark.parametrize(
    ("name", "override", "said"),
    [
        (
            "batches",
            "serving.policy.token_budget=15",
            ": serving.policy.token_budget: 15 rows do not hold 16 decoding sequences: no prompt "
            "would get a chunk (at least 16, or max_sequences: 15)",
        ),
        (
            "batches",
            "serving.policy.chunk_tokens=300",
            ": serving.policy.chunk_tokens: a chunk of 300 rows is more than the token budget of "
            "256 (at most 256)",
        ),
        (
            "batches",
            "serving.speculation={draft_tokens: 3, acceptance: 1.5}",
            ":1:19: serving.speculation.acceptance: 1.5 is out of range: it must be at most 1.0",
        ),
        (
            "batches",
            "serving.speculation={draft_tokens: 3, acceptance: [0.5, -0.1, 0.2]}",
            ":1:37: serving.speculation.acceptance.1: -0.1 is out of range: it must be at least "
            "0.0",
        ),
        (
            "batches",
            "serving.speculation={draft_tokens: 3, acceptance: often}",
            ":1:19: serving.speculation.acceptance: 'often' is not a number",
        ),
        (
            "batches",
            "serving.speculation={draft_tokens: 3, acceptance: [0.5, 0.1]}",
            ":1:19: serving.speculation.acceptance: 2 rates for 3 draft tokens (one for each, or "
            "a single number)",
        ),
        (
            "batches",
            "serving.policy={kind: continous_batching}",
            ": serving.policy: kind 'continous_batching' is not known (did you mean "
            "'continuous_batching'?)",
        ),
        (
            "batches",
            "serving.router=round_robbin",
            ": serving.router: 'round_robbin' is not known (did you mean 'round_robin'?)",
        ),
        (
            "batches",
            "serving.queue=priorty",
            ": serving.queue: 'priorty' is not known (did you mean 'priority'?)",
        ),
        (
            "batches",
            "serving.queue=lifo",
            ": serving.queue: 'lifo' is not known (allowed: fcfs, priority)",
        ),
        (
            "batches",
            "serving.prefix_cache={capacity_mib: 8, block_tokens: 32}",
            ":1:19: serving.prefix_cache.block_tokens: a prompt of 132 tokens has 5 blocks of 32, "
            "but request 0 has 9 hashes (that of workload.shared_prefix; 512 in Mooncake traces, "
            "16 in Qwen's)",
        ),
        (
            # 4 layers x 2 x 8 heads x 64 elements of two bytes are 8 KiB a token.
            "batches",
            "serving.prefix_cache={capacity_kib: 127, block_tokens: 16}",
            ":1:2: serving.prefix_cache.capacity_kib: 130048 bytes hold no block of 16 tokens, "
            "which takes 131072 (at least 131072 bytes)",
        ),
        (
            "batches",
            "serving.router=prefix_affinity",
            ": serving.router: prefix_affinity needs a prefix cache (serving.prefix_cache)",
        ),
        (
            "batches",
            "serving.disaggregation={prefill_replicas: 3}",
            ":1:2: serving.disaggregation.prefill_replicas: 3 of 3 replicas leave none to decode "
            "(serving.replicas: 4 or more)",
        ),
        (
            "slots",
            "serving.disaggregation={prefill_replicas: 1}",
            ": serving.disaggregation: static_slots keeps prefill and decode together (leave it "
            "out, or reactive chips)",
        ),
        (
            "slots",
            "serving.speculation={draft_tokens: 1, acceptance: 0.5, draft_model: llama-3.1-8b}",
            ":1:36: serving.speculation.draft_model: on static chips the time of a proposal is "
            "given (draft_latency_us)",
        ),
        (
            "slots",
            "serving.policy.context_buckets=[512, 256, 2048]",
            ": serving.policy.context_buckets: [512, 256, 2048] does not rise to "
            "serving.max_context_tokens, 2048 (for example: [256, 512, 2048])",
        ),
        (
            "slots",
            "serving.policy.context_buckets=[512, 1024]",
            ": serving.policy.context_buckets: [512, 1024] does not rise to "
            "serving.max_context_tokens, 2048 (for example: [512, 1024, 2048])",
        ),
        (
            "batches",
            "serving.slot_rows=2",
            ": serving.slot_rows: is for static chips; a batch takes what the cache and "
            "max_sequences allow (serving.policy.max_sequences)",
        ),
        (
            "batches",
            "serving.concurrent_sequences=2",
            ": serving.concurrent_sequences: is for static chips; a batch takes what the cache "
            "and max_sequences allow (serving.policy.max_sequences)",
        ),
        (
            "batches",
            "serving.policy.context_buckets=[2048]",
            ": 'context_buckets' is a key of kind static_slots, not of continuous_batching (give",
        ),
        (
            "batches",
            "serving.speculation={draft_tokens: 1, acceptance: 0.5, draft_model: llama-3.1-8c}",
            ":1:36: no model is called 'llama-3.1-8c' (did you mean 'llama-3.1-8b'?)",
        ),
        ("batches", "serving.timeout_ms=0", ": serving.timeout_ms: 0 is out of range"),
        ("batches", "serving.replicas=0", ": serving.replicas: 0 is out of range"),
        ("slots", "serving.queue_limit=0", ": serving.queue_limit: 0 is out of range"),
    ],
)
def test_an_override_that_cannot_be_is_named(cli: Cli, name: str, override: str, said: str) -> None:
    (line,) = refused(cli, name, override)
    assert line.startswith(f"error: --set {override}{said}")


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        (
            "batches",
            ("serving.policy.token_budget=32", DRAFT),
            "--set serving.policy.token_budget=32: serving.policy.token_budget: 32 rows do not "
            "hold 16 decoding sequences of 4 rows (a token and a draft): no prompt would get a "
            "chunk (at least 64, or max_sequences: 8)",
        ),
        (
            "batches",
            (PLAIN, "serving.prefix_cache={capacity_mib: 8}"),
            "--set serving.prefix_cache={capacity_mib: 8}: serving.prefix_cache: needs block "
            "hashes of the prompts, and the workload has none (workload.shared_prefix, or a trace "
            "with hashes)",
        ),
        (
            "slots",
            (LOOP, "serving.prefix_cache={capacity_mib: 8}"),
            "--set serving.prefix_cache={capacity_mib: 8}: serving.prefix_cache: needs block",
        ),
        (
            "slots",
            (PLAIN, "serving.router=session_affinity"),
            "--set serving.router=session_affinity: serving.router: session_affinity needs the "
            "session of every request, and the workload has none (workload.sessions, a closed "
            "loop, or a trace with sessions)",
        ),
        (
            "batches",
            ("serving.replicas=5", "serving.disaggregation={prefill_replicas: 2}"),
            "--set serving.disaggregation={prefill_replicas: 2}: serving.disaggregation: 5 "
            "replicas of 1 chip do not stand in one system 'nvidia-a100-80-x4', which holds 4: "
            "there are no links between prefill and decode (kv_link: a network between replicas)",
        ),
        (
            "slots",
            (DRAFT.replace("3", "2"),),
            "slots.yaml:18:3: serving.slot_rows: 2 rows are no whole number of seats: a token and "
            "its draft take 3 (slot_rows: 3)",
        ),
        (
            "batches",
            ("serving.speculation={draft_tokens: 1, acceptance: 0.5, draft_latency_us: 5, "
             "draft_model: llama-3.1-8b}", "serving.max_context_tokens=64"),
            "serving.speculation.draft_latency_us: the draft's model has its own time (leave it "
            "out)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_named(
    cli: Cli, name: str, overrides: tuple[str, ...], said: str
) -> None:
    (line,) = refused(cli, name, *overrides)
    assert said in line


def test_problems_of_a_file_have_line_and_column_and_come_at_once(cli: Cli) -> None:
    path = Path("batches.yaml")
    path.write_text(
        path.read_text()
        .replace("token_budget: 256", "token_budget: 15")
        .replace("  replicas: 3", "  replicas: 1\n  router: prefix_affinity\n  slot_rows: 4\n"
                 "  disaggregation: {prefill_replicas: 2}")
    )  # fmt: skip
    lines = [line.split(" ", 1)[1] for line in refused(cli, "batches")[:-1]]
    assert [line.split(": ")[:2] for line in lines] == [
        ["batches.yaml:19:5", "serving.policy.token_budget"],
        ["batches.yaml:24:3", "serving.router"],
        ["batches.yaml:25:3", "serving.slot_rows"],
        ["batches.yaml:26:20", "serving.disaggregation.prefill_replicas"],
    ]


def test_what_only_a_plan_can_judge_has_its_place_in_the_file(cli: Cli) -> None:
    path = Path("batches.yaml")
    text = path.read_text()
    path.write_text(
        text.replace("  replicas: 3", "  prefix_cache: {capacity_kib: 1, block_tokens: 16}")
    )
    (line,) = refused(cli, "batches")
    assert line.startswith("error: batches.yaml:23:18: serving.prefix_cache.capacity_kib: 1024 ")
    path.write_text(
        text.replace("replicas: 3", "replicas: 9\n  disaggregation: {prefill_replicas: 2}")
    )
    (line,) = refused(cli, "batches")
    assert line.startswith("error: batches.yaml:24:3: serving.disaggregation: 9 replicas")


@pytest.mark.parametrize(
    ("overrides", "levers"),
    [
        (
            # 16 tokens are 128 KiB.
            ["serving.policy.kv_capacity_mib=1"],
            [
                "serving.max_context_tokens: 128",
                "serving.policy.kv_capacity_bytes: 16777216, or without it",
            ],
        ),
        (
            ["serving.policy.kv_capacity_mib=8", "serving.max_context_tokens=4096"],
            [
                "serving.max_context_tokens: 1024",
                "serving.policy.kv_capacity_bytes: 33554432, or without it",
            ],
        ),
        (
            ["serving.policy.memory_share=0.0001", "serving.policy.kv_capacity_mib=16"],
            ["serving.policy.memory_share: 1.0"],
        ),
        (
            ["serving.policy.memory_share=0.0001", "serving.policy.kv_capacity_mib=1"],
            ["serving.policy.kv_capacity_bytes: 16777216, or without it and "
             "serving.policy.memory_share: 1.0"],
        ),
    ],
)  # fmt: skip
def test_a_cache_too_small_for_the_longest_request_has_levers(
    cli: Cli, overrides: list[str], levers: list[str]
) -> None:
    """Each lever makes it fit."""
    lines = refused(cli, "batches", *overrides, code=3)
    assert lines[0].startswith("infeasible: cache for one sequence of ")
    demand, bound, gap = (int(line.split()[1].replace(",", "")) for line in lines[1:4])
    assert demand - bound == gap > 0
    given = [line.strip(" -") for line in lines[lines.index("  what would make it fit:") + 1 :]]
    last = "partition.tensor_parallel: more chips, each with less of weights and cache"
    assert given == [*levers, last]
    for lever in given[:-1]:
        pulled = list(overrides)
        for part in lever.split(" and "):
            key, value = part.split(",")[0].split(": ")
            stem = key.rpartition("_")[0] if "kv_capacity" in key else key
            pulled = [text for text in pulled if not text.startswith(stem)] + [f"{key}={value}"]
        sets = [word for override in pulled for word in ("--set", override)]
        assert cli("explain", "batches.yaml", "--json", *sets)[0] == 0, lever


def test_a_trace_without_labels_is_refused_before_anything_is_replayed(cli: Cli) -> None:
    Path("t.csv").write_text("arrival_s,input_tokens,output_tokens\n0,5,5\n0.1,5,5\n")
    for override, said in [
        ("serving.prefix_cache={capacity_mib: 8}", "serving.prefix_cache: needs block hashes"),
        ("serving.router=session_affinity", "serving.router: session_affinity needs the session"),
    ]:
        code, out, err = cli(
            *("run", "slots.yaml", "--trace", "t.csv", "--set", override, "--no-figures")
        )
        assert (code, out) == (2, "")
        assert err.startswith(f"error: --set {override}: {said}")
        assert not Path("reports").exists()


def test_a_trace_that_loses_its_hashes_on_the_way_is_refused_where_it_does(cli: Cli) -> None:
    rows = [
        '{"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": [1]}',
        '{"timestamp": 10, "input_length": 600, "output_length": 5, "hash_ids": [1]}',
    ]
    Path("t.jsonl").write_text("\n".join(rows) + "\n")
    override = "serving.prefix_cache={capacity_mib: 8}"
    code, out, err = cli(
        *("run", "slots.yaml", "--trace", "t.jsonl", "--set", override, "--no-figures")
    )
    assert (code, out) == (2, "")
    assert "request 1 of 600 tokens has 1 block hash, not 2" in err
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["serving.speculation={draft_tokens: 1, acceptance: 0.5, draft_model: llama-3.1-8b}"],
        ["serving.speculation.draft_tokens=1", "serving.speculation.acceptance=0.5",
         "serving.speculation.draft_model=llama-3.1-8b"],
        ["serving.speculation.draft_tokens=1", "serving.speculation.acceptance=0.5",
         "serving.speculation.draft_model={preset: llama-3.1-8b}"],
    ],
)  # fmt: skip
def test_a_draft_may_be_a_preset_wherever_it_is_named(cli: Cli, overrides: list[str]) -> None:
    """From an override as from a file: the same digest of everything that went in."""
    path = Path("batches.yaml")
    text = path.read_text().replace("kv_capacity_mib: 64", "kv_capacity_mib: 640")
    path.write_text(text)
    given = "  speculation: {draft_tokens: 1, acceptance: 0.5, draft_model: llama-3.1-8b}\n"
    Path("drafted.yaml").write_text(text.replace("  replicas: 3\n", f"  replicas: 3\n{given}"))
    sets = [word for override in overrides for word in ("--set", override)]
    one, other = cli("validate", "batches.yaml", *sets), cli("validate", "drafted.yaml")
    assert one[0] == other[0] == 0, one
    assert one[1].split("digest ")[1] == other[1].split("digest ")[1]
