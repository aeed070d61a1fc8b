"""Quantisation: reads what a config.json says of how its weights are stored.

`quantization_config` names a method, which says what its matrices are stored in; what is left alone
is in `dtype` (`torch_dtype` in older files). What is wrong with it is kept with what
is read, as it matters only where weights are taken as shipped.
"""

from collections.abc import Mapping
from dataclasses import replace
from re import error as PatternError
from typing import Any

from rack_sim.foundation.errors import Problem, suggest
from rack_sim.model.checkpoint import DTYPE_BITS, Checkpoint
from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.module_names import ModulePatterns
from rack_sim.model.quantisation_keys import SILENT_KEYS
from rack_sim.model.quantisation_methods import METHODS, Beside, Quantisation, names_in

KEY = "quantization_config"

_DTYPES = {
    "float32": "fp32",
    "bfloat16": "bf16",
    "float16": "fp16",
    "float": "fp32",
    "half": "fp16",
}


def checkpoint_of(config: Mapping[str, Any], part: Mapping[str, Any], inside: str) -> Checkpoint:
    """How the file of a config holds its weights; of a model that also sees, its text `part`."""
    prefixes = (
        ("model.", "model.language_model.", "language_model.model.") if inside else ("model.",)
    )
    problems: list[Problem] = []
    dtype = _dtype(config, part, problems)
    checkpoint = Checkpoint(dtype or "bf16", dtype is not None, prefixes=prefixes)
    given = config.get(KEY, part.get(KEY))
    if given is None or given == {}:
        return replace(checkpoint, problems=tuple(problems))
    if not isinstance(given, Mapping):
        problems.append(Problem(f"{given!r} is not a mapping", field=KEY))
        return replace(checkpoint, problems=tuple(problems))
    keys = ConfigKeys(given, KEY, defaults={})
    method = str(given.get("quant_method", "modelopt" if "quantization" in given else ""))
    checkpoint = replace(checkpoint, method=method)
    if method not in METHODS:
        problems.append(_unknown(method, given, checkpoint.dtype))
        return replace(checkpoint, problems=tuple(problems))
    beside = {"expert_dtype": part.get("expert_dtype")}
    found = METHODS[method](keys, Beside(DTYPE_BITS[checkpoint.dtype], beside))
    _refuse_unread(keys, method)
    problems += [*keys.problems, *_bad_patterns(found)]
    if problems:
        return replace(checkpoint, problems=tuple(dict.fromkeys(problems)))
    return replace(
        checkpoint,
        rules=found.rules,
        left_alone=found.left_alone,
        converts_head=found.converts_head,
    )


def _dtype(
    config: Mapping[str, Any], part: Mapping[str, Any], problems: list[Problem]
) -> str | None:
    """What weights are in unless converted; None where the file does not say."""
    for holder in (part,) if part is config else (part, config):
        for key in ("dtype", "torch_dtype"):
            given = holder.get(key)
            if given in (None, "auto"):
                continue
            name = str(given).removeprefix("torch.")
            if name in _DTYPES:
                return _DTYPES[name]
            hint = suggest(name, _DTYPES)
            problems.append(
                Problem(f"{given!r} is no dtype of weights", field=key, suggestion=hint)
            )
    return None


def _unknown(method: str, given: Mapping[str, Any], dtype: str) -> Problem:
    lists = [key for key in _LEFT_ALONE if given.get(key)]
    names = [str(name) for key in lists for name in names_in(given[key])]
    shown = ", ".join(names[:_SHOWN_MAX]) + (" and more" if len(names) > _SHOWN_MAX else "")
    alone = f"; {shown} would stay in {dtype}" if names else ""
    said = f"quantization method {method!r} is not known" if method else "it names no quant_method"
    return Problem(
        f"{said}: nothing says how the matrices of attention, feed-forwards and experts are "
        f"stored{alone}",
        field=f"{KEY}.quant_method",
        suggestion=f"{suggest(method, METHODS)} Or say it by hand, as in "
        f"precision.weights: {{default: {dtype}, experts: fp4}}",
    )


_SHOWN_MAX = 6
_LEFT_ALONE = (
    "modules_to_not_convert",
    "ignore",
    "ignored_layers",
    "exclude_modules",
    "llm_int8_skip_modules",
    "exclude",
)


def _bad_patterns(found: Quantisation) -> list[Problem]:
    """Lists of modules that are no patterns."""
    problems = []
    for pattern in (*found.left_alone, *(name for rule in found.rules for name in rule.targets)):
        try:
            ModulePatterns([pattern])
        except PatternError as wrong:
            problems.append(Problem(f"{pattern!r} is no pattern of modules: {wrong}", field=KEY))
    return problems


def _refuse_unread(keys: ConfigKeys, method: str) -> None:
    for key in map(str, keys.config):
        if key not in keys.read and key not in SILENT_KEYS:
            known = (*keys.read, *SILENT_KEYS)
            keys.refuse(key, f"unknown key {key!r} of method {method!r}", suggest(key, known))
