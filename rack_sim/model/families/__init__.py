"""Families: for each model type of a config.json, how its keys are read.

One lineage, one file: a function from the keys to the layers, and a line in its table. What the
published code of a family takes where a key is missing stands there as the default; keys that
change the shape in a way that is not modelled are refused.
"""

from collections.abc import Mapping

from rack_sim.model.families import (
    classic,
    cohere,
    deepseek,
    deepseek_v4,
    gemma,
    glm,
    gpt_oss,
    kimi_linear,
    lfm2,
    lightning,
    llama,
    llama4,
    mamba,
    mimo,
    minimax,
    nemotron_h,
    nemotron_nas,
    olmo,
    olmo_hybrid,
    phi,
    qwen,
    sparse_attention,
    step,
)
from rack_sim.model.families.family import Family

FAMILIES: Mapping[str, Family] = {
    **llama.FAMILIES,
    **llama4.FAMILIES,
    **deepseek.FAMILIES,
    **qwen.FAMILIES,
    **gpt_oss.FAMILIES,
    **gemma.FAMILIES,
    **glm.FAMILIES,
    **minimax.FAMILIES,
    **mimo.FAMILIES,
    **phi.FAMILIES,
    **olmo.FAMILIES,
    **cohere.FAMILIES,
    **classic.FAMILIES,
    **nemotron_h.FAMILIES,
    **olmo_hybrid.FAMILIES,
    **mamba.FAMILIES,
    **lightning.FAMILIES,
    **lfm2.FAMILIES,
    **kimi_linear.FAMILIES,
    **sparse_attention.FAMILIES,
    **deepseek_v4.FAMILIES,
    **step.FAMILIES,
    **nemotron_nas.FAMILIES,
}
"""Every model type that is known."""
