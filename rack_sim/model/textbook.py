"""Textbook: the operators that all blocks are made of, and the arithmetic of their elements."""

from collections.abc import Sequence

from rack_sim.model.operators import Exchange, Operator
from rack_sim.model.tensors import Tensor, WeightKind

# Arithmetic per element of the textbook forms.
NORM_FLOP = 4  # square, accumulate, scale by the root, multiply by the weight
BIASED_NORM_FLOP = 7  # the mean accumulated and subtracted first, a bias added last
ROTARY_FLOP = 3  # a 2x2 rotation is four multiplies and two adds for two elements
SOFTMAX_FLOP = 5  # maximum, subtract, exponential, sum, divide
GATED_FLOP = 5  # exponential, add, divide, two multiplies
PLAIN_FLOP = 4  # without a gate: exponential, add, divide, multiply


def norm(name: str, size: int, *, biases: bool = False) -> Operator:
    """A norm of rows that are `size` wide."""
    return Operator(
        name=name,
        unit="vector",
        parameters=size * (1 + biases),
        flop_per_row=(BIASED_NORM_FLOP if biases else NORM_FLOP) * size,
        activations_per_row=2 * size,
        weight_kind="norms",
    )


def matmul(
    name: str,
    inputs: int,
    outputs: int,
    followed_by: Exchange = "none",
    *,
    biases: int = 0,
    replicated: bool = False,
    modules: Sequence[tuple[str, int]] = (),
    weight_kind: WeightKind | None = None,
) -> Operator:
    """A projection, of whose outputs `biases` have one.

    `modules` are the modules that a file of weights has for it, each with its outputs; left out, it
    is one matrix without a name of its own.
    """
    of_modules = modules or [("", outputs)]
    return Operator(
        name=name,
        unit="matrix",
        parameters=inputs * outputs + biases,
        flop_per_row=2 * inputs * outputs + biases,
        activations_per_row=inputs + outputs,
        followed_by=followed_by,
        replicated=replicated,
        tensors=tuple(Tensor(module, size, inputs) for module, size in of_modules),
        weight_kind=weight_kind,
    )


def gate_and_up(module: str, inner: int) -> list[tuple[str, int]]:
    """The two modules of the first projection of a gated feed-forward, each with its outputs."""
    return [(f"{module}.gate_proj", inner), (f"{module}.up_proj", inner)]


def plain_activation(name: str, inner: int) -> Operator:
    """The activation of a feed-forward without a gate."""
    return Operator(
        name=name,
        unit="vector",
        flop_per_row=PLAIN_FLOP * inner,
        activations_per_row=2 * inner,
    )


def gated_activation(name: str, inner: int) -> Operator:
    """The gate of a feed-forward, on both halves of what comes in."""
    return Operator(
        name=name,
        unit="vector",
        flop_per_row=GATED_FLOP * inner,
        activations_per_row=3 * inner,
    )


def residual_add(name: str, size: int) -> Operator:
    """What a block found, added to the residual stream."""
    return Operator(
        name=name,
        unit="vector",
        flop_per_row=size,
        activations_per_row=3 * size,
    )
