"""Kernels: what a reactive chip group launches, one after the other, for the blocks of a stage.

Serving engines launch these as one kernel, and so does this module:

- attention: every run of operators that depend on the context (scores, softmax, values); the
  scores of an indexer and the choice of the best are kernels of their own before it
- what works on a state: on next tokens, which are the sampled rows, and on chunks of prompts
- a residual add and the norm that follows it, be it in the next block; the norm does not read back
  the sum that the kernel has just written
- the reduce-scatter that ends a block and the gather that begins the next: an all-reduce

After a gather the residual stream lies whole on every chip of the group: norms and residual adds
then work on whole rows, on every chip the same. Every other operator is a kernel of its own,
sharded over the group. At the end of a stage the stream stays sharded: each chip has its part of
the sums, adds its part of the residual, and sends it on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import get_args

from rack_sim.model.choice import Choice
from rack_sim.model.indexer_operators import TOP_K_FLOP
from rack_sim.model.operators import Block, Exchange, Operator
from rack_sim.model.selection import Selection
from rack_sim.timing.algorithms import Operation


@dataclass(frozen=True, slots=True)
class Kernel:
    """Operators launched as one kernel, unsharded.

    The rows of prompts are not told from others: what works on them counts every row. A sampled row
    is taken to be the next token of its sequence; the last row of a prompt is one, too.

    `operators` work on every row of an iteration, `sampled_operators` on the rows that go through
    the head. `whole` says that every chip of the group does all of it, not its shard.
    """

    operators: tuple[Operator, ...] = ()
    sampled_operators: tuple[Operator, ...] = ()
    whole: bool = False

    @property
    def name(self) -> str:
        """The operators in order: ``attention.residual_add + feed_forward.norm``."""
        return " + ".join(o.name for o in self.operators + self.sampled_operators)

    @property
    def is_attention(self) -> bool:
        """Whether its time is one of the roofs of attention: it depends on the context, or is what
        prompts do with states, which is work of the same kind and hides behind it."""
        return any(map(depends_on_context, self.operators)) or any(
            operator.rows_of == "prompts" for operator in self.operators
        )

    def over(self, chip_count: int) -> "Kernel":
        """The kernel as a group of so many chips runs it, with the copies of what is shared."""
        if not any(operator.shared for operator in self.operators + self.sampled_operators):
            return self
        return replace(
            self,
            operators=tuple(one.over(chip_count) for one in self.operators),
            sampled_operators=tuple(one.over(chip_count) for one in self.sampled_operators),
        )


@dataclass(frozen=True, slots=True)
class CollectiveKernel:
    """A collective of the whole group, launched as one kernel.

    The buffer has `elements_per_row` activations for every row (or every sampled one);
    `candidates` have a constant size instead. Where chips share key-value heads, `combine` runs at
    one time in groups of `sharing` chips, each on its part of the buffer. Of logits there are
    one for each expert; how many rows go to experts, or come back, `choice` says. Of `choices` a
    chip has `elements_per_row` candidates, of `mixes` so many sums.
    """

    traffic: str
    operation: Operation
    elements_per_row: int = 0
    sampled: bool = False
    sharing: int = 0
    choice: Choice | None = None


Launch = Kernel | CollectiveKernel


def depends_on_context(operator: Operator) -> bool:
    """Whether work or reads of an operator grow with the cached tokens."""
    return bool(
        operator.flop_per_row_token
        or operator.activations_per_row_token
        or operator.kv_read_per_row_token
    )


def launches_of(
    blocks: Sequence[Block], *, group_size: int, residual_elements: int
) -> tuple[Launch, ...]:
    """The kernels of a stage in order; collectives only where the group has several chips.

    Raises ValueError for an exchange that is none of `model.operators.Exchange`, and for attention
    with parameters or a lookup of its own, which no roof of it would count.
    """
    launching = _Launching(group_size, residual_elements)
    for block in blocks:
        launching.block(block)
    launching.settle()
    return tuple(launching.launches)


class _Launching:
    """The kernels of a stage in the making, with what waits for the kernel to be fused with."""

    def __init__(self, group_size: int, residual_elements: int) -> None:
        self.launches: list[Launch] = []
        self._group_size = group_size
        self._residual_elements = residual_elements
        self._whole = group_size == 1
        self._reduces = False
        self._add: Operator | None = None

    def block(self, block: Block) -> None:
        """Adds a block."""
        if block.gathers and (self._reduces or not self._whole):
            self._gather(sampled=block.kind == "head")
        for part, run in groupby(block.operators, _part_of_attention):
            operators = tuple(run)
            if part:
                self._attention(operators)
                for operator in operators:
                    self._exchange(operator, block)
                continue
            for operator in operators:
                self._operator(operator, block)
                self._exchange(operator, block)

    def settle(self) -> None:
        """Launches what waits for a partner that does not come."""
        if self._reduces:
            self._residual("reduce", "reduce_scatter")
            self._whole = False
        self._reduces = False
        if self._add is not None:
            self.launches.append(Kernel((self._add,), whole=self._whole))
        self._add = None

    def _gather(self, *, sampled: bool) -> None:
        """The stream whole on every chip; sums are gathered as they are made, for all rows."""
        if self._reduces:
            self._residual("reduce", "all_reduce")
        else:
            self.settle()
            self._residual("gather", "all_gather", sampled=sampled)
        self._whole, self._reduces = True, False

    def _residual(self, traffic: str, operation: Operation, *, sampled: bool = False) -> None:
        self.launches.append(
            CollectiveKernel(traffic, operation, self._residual_elements, sampled=sampled)
        )

    def _operator(self, operator: Operator, block: Block) -> None:
        sampled = block.kind == "head"
        if _is(operator, "residual_add"):
            if self._add is not None:
                self.settle()
            self._add = operator
        elif _is(operator, "norm") and block.gathers:
            if self._reduces:  # of the same block: a norm needs whole rows
                self._gather(sampled=False)
            before: tuple[Operator, ...] = ()
            if self._add is not None:
                before = (self._add,)
                unread = max(operator.activations_per_row - self._residual_elements, 0)
                operator = replace(operator, activations_per_row=unread)
                self._add = None
            self._launch(before, operator, sampled=sampled, whole=self._whole)
        else:
            self.settle()
            sampled = sampled or operator.rows_of == "next_tokens"
            self._launch((), operator, sampled=sampled, whole=operator.replicated)

    def _launch(
        self, before: tuple[Operator, ...], operator: Operator, *, sampled: bool, whole: bool
    ) -> None:
        if sampled:
            self.launches.append(Kernel(before, (operator,), whole=whole))
        else:
            self.launches.append(Kernel((*before, operator), whole=whole))

    def _attention(self, operators: tuple[Operator, ...]) -> None:
        self.settle()
        for operator in operators:
            if operator.parameters or operator.lookup_per_row:
                raise ValueError(f"{operator.name}: attention with weights of its own")
        self.launches.append(Kernel(operators))

    def _choose_together(self, operator: Operator, selection: Selection) -> None:
        """An indexer's queries to all, or each chip's best; then every chip chooses from those."""
        if operator.followed_by == "queries":
            elements = selection.query_elements
            self.launches.append(CollectiveKernel("queries", "all_gather", elements))
            return
        each = selection.candidates_max
        self.launches.append(CollectiveKernel("choices", "all_gather", each))
        together = each * self._group_size
        merge = Operator(
            name="selection.merge",
            unit="vector",
            flop_per_row=TOP_K_FLOP * together,
            activations_per_row=2 * together,
        )
        self.launches.append(Kernel((merge,), whole=True))

    def _exchange(self, operator: Operator, block: Block) -> None:
        """What follows an operator; a sum waits for the gather that may come."""
        if operator.followed_by not in get_args(Exchange):
            raise ValueError(f"{operator.name}: no kernel for {operator.followed_by!r}")
        if self._group_size == 1:
            return
        if operator.followed_by == "reduce_scatter":
            self._reduces = True
        elif operator.followed_by == "logits":
            self.launches.append(CollectiveKernel("logits", "all_reduce", choice=block.choice))
        elif operator.followed_by in ("dispatch", "collect"):
            self.launches.append(
                CollectiveKernel(operator.followed_by, "all_to_all", choice=block.choice)
            )
        elif operator.followed_by in ("queries", "choices") and block.selection:
            self._choose_together(operator, block.selection)
        elif operator.followed_by == "mixes":
            summed = CollectiveKernel("mixes", "all_reduce", block.mixed_per_row)
            self.launches.append(summed)
        elif operator.followed_by == "candidates":
            self.launches.append(CollectiveKernel("candidates", "all_gather", sampled=True))
        elif operator.followed_by == "combine" and block.kv_head_count:
            sharing = self._group_size // block.kv_head_count
            if sharing > 1:
                self.launches.append(
                    CollectiveKernel(
                        "combine", "reduce_scatter", block.combined_per_row, sharing=sharing
                    )
                )


def _part_of_attention(operator: Operator) -> str:
    """Which kernel of attention an operator is in: the first part of its name; else empty."""
    return operator.name.partition(".")[0] if depends_on_context(operator) else ""


def _is(operator: Operator, role: str) -> bool:
    """Whether an operator has a role by its name, on rows of the residual stream."""
    return operator.unit == "vector" and operator.name.rpartition(".")[2] == role
