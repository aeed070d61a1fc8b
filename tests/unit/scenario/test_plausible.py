"""Sizes and rates that cannot be meant are refused at load, with the way to raise the limit."""

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.work_limits import VARIABLE
from rack_sim.pipeline import explain, simulate
from rack_sim.scenario import load_scenario, load_system

KV_LINK = (
    "serving.replicas=2",
    "serving.disaggregation={prefill_replicas: 1, kv_link: {rate_bytes_per_s: 0, latency_ns: 1}}",
)


@pytest.mark.parametrize(
    ("scenario", "changes", "words"),
    [
        ("llama70b", ["model.num_hidden_layers=1000000000"], "layers=1000000000"),
        *(
            ("llama70b", [f"model.{width}=1000000000000"], "hidden_size=1000000000000")
            for width in ("hidden_size", "num_attention_heads", "intermediate_size", "vocab_size")
        ),
        ("llama70b", ["serving.replicas=1000000000"], "replicas=1000000000"),
        ("llama70b", ["serving.max_context_tokens=1000000000"], "prompt_tokens=1000000000"),
        (
            "llama70b",
            ["workload.input_tokens={kind: fixed, tokens: 1000000000}"],
            "prompt_tokens=1000000000",
        ),
        (
            "llama70b",
            ["workload.output_tokens={kind: fixed, tokens: 1000000000}"],
            "output_tokens=1000000000",
        ),
        (
            "llama70b",
            ["workload.input_tokens={kind: empirical, quantiles: [[0, 1], [1, 1000000000]]}"],
            "prompt_tokens=1000000000",
        ),
        (
            "llama70b-a100",
            ["system.chip.matrix.peak_tflop_per_s.fp16=0.000000000312"],
            "least_flop_per_s=312",
        ),
        ("llama70b", ["system.chip.matrix.feed_bytes_per_s=1"], "least_bytes_per_s=1"),
        ("llama70b", ["system.links.local.latency_ps=1000000000000000"], "latency_s=1000"),
        ("llama70b", ["cost.amortisation_years=0"], "at least 0.001"),
        ("llama70b-a100", KV_LINK, "the rate of serving.disaggregation.kv_link is zero"),
    ],
)
def test_refused_before_anything_is_built(scenario, changes, words):
    """The error names the limit; none of these ends within a day otherwise."""
    with pytest.raises(InputError) as caught:
        load_scenario(scenario, list(changes))
    assert words in str(caught.value)
    assert "--set" in str(caught.value)


@pytest.mark.parametrize(
    ("scenario", "changes", "words"),
    [
        # What is too large is held against the rest as it is: 10^15 is a multiple of 64 heads.
        ("llama70b", ["model.hidden_size=1000000000000000"], "hidden_size=1e15"),
        # What is no number is held against nothing.
        (
            "llama70b-a100",
            ["model=mixtral-8x7b", "model.num_local_experts=many", "model.num_experts_per_tok=9"],
            "'many' is not a whole number",
        ),
    ],
)
def test_one_mistake_is_one_problem(scenario, changes, words):
    """A value that is no good is not replaced by another one that is then found wrong, too."""
    with pytest.raises(InputError) as caught:
        load_scenario(scenario, changes)
    assert [words in str(problem) for problem in caught.value.problems] == [True]


def test_who_means_it_raises_the_limit(monkeypatch):
    """The setting that the message shows is the one that allows it."""
    slow = "ring:4,link_bytes_per_s=1000"
    with pytest.raises(InputError, match="least_bytes_per_s=1000"):
        load_system(slow)
    monkeypatch.setenv(VARIABLE, "least_bytes_per_s=1000")
    assert load_system(slow).topology.link_types["local"].bytes_per_s == 1000


@pytest.mark.parametrize(
    ("scenario", "change", "lowered"),
    [
        ("llama70b", "system.chip.matrix.feed_bytes_per_s=1", "least_bytes_per_s=1"),
        (
            "llama70b-a100",
            "system.chip.matrix.peak_tflop_per_s.bf16=312e-12",
            "least_flop_per_s=312",
        ),
        ("llama70b", "model.hidden_size=1048576000000", "hidden_size=1e13"),
    ],
)
def test_whoever_takes_the_limits_away_meets_the_clock(scenario, change, lowered, monkeypatch):
    """A step of months, or bytes that no 64 bits hold, are refused where the file says them."""
    monkeypatch.setenv(VARIABLE, f"{lowered},step_s=1000000")
    with pytest.raises(InputError) as caught:
        explain(load_scenario(scenario, [change]))
    (problem,) = caught.value.problems
    assert problem.place
    assert problem.line or problem.place.startswith("--set")


def test_a_replay_ends_with_the_clock(monkeypatch):
    """A machine that takes hours for an iteration and months for its requests is told so."""
    monkeypatch.setenv(VARIABLE, "least_flop_per_s=1,step_s=1000000")
    changes = [
        "system.chip.matrix.peak_tflop_per_s.bf16=0.0001",
        "metrics.timeline_bin_s=10000",
        "workload.request_count=200",
        "serving.policy.token_budget=256",
    ]
    with pytest.raises(InputError, match="more than the 9,158,400 s that can be simulated"):
        simulate(load_scenario("llama70b-a100", changes))
