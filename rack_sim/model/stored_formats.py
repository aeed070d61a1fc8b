"""Stored formats: how a matrix is stored, with scales and zero points."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

from rack_sim.model.tensors import Tensor

_WORD_BITS = 32  # zero points of few bits are packed into words


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """A format of matrices: `bits` an element, and what a group of elements has besides.

    `element` is the number format of an element, where `name` says more than that.
    A group is `group_rows` outputs by `group_columns` inputs (None: all there are), with a scale of
    `scale_bits` and, of formats that are not symmetric, a zero point of `zero_bits`; those of a row
    of groups are packed into words. A matrix has `tensor_bits` once, and an index of `index_bits`
    for every input where inputs are stored out of order.
    """

    name: str
    bits: int
    group_rows: int | None = None
    group_columns: int | None = None
    scale_bits: int | Fraction = 0
    zero_bits: int = 0
    tensor_bits: int = 0
    index_bits: int = 0
    element: str = ""

    @property
    def title(self) -> str:
        """The name, and the group that shares a scale: ``fp8 (128 x 128)``."""
        if not self.scale_bits:
            return self.name
        rows, columns = (
            "all" if size is None else str(size) for size in (self.group_rows, self.group_columns)
        )
        return f"{self.name} ({rows} x {columns})"

    def bits_of(self, tensor: Tensor) -> int:
        """Everything that is stored of a matrix; groups at its edges are not full."""
        before, after = tensor.rows_before, tensor.rows_before + tensor.rows
        each = self._bits(after, tensor.columns) - self._bits(before, tensor.columns)
        return tensor.count * each

    def _bits(self, rows: int, columns: int) -> int:
        if not rows or not columns:
            return 0
        down = -(-rows // (self.group_rows or rows))
        across = -(-columns // (self.group_columns or columns))
        scales = ceil(down * across * self.scale_bits)
        zeros = across * -(-down * self.zero_bits // _WORD_BITS) * _WORD_BITS
        once = self.tensor_bits + columns * self.index_bits
        return rows * columns * self.bits + scales + zeros + once


@dataclass(frozen=True, slots=True)
class StoredPart:
    """So many parameters of an operator that are stored in one format, and the bits they take."""

    title: str
    element: str
    parameters: int
    bits: int | Fraction


@dataclass(frozen=True)
class Stored:
    """How the weights of an operator are stored: its parts, each in a format."""

    parts: tuple[StoredPart, ...]

    @cached_property
    def bits_each(self) -> Fraction:
        """What a parameter takes on average, scales included."""
        parameters = sum(part.parameters for part in self.parts)
        bits = sum((Fraction(part.bits) for part in self.parts), Fraction(0))
        return bits / parameters if parameters else Fraction(0)

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """The number formats in it, each once."""
        return tuple(dict.fromkeys(part.element for part in self.parts))


def merged(parts: Sequence[StoredPart]) -> Stored:
    """Parts of one format put together."""
    found: dict[tuple[str, str], tuple[int, int | Fraction]] = {}
    for part in parts:
        parameters, bits = found.get((part.title, part.element), (0, 0))
        found[part.title, part.element] = parameters + part.parameters, bits + part.bits
    return Stored(tuple(StoredPart(*key, *amounts) for key, amounts in found.items()))
