"""Module names: what modules are called in files of weights, and which of them a pattern means.

`transformers` has one name for each; older files and other engines have others for the same, which
stand in one table here, and lists of modules in a `quantization_config` may use any of them.
"""

import re
from collections.abc import Iterable
from functools import cached_property
from itertools import product

from rack_sim.model.tensors import WeightKind

_ALSO_CALLED = {
    "self_attn": ("attention", "attn", "self_attention", "mixer"),
    "mamba": ("mixer",),
    "mlp": ("block_sparse_moe", "feed_forward", "moe", "mixer"),
    "gate": ("router",),
    "gate_proj": ("gate_up_proj", "w1"),
    "up_proj": ("gate_up_proj", "w3", "fc1", "c_fc"),
    "down_proj": ("w2", "fc2"),
    "q_proj": ("qkv_proj", "query_key_value", "c_attn"),
    "k_proj": ("qkv_proj", "query_key_value", "c_attn"),
    "v_proj": ("qkv_proj", "query_key_value", "c_attn"),
    "o_proj": ("out_proj", "dense"),
    "wq_b": ("q_b_proj", "q_proj"),
    "wk": ("k_proj",),
    "weights_proj": ("scorer.weights_proj",),
    "shared_experts": ("shared_expert", "shared_mlp"),
    "experts": ("experts.0",),
}
_OF_KIND: dict[WeightKind, str] = {
    "embedding": "embed_tokens",
    "attention": "self_attn",
    "feed_forward": "mlp",
    "experts": "mlp.experts",
    "shared_experts": "mlp.shared_experts",
    "router": "mlp.gate",
    "head": "lm_head",
    "norms": "norm",
}
_OTHER_PREFIXES = ("backbone.",)  # of Nemotron-H
# A pattern with one of these is a regular expression; with a star alone it may be either.
_EXPRESSION = re.compile(r"[\\()\[\]^$+|?]")
# To the end of a name or of a part of it.
_BOUNDARY = r"(?:(?<=\.)|(?=\.|$))"


def names_of(
    module: str, kind: WeightKind, layer: int | None, prefixes: Iterable[str]
) -> tuple[str, ...]:
    """Every full name that a module of a layer (None: of none) may go by."""
    parts = (module or _OF_KIND[kind]).split(".")
    spelt = product(*((part, *_ALSO_CALLED.get(part, ())) for part in parts))
    names = [".".join(word) for word in spelt]
    if layer is None:
        return tuple(names)
    before = (*prefixes, *_OTHER_PREFIXES)
    return tuple(f"{prefix}layers.{layer}.{name}" for prefix in before for name in names)


class ModulePatterns:
    """A list of modules as a `quantization_config` gives it.

    A plain name means the module of that name and all inside it, wherever it stands; ``*`` is any
    text; ``re:`` begins a regular expression, and so may a name be one that matches from the start.
    Raises `re.error` where one of them is none.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._plain: set[str] = set()
        self._expressions: list[re.Pattern[str]] = []
        for pattern in patterns:
            if pattern.startswith("re:"):
                self._expressions.append(re.compile(pattern[3:]))
            elif _EXPRESSION.search(pattern):
                self._expressions.append(re.compile(f"(?:{pattern}){_BOUNDARY}"))
            elif "*" in pattern:
                self._expressions += _starred(pattern)
            else:
                self._plain.add(pattern.strip(".").removesuffix(".weight"))

    def mean(self, names: Iterable[str]) -> bool:
        """Whether a module that goes by these names is meant."""
        return any(
            not self._plain.isdisjoint(_runs(name))
            or any(expression.match(name) for expression in self._expressions)
            for name in names
        )

    @cached_property
    def is_empty(self) -> bool:
        """Whether no module is meant."""
        return not (self._plain or self._expressions)


def _starred(pattern: str) -> list[re.Pattern[str]]:
    """A pattern with stars: any text at each; or where ``.*`` stands, as an expression has it."""
    text = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    found = [re.compile(f"(?:{text}){_BOUNDARY}"), re.compile(f"(?:.*\\.)?(?:{text})$")]
    if ".*" in pattern and not pattern.startswith("*"):
        found.append(re.compile(f"(?:{pattern}){_BOUNDARY}"))
    return found


def _runs(name: str) -> Iterable[str]:
    """Every run of whole parts of a dotted name."""
    parts = name.split(".")
    for first in range(len(parts)):
        for end in range(first + 1, len(parts) + 1):
            yield ".".join(parts[first:end])
