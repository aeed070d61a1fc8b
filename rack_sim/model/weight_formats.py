"""Weight formats: in which format each weight of a model is stored, where there are several."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from rack_sim.model.number_format import NumberFormat
from rack_sim.model.operators import Block, Operator
from rack_sim.model.stored_formats import Stored, StoredPart
from rack_sim.model.tensors import WeightKind


class WeightFormats(Protocol):
    """Says of every operator how its weights are stored."""

    def stored(self, operator: Operator, kind: WeightKind, layer: int | None) -> Stored:
        """How those of an operator are, whose weights are of a kind, in a layer (None: in none)."""


@dataclass(frozen=True, slots=True)
class FormatsByKind:
    """A format for every kind of weight: that of `by_kind`, else `default`."""

    default: NumberFormat
    by_kind: tuple[tuple[WeightKind, NumberFormat], ...] = ()

    def of(self, kind: WeightKind) -> NumberFormat:
        """The format of a kind."""
        return dict(self.by_kind).get(kind, self.default)

    def stored(self, operator: Operator, kind: WeightKind, layer: int | None) -> Stored:
        """All of it in the format of its kind."""
        form, count = self.of(kind), operator.parameters
        return Stored((StoredPart(form.title, form.element, count, count * form.bits),))

    def __str__(self) -> str:
        """What is in which format: ``experts fp4, all else fp8``."""
        own = [f"{kind} {form.title}" for kind, form in self.by_kind]
        return ", ".join([*own, f"all else {self.default.title}"])


def weight_kind(block: Block, operator: Operator) -> WeightKind:
    """What the weights of an operator are for; those of a state mix tokens, as attention does."""
    if operator.weight_kind:
        return operator.weight_kind
    return "attention" if block.kind == "state" else block.kind


def in_formats(
    blocks: Iterable[Block],
    formats: WeightFormats | None,
    layer: int | None,
    known: dict[tuple[Operator, ...], tuple[Operator, ...]],
) -> tuple[Block, ...]:
    """The blocks of a layer, each operator with how it is stored; equal ones are `known` once."""
    if formats is None:
        return tuple(blocks)
    found = []
    for block in blocks:
        operators = tuple(
            replace(
                operator,
                stored=formats.stored(operator, weight_kind(block, operator), layer),
            )
            if operator.parameters
            else operator
            for operator in block.operators
        )
        found.append(replace(block, operators=known.setdefault(operators, operators)))
    return tuple(found)
