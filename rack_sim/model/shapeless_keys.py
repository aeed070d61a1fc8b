"""Shapeless keys: what a config.json may say that changes no tensor, no operator and no cache.

They are those that `transformers` (4.28 to 5.24) writes for every model or for the families known
here, those of its generation and runtime settings, and marks of tools that convert or tune
models. A key that is neither read by its family nor stands here is refused, never ignored.
"""

OWN_KEYS = ("name", "description", "source", "grade", "ignore")
"""What our files say of a model beside the keys of a config.json."""

_FILE = (
    "model_type",
    "architectures",
    "auto_map",
    "transformers_version",
    "transformers.js_config",
    "torch_dtype",
    "dtype",
    "quantization_config",
    "compression_config",
    "task_specific_params",
    "problem_type",
    "finetuning_task",
    "id2label",
    "label2id",
    "num_labels",
    "license",
    "unsloth_fixed",
    "unsloth_version",
    "_name_or_path",
    "_commit_hash",
    "_from_model_config",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_experts_implementation_internal",
    "_flash_attn_2_enabled",
    "_output_attentions",
)
_TOKENS = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "sep_token_id",
    "unk_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "tokenizer_class",
    "tokenizer_model_max_length",
    "model_max_length",
    "max_sequence_length",
    "prefix",
)
_RUNTIME = (
    "use_cache",
    "cache_implementation",
    "cache_config",
    "chunk_size_feed_forward",
    "is_decoder",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "return_dict",
    "torchscript",
    "tf_legacy_loss",
    "use_bfloat16",
    "attn_implementation",
    "attn_config",
    "for_llm_compressor",
    "gradient_checkpointing",
    "pretraining_tp",
    "ep_size",
    "use_mtp",
)
_GENERATION = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "force_words_ids",
    "generation_config",
    "guidance_scale",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "max_time",
    "min_length",
    "min_new_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_scores",
    "penalty_alpha",
    "remove_invalid_values",
    "renormalize_logits",
    "repetition_penalty",
    "return_dict_in_generate",
    "sequence_bias",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
)
# Functions without parameters, and numbers that scale or initialise what is there.
_ARITHMETIC = (
    "hidden_act",
    "hidden_activation",
    "initializer_range",
    "rms_norm_eps",
    "layer_norm_eps",
    "attention_dropout",
    "hidden_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "rope_interleave",
    "partial_rotary_factor",
    "original_max_position_embeddings",
    "use_bidirectional_attention",
)
# How experts are scored and balanced.
_ROUTING = (
    "aux_loss_alpha",
    "moe_aux_loss_coeff",
    "n_group",
    "norm_topk_prob",
    "routed_scaling_factor",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "scoring_func",
    "seq_aux",
    "topk_group",
)

SHAPELESS_KEYS = frozenset(
    (*OWN_KEYS, *_FILE, *_TOKENS, *_RUNTIME, *_GENERATION, *_ARITHMETIC, *_ROUTING)
)
"""Keys that change nothing here, of whatever family."""

# A model that also sees or hears has parts for that beside its text part.
_OTHER_SENSES = {
    *("audio", "image", "media", "merged", "mm", "multimodal", "patch", "projection", "projector"),
    *("spatial", "video", "vision"),
}
_MARKERS = {"boa", "boi", "bov", "eoa", "eoi", "eov"}


def is_outer(key: str) -> bool:
    """Whether a key belongs beside `text_config`, where a model that also sees has its text part.

    Keys of the other parts do; so does whatever is about the file as a whole.
    """
    of_whole = (*OWN_KEYS, *_FILE, *_TOKENS, *_RUNTIME, *_GENERATION)
    return (
        key in of_whole
        or key in ("text_config", "language_config", "llm_config")
        or key in ("tie_word_embeddings", "initializer_range")
        or not (_OTHER_SENSES | _MARKERS).isdisjoint(key.split("_"))
    )
