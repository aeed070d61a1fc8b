"""Expert blocks: the operators of a mixture of experts, and how experts lie on a group of chips.

- sliced (as a rule): every chip of a group has a slice of each expert. The block is that of a dense
  feed-forward with a router in front: gather, router, choice, experts, reduce-scatter
- apart, without shared experts: whole experts lie on chips. Each chip multiplies its shard of the
  stream by its rows of the router, and the logits are summed up for everybody; each chip sends its
  shard of a row to the chips of the row's experts (dispatch), which send each chip its shard of
  what they found (collect). Both are all-to-alls; nothing is gathered
- apart, with shared experts: these are sliced and need whole rows on every chip. Then every row is
  everywhere, and what experts find is summed up with what the shared ones find: no all-to-all
- of a latent width: the projections to it and back lie whole on every chip, and what experts find
  is brought back before it is summed up; nothing is dispatched
"""

from dataclasses import dataclass, replace

from rack_sim.model.choice import Choice
from rack_sim.model.layers import Experts
from rack_sim.model.operators import Block, Exchange, Operator
from rack_sim.model.tensors import WeightKind
from rack_sim.model.textbook import (
    SOFTMAX_FLOP,
    gate_and_up,
    gated_activation,
    matmul,
    norm,
    plain_activation,
)


@dataclass(frozen=True, slots=True)
class ExpertPlacement:
    """How experts lie on a group of chips, and how rows choose: see `Choice`."""

    apart: bool = False
    skew: float = 0.0
    capacity_factor: float | None = None


def expert_block(hidden: int, shape: Experts, placement: ExpertPlacement) -> Block:
    """The block of a mixture of experts, without a layer's name, its norms and its residual add."""
    choice = Choice(
        shape.expert_count,
        shape.chosen_count,
        placement.skew,
        placement.apart,
        placement.capacity_factor,
    )
    dispatched = placement.apart and not shape.shared_size and not shape.latent_size
    router = replace(
        matmul(
            "feed_forward.router",
            hidden,
            shape.expert_count,
            modules=[("mlp.gate", shape.expert_count)],
            weight_kind="router",
        ),
        parameters=shape.router_parameters(hidden),
        followed_by="logits" if dispatched else "none",
        replicated=not dispatched,
    )
    choose = Operator(
        name="feed_forward.choose",
        unit="vector",
        # A softmax over all experts, then the largest again and again.
        flop_per_row=(SOFTMAX_FLOP + shape.chosen_count) * shape.expert_count,
        activations_per_row=shape.expert_count + 2 * shape.chosen_count,
        followed_by="dispatch" if dispatched else "none",
        replicated=True,
    )
    experts = _experts(hidden, shape, choice, dispatched=dispatched)
    operators = (
        router,
        choose,
        *_shared(hidden, shape),
        *experts,
    )
    return Block(
        "feed_forward",
        "feed_forward",
        operators,
        gathers=not dispatched,
        choice=choice if dispatched else None,
    )


def _shared(hidden: int, shape: Experts) -> tuple[Operator, ...]:
    """The shared experts; what they find is summed up with what the others find."""
    inner = shape.shared_size
    if not inner:
        return ()
    gate = matmul(
        "feed_forward.shared_gate",
        hidden,
        1,
        replicated=True,
        modules=[("mlp.shared_expert_gate", 1)],
        weight_kind="shared_experts",
    )
    norms = replace(norm("feed_forward.branch_norms", 3 * hidden), replicated=True)
    return (
        *([gate] if shape.shared_gate else []),
        *([norms] if shape.own_norms else []),
        *_up("shared_experts", hidden, inner, gated=shape.gated),
        matmul(
            "feed_forward.shared_down_projection",
            inner,
            hidden,
            modules=[("mlp.shared_experts.down_proj", hidden)],
            weight_kind="shared_experts",
        ),
    )


def _up(
    kind: WeightKind, hidden: int, inner: int, *, gated: bool, biased: bool = False
) -> tuple[Operator, ...]:
    """What leads to the inner width of a kind of experts, and the activation there."""
    name, module = f"feed_forward.{kind.removesuffix('_experts')}", f"mlp.{kind}"
    made = 2 * inner if gated else inner
    up = matmul(
        f"{name}_gate_up_projection" if gated else f"{name}_up_projection",
        hidden,
        made,
        biases=made if biased else 0,
        modules=gate_and_up(module, inner) if gated else [(f"{module}.up_proj", inner)],
        weight_kind=kind,
    )
    if gated:
        return up, gated_activation(f"{name}_gated_activation", inner)
    return up, plain_activation(f"{name}_activation", inner)


def _experts(
    hidden: int, shape: Experts, choice: Choice, *, dispatched: bool
) -> tuple[Operator, ...]:
    """All experts; FLOP and activations are those of a row's chosen ones."""
    inner, count, chosen = shape.expert_size, shape.expert_count, shape.chosen_count
    latent = shape.latent_size
    width = latent or hidden
    after: Exchange = "collect" if dispatched else "none" if latent else "reduce_scatter"
    one = (
        *_up("experts", width, inner, gated=shape.gated, biased=shape.biases),
        matmul(
            "feed_forward.experts_down_projection",
            inner,
            width,
            after,
            biases=width * shape.biases,
            modules=[("mlp.experts.down_proj", width)],
            weight_kind="experts",
        ),
    )
    experts = tuple(
        replace(
            operator,
            parameters=count * operator.parameters,
            tensors=tuple(replace(tensor, count=count) for tensor in operator.tensors),
            flop_per_row=chosen * operator.flop_per_row,
            activations_per_row=chosen * operator.activations_per_row,
            choice=choice,
        )
        for operator in one
    )
    if not latent:
        return experts
    name = "feed_forward.latent"
    to = matmul(f"{name}_down_projection", hidden, latent, replicated=True)
    back = matmul(f"{name}_up_projection", latent, hidden, "reduce_scatter", replicated=True)
    return to, *experts, back
