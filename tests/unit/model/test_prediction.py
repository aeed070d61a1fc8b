"""Modules that predict further tokens: in no count of the model, and a draft model of their own."""

from typing import Any

import pytest

import rack_sim
from rack_sim.foundation.errors import InputError
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.layers import Experts
from rack_sim.model.prediction import draft_of
from rack_sim.scenario.model_alone import load_model

SMALL: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "num_hidden_layers": 3,
    "hidden_size": 256,
    "num_attention_heads": 8,
    "q_lora_rank": 64,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "intermediate_size": 512,
    "first_k_dense_replace": 1,
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 64,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
    "num_nextn_predict_layers": 1,
}
DRAFTING = "serving.speculation={draft_tokens: 2, acceptance: 0.8, draft_model: mtp}"


def model(**changes: Any) -> Architecture:
    return architecture_from_config("small", SMALL | changes)


def draft(of: Architecture) -> Architecture:
    found = draft_of(of)
    assert found is not None
    return found


def test_deepseek_v3_has_the_module_that_is_published() -> None:
    """README_WEIGHTS.md: 11.5 billion of its own, 2.4 billion active with both tables.

    The projection of two rows to one (0.1 billion) is not among those 11.5 and 2.4.
    """
    whole = load_model("deepseek-v3").architecture
    module, projection = draft(whole), 2 * 7168**2
    assert round((module.own_parameter_count - projection) / 1e9, 1) == 11.5
    assert round((module.active_parameter_count - projection) / 1e9, 1) == 2.4
    assert whole.parameter_count == 671_026_419_200


@pytest.mark.parametrize("tied", [False, True])
def test_a_module_is_a_layer_behind_two_norms_and_a_projection(tied: bool) -> None:
    whole = model(tie_word_embeddings=tied)
    module, hidden = draft(whole), 256
    layer = whole.layers[-1]
    assert module.layers == (layer,)
    assert isinstance(layer.feed_forward, Experts)
    one = (
        layer.attention.parameter_count(hidden)
        + layer.feed_forward.parameter_count(hidden)
        + layer.norm_parameters(hidden)
    )
    assert module.own_parameter_count == one + 2 * hidden**2 + 3 * hidden
    tables = (1 if tied else 2) * 1000 * hidden
    assert module.parameter_count - module.own_parameter_count == tables
    blocks = blocks_of(module)
    twice = 1000 * hidden if tied else 0
    assert sum(block.parameters for block in blocks) - twice == module.parameter_count
    assert [block.name for block in blocks] == [
        "embedding", "joint", "layer0.attention", "layer0.feed_forward", "head"
    ]  # fmt: skip


def test_a_model_has_as_many_parameters_with_modules_as_without() -> None:
    without = {key: value for key, value in SMALL.items() if key != "num_nextn_predict_layers"}
    plain = architecture_from_config("small", without)
    assert plain.prediction is None
    assert draft_of(plain) is None
    assert model().parameter_count == plain.parameter_count
    assert blocks_of(model()) == blocks_of(plain)


def keys(**changes: Any) -> dict[str, Any]:
    return {"model": SMALL | changes, "partition.tensor_parallel": 2, "precision.weights": "fp16"}


def explained(*settings: str, **changes: Any) -> rack_sim.Explanation:
    system = {"system": "nvidia-h100-x2", "serving.max_context_tokens": 1024}
    scenario = rack_sim.load("llama70b-a100", keys(**changes) | system)
    given = scenario.resolved | {"description": ""}
    return rack_sim.explain(dict(given), settings)


def test_a_module_drafts_beside_its_model_and_shares_its_tables() -> None:
    plain, drafting = explained(), explained(DRAFTING)
    assert plain.batch is not None
    assert drafting.batch is not None
    own = draft(model()).own_parameter_count
    more = drafting.batch.chip_bytes["weights"] - plain.batch.chip_bytes["weights"]
    assert more == 2 * own // 2
    # The latent and the rotary key of one more layer.
    assert drafting.batch.timing.kv_bytes_per_token - plain.batch.timing.kv_bytes_per_token == 2 * (
        32 + 8
    )
    assert drafting.scenario.resolved["serving"]["speculation"]["draft_model"] == "mtp"


def test_of_two_stages_the_head_is_copied_to_the_first() -> None:
    stages = "partition={tensor_parallel: 1, stages: 2}"
    plain, drafting = explained(stages), explained(stages, DRAFTING)
    assert plain.batch is not None
    assert drafting.batch is not None
    own = draft(model()).own_parameter_count
    more = drafting.batch.chip_bytes["weights"] - plain.batch.chip_bytes["weights"]
    assert more == 2 * (own + 1000 * 256)


def test_a_draft_takes_the_time_of_a_pass_for_each_token() -> None:
    one = explained("serving.speculation={draft_tokens: 1, acceptance: 0.8, draft_model: mtp}")
    assert one.batch is not None
    timer = one.batch.timing.draft.model
    assert timer is not None
    assert 0 < timer.base_ps(1, 1) < one.batch.timer.base_ps(1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_nextn_predict_layers": 0}, "small has no module that predicts further tokens"),
        (
            {"num_nextn_predict_layers": "one"},
            "'one' is not a whole number of at least 0",
        ),
    ],
)
def test_a_model_without_modules_cannot_draft(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explained(DRAFTING, name="small", **changes)


def test_modules_of_unknown_shape_are_said_to_be_so() -> None:
    minimax = {
        "model_type": "minimax_m2",
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "head_dim": 16,
        "intermediate_size": 32,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "vocab_size": 100,
        "max_position_embeddings": 4096,
        "num_mtp_modules": 3,
    }
    found = architecture_from_config("m", minimax)
    assert found.prediction is not None
    assert (found.prediction.module_count, found.prediction.layer) == (3, None)
    assert draft_of(found) is None
