"""Provisions: how a plan provides for what its model chooses at run time, what it leaves out."""

from collections.abc import Iterator

from rack_sim.foundation.units import counted, format_bytes
from rack_sim.hardware.chip import PRECISION_BITS
from rack_sim.model.operators import Operator
from rack_sim.partition.plan import Plan


def provisions(plan: Plan) -> tuple[str, ...]:
    """A sentence for each thing to know before using a number; most models have none."""
    return (*_choices(plan), *_encoders(plan))


def _choices(plan: Plan) -> Iterator[str]:
    """Attention to chosen entries of the cache: in how many layers, and what it costs."""
    choosing = [
        one
        for stage in plan.stages
        for block in stage.blocks
        for one in block.operators
        if one.name == "attention.scores" and one.reach and one.reach.chosen_max
    ]
    if not choosing:
        return
    most = max(one.reach.chosen_max or 0 for one in choosing if one.reach)
    layers = counted(len(choosing), "layer")
    said = f"Sparse attention: in {layers} a row attends to at most {most:,} chosen cache entries"
    if plan.system.chip.execution == "reactive":
        yield (
            f"{said}. Iterations read as many for every row, which is too much where contexts are "
            "shorter or rows of one prompt choose alike; chips that share a cache have even shares."
        )
        return
    times = max(_worst_to_even(plan, one) for one in choosing)
    yield (
        f"{said}. A fixed program must fit any choice: each chip is scheduled for {times:.1f} "
        f"times its even share of attention at {plan.demand.shape.context_tokens:,} tokens, as all "
        "that is chosen may lie on it."
    )


def _worst_to_even(plan: Plan, operator: Operator) -> float:
    context, reach = plan.demand.shape.context_tokens, operator.reach
    sharing = max(plan.tensor_parallel // (reach.head_count if reach else 1), 1)
    return operator.met(context, parts=sharing) / max(operator.met(context), 1)


def _encoders(plan: Plan) -> Iterator[str]:
    bits = PRECISION_BITS[plan.demand.shape.precision.activations]
    for one in plan.model.encoders:
        size = "whose shape is not known here"
        if one.parameter_count is not None:
            size_bytes = format_bytes(-(-one.parameter_count * bits // 8))
            size = f"{one.parameter_count:,} parameters, {size_bytes} as wide as activations"
        yield f"The encoder of {one.sense} ({size}) is not served and takes no room."
