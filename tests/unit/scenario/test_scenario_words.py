"""Unknown keys, kinds and names: where, what was given, what is meant or allowed; all at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rack_sim.scenario.library import data_root

Said = Callable[..., list[str]]
PRESET = "system: groq-rack-72"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed: 1", "sede: 1"), "p.yaml:14:1: unknown key 'sede' (did you mean 'seed'?)"),
        (
            ("  max_context_tokens: 1024", "  max_context_tokens: 1024\n  slot_row: 1"),
            "p.yaml:8:3: unknown key 'slot_row' (did you mean 'slot_rows'?)",
        ),
        ("1: 2\n", "p.yaml:15:1: unknown key '1' (allowed: cost, description, metrics, model,"),
        ("yes: 2\n", "p.yaml:15:1: unknown key 'yes' (allowed: cost,"),
        (
            ("kind: synthetic", "kind: syntetic"),
            "p.yaml:8:1: workload: kind 'syntetic' is not known (did you mean 'synthetic'?)",
        ),
        (
            ("kind: poisson", "kind: burst"),
            "p.yaml:10:3: workload.arrivals: kind 'burst' is not known "
            "(allowed: constant, gamma, piecewise, poisson)",
        ),
        (("kind: poisson, ", ""), "p.yaml:10:3: workload.arrivals: key 'kind' is missing"),
        (
            ("kind: fixed, tokens: 100", "kind: fixd, tokens: 100"),
            "p.yaml:11:3: workload.input_tokens: kind 'fixd' is not known (did you mean 'fixed'?)",
        ),
        (
            ("weights: int8", "weights: int9"),
            "p.yaml:4:13: precision.weights: 'int9' is not known (allowed: bf16, bfp8",
        ),
        (
            ("weights: int8", "weights: 8"),
            "p.yaml:4:13: precision.weights: 8 is not known "
            "(allowed: bf16, bfp8, checkpoint, fp16, fp32, fp4, fp8, int4, int8, mxfp4, mxfp8, "
            "nvfp4)",
        ),
        (
            "partition: {objective: lowest_latncy}\n",
            "p.yaml:15:13: partition.objective: 'lowest_latncy' is not known "
            "(did you mean 'lowest_latency'?)",
        ),
        (
            ("serving:", "serving:\n  policy: {kind: static_slot}"),
            "p.yaml:6:3: serving.policy: kind 'static_slot' is not known "
            "(did you mean 'static_slots'?)",
        ),
        (
            (PRESET, "system: groq-rack-27"),
            "p.yaml:2:1: no system is called 'groq-rack-27' (did you mean 'groq-rack-72'?)",
        ),
        (
            (PRESET, "system: {preset: nope}"),
            "p.yaml:2:1: no system is called 'nope' (allowed: amd-mi300x-x1, amd",
        ),
        ((PRESET, "system: {preset: 5}"), "p.yaml:2:10: 5 is not the name of a system"),
        (
            (PRESET, "system: {preset: groq-rack-72, chip: groq-lpu-v2}"),
            "p.yaml:2:32: no chip is called 'groq-lpu-v2' (there are: groq-lp30, groq-lpu-v1; all",
        ),
        (
            (PRESET, "system: {preset: groq-rack-72, chip: {preset: groq-lpu-v1, port_cont: 5}}"),
            "p.yaml:2:60: unknown key 'port_cont' (did you mean 'port_count'?)",
        ),
        (
            ("model: llama-2-7b", "model: lama-2-7b"),
            "p.yaml:3:1: no model is called 'lama-2-7b' (did you mean 'llama-2-7b'?)",
        ),
        ((PRESET, "system: nowhere/x.yaml"), "p.yaml:2:1: no such file: nowhere/x.yaml"),
        ((PRESET, "system: 5"), "p.yaml:2:1: system: 5 is not a mapping"),
        ((PRESET, "system: [a]"), "p.yaml:2:1: system: ['a'] is not a mapping"),
        ((PRESET + "\n", ""), "p.yaml:1:1: key 'system' is missing"),
        (("name: small\n", ""), "p.yaml:2:1: key 'name' is missing"),
        (("name: small", "name: ../up"), "p.yaml:1:1: name: '../up' must match ^[A-Za-z0-9]"),
    ],
)
def test_unknown_words(said: Said, change: tuple[str, str] | str, message: str) -> None:
    (problem,) = said(change)
    if change == ("name: small\n", ""):
        message = message.replace(":2:", ":1:")  # the place of the whole mapping
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            ("kind: poisson", "kind: constant"),
            (
                "(or in another unit: gap_ns, gap_us, …) is missing",
                "'rate_rps' is a key of kind poisson and gamma, not of constant "
                "(give the whole of it: {kind: constant, gap_ps: …})",
            ),
        ),
        (
            ("kind: synthetic", "kind: trace"),
            (
                "workload: key 'path' is missing",
                "'arrivals' is a key of kind synthetic, not of trace "
                "(give the whole of it: {kind: trace, path: …})",
            ),
        ),
    ],
)
def test_keys_of_another_kind(
    said: Said, change: tuple[str, str], messages: tuple[str, ...]
) -> None:
    """They are not misspelt: what needs them and what the kind needs is said."""
    problems = said(change)
    for message in messages:
        assert any(problem.endswith(message) for problem in problems), problems


def test_precision_that_the_chip_lacks(said: Said) -> None:
    assert said("", "precision.activations=fp8") == [
        "--set precision.activations=fp8: precision.activations: "
        "groq-lpu-v1 has no matrix rate for fp8 (it has: fp16, int8)"
    ]


def test_every_problem_at_once_in_the_order_of_the_file(said: Said, small: str) -> None:
    changed = small
    for old, new in [
        ("weights: int8", "weights: int9"),
        ("concurrent_sequences: 4", "concurrent_sequences: four"),
        ("rate_rps: 20", "rate_rps: -20"),
        ("tokens: 100", "token: 100"),
        ("seed: 1", "sede: 1\nslo: {ttft: 5, tpot_ms: yes}"),
    ]:
        changed = changed.replace(old, new)
    problems = said((small, changed))
    assert [problem.split(": ")[0] for problem in problems] == [
        "p.yaml:4:13",
        "p.yaml:6:3",
        "p.yaml:10:29",
        "p.yaml:11:3",
        "p.yaml:11:31",
        "p.yaml:14:1",
        "p.yaml:15:7",
        "p.yaml:15:16",
    ]
    assert "key 'tokens' is missing" in problems[3]
    assert "unknown key 'token' (did you mean 'tokens'?)" in problems[4]


def test_unknown_presets_hide_no_other_problem(said: Said, small: str) -> None:
    changed = small.replace("groq-rack-72", "nope").replace("llama-2-7b", "none")
    changed = changed.replace("seed: 1", "sede: 1")
    assert [problem.split(" is ")[0] for problem in said((small, changed))] == [
        "p.yaml:2:1: no system",
        "p.yaml:3:1: no model",
        "p.yaml:14:1: unknown key 'sede' (did you mean 'seed'?)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("racks:", "racs:", "mine.yaml:8:3: unknown key 'racs' (did you mean 'racks'?)"),
        (
            "value: 12.5",
            "value: fast",
            "mine.yaml:17:7: system.links.local.rate_gbytes_per_s.value",
        ),
        ("latency_ns:", "latency_nm:", "'latency_nm' is in no unit of time (allowed: latency_ps"),
        ("kind: dragonfly", "kind: dragonfly\n  kind: ring", "mine.yaml:8:3: key 'kind' is given"),
        ("links:", "links: [", "mine.yaml:"),
    ],
)
def test_problems_inside_a_preset_point_there(said: Said, old: str, new: str, message: str) -> None:
    text = (data_root() / "topologies/systems/groq-rack-72.yaml").read_text(encoding="utf-8")
    Path("mine.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    problems = said((PRESET, "system: ./mine.yaml"))
    assert all(problem.startswith("mine.yaml:") for problem in problems), problems
    assert any(message in problem for problem in problems), problems


def test_topology_that_needs_more_ports_than_a_chip_has(said: Said) -> None:
    (problem,) = said((PRESET, "system: {preset: groq-rack-72, chip: {port_count: 8}}"))
    assert "topologies/systems/groq-rack-72.yaml:" in problem
    assert "system.topology: topology 'groq-rack-72' needs 9 ports on chip 0" in problem
    assert "but the chip has 8 (fewer links per node pair" in problem


def test_disconnected_system(said: Said) -> None:
    (problem,) = said(
        (PRESET, "system: {preset: groq-rack-72, topology: {links_per_node_pair: 0}}")
    )
    assert problem.startswith("p.yaml:2:32: system.topology: topology 'groq-rack-72' is not connec")
    assert "cannot be reached from chip 0 (add links between nodes or racks)" in problem


def test_rates_of_zero(said: Said) -> None:
    (problem,) = said("", "system.links.local.rate_gbytes_per_s=0")
    assert "the rate of links.local is zero" in problem


def test_models_that_cannot_be_read(said: Said) -> None:
    keys = ("num_hidden_layers", "vocab_size", "num_attention_heads", "intermediate_size")
    assert said(("model: llama-2-7b", "model: {hidden_size: 64}")) == [
        f"p.yaml:3:1: model: key {key!r} is missing" for key in keys
    ]
    assert said("", "model.hidden_size=no") == [
        "--set model.hidden_size=no: model.hidden_size: 'no' is not a whole number of at least 1"
    ]
    assert "model type 'gpt9' is not known" in said("", "model.model_type=gpt9")[0]
