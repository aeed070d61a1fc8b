"""Prediction: modules that predict tokens beyond the next one, apart from the model itself.

A module reads the model's last hidden row and the embedding of the token that was made of it: a
norm of each, a projection of both to one row, a layer as the model has, a norm and the head. Tables
are those of the model (DeepSeek-V3, README_WEIGHTS.md at github:deepseek-ai/DeepSeek-V3 0b39205a;
vLLM has GLM-4.5 and MiMo so). Its counts are not the model's; it can draft for it.
"""

from collections.abc import Sequence
from dataclasses import replace

from rack_sim.foundation.units import counted
from rack_sim.model.architecture import Architecture, PredictionModules
from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.layers import Layer

MODULE_COUNT_KEYS = (
    "num_nextn_predict_layers",
    "mtp_num_hidden_layers",
    "num_mtp_modules",
    "num_mtp_layers",
)
"""What families call the number of modules."""


def prediction_modules(
    keys: ConfigKeys, layers: Sequence[Layer], *, as_last: bool
) -> PredictionModules | None:
    """The modules that a file speaks of; those that are `as_last` have the last layer's shape."""
    count = max(keys.count(key, 0, least=0) for key in MODULE_COUNT_KEYS)
    return PredictionModules(count, layers[-1] if as_last else None) if count else None


def draft_of(model: Architecture) -> Architecture | None:
    """The first module of a model as a model of its own; None where its shape is not known."""
    layer = model.prediction.layer if model.prediction else None
    if layer is None:
        return None
    return replace(
        model,
        name=f"{model.name}-mtp",
        layers=(layer,),
        ends=replace(model.ends, learnt_positions=0, is_module=True),
        prediction=None,
    )


def modules_in_words(model: Architecture) -> str:
    """What is to be said of the modules of a model; nothing where it has none."""
    modules, draft = model.prediction, draft_of(model)
    if modules is None:
        return ""
    words = f"{counted(modules.module_count, 'module')} for further tokens"
    if draft is None:
        return f"{words}, of unknown shape"
    each = f"{draft.own_parameter_count:,} parameters each"
    return f"{words}, {each} (serving.speculation.draft_model: mtp)"
