"""Facts: what is to be said of a model alone, whatever holds it: counts, no bytes and no times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rack_sim.model.operators import Block, Operator


@dataclass(frozen=True, slots=True)
class ParameterKind:
    """Parameters of one kind, and those of them that a token meets."""

    name: str
    count: int
    active_count: int


def parameter_kinds(blocks: Sequence[Block]) -> tuple[ParameterKind, ...]:
    """The parameters of a model by what they are for, in the order of its blocks, each once."""
    found: dict[str, list[int]] = {}
    for name, operator in _weighed(blocks):
        counts = found.setdefault(name, [0, 0])
        counts[0] += operator.parameters
        counts[1] += operator.parameters_met
    return tuple(ParameterKind(name, *counts) for name, counts in found.items())


def _weighed(blocks: Sequence[Block]) -> Iterator[tuple[str, Operator]]:
    """Every operator that has parameters of its own, and what they are called."""
    tied = {block.tied_to for block in blocks}
    for block in blocks:
        if block.name in tied:
            continue  # they are those of the block that is tied to it
        for operator in block.operators:
            if operator.parameters:
                yield _name(block, operator), operator


def _name(block: Block, operator: Operator) -> str:
    """An operator's kind, from its name: ``feed_forward.router`` is a router."""
    part, _, own = operator.name.partition(".")
    if "norm" in own:
        return "norms"
    if operator.choice is not None:
        return "experts"
    for word, name in (("router", "routers"), ("shared", "shared experts")):
        if own.startswith(word):
            return name
    if block.tied_to:
        return f"{block.tied_to} and {part}"
    return part.replace("_", " ")


def flop_per_token(blocks: Sequence[Block], context_tokens: int) -> int:
    """FLOP of the next token after as much context, the last layers' head included."""
    return sum(
        operator.flop_per_row + operator.flop_per_row_token * operator.met(context_tokens)
        for block in blocks
        for operator in block.operators
        if operator.rows_of != "prompts"
    )


def kept_elements(blocks: Sequence[Block], context_tokens: int) -> int:
    """Elements that the cache keeps of one sequence: a layer with a window keeps that only.

    What a compressed cache keeps whatever the length counts with the states.
    """
    return sum(
        block.kv_elements_per_token * min(context_tokens, block.window_tokens or context_tokens)
        for block in blocks
    )
