"""Precision: how many bits each kind of data has, and in which precision the matrix unit works.

What a chip keeps and reads are these bytes, scales included. The matrix unit multiplies in the
compute precision, and widens to it what is stored narrower.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from rack_sim.hardware.chip import PRECISION_BITS, element_of
from rack_sim.model.architecture import Architecture
from rack_sim.model.number_format import NumberFormat
from rack_sim.model.operators import Operator
from rack_sim.model.weight_formats import FormatsByKind, WeightFormats
from rack_sim.model.weight_table import WeightRow, weight_table

CHECKPOINT = "checkpoint"
"""Weights as the published file holds them."""

# What configs ask for: `mamba_ssm_dtype` of Qwen3.5 and `mamba_ssm_cache_dtype` of Nemotron-H say
# float32.
STATE_FORMAT = "fp32"


@dataclass(frozen=True, slots=True)
class Precision:
    """Number formats of a deployment; each word is a key of `PRECISION_BITS`.

    Recurrent states are kept in `states`, the rows that a convolution keeps as activations are.

    `weights` may be `CHECKPOINT`, or a format for each kind of weight. Then operators carry how
    they are stored (`formats_of` a model is what `blocks_of` takes).
    """

    weights: str | FormatsByKind
    kv: str | NumberFormat
    activations: str
    compute: str
    states: str = STATE_FORMAT

    def formats_of(self, model: Architecture) -> WeightFormats | None:
        """Where each weight of a model is in which format; None where all are in one."""
        if isinstance(self.weights, FormatsByKind):
            return self.weights
        return model.checkpoint if self.weights == CHECKPOINT else None

    def weights_of(self, model: Architecture) -> tuple[WeightRow, ...]:
        """What the weights of a model take, by kind and by format."""
        formats = self.formats_of(model)
        if formats is None:
            name = str(self.weights)
            formats = FormatsByKind(NumberFormat(name, element_of(name), PRECISION_BITS[name]))
        return weight_table(model, formats)

    def weights_title(self, model: Architecture) -> str:
        """The formats of a model's weights in words."""
        if self.weights == CHECKPOINT:
            return f"{CHECKPOINT} ({model.checkpoint.title})"
        return str(self.weights)

    def weight_bits(self, operator: Operator) -> int | Fraction:
        """Bits of a parameter of an operator as it is stored, on average, scales included.

        Raises ValueError for an operator without formats where there are several.
        """
        if isinstance(self.weights, str) and self.weights != CHECKPOINT:
            return PRECISION_BITS[self.weights]
        if operator.stored is None:
            if operator.parameters:
                raise ValueError(f"{operator.name}: nothing says how its weights are stored")
            return 0
        return operator.stored.bits_each

    def weight_bytes(self, operators: Iterable[Operator]) -> int:
        """Bytes that all weights of operators take, rounded up to whole bytes."""
        bits = sum(operator.parameters * self.weight_bits(operator) for operator in operators)
        return -(-bits // 8)

    def part_bytes(self, operator: Operator, parameters: int) -> int:
        """Bytes that so many parameters of an operator take, rounded up."""
        return -(-parameters * self.weight_bits(operator) // 8)

    @property
    def kv_bits(self) -> int | Fraction:
        """Bits of a cached element, scales included."""
        return PRECISION_BITS[self.kv] if isinstance(self.kv, str) else self.kv.bits

    def kv_bytes(self, elements: int) -> int:
        """Bytes that `elements` cached keys and values take."""
        return -(-elements * self.kv_bits // 8)

    def activation_bytes(self, elements: int) -> int:
        """Bytes that `elements` activations take."""
        return bytes_of(elements, self.activations)

    def state_bytes(self, recurrent: int, convolution: int) -> int:
        """Bytes that so many elements of recurrent and of convolution states take."""
        return bytes_of(recurrent, self.states) + self.activation_bytes(convolution)


def bytes_of(elements: int, precision: str) -> int:
    """Bytes of `elements` numbers, rounded up to whole bytes."""
    return -(-elements * PRECISION_BITS[precision] // 8)


def shard(total: int, parts: int, index: int) -> int:
    """Share `index` of `total` split over `parts`: shares differ by at most one and sum exactly."""
    return total * (index + 1) // parts - total * index // parts
