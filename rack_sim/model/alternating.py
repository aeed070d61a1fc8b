"""Alternating updates: several streams, of which a layer updates one and predicts the others."""

from dataclasses import dataclass, replace

from rack_sim.model.operators import Block, Operator
from rack_sim.model.tensors import Tensor
from rack_sim.model.textbook import NORM_FLOP, matmul


@dataclass(frozen=True, slots=True)
class Alternating:
    """`count` streams; beside attention a row goes through `side_rank`, a learnt residual.

    Before a layer all streams are predicted from all, after it they are corrected by what it found;
    a router of the updated stream says how, twice with the same weights.
    """

    count: int
    side_rank: int

    def layer_parameters(self, hidden: int) -> int:
        """Router and its norm, both sets of coefficients, a scale; the way beside, and its norm."""
        router = hidden * self.count + hidden
        side = 2 * hidden * self.side_rank + hidden
        return router + self.count**3 + self.count**2 + hidden + side

    def end_parameters(self, hidden: int) -> int:
        """A projection to every further stream at the beginning; at the end as many from them."""
        return 2 * (self.count - 1) * hidden**2


def predict(hidden: int, streams: Alternating) -> tuple[Operator, ...]:
    """Before attention: a mixture of all streams for each."""
    count = streams.count
    return (
        _router(
            "attention.predict",
            hidden,
            streams,
            Tensor("altup.modality_router", count, hidden),
            Tensor("altup.prediction_coefs", count**2, count),
            norm_parameters=hidden,
        ),
        Operator(
            name="attention.predict_streams",
            unit="vector",
            flop_per_row=2 * count**3 + (2 * count**2 + count) * hidden,
            activations_per_row=2 * count * hidden,
        ),
    )


def side_way(hidden: int, streams: Alternating) -> tuple[Operator, ...]:
    """Beside attention: down to a narrow width and back, normalised."""
    rank = streams.side_rank
    return (
        matmul(
            "attention.side_down_projection",
            hidden,
            rank,
            replicated=True,
            modules=[("laurel.linear_left", rank)],
        ),
        matmul(
            "attention.side_up_projection",
            rank,
            hidden,
            modules=[("laurel.linear_right", hidden)],
        ),
        Operator(
            name="attention.side_sum",
            unit="vector",
            parameters=hidden,
            flop_per_row=(NORM_FLOP + 3) * hidden,  # two sums, scaled
            activations_per_row=3 * hidden,
        ),
    )


def correct(hidden: int, streams: Alternating) -> tuple[Operator, ...]:
    """After the feed-forward: every stream by what the layer found more than was predicted."""
    count = streams.count
    return (
        _router(
            "feed_forward.correct",
            hidden,
            streams,
            Tensor("altup.correction_coefs", count, count),
        ),
        Operator(
            name="feed_forward.correct_streams",
            unit="vector",
            parameters=hidden,
            flop_per_row=2 * count**2 + (2 * count + 2) * hidden,
            activations_per_row=(2 * count + 1) * hidden,
        ),
    )


def _router(
    prefix: str, hidden: int, streams: Alternating, *tensors: Tensor, norm_parameters: int = 0
) -> Operator:
    """How streams are mixed; whole rows are on every chip. Coefficients count with the router."""
    return Operator(
        name=f"{prefix}_router",
        unit="matrix",
        parameters=sum(tensor.elements for tensor in tensors) + norm_parameters,
        flop_per_row=2 * hidden * streams.count + NORM_FLOP * hidden,
        activations_per_row=2 * hidden + streams.count,
        replicated=True,
        tensors=tensors,
    )


def first_block(hidden: int, streams: Alternating) -> Block:
    """The further streams, each from the embedding."""
    projection = _further("streams.projection", "altup_projections", hidden, streams)
    return Block("streams", "embedding", (projection,), gathers=True, stream_count=streams.count)


def before_head(hidden: int, streams: Alternating) -> tuple[Operator, ...]:
    """All streams as one: the further ones projected, their mean taken."""
    return (
        _further("head.stream_projection", "altup_unembed_projections", hidden, streams),
        Operator(
            name="head.stream_mean",
            unit="vector",
            flop_per_row=streams.count * hidden,
            activations_per_row=(streams.count + 1) * hidden,
        ),
    )


def _further(name: str, module: str, hidden: int, streams: Alternating) -> Operator:
    """A matrix for every stream but the first."""
    further = streams.count - 1
    return replace(
        matmul(name, hidden, further * hidden),
        tensors=(Tensor(module, hidden, hidden, further),),
        weight_kind="feed_forward",  # of no layer, but converted as its matrices are
    )
