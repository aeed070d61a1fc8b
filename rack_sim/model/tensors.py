"""Tensors: the matrices of an operator as files of weights hold them, and their kinds."""

from dataclasses import dataclass
from typing import Literal, get_args

WeightKind = Literal[
    "embedding",
    "attention",
    "feed_forward",
    "experts",
    "shared_experts",
    "router",
    "head",
    "norms",
]
"""What weights are for: a deployment may store each kind in a format of its own."""
WEIGHT_KINDS: tuple[WeightKind, ...] = get_args(WeightKind)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A matrix of `rows` outputs by `columns` inputs, `count` times over (once for every expert).

    `module` is what `transformers` calls its module within a layer; empty: that of its block. Where
    another operator has the first `rows_before` rows of the same matrix, these are the rest.
    """

    module: str
    rows: int
    columns: int
    count: int = 1
    rows_before: int = 0

    @property
    def elements(self) -> int:
        """Its parameters."""
        return self.rows * self.columns * self.count
