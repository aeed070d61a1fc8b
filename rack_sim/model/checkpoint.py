"""Checkpoint: how a published file holds the weights of a model, module by module."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from rack_sim.foundation.errors import Problem
from rack_sim.model.module_names import ModulePatterns, names_of
from rack_sim.model.operators import Operator
from rack_sim.model.stored_formats import Stored, StoredFormat, StoredPart, merged
from rack_sim.model.tensors import Tensor, WeightKind

DTYPE_BITS: Mapping[str, int] = {"fp32": 32, "bf16": 16, "fp16": 16}
"""What weights that are not quantised may be stored in."""

# Tables that are looked up, norms and routers stay as they are, whatever the method.
_NEVER_CONVERTED: frozenset[WeightKind] = frozenset(("embedding", "norms", "router"))
# `transformers` keeps the weights of an indexer's heads as they are (deepseek_v32), and what makes
# compressed entries (deepseek_v4).
_ALWAYS_KEPT = (
    "indexer.weights_proj",
    "compressor.kv_proj",
    "compressor.gate_proj",
    "compressor.indexer.kv_proj",
    "compressor.indexer.gate_proj",
)


@dataclass(frozen=True)
class Rule:
    """A format of matrices: of modules that `targets` name (empty: any), of `kinds` (None: any)."""

    format: StoredFormat
    targets: tuple[str, ...] = ()
    kinds: frozenset[WeightKind] | None = None

    @cached_property
    def patterns(self) -> ModulePatterns:
        """The targets, to be asked."""
        return ModulePatterns(self.targets)


@dataclass(frozen=True)
class Checkpoint:
    """The formats of a file: the first of `rules` that holds for a matrix, else `dtype`.

    `method` is the quantisation method as the file calls it, empty where there is none; modules
    that `left_alone` names are not converted, the head only where it `converts_head`. `dtype_said`
    is False where the file does not say; bf16 is assumed then, as nearly all are published in it.
    `prefixes` are what may stand before ``layers`` in names. `problems` are what is wrong with
    what the file says of all this, which matters to nobody who chooses formats himself.
    """

    dtype: str = "bf16"
    dtype_said: bool = False
    method: str = ""
    rules: tuple[Rule, ...] = ()
    left_alone: tuple[str, ...] = ()
    converts_head: bool = False
    prefixes: tuple[str, ...] = ("model.",)
    problems: tuple[Problem, ...] = ()
    _known: dict[tuple[str, WeightKind, int | None], StoredFormat | None] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @cached_property
    def _kept(self) -> ModulePatterns:
        return ModulePatterns((*self.left_alone, *_ALWAYS_KEPT))

    def stored(self, operator: Operator, kind: WeightKind, layer: int | None) -> Stored:
        """Each matrix in its format, and what is no matrix (norms, biases) in the file's dtype."""
        parts = []
        rest = operator.parameters
        for tensor in operator.tensors:
            form = self._format_of(tensor, kind, layer)
            if form is None:
                continue
            rest -= tensor.elements
            bits = form.bits_of(tensor)
            parts.append(StoredPart(form.title, form.element or form.name, tensor.elements, bits))
        if rest:
            parts.append(StoredPart(self.dtype, self.dtype, rest, rest * DTYPE_BITS[self.dtype]))
        return merged(parts)

    def _format_of(
        self, tensor: Tensor, kind: WeightKind, layer: int | None
    ) -> StoredFormat | None:
        """The format of a matrix; None where it is left as it was."""
        key = (tensor.module, kind, layer)
        if key not in self._known:
            self._known[key] = self._found(*key)
        return self._known[key]

    def _found(self, module: str, kind: WeightKind, layer: int | None) -> StoredFormat | None:
        if kind in _NEVER_CONVERTED or (kind == "head" and not self.converts_head):
            return None
        rules = [rule for rule in self.rules if rule.kinds is None or kind in rule.kinds]
        if not rules:
            return None
        names = names_of(module, kind, layer, self.prefixes)
        if self._kept.mean(names):
            return None
        return next(
            (rule.format for rule in rules if not rule.targets or rule.patterns.mean(names)), None
        )

    @property
    def title(self) -> str:
        """What the file says of its weights, in short."""
        if not self.method:
            return self.dtype if self.dtype_said else f"{self.dtype}, assumed: it names no dtype"
        formats = " and ".join(dict.fromkeys(rule.format.title for rule in self.rules))
        return f"{self.method}: {formats}, all else {self.dtype}"


UNSAID = Checkpoint()
"""Of a model that no file was read for."""
