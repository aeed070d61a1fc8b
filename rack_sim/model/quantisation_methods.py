"""Quantisation methods: for each method of a `quantization_config`, how its keys are read.

A method is a function from the keys to rules, and a line in the table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from rack_sim.foundation.errors import suggest
from rack_sim.model.checkpoint import DTYPE_BITS, Rule
from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.stored_formats import StoredFormat
from rack_sim.model.tensors import WeightKind

_FP32, _FP16, _FP8, _EXPONENT = 32, 16, 8, 8  # bits of a scale
_INT_BITS = (2, 3, 4, 8)
_EXPERTS: frozenset[WeightKind] = frozenset(("experts",))

MXFP4 = StoredFormat(
    "mxfp4", 4, group_rows=1, group_columns=32, scale_bits=_EXPONENT, element="fp4"
)
"""OCP microscaling: groups of 32 with an exponent of 8 bits each."""


@dataclass(frozen=True)
class Quantisation:
    """What the keys of a method say."""

    rules: tuple[Rule, ...]
    left_alone: tuple[str, ...] = ()
    converts_head: bool = False


@dataclass(frozen=True)
class Beside:
    """What methods take from beside their keys: bits of the file's dtype, keys of the model."""

    dtype_bits: int
    keys: Mapping[str, Any]


def names_in(given: Any) -> Sequence[Any]:  # noqa: ANN401 - a config may hold anything
    """The items of a list, or the one that stands in its place."""
    return given if isinstance(given, list | tuple) else [given]


def _modules(keys: ConfigKeys, *names: str) -> tuple[str, ...]:
    """Lists of names of modules, put together."""
    found: list[str] = []
    for name in names:
        value = keys.value(name)
        if value is None:
            continue
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            keys.refuse(name, "is not a list of names of modules")
            continue
        found += value
    return tuple(found)


def _block(keys: ConfigKeys, name: str) -> tuple[int, int] | None:
    """The rows and columns of a block; None where there is none."""
    value = keys.value(name)
    if value is None:
        return None
    is_pair = isinstance(value, list) and len(value) == 2
    if not is_pair or not all(type(size) is int and size > 0 for size in value):
        keys.refuse(name, f"{value!r} is not a pair of whole numbers, as in [128, 128]")
        return None
    return value[0], value[1]


def _group(keys: ConfigKeys, name: str, default: int | None) -> int | None:
    """Inputs that share a scale; None (-1 in files): all of an output."""
    if keys.value(name) in (-1, 0):
        return None
    return keys.count(name, default) if default else keys.optional_count(name)


def _int_bits(keys: ConfigKeys, name: str, default: int | None = None) -> int:
    bits = keys.count(name, default)
    if name in keys.stood_in:
        return 4
    if bits not in _INT_BITS:
        keys.refuse(name, f"{bits} bits are none of {', '.join(map(str, _INT_BITS))}")
        return 4
    return bits


def _fp8(keys: ConfigKeys, beside: Beside) -> Quantisation:
    """FP8 in blocks, each with a scale (FP32 unless `scale_fmt` says exponents), or one a matrix.

    DeepSeek-V4 has experts in fp4 (`expert_dtype`), in groups of 32 with exponents.
    """
    block = _block(keys, "weight_block_size")
    exponents = keys.word("scale_fmt", "float") == "ue8m0"
    keys.only("modules_to_convert", [])
    form = StoredFormat("fp8", 8, tensor_bits=_FP32)
    if block:
        form = StoredFormat("fp8", 8, *block, scale_bits=_EXPONENT if exponents else _FP32)
    experts = keys.word("expert_dtype", str(beside.keys.get("expert_dtype") or "fp8"))
    if experts not in ("fp8", "fp4"):
        keys.refuse("expert_dtype", f"{experts!r} is none of fp8, fp4")
    own = (Rule(MXFP4, kinds=_EXPERTS),) if experts == "fp4" else ()
    return Quantisation(
        (*own, Rule(form)), _modules(keys, "modules_to_not_convert", "ignored_layers")
    )


def _fbgemm_fp8(keys: ConfigKeys, beside: Beside) -> Quantisation:
    """FP8 with a scale for every output."""
    form = StoredFormat("fp8", 8, group_rows=1, scale_bits=_FP32)
    return Quantisation((Rule(form),), _modules(keys, "modules_to_not_convert"))


def _mxfp4(keys: ConfigKeys, beside: Beside) -> Quantisation:
    """Experts alone: what else there is, the method cannot convert."""
    return Quantisation((Rule(MXFP4, kinds=_EXPERTS),), _modules(keys, "modules_to_not_convert"))


def _awq(keys: ConfigKeys, beside: Beside) -> Quantisation:
    """Groups of inputs, each with a scale in fp16 and a zero point."""
    bits = _int_bits(keys, keys.first_of("bits", "w_bit"))
    form = StoredFormat(
        f"int{bits}",
        bits,
        group_rows=1,
        group_columns=_group(keys, keys.first_of("group_size", "q_group_size"), 128),
        scale_bits=_FP16,
        zero_bits=bits if keys.flag("zero_point", default=True) else 0,
    )
    return Quantisation((Rule(form),), _modules(keys, "modules_to_not_convert"))


def _gptq(keys: ConfigKeys, beside: Beside) -> Quantisation:
    """As AWQ; zero points are stored though all are alike, an index where inputs are reordered."""
    bits = _int_bits(keys, "bits")
    packed = keys.word("checkpoint_format", "gptq")
    form = StoredFormat(
        f"int{bits}",
        bits,
        group_rows=1,
        group_columns=_group(keys, "group_size", 128),
        scale_bits=_FP16,
        zero_bits=0 if packed == "marlin" else bits,
        index_bits=32 if keys.flag("desc_act") else 0,
    )
    own, alone = _exceptions(keys, form)
    targets: list[str] = []
    for names in names_in(keys.value("modules_in_block_to_quantize") or []):
        targets += map(str, names_in(names))
    return Quantisation(
        (*own, Rule(form, tuple(targets))),
        (*alone, *_modules(keys, "modules_to_not_convert")),
        converts_head=keys.flag("lm_head"),
    )


def _exceptions(keys: ConfigKeys, form: StoredFormat) -> tuple[list[Rule], list[str]]:
    """Of `dynamic` and `extra_config`: modules with formats of their own, and those left alone."""
    rules: list[Rule] = []
    alone: list[str] = []
    for name in ("dynamic", "extra_config"):
        given = keys.part(name) if keys.value(name) not in (None, False, {}) else None
        for pattern in given.config if given else ():
            module = str(pattern)
            if module.startswith("-:"):
                alone.append(f"re:{module[2:]}")
                continue
            own = given.part(module) if given else None
            bits = own.count("bits", form.bits) if own else form.bits
            group = _group(own, "group_size", form.group_columns) if own else form.group_columns
            target = f"re:{module[2:]}" if module.startswith("+:") else module
            if bits >= min(DTYPE_BITS.values()):
                alone.append(target)
            else:
                zero = bits if form.zero_bits else 0
                other = replace(
                    form, name=f"int{bits}", bits=bits, group_columns=group, zero_bits=zero
                )
                rules.append(Rule(other, (target,)))
    return rules, alone


def _bitsandbytes(keys: ConfigKeys, beside: Beside) -> Quantisation:
    """INT8 with a scale for every output, or 4 bits in blocks of 64, whose scales may be narrower.

    With `bnb_4bit_use_double_quant` a scale has 8 bits, and 256 of them one of 32 bits.
    """
    alone = _modules(keys, "llm_int8_skip_modules")
    eight = keys.flag("load_in_8bit", default=keys.flag("_load_in_8bit"))
    four = keys.flag("load_in_4bit", default=keys.flag("_load_in_4bit"))
    if eight == four:
        keys.refuse("load_in_8bit", "one of load_in_8bit and load_in_4bit must be true")
    if eight:
        return Quantisation((Rule(StoredFormat("int8", 8, 1, scale_bits=_FP32)),), alone)
    twice = keys.flag("bnb_4bit_use_double_quant")
    scale = 8 + Fraction(_FP32, 256) if twice else Fraction(_FP32)
    name = keys.word("bnb_4bit_quant_type", "fp4")
    return Quantisation((Rule(StoredFormat(name, 4, 1, 64, scale, element="fp4")),), alone)


def _compressed_tensors(keys: ConfigKeys, beside: Beside) -> Quantisation:
    """Groups of modules, each with a format; scales are in the file's dtype unless it says so."""
    keys.only("sparsity_config", {}, {"format": "dense"})
    packing = keys.word("format", "")
    rules = []
    groups = keys.part("config_groups")
    if groups is None:
        keys.missing("config_groups")
    for name in groups.config if groups else ():
        group = groups.part(str(name)) if groups else None
        weights = group.part("weights") if group else None
        if group is None or weights is None:
            continue  # a group of activations
        packed = group.word("format", packing)
        targets = _modules(group, "targets")
        own = () if "Linear" in targets else targets
        rules.append(Rule(_compressed(weights, packed, beside.dtype_bits), own))
    return Quantisation(
        tuple(rules), _modules(keys, "ignore", "exclude_modules"), converts_head=True
    )


def _compressed(weights: ConfigKeys, packing: str, dtype_bits: int) -> StoredFormat:
    bits = weights.count("num_bits", 8)
    kind = "fp" if weights.word("type", "int") == "float" else "int"
    element = f"{kind}{bits}"
    if element not in ("fp8", "fp4", *(f"int{size}" for size in _INT_BITS)):
        weights.refuse("num_bits", f"{element} is none of fp8, fp4, int8, int4, int3, int2")
    group = _group(weights, "group_size", None)
    block = _block(weights, "block_structure")
    strategy = weights.word("strategy", "group" if group else "tensor")
    if element == "fp4":
        micro = "mxfp4" in packing or (strategy == "group" and group == 32)
        return MXFP4 if micro else _nvfp4(group or 16)
    zero = 0 if weights.flag("symmetric", default=True) else bits
    index = 32 if weights.value("actorder") in ("group", True) else 0
    rows, columns = {
        "group": (1, group),
        "channel": (1, None),
        "block": block or (128, 128),
        "tensor": (None, None),
    }.get(strategy, (None, None))
    if strategy not in ("group", "channel", "block", "tensor"):
        known = ("tensor", "channel", "group", "block")
        weights.refuse("strategy", f"{strategy!r} is not known", suggest(strategy, known))
    return StoredFormat(element, bits, rows, columns, dtype_bits, zero, index_bits=index)


def _nvfp4(group: int) -> StoredFormat:
    """Groups with an FP8 scale each, and an FP32 scale for the matrix."""
    return StoredFormat("nvfp4", 4, 1, group, scale_bits=_FP8, tensor_bits=_FP32, element="fp4")


def _modelopt(keys: ConfigKeys, beside: Beside) -> Quantisation:
    """NVIDIA Model Optimizer, of a config.json or of the older hf_quant_config.json."""
    inner = keys.part("quantization") or keys
    algorithm = inner.word("quant_algo", "")
    alone = _modules(inner, "ignore", "exclude_modules")
    if algorithm == "MIXED_PRECISION":
        layers = inner.part("quantized_layers")
        if layers is None:
            inner.missing("quantized_layers")
        rules = [
            Rule(_of_algorithm(own, own.word("quant_algo", "")), (str(name),))
            for name in (layers.config if layers else ())
            if layers and (own := layers.part(str(name)))
        ]
        return Quantisation(tuple(rules), alone, converts_head=True)
    if not algorithm and inner.value("config_groups") is not None:
        return _compressed_tensors(inner, beside)
    inner.value("config_groups")  # says the same again
    return Quantisation((Rule(_of_algorithm(inner, algorithm)),), alone, converts_head=True)


def _of_algorithm(keys: ConfigKeys, algorithm: str) -> StoredFormat:
    """The format of one of Model Optimizer's algorithms."""
    group = _group(keys, "group_size", None)
    formats = {
        "NVFP4": _nvfp4(group or 16),
        "W4A16_NVFP4": _nvfp4(group or 16),
        "NVFP4_AWQ": _nvfp4(group or 16),
        "W4A8_NVFP4_FP8": _nvfp4(group or 32),
        "MXFP4": MXFP4,
        "W4A8_MXFP4_FP8": MXFP4,
        "MXFP8": StoredFormat("mxfp8", 8, 1, 32, _EXPONENT, element="fp8"),
        "FP8": StoredFormat("fp8", 8, tensor_bits=_FP32),
        "FP8_PER_CHANNEL_PER_TOKEN": StoredFormat("fp8", 8, 1, scale_bits=_FP32),
        "FP8_PB_WO": StoredFormat("fp8", 8, 128, 128, _FP32),
        "FP8_PB_REAL": StoredFormat("fp8", 8, 128, 128, _FP32),
        "W4A16_AWQ": StoredFormat("int4", 4, 1, group or 128, _FP16),
        "W4A8_AWQ": StoredFormat("int4", 4, 1, group or 128, _FP16),
        "W8A16": StoredFormat("int8", 8, 1, scale_bits=_FP16),
        "W8A8_SQ_PER_CHANNEL": StoredFormat("int8", 8, 1, scale_bits=_FP32),
    }
    if algorithm not in formats:
        keys.refuse(
            "quant_algo",
            f"algorithm {algorithm!r} is not known: nothing says how its modules are stored",
            suggest(algorithm, (*formats, "MIXED_PRECISION")),
        )
    return formats.get(algorithm, MXFP4)


Method = Callable[[ConfigKeys, Beside], Quantisation]
METHODS: Mapping[str, Method] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fbgemm_fp8,
    "compressed-tensors": _compressed_tensors,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "modelopt_mixed": _modelopt,
    "mxfp4": _mxfp4,
    "awq": _awq,
    "gptq": _gptq,
    "auto-round": _gptq,
    "bitsandbytes": _bitsandbytes,
}
"""Every method that is read."""
