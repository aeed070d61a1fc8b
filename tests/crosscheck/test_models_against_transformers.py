"""Parameters of models against `transformers`, whose classes are built without memory for weights.

What stands in our table of families is drawn at random, small, and must have as many parameters as
the module that the library makes of the same config.json: tied weights once, and the corrections of
a router, which are buffers there, counted. `pip install "rack-sim[crosscheck]"` brings the library
(with the build of torch for processors, if you choose its index); without it these tests skip.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from random import Random
from typing import Any

import pytest

from rack_sim.model.blocks import blocks_of
from rack_sim.model.encoders import encoders_of
from rack_sim.model.families import FAMILIES
from rack_sim.model.huggingface import architecture_from_config

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

DRAWN = 10  # of each model type
# Whose text part the library builds only with the encoders beside it, and what reads the same here.
ALIASES = {
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "llama4": "llama4_text",
    "mimo": "qwen2",
    "minimax_m3_vl": "minimax_m3_vl_text",
    "step3p7": "step3p5",
    "kimi_k2": "deepseek_v3",
    "qwen2_5_vl": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen3_vl": "qwen3",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe": "qwen3_moe",
    "qwen3_vl_moe_text": "qwen3_moe",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "minimax_text_01": "minimax",
    "minimax_m1": "minimax",
}
# Which the library does not have: compared with a Llama, layer by layer, below.
NOT_THERE = {"nemotron-nas"}
# What the library builds without a head: where it is, the config and the model.
WITHOUT_A_HEAD = {
    "minimax_m3_vl_text": ("minimax_m3_vl", "MiniMaxM3VLTextConfig", "MiniMaxM3VLTextModel"),
    "mistral4": ("mistral4", "Mistral4Config", "Mistral4Model"),
    "step3p5": ("step3p7", "Step3p7TextConfig", "Step3p7TextModel"),
}
Config = dict[str, Any]


def drawn(model_type: str, number: int) -> Config:
    """A small config.json of a family, as its files are: some keys are left out now and then."""
    rng = Random(f"{model_type} {number}")
    kv_heads = rng.choice([1, 2, 4])
    heads = kv_heads * rng.choice([1, 2, 3])
    config: Config = {
        "model_type": model_type,
        "hidden_size": heads * rng.choice([8, 16, 24]),
        "num_hidden_layers": rng.randrange(1, 9),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": 8 * rng.randrange(1, 20),
        "vocab_size": rng.randrange(11, 200),
        "max_position_embeddings": rng.choice([64, 128]),
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    maybe(rng, config, tie_word_embeddings=rng.random() < 0.5)
    for change in CHANGES.get(model_type, ()):
        change(rng, config)
    return config


def maybe(rng: Random, config: Config, **keys: object) -> None:
    if rng.random() < 0.5:
        config |= keys


def head_dim(rng: Random, config: Config) -> None:
    """Heads that need not share the hidden size out."""
    if rng.random() < 0.5:
        config |= {"head_dim": rng.choice([8, 16, 24]), "hidden_size": 8 * rng.randrange(3, 20)}


def wide_heads(rng: Random, config: Config) -> None:
    """As the library wants it of some families: the hidden size can be shared out, and is not."""
    maybe(rng, config, head_dim=rng.choice([8, 16, 24]))


def bias(rng: Random, config: Config) -> None:
    maybe(rng, config, attention_bias=rng.random() < 0.5)


def window(rng: Random, config: Config) -> None:
    maybe(rng, config, sliding_window=16)


def kinds(rng: Random, config: Config) -> None:
    layers = range(config["num_hidden_layers"])
    one_of = ("sliding_attention", "full_attention")
    maybe(rng, config, layer_types=[rng.choice(one_of) for _ in layers])


def experts(key: str) -> Callable[[Random, Config], None]:
    def change(rng: Random, config: Config) -> None:
        count = rng.choice([2, 4, 8])
        config |= {key: count, "num_experts_per_tok": rng.randrange(1, count + 1)}

    return change


def narrow(rng: Random, config: Config) -> None:
    config["moe_intermediate_size"] = 8 * rng.randrange(1, 12)


def shared(rng: Random, config: Config) -> None:
    config |= {
        "n_shared_experts": rng.choice([1, 2]),
        "first_k_dense_replace": rng.randrange(0, 3),
    }


def steps(rng: Random, config: Config) -> None:
    config["decoder_sparse_step"] = rng.choice([1, 2])


def latent(rng: Random, config: Config) -> None:
    config |= {
        "num_key_value_heads": config["num_attention_heads"],
        "q_lora_rank": rng.choice([None, 12, 24]),
        "kv_lora_rank": rng.choice([8, 16]),
        "qk_nope_head_dim": rng.choice([8, 16]),
        "qk_rope_head_dim": 8,
        "v_head_dim": rng.choice([8, 16]),
        "n_group": 1,
        "topk_group": 1,
    }


def always(**choices: tuple[object, ...]) -> Callable[[Random, Config], None]:
    """Keys that must be there, each with one of these values."""

    def change(rng: Random, config: Config) -> None:
        config |= {key: rng.choice(values) for key, values in choices.items()}

    return change


def layer_list(key: str, *kinds: object, first: object = None) -> Callable[[Random, Config], None]:
    """Now and then a list with a kind for each layer; the first may have to be of one kind."""

    def change(rng: Random, config: Config) -> None:
        found = [rng.choice(kinds) for _ in range(config["num_hidden_layers"])]
        maybe(rng, config, **{key: found if first is None else [first, *found[1:]]})

    return change


def shared_cache(rng: Random, config: Config) -> None:
    """The last layers read the cache of those before, of which there must be both kinds."""
    if config["num_hidden_layers"] > 4 and "layer_types" not in config:
        kinds = ["sliding_attention", "full_attention"] * 4
        count = config["num_hidden_layers"]
        config |= {
            "layer_types": [*kinds[: count - 1], "full_attention"],
            "num_kv_shared_layers": rng.randrange(0, count - 2),
        }


def own_names(**names: str) -> Callable[[Random, Config], None]:
    """The family calls these keys otherwise."""

    def change(_rng: Random, config: Config) -> None:
        for key, own in names.items():
            config[own] = config.pop(key)

    return change


def without(*keys: str) -> Callable[[Random, Config], None]:
    def change(_rng: Random, config: Config) -> None:
        for key in keys:
            config.pop(key, None)

    return change


def flags(**chances: float) -> Callable[[Random, Config], None]:
    def change(rng: Random, config: Config) -> None:
        config |= {key: rng.random() < chance for key, chance in chances.items()}

    return change


def choices(key: str, *values: object) -> Callable[[Random, Config], None]:
    def change(rng: Random, config: Config) -> None:
        maybe(rng, config, **{key: rng.choice(values)})

    return change


def one_of_each_layer(key: str, *words: str) -> Callable[[Random, Config], None]:
    def change(rng: Random, config: Config) -> None:
        maybe(rng, config, **{key: [rng.choice(words) for _ in range(config["num_hidden_layers"])]})

    return change


def delta_net(rng: Random, config: Config) -> None:
    keys = rng.choice([1, 2, 4])
    config |= {"linear_num_key_heads": keys, "linear_num_value_heads": keys * rng.choice([1, 3])}
    config |= {"linear_key_head_dim": rng.choice([8, 16]), "linear_value_head_dim": 8}
    maybe(rng, config, linear_conv_kernel_dim=rng.choice([2, 3]), head_dim=rng.choice([8, 16]))
    maybe(rng, config, full_attention_interval=rng.choice([2, 3]))


def mamba(rng: Random, config: Config) -> None:
    """Heads that share out twice the hidden size, groups that share out heads."""
    groups = rng.choice([1, 2])
    heads = groups * rng.choice([1, 2, 4])
    config["hidden_size"] *= heads
    config |= {"mamba_n_heads": heads, "mamba_n_groups": groups, "mamba_d_state": 16}
    config |= {"mamba_conv_bias": rng.random() < 0.5, "mamba_proj_bias": rng.random() < 0.5}
    maybe(rng, config, mamba_d_head=2 * config["hidden_size"] // heads)


def nemotron_pattern(rng: Random, config: Config) -> None:
    layers = range(config["num_hidden_layers"])
    config["hybrid_override_pattern"] = "".join(rng.choice("M*-E") for _ in layers)
    groups = rng.choice([1, 2])
    config |= {"n_groups": groups, "mamba_num_heads": 4 * groups, "mamba_head_dim": 8}
    config |= {"ssm_state_size": 16, "conv_kernel": rng.choice([2, 4])}
    config |= {"moe_shared_expert_intermediate_size": 8 * rng.randrange(1, 9)}
    config |= {"use_bias": rng.random() < 0.5, "use_conv_bias": rng.random() < 0.5}
    config |= {"tie_word_embeddings": False}  # the library ties nothing here


def kimi(rng: Random, config: Config) -> None:
    layers = config["num_hidden_layers"]
    numbers = range(1, layers + 1)  # counted from 1
    attends = [number for number in numbers if rng.random() < 0.5]
    inner = {"num_heads": rng.choice([1, 2]), "head_dim": rng.choice([8, 16])}
    maybe(rng, inner, short_conv_kernel_size=3)
    if rng.random() < 0.5:
        inner |= {
            "full_attn_layers": attends,
            "kda_layers": [number for number in numbers if number not in attends],
        }
    config["linear_attn_config"] = inner
    config["num_experts_per_token"] = config.pop("num_experts_per_tok")
    config["model_max_length"] = config.pop("max_position_embeddings")
    config.pop("n_shared_experts")
    config["tie_word_embeddings"] = False  # the library ties nothing here
    maybe(rng, config, num_shared_experts=2)


_CHOSEN, _ALL = "compressed_sparse_attention", "heavily_compressed_attention"
_INDEXED = (
    experts("n_routed_experts"),
    narrow,
    shared,
    latent,
    always(
        q_lora_rank=(12, 24), index_n_heads=(2, 4), index_head_dim=(8, 16, 32), index_topk=(4, 8)
    ),
    layer_list("mlp_layer_types", "dense", "sparse"),
)
_LOCAL, _LAYERS = experts("num_local_experts"), ("num_hidden_layers", "num_attention_heads")
CHANGES: dict[str, tuple[Callable[[Random, Config], None], ...]] = {
    "llama": (head_dim,),
    "mistral": (head_dim, window),
    "ministral": (
        lambda rng, config: config.update(head_dim=rng.choice([8, 16]), sliding_window=16),
        kinds,
    ),
    "ministral3": (head_dim, window),
    "mixtral": (head_dim, window, _LOCAL),
    "phi3": (window,),
    "granite": (bias,),
    "granitemoe": (bias, _LOCAL),
    "seed_oss": (head_dim, bias, flags(attention_out_bias=0.5)),
    "smollm3": (bias,),
    "llama4_text": (
        head_dim,
        _LOCAL,
        choices("interleave_moe_layer_step", 1, 2),
        lambda rng, config: config.update(intermediate_size_mlp=8 * rng.randrange(1, 12)),
    ),
    "deepseek_v3": (experts("n_routed_experts"), narrow, shared, latent),
    "mistral4": (experts("n_routed_experts"), narrow, shared, latent),
    "deepseek_v32": _INDEXED,
    "glm_moe_dsa": (
        *_INDEXED,
        layer_list("indexer_types", "full", "shared", first="full"),
        choices("index_topk_freq", 1, 2, 4),
    ),
    "deepseek_v4": (
        experts("n_routed_experts"),
        narrow,
        without("num_key_value_heads", "intermediate_size"),
        always(
            q_lora_rank=(12, 24),
            head_dim=(16, 32),
            o_groups=(1,),
            o_lora_rank=(8, 16),
            sliding_window=(8,),
            index_n_heads=(2, 4),
            index_head_dim=(8, 16),
            index_topk=(4,),
            hc_mult=(2, 4),
            qk_rope_head_dim=(8,),
        ),
        layer_list("mlp_layer_types", "hash_moe", "moe"),
        choices("num_hash_layers", 0, 2),
        layer_list("layer_types", "sliding_attention", _CHOSEN, _ALL),
        choices("compress_rates", {_CHOSEN: 2, _ALL: 8}),
    ),
    "minimax_m3_vl_text": (
        head_dim,
        _LOCAL,
        lambda rng, config: config.update(index_n_heads=config["num_key_value_heads"]),
        always(
            index_head_dim=(8, 16),
            dense_intermediate_size=(24, 40),
            shared_intermediate_size=(16, 32),
            rotary_dim=(8,),
        ),
        layer_list("layer_types", "full_attention", "minimax_m3_sparse"),
        layer_list("mlp_layer_types", "dense", "sparse"),
    ),
    "step3p5": (
        bias,
        experts("n_routed_experts"),
        narrow,
        always(head_dim=(8, 16), share_expert_dim=(16, 32), sliding_window=(16,)),
        layer_list("layer_types", "full_attention", "sliding_attention", first="full_attention"),
        lambda rng, config: maybe(
            rng, config, num_sliding_attention_heads=2 * config["num_attention_heads"]
        ),
        layer_list("mlp_layer_types", "dense", "sparse"),
    ),
    "qwen2_moe": (
        experts("num_experts"),
        narrow,
        steps,
        lambda rng, config: config.update(shared_expert_intermediate_size=8 * rng.randrange(1, 9)),
    ),
    "qwen3": (head_dim, bias),
    "qwen3_moe": (head_dim, bias, experts("num_experts"), narrow, steps),
    "gpt_oss": (head_dim, bias, _LOCAL, kinds),
    "gemma": (head_dim,),
    "gemma2": (wide_heads, bias, kinds),
    "gemma3_text": (wide_heads, bias, kinds),
    "gemma3n_text": (
        wide_heads,
        bias,
        always(
            hidden_size_per_layer_input=(8, 16),
            vocab_size_per_layer_input=(40, 50),
            laurel_rank=(4, 8),
            altup_num_inputs=(2, 4),
            num_kv_shared_layers=(0,),
        ),
        shared_cache,
    ),
    "gemma4_text": (
        bias,
        kinds,
        experts("num_experts"),
        own_names(num_experts_per_tok="top_k_experts"),
        narrow,
        flags(enable_moe_block=0.5, attention_k_eq_v=0.5),
        choices("head_dim", 8, 16),
        choices("num_global_key_value_heads", 1),
        always(
            hidden_size_per_layer_input=(0, 8),
            global_head_dim=(16, 32),
            vocab_size_per_layer_input=(40, 50),
            use_double_wide_mlp=(False, True),
        ),
        shared_cache,
    ),
    "glm4": (head_dim, bias),
    "glm4_moe": (
        head_dim, bias, experts("n_routed_experts"), narrow, shared, flags(use_qk_norm=0.5)
    ),
    "mimo_v2_flash": (
        head_dim,
        bias,
        experts("n_routed_experts"),
        narrow,
        lambda rng, config: config.update(v_head_dim=rng.choice([8, 16])),
        choices("num_key_value_heads", 1),
        lambda rng, config: config.update(
            num_attention_heads=2 * config["num_attention_heads"]
        ),
    ),
    "minimax_m2": (head_dim, _LOCAL),
    "phimoe": (bias, window, _LOCAL, flags(lm_head_bias=0.5)),
    "olmo2": (bias,),
    "olmo3": (bias, kinds),
    "olmoe": (experts("num_experts"),),
    "exaone4": (window, kinds),
    "cohere2": (bias, kinds),
    "gpt2": (
        without("num_key_value_heads"),
        own_names(
            num_hidden_layers="n_layer",
            num_attention_heads="n_head",
            hidden_size="n_embd",
            max_position_embeddings="n_positions",
            intermediate_size="n_inner",
        ),
        choices("n_inner", None),
    ),
    "gpt_neox": (without("num_key_value_heads"), bias, flags(use_parallel_residual=0.5)),
    "opt": (
        without("num_key_value_heads"),
        own_names(intermediate_size="ffn_dim"),
        flags(enable_bias=0.7),
    ),
    "bloom": (
        without("num_key_value_heads", "intermediate_size", "max_position_embeddings"),
        own_names(num_hidden_layers="n_layer", num_attention_heads="n_head"),
    ),
    "falcon": (
        without("intermediate_size"),
        own_names(num_key_value_heads="num_kv_heads"),
        flags(new_decoder_architecture=0.5, multi_query=0.5, parallel_attn=0.5, bias=0.5),
        choices("ffn_hidden_size", 48, 96),
    ),
    "starcoder2": (flags(use_bias=0.5),),
    "nemotron": (bias, head_dim),
    "qwen3_next": (
        bias,
        delta_net,
        experts("num_experts"),
        narrow,
        steps,
        one_of_each_layer("layer_types", "linear_attention", "full_attention"),
        choices("shared_expert_intermediate_size", 8, 24),
    ),
    "qwen3_5_text": (
        bias,
        delta_net,
        one_of_each_layer("layer_types", "linear_attention", "full_attention"),
    ),
    "qwen3_5_moe_text": (bias, delta_net, experts("num_experts"), narrow),
    "lfm2": (
        one_of_each_layer("layer_types", "conv", "full_attention"),
        choices("full_attn_idxs", [0]),
        choices("block_multiple_of", 8, 16),
        flags(block_auto_adjust_ff_dim=0.5, conv_bias=0.5),
        lambda _rng, config: config.pop("tie_word_embeddings", None),
    ),
    "lfm2_moe": (
        lambda rng, config: config.update(
            layer_types=[
                rng.choice(["conv", "full_attention"]) for _ in range(config["num_hidden_layers"])
            ]
        ),
        experts("num_experts"),
        narrow,
        flags(use_expert_bias=0.5, conv_bias=0.5),
        choices("num_dense_layers", 0, 1),
        lambda _rng, config: config.pop("tie_word_embeddings", None),
    ),
    "olmo_hybrid": (
        bias,
        delta_net,
        without("head_dim", "full_attention_interval"),
        # The library wants one of each kind.
        lambda _rng, config: config.update(
            layer_types=["full_attention", *["linear_attention"] * config["num_hidden_layers"]],
            num_hidden_layers=config["num_hidden_layers"] + 1,
        ),
    ),
    "nemotron_h": (
        without("num_hidden_layers"),
        lambda rng, config: config.update(num_hidden_layers=rng.randrange(4, 12)),
        nemotron_pattern,
        choices("head_dim", 8, 16),
        experts("n_routed_experts"),
        narrow,
        choices("moe_latent_size", 8, 16),
    ),
    "granitemoehybrid": (
        bias,
        mamba,
        experts("num_local_experts"),
        choices("num_local_experts", 0),
        choices("shared_intermediate_size", 24),
        one_of_each_layer("layer_types", "linear_attention", "full_attention"),
    ),
    "bamba": (
        bias,
        mamba,
        lambda rng, config: config.update(attn_layer_indices=[0] if rng.random() < 0.5 else []),
    ),
    "falcon_h1": (
        bias,
        mamba,
        flags(projectors_bias=0.5, mamba_rms_norm=0.5),
        lambda rng, config: config.update(mamba_d_ssm=2 * config["hidden_size"]),
    ),
    "minimax": (
        head_dim,
        _LOCAL,
        one_of_each_layer("layer_types", "linear_attention", "full_attention"),
    ),
    "kimi_linear": (experts("num_experts"), narrow, shared, latent, kimi),
}  # fmt: skip


NOT_DRAWN = {*ALIASES, *NOT_THERE}


def without_memory(config: Config) -> tuple[Any, int]:
    """The module that the library makes of a config, and parameters of the head that it lacks."""
    keys = {key: value for key, value in config.items() if key != "model_type"}
    with torch.device("meta"):
        if config["model_type"] in WITHOUT_A_HEAD:
            where, config_class, model_class = WITHOUT_A_HEAD[config["model_type"]]
            room = import_module(f"transformers.models.{where}")
            made = getattr(room, config_class)(**keys)
            modules = import_module(f"{room.__name__}.modeling_{where}")
            head = 0 if made.tie_word_embeddings else made.vocab_size * made.hidden_size
            return getattr(modules, model_class)(made), head
        made = transformers.AutoConfig.for_model(config["model_type"], **keys)
        dtype = torch.get_default_dtype()
        return transformers.AutoModelForCausalLM.from_config(made, dtype=dtype), 0


def counted(config: Config) -> int:
    """Parameters and router corrections of the module that the library makes of a config."""
    module, head = without_memory(config)
    corrections = [
        one
        for name, one in module.named_buffers()
        if "correction" in name or name.endswith("expert_bias")
    ]
    return head + sum(one.numel() for one in [*module.parameters(), *corrections])


@pytest.mark.parametrize(
    "model_type", [name for name in FAMILIES if name not in {*ALIASES, *NOT_THERE}]
)
def test_small_models_have_the_parameters_of_the_library(model_type: str) -> None:
    for number in range(DRAWN):
        config = drawn(model_type, number)
        ours = architecture_from_config("drawn", config)
        assert ours.parameter_count == counted(config), config
        twice = ours.vocabulary_size * ours.hidden_size if ours.tied_embeddings else 0
        assert sum(block.parameters for block in blocks_of(ours)) - twice == ours.parameter_count


@pytest.mark.parametrize(("shared", "multiple", "inner"), [(2, 6.0, 768), (4, 1.0, 256)])
def test_a_search_whose_layers_are_alike_finds_a_llama(
    shared: int, multiple: float, inner: int
) -> None:
    """Inner widths are whole 256."""
    config = drawn("llama", 0) | {"hidden_size": 192, "num_attention_heads": 8}
    config |= {"num_key_value_heads": 8 // shared, "intermediate_size": inner}
    config.pop("head_dim", None)
    block = {"attention": {"n_heads_in_group": shared}, "ffn": {"ffn_mult": multiple}}
    count = config["num_hidden_layers"]
    searched = config | {"model_type": "nemotron-nas", "block_configs": [block] * count}
    assert architecture_from_config("drawn", searched).parameter_count == counted(config)


@pytest.mark.parametrize("model_type", ALIASES)
def test_a_text_part_is_read_as_the_family_that_it_is_of(model_type: str) -> None:
    config = drawn(ALIASES[model_type], 0)
    alone = architecture_from_config("any", config)
    assert architecture_from_config("any", config | {"model_type": model_type}) == alone


CACHED = ("deepseek_v3", "deepseek_v32", "glm_moe_dsa", "gemma3n_text", "gemma4_text")


@pytest.mark.parametrize("model_type", CACHED)
def test_a_token_adds_what_the_caches_of_the_library_hold(model_type: str) -> None:
    for number in range(2):
        config = drawn(model_type, number)
        module, ours = made(config), architecture_from_config("drawn", config)
        for tokens in (1, 40):
            assert kept_elements(module, tokens) == tokens * ours.kv_elements_per_token


def test_a_sequence_keeps_what_the_caches_of_compressed_attention_hold() -> None:
    """Whole entries are as ours to the element; the nearest tokens but the one that is read.

    Of 63 tokens every window lacks its last place, the most that a sequence keeps of one.
    """
    kept = partial(kept_elements, values_are_keys=True)
    for number in range(5):
        config = drawn("deepseek_v4", number)
        config["compress_rates"] = {_CHOSEN: 2, _ALL: 8}
        module, ours = made(config), architecture_from_config("drawn", config)
        blocks = blocks_of(ours)
        per_token = sum(block.kv_elements_per_token for block in blocks)
        assert kept(module, 128) - kept(module, 64) == 64 * per_token
        state = sum(block.kv_elements_per_sequence for block in blocks)
        lacking = whole = 0
        for layer in ours.layers:
            shape = layer.attention
            lacking += shape.head_size
            indexer = shape.indexer and shape.indexer.compressor
            for one in filter(None, (shape.compressor, indexer)):
                lacking += 2 * one.series_size
                whole += 63 // one.tokens_per_entry * one.entry_size
        assert kept(module, 63) == whole + state - lacking


def made(config: Config) -> Any:
    """The module of a config with weights, small as it is."""
    keys = {key: value for key, value in config.items() if key != "model_type"}
    torch.manual_seed(0)
    made_config = transformers.AutoConfig.for_model(config["model_type"], **keys)
    return transformers.AutoModelForCausalLM.from_config(made_config).eval()


def kept_elements(module: Any, tokens: int, *, values_are_keys: bool = False) -> int:
    """Elements of all tensors in the cache after a prompt of so many tokens.

    The library keeps values that are the keys twice in layers of nearest tokens alone: they count
    once.
    """
    prompt = torch.randint(3, 11, (1, tokens))  # every vocabulary that is drawn has these
    with torch.no_grad():
        cache = module(prompt, use_cache=True).cache
    count = 0
    for layer in cache.layers:
        if layer.keys is None:
            continue
        parts = [
            one
            for value in vars(layer).values()
            for one in (value.values() if isinstance(value, dict) else [value])
            if isinstance(one, torch.Tensor) and one.numel() > 1
        ]
        count += sum(one.numel() for one in parts) - values_are_keys * layer.values.numel()
    return count


SENSES = {
    "gemma3": ({"vision_use_head": False, "image_size": 896, "patch_size": 14}, {}),
    "kimi_k25": ({}, {}),
    "llama4": ({}, {}),
    "minimax_m3_vl": ({}, {}),
    "mistral3": ({"patch_size": 14}, {"spatial_merge_size": 2}),
    "qwen2_5_vl": ({"hidden_size": 1280, "out_hidden_size": 3584}, {}),
    "qwen3_vl": ({"deepstack_visual_indexes": [5, 11, 17]}, {}),
    "qwen3_vl_moe": ({"depth": 3}, {}),
    "qwen3_5": ({"depth": 3}, {}),
    "step3p7": ({"width": 128, "layers": 3, "heads": 2}, {}),
}


@pytest.mark.parametrize("model_type", SENSES)
def test_encoders_of_pictures_are_as_large_as_those_of_the_library(model_type: str) -> None:
    """All but the language model and its head, of sizes that the files of these families have."""
    seeing, beside = SENSES[model_type]
    config = transformers.AutoConfig.for_model(
        model_type, vision_config=seeing, text_config={"hidden_size": 1024}, **beside
    )
    with torch.device("meta"):
        module = transformers.AutoModelForImageTextToText.from_config(config)
    expected = sum(
        one.numel()
        for name, one in module.named_parameters()
        if "language_model" not in name and not name.startswith("lm_head")
    )
    keys = config.vision_config.to_dict() | seeing
    whole = {"model_type": model_type, "vision_config": keys, **beside}
    (found,) = encoders_of(whole, 1024)
    assert (found.sense, found.parameter_count) == ("pictures", expected)
