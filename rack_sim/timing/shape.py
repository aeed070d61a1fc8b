"""Shape: what a step's program is compiled for: decode or prefill, rows, context, precision."""

from dataclasses import dataclass, replace
from typing import Literal

from rack_sim.model.operators import Block
from rack_sim.timing.precision import Precision

ProgramKind = Literal["decode", "prefill"]


@dataclass(frozen=True)
class StepShape:
    """What a program is compiled for: how many rows, how much context, in which precision.

    Rows of a decode program are of different sequences, or `rows_per_sequence` of each where a
    draft's tokens are looked at together. Those of a prefill program are of one prompt. Rows of one
    sequence read one cache; of a prompt only the last goes through the head. A row has
    `stream_count` residual streams.
    """

    rows: int
    context_tokens: int
    precision: Precision
    program: ProgramKind = "decode"
    rows_per_sequence: int = 1
    stream_count: int = 1

    @property
    def sequence_count(self) -> int:
        """Sequences whose cache is read."""
        return max(self.rows // self.rows_per_sequence, 1) if self.program == "decode" else 1

    @property
    def sampled_count(self) -> int:
        """Rows that go through the head: tokens that a step makes."""
        return self.rows if self.program == "decode" else 1

    def rows_of(self, block: Block) -> int:
        """Rows that pass a block."""
        return self.sampled_count if block.kind == "head" else self.rows

    def part_of(self, block: Block) -> Block:
        """A block with the operators that these rows need: for next tokens, or for a prompt."""
        other = "prompts" if self.program == "decode" else "next_tokens"
        if all(operator.rows_of != other for operator in block.operators):
            return block
        kept = tuple(operator for operator in block.operators if operator.rows_of != other)
        return replace(block, operators=kept)

    def shard_elements(self, residual_elements: int, group_size: int) -> int:
        """A chip's share of the residual streams of all rows, the largest."""
        return -(-self.rows * self.stream_count * residual_elements // group_size)

    def shard_bytes(self, residual_elements: int, group_size: int) -> int:
        """The bytes of that share."""
        return self.precision.activation_bytes(self.shard_elements(residual_elements, group_size))
