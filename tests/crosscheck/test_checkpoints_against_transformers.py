"""Bytes of quantised files against `transformers`, which makes the tensors of FP8 in blocks.

Its linear layers and experts are replaced as for a file that is quantised already, on the meta
device, and the bytes of every parameter are added up: weights, scales and what is left alone.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from rack_sim.model.families import FAMILIES
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.weight_table import weight_table
from tests.crosscheck.test_models_against_transformers import (
    ALIASES,
    NOT_THERE,
    WITHOUT_A_HEAD,
    Config,
    drawn,
    without_memory,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

DRAWN = 6  # of each model type
# Whose layers the library does not convert: it has classes of its own for them.
OWN_CLASSES = {"gpt2", "falcon", "gpt_oss", "nemotron_h"}
# Its router is a linear layer there, which published files leave alone.
LINEAR_ROUTER = {"gemma4_text"}
# Whose layers go by other names than ``model.layers``.
OTHER_NAMES = {"gpt_neox", "opt", "bloom"}


SKIPPED = {*ALIASES, *NOT_THERE, *OWN_CLASSES, *LINEAR_ROUTER}


def bytes_of(module: Any) -> int:
    """Bytes of all parameters and router corrections.

    What the library widens to FP32 while it loads (routers) is 16 bits wide in files.
    """
    corrections = [one for name, one in module.named_buffers() if "correction" in name]
    size = 2 * sum(one.numel() for one in corrections)
    for name, one in module.named_parameters():
        widened = one.dtype == torch.float32 and "scale_inv" not in name
        size += one.numel() * (2 if widened else one.element_size())
    return size


def in_fp8(config: Config, block: tuple[int, int], alone: Sequence[str]) -> int:
    """Bytes with every linear layer and all experts in blocks of FP8."""
    from transformers.integrations.finegrained_fp8 import replace_with_fp8_linear

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)  # of biases
    try:
        module, head = without_memory(config)
        # What is to stay as wide as it is, its quantiser leaves alone; layers of a model without a
        # head stand at the top.
        kept = getattr(module, "_keep_in_fp32_modules", None) or ()
        alone = [
            name.removeprefix("model.") if config["model_type"] in WITHOUT_A_HEAD else name
            for name in alone
        ]
        replace_with_fp8_linear(
            module,
            modules_to_not_convert=["lm_head", *kept, *alone],
            quantization_config=transformers.FineGrainedFP8Config(weight_block_size=block),
            pre_quantized=True,
        )
        module.tie_weights()
        return bytes_of(module) + 2 * head
    finally:
        torch.set_default_dtype(before)


def ours(config: Config, quantization: Config) -> int:
    """Bytes as we have them."""
    model = architecture_from_config("drawn", config | {"quantization_config": quantization})
    assert model.checkpoint.problems == ()
    return sum(row.bytes for row in weight_table(model, model.checkpoint))


@pytest.mark.parametrize(
    "model_type",
    [name for name in FAMILIES if name not in SKIPPED],
)
def test_blocks_of_fp8_take_the_bytes_of_the_library(model_type: str) -> None:
    """Outputs come in eights in all that is drawn: blocks are ragged at the inputs."""
    for number in range(DRAWN):
        config, rng = drawn(model_type, number), Random(f"fp8 {model_type} {number}")
        block = 8, rng.choice([8, 16, 32, 128])
        alone = [] if model_type in OTHER_NAMES else rng.choice([[], ["model.layers.1"]])
        fp8 = {
            "quant_method": "fp8",
            "weight_block_size": list(block),
            "modules_to_not_convert": alone,
        }
        assert ours(config, fp8) == in_fp8(config, block, alone), (config, fp8)


@pytest.mark.parametrize("model_type", ["llama", "qwen2", "qwen3", "olmo2", "starcoder2"])
@pytest.mark.parametrize("block", [(16, 16), (24, 40), (128, 128)])
def test_blocks_are_ragged_at_outputs_too(model_type: str, block: tuple[int, int]) -> None:
    for number in range(DRAWN):
        config = drawn(model_type, number)
        fp8 = {"quant_method": "fp8", "weight_block_size": list(block)}
        assert ours(config, fp8) == in_fp8(config, block, []), (config, block)
