"""Models that keep states, from the keys of a config.json to the last token, on all chips."""

from typing import Any

import pytest

from rack_sim.api import explain, simulate

DELTA = {
    "model_type": "qwen3_5_text",
    "hidden_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "intermediate_size": 2048,
    "vocab_size": 32000,
    "max_position_embeddings": 32768,
    "linear_num_key_heads": 4,
    "linear_num_value_heads": 8,
}
MAMBA = {
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "MEM*E-M",
    "hidden_size": 1024,
    "num_hidden_layers": 7,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "intermediate_size": 2048,
    "vocab_size": 32000,
    "max_position_embeddings": 32768,
    "mamba_num_heads": 32,
    "mamba_head_dim": 64,
    "n_groups": 2,
    "ssm_state_size": 128,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 512,
    "moe_latent_size": 256,
    "moe_shared_expert_intermediate_size": 512,
}
STATIC = {"concurrent_sequences": 2, "slot_rows": 2}
REACTIVE = {"policy": {"kind": "continuous_batching", "max_sequences": 16}}


def scenario(system: str, model: dict[str, Any], serving: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "hybrid",
        "system": system,
        "model": {"name": "hybrid", **model},
        "precision": {"weights": "int8", "kv": "fp16", "activations": "fp16"},
        "partition": {"tensor_parallel": 4},
        "serving": {"max_context_tokens": 1024, **serving},
        "workload": {
            "kind": "closed_loop",
            "users": 2,
            "request_count": 4,
            "input_tokens": {"kind": "fixed", "tokens": 200},
            "output_tokens": {"kind": "fixed", "tokens": 20},
        },
    }


@pytest.mark.parametrize("model", [DELTA, MAMBA], ids=["delta", "mamba"])
@pytest.mark.parametrize(
    ("system", "serving"), [("groq-node-8", STATIC), ("nvidia-h100-x4", REACTIVE)]
)
def test_every_request_of_a_hybrid_is_served(
    system: str, serving: dict[str, Any], model: dict[str, Any]
) -> None:
    result = simulate(scenario(system, model, serving))
    assert sum(books.finished_count for books in result.totals.replicas) == 4


def test_narrower_states_take_less_time_and_room() -> None:
    wide = scenario("nvidia-h100-x4", DELTA, REACTIVE)
    narrow = {**wide, "precision": {**wide["precision"], "states": "bf16"}}
    found = [explain(keys).machine for keys in (wide, narrow)]
    states = [machine.chip_bytes["states"] for machine in found]  # type: ignore[union-attr]
    rows = 16 * 6 * 3 * 2 * (2 * 4 + 8) * 128 // 4
    assert states[0] - rows == 2 * (states[1] - rows) > 0
    times = [machine.timer.base_ps(16, 16) for machine in found]  # type: ignore[union-attr]
    assert times[1] < times[0]
