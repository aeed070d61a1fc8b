"""Weight table: what the weights of a model take, by kind and by format."""

from collections.abc import Iterable
from dataclasses import dataclass

from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.tensors import WeightKind
from rack_sim.model.weight_formats import WeightFormats, weight_kind


@dataclass(frozen=True, slots=True)
class WeightRow:
    """Weights of one kind in one format: how many, and their bytes, scales included.

    `element` is the number format of one of them.
    """

    kind: WeightKind
    title: str
    element: str
    parameters: int
    bytes: int


def weight_table(model: Architecture, formats: WeightFormats) -> tuple[WeightRow, ...]:
    """A row for each kind and format, in the order of the model; a tied table counts once."""
    found: dict[tuple[WeightKind, str, str], tuple[int, int]] = {}
    blocks = blocks_of(model, formats=formats)
    tied = {block.tied_to for block in blocks}
    for block in blocks:
        for operator in block.operators if block.name not in tied else ():
            for part in operator.stored.parts if operator.stored else ():
                key = (weight_kind(block, operator), part.title, part.element)
                parameters, bits = found.get(key, (0, 0))
                found[key] = parameters + part.parameters, bits + int(part.bits)
    return tuple(
        WeightRow(*key, parameters, -(-bits // 8)) for key, (parameters, bits) in found.items()
    )


def by_format(rows: Iterable[WeightRow]) -> dict[str, tuple[int, int]]:
    """Parameters and bytes of each format, by its title."""
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        parameters, size = found.get(row.title, (0, 0))
        found[row.title] = parameters + row.parameters, size + row.bytes
    return found
