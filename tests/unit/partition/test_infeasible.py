"""Infeasible says what is demanded, what bounds it, and levers that really make the model fit."""

import re
from collections.abc import Iterable
from functools import cache

import pytest

import rack_sim
from rack_sim.foundation.errors import InfeasibleError
from rack_sim.partition.infeasible import Infeasible
from rack_sim.pipeline import Explanation

RACK = ["system=groq-rack-72", "model=llama-3.1-8b", "partition.tensor_parallel=8"]
# The shape of Qwen3 1.7B, whose head multiplies by the embedding: 311,164,928 parameters.
TIED = [
    "system=groq-node-8",
    "serving.concurrent_sequences=1",
    "serving.max_context_tokens=128",
    "model={model_type: qwen3, num_hidden_layers: 28, hidden_size: 2048, num_attention_heads: 16,"
    " num_key_value_heads: 8, head_dim: 128, intermediate_size: 6144, vocab_size: 151936,"
    " max_position_embeddings: 40960, tie_word_embeddings: true}",
]
CASES = {
    "fp16 weights": ["precision.weights=fp16"],
    "too many sequences": [
        *RACK, "partition.stages=6", "serving.concurrent_sequences=60",
        "serving.max_context_tokens=2048",
    ],
    "too few stages": [*RACK, "partition.stages=3", "serving.max_context_tokens=2048"],
    "fp16 weights on a rack": [
        *RACK, "partition.stages=8", "precision.weights=fp16", "serving.concurrent_sequences=1",
    ],
    "chips left to choose": [
        "system=groq-rack-72", "partition.tensor_parallel=auto", "partition.stages=auto",
    ],
    "one block too large": [
        "system=groq-node-8", "model=llama-3.1-8b", "model.num_hidden_layers=3",
        "partition.tensor_parallel=1", "partition.stages=8", "serving.concurrent_sequences=1",
        "serving.max_context_tokens=128",
    ],
    "a table held twice": [*TIED, "partition.tensor_parallel=4", "partition.stages=2"],
}  # fmt: skip


def explain(overrides: Iterable[str]) -> Explanation:
    return rack_sim.explain(rack_sim.load("llama70b", list(overrides)))


@cache
def refused(*overrides: str) -> Infeasible:
    with pytest.raises(InfeasibleError) as caught:
        explain(overrides)
    assert caught.value.exit_code == 3
    reason = caught.value.reason
    assert isinstance(reason, Infeasible)
    assert str(caught.value) == str(reason)
    return reason


def changed(overrides: list[str], changes: dict[str, str | int]) -> list[str]:
    kept = [text for text in overrides if text.split("=")[0] not in changes]
    return [*kept, *(f"{key}={value}" for key, value in changes.items())]


def test_llama_2_70b_in_fp16_is_too_large_for_576_chips_by_hand() -> None:
    reason = refused(*CASES["fp16 weights"])
    assert reason.scope == "system"
    assert reason.bound_bytes == 576 * 230_686_720
    assert reason.terms["weights"] == 137_953_296_384  # 2 bytes x 68,976,648,192
    assert reason.terms["kv_cache"] == 327_680 * 12 * 4096
    assert reason.terms["program_text"] == 576 * 8 * 2**20
    # The widest operator is the softmax: 64 heads x 4,096 tokens, read and written, over 8 chips.
    assert reason.terms["activations"] == 576 * 2 * (8192 + 2 * 2 * 64 * 4096 // 8)
    assert sum(reason.terms.values()) == reason.demand_bytes
    assert reason.gap_bytes == reason.demand_bytes - reason.bound_bytes > 0
    assert "precision.weights: int8" in reason.levers


@pytest.mark.parametrize(
    ("degree", "stages"), [("8", "1"), ("8", "auto"), ("auto", "1"), ("auto", "auto")]
)
def test_a_tied_table_fits_once_where_it_would_not_twice(degree: str, stages: str) -> None:
    """1,720,574,976 parameters in int8, a cache of 128 tokens, activations and program text."""
    asked = [*TIED, f"partition.tensor_parallel={degree}", f"partition.stages={stages}"]
    plan = explain(asked).plan
    assert (plan.tensor_parallel, plan.stage_count) == (8, 1)
    used = sum(memory.used_bytes for stage in plan.stages for memory in stage.memory)
    assert used == 1_720_574_976 + 14_680_064 + 648_704 + 8 * 8 * 2**20 == 1_803_012_608
    twice = refused(*CASES["a table held twice"])
    assert twice.terms["weights"] == 1_720_574_976 + 311_164_928
    assert "partition.tensor_parallel: 8 with partition.stages: 1" in twice.levers


@pytest.mark.parametrize("case", CASES)
def test_the_demand_is_more_than_the_bound(case: str) -> None:
    reason = refused(*CASES[case])
    assert reason.demand_bytes > reason.bound_bytes
    assert reason.gap_bytes == reason.demand_bytes - reason.bound_bytes
    assert reason.levers
    text = str(reason)
    for part in (f"{reason.demand_bytes:,}", f"{reason.bound_bytes:,}", *reason.levers):
        assert part in text


@pytest.mark.parametrize("case", CASES)
def test_every_lever_really_makes_it_fit(case: str) -> None:
    for lever in refused(*CASES[case]).levers:
        changes = dict(re.findall(r"((?:precision|serving|partition)\.\w+): (\w+)", lever))
        more = re.fullmatch(r"more chips: (\d+) \((\d+) stages of (\d+)\) would hold it", lever)
        if more:
            chips, stages, degree = map(int, more.groups())
            assert chips == stages * degree
            changes = {"partition.tensor_parallel": degree, "partition.stages": stages}
            if chips > rack_sim.load("llama70b", CASES[case]).deployment.system.active_chip_count:
                continue  # a larger system than the one given
        assert changes, f"a lever that this test does not know: {lever}"
        fixed = changed(CASES[case], changes)
        assert explain(fixed).plan.chip_count
        if len(changes) == 1:
            ((key, value),) = changes.items()
            if str(value).isdigit():  # the largest that fits: one more does not
                refused(*changed(CASES[case], {key: int(value) + 1}))


def test_the_cases_name_every_kind_of_lever() -> None:
    """Else the test above could pass without trying one."""
    levers = " ".join(lever for case in CASES for lever in refused(*CASES[case]).levers)
    for kind in (
        "precision.weights: int8",
        "serving.concurrent_sequences: ",
        "serving.max_context_tokens: ",
        "more chips: ",
        "partition.tensor_parallel: ",
    ):
        assert kind in levers


def test_the_number_of_chips_named_is_the_smallest_that_holds_it() -> None:
    case = CASES["too few stages"]
    (lever,) = [text for text in refused(*case).levers if "more chips" in text]
    free = {
        "partition.tensor_parallel": "auto",
        "partition.stages": "auto",
        "partition.objective": "fewest_chips",
    }
    plan = explain(changed(case, free)).plan
    assert lever.startswith(f"more chips: {plan.chip_count} ")


def test_a_demand_per_chip_where_the_sum_would_fit() -> None:
    """A wide head beside small layers: their sum would fit, the head alone does not."""
    reason = refused(*CASES["one block too large"])
    assert reason.scope == "chip"
    assert reason.bound_bytes == 230_686_720
    # Weights of the head with its norm, program text, and its activations of one row in fp16: the
    # residual and two buffers of what the projection reads and writes.
    head = 4096 * 128_256 + 4096
    assert reason.demand_bytes == head + 8 * 2**20 + 2 * (4096 + 2 * (4096 + 128_256))
