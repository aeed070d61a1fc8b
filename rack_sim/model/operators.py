"""Operators: what one block computes, reads and writes, with rows as a variable.

A row is one token of one sequence inside a step. Work is counted for the whole block; timing
divides it over the chips of a tensor-parallel group. The residual stream is kept sharded over the
group (each chip holds hidden / group elements of every row), so norms and residual adds work on a
shard, a block begins with an all-gather and ends with a reduce-scatter.

The FLOP counts of vector operators are element counts times the arithmetic of the textbook form
(docs/model-assumptions.md lists them); they never bind on the chips modelled here.
"""

from dataclasses import dataclass, replace
from typing import Literal, Self

from rack_sim.foundation.brief import Brief
from rack_sim.model.choice import Choice
from rack_sim.model.reach import Reach
from rack_sim.model.selection import Selection
from rack_sim.model.stored_formats import Stored
from rack_sim.model.tensors import Tensor, WeightKind

BlockKind = Literal["embedding", "attention", "state", "feed_forward", "head"]
Exchange = Literal[
    "none",
    "reduce_scatter",
    "combine",
    "candidates",
    "logits",
    "dispatch",
    "collect",
    "queries",
    "choices",
    "mixes",
]
"""What a group does with an operator's results: sum them up by shards, sum the parts of a shared
key-value head up, tell everybody each chip's candidate for the next token, sum a router's logits up
for everybody, bring rows to the chips of their experts, or bring what those found back by shards
and sum it up; bring an indexer's queries to everybody, tell everybody each chip's best entries of
the cache, sum up what says how residual streams are mixed."""
RowsOf = Literal["all", "next_tokens", "prompts"]
"""Which rows an operator works on: all, those that are the next token of a sequence each, or those
of prompts, which come many of one sequence at a time."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What of an operator belongs to `count` inputs that several heads share: a part of its counts.

    It is split over as many chips at most, and lies on further chips again.
    """

    count: int
    parameters: int = 0
    flop_per_row: int = 0
    flop_per_chunk_row: int = 0
    activations_per_row: int = 0
    convolution_elements: int = 0


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a block, unsharded.

    FLOP of a step: ``rows * (flop_per_row + flop_per_row_token * context)``. Reads of the cache:
    ``rows * kv_read_per_row_token * context`` elements; writes: ``rows * kv_write_per_row``.
    `parameters` are read once per step whatever the rows; a table that is only looked up has
    `lookup_per_row` elements read instead. With a `window_tokens` no more than that is the context,
    `chunked` it is at most: what has come since a chunk of so many tokens began;
    with a `reach` the entries that it names stand for the context. `handed_per_row_token` of the
    activations are written for another kernel, or come from one.

    Where rows choose among experts, `choice` says how: parameters are those of all experts, FLOP
    and activations those of a row's chosen ones, and no more is read than the experts touched. What
    is `replicated` lies whole on every chip of a group, and every chip does all of it. A module of
    another model has parameters `shared_with` the block of that name there.

    What updates a state reads and writes `state_elements` and `convolution_elements` of it: once a
    row where rows are next tokens, once every `chunk_tokens` rows of a prompt, which take
    `flop_per_chunk_row` for each row of their chunk.

    `tensors` are the matrices among its parameters; what is left are vectors (norms, biases), which
    files of weights do not quantise. `weight_kind` says what its weights are for; None: for what
    its block is. `stored` says how they are stored where a deployment has several formats.
    """

    name: str
    unit: Literal["matrix", "vector"]
    parameters: int = 0
    flop_per_row: int = 0
    flop_per_row_token: int = 0
    activations_per_row: int = 0
    activations_per_row_token: int = 0
    lookup_per_row: int = 0
    kv_read_per_row_token: int = 0
    kv_write_per_row: int = 0
    followed_by: Exchange = "none"
    window_tokens: int | None = None
    chunked: bool = False
    choice: Choice | None = None
    replicated: bool = False
    reach: Reach | None = None
    handed_per_row_token: int = 0
    shared_with: str | None = None
    tensors: tuple[Tensor, ...] = ()
    weight_kind: WeightKind | None = None
    stored: Stored | None = None
    rows_of: RowsOf = "all"
    state_elements: int = 0
    convolution_elements: int = 0
    chunk_tokens: int = 1
    flop_per_chunk_row: int = 0
    shared: Shared | None = None

    def over(self, chip_count: int) -> Self:
        """The operator as a group of so many chips does it, with the copies of what is shared."""
        part = self.shared
        if part is None:
            return self
        more = max(chip_count // part.count, 1) - 1
        return replace(
            self,
            parameters=self.parameters + more * part.parameters,
            flop_per_row=self.flop_per_row + more * part.flop_per_row,
            flop_per_chunk_row=self.flop_per_chunk_row + more * part.flop_per_chunk_row,
            activations_per_row=self.activations_per_row + more * part.activations_per_row,
            convolution_elements=self.convolution_elements + more * part.convolution_elements,
            shared=None,
        )

    def flop_of(self, rows_together: int) -> int:
        """FLOP of a row of a prompt, of which so many are worked on together."""
        return self.flop_per_row + self.flop_per_chunk_row * min(rows_together, self.chunk_tokens)

    @property
    def parameters_met(self) -> int:
        """Parameters that a single row meets: of experts those of the chosen ones."""
        if self.choice is None:
            return self.parameters
        return self.parameters // self.choice.expert_count * self.choice.chosen_count

    def met(self, context_tokens: int, rows: int = 1, parts: int = 1) -> int:
        """Entries of the cache that rows of one sequence meet; `parts` is that of `Reach`."""
        if self.reach is not None:
            return self.reach.met(context_tokens, rows, parts)
        return min(context_tokens, self.window_tokens or context_tokens)


@dataclass(frozen=True, slots=True, repr=False)
class Block(Brief):
    """The smallest thing the partitioner moves: its operators in order, each needing the last.

    `gathers` says that the block begins with an all-gather of the residual stream; an operator may
    be followed by another exchange. Attention has `kv_head_count` key-value heads, which are split
    over a group as far as they go; beyond that the cache is split by sequence, and partial outputs
    of `combined_per_row` elements in all are combined. With a `choice` rows are dispatched to the
    chips of their experts; a `selection` says how chips choose from a cache that they share, and
    `mixed_per_row` sums say how residual streams are mixed, of which the block leaves
    `stream_count` behind. All parameters of the block that it is `tied_to` are among its own. Of a
    sequence no more than `window_tokens` are kept in the cache, where they are given, and
    `kv_elements_per_sequence` whatever its length; it keeps the state that is updated for its next
    token.
    """

    name: str
    kind: BlockKind
    operators: tuple[Operator, ...]
    gathers: bool
    kv_elements_per_token: int = 0
    kv_head_count: int = 0
    combined_per_row: int = 0
    choice: Choice | None = None
    tied_to: str | None = None
    window_tokens: int | None = None
    selection: Selection | None = None
    mixed_per_row: int = 0
    kv_elements_per_sequence: int = 0
    stream_count: int = 1

    def over(self, chip_count: int) -> Self:
        """The block as a group of so many chips holds it, with the copies of what is shared."""
        if not any(operator.shared for operator in self.operators):
            return self
        return replace(self, operators=tuple(one.over(chip_count) for one in self.operators))

    def within(self, context_tokens: int) -> Self:
        """The block for contexts of up to so many tokens, where rows may choose all of them."""
        if self.kind != "attention":
            return self
        return replace(
            self,
            operators=tuple(
                replace(one, reach=one.reach.within(context_tokens)) if one.reach else one
                for one in self.operators
            ),
        )

    @property
    def state_elements(self) -> int:
        """Elements of the recurrent state that each sequence keeps."""
        return sum(one.state_elements for one in self.operators if one.rows_of != "prompts")

    @property
    def convolution_elements(self) -> int:
        """Elements of the rows that a convolution keeps of each sequence."""
        updating = (one for one in self.operators if one.rows_of != "prompts")
        return sum(operator.convolution_elements for operator in updating)

    @property
    def parameters(self) -> int:
        """Parameters that live where this block lives."""
        return sum(operator.parameters for operator in self.operators)

    @property
    def replicated_parameters(self) -> int:
        """Those of them that lie on every chip of a group."""
        return sum(operator.parameters for operator in self.operators if operator.replicated)
