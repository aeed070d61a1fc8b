"""Expert parallel: over which groups of chips whole experts can be shared out."""

from rack_sim.foundation.errors import Problem
from rack_sim.model.architecture import Architecture
from rack_sim.model.expert_blocks import ExpertPlacement


def expert_problems(
    model: Architecture,
    expert_parallel: int,
    tensor_parallel: int | None,
    placement: ExpertPlacement,
) -> list[Problem]:
    """What is asked of experts that cannot be: that there are some, that they share out evenly."""
    asked = {
        "expert_parallel": expert_parallel > 1,
        "expert_skew": placement.skew > 0,
        "expert_capacity_factor": placement.capacity_factor is not None,
    }
    if not model.expert_counts:
        return [
            Problem(
                f"{model.name} has no experts", field=f"partition.{key}", suggestion="leave it out"
            )
            for key, given in asked.items()
            if given
        ]
    problems = []
    factor = placement.capacity_factor
    if factor is not None and factor < 1:
        problems.append(
            Problem(
                f"{factor:g} of an equal share leaves rows without their experts even then",
                field="partition.expert_capacity_factor",
                suggestion="at least 1",
            )
        )
    if expert_parallel == 1:
        return problems
    field = "partition.expert_parallel"
    problems += [
        Problem(
            f"{count} experts cannot be shared out over {expert_parallel} chips evenly",
            field=field,
            suggestion=f"a divisor of {count}",
        )
        for count in sorted(model.expert_counts)
        if count % expert_parallel
    ]
    if tensor_parallel not in (None, expert_parallel):
        problems.append(
            Problem(
                f"experts lie apart on {expert_parallel} chips, but a stage has {tensor_parallel}",
                field=field,
                suggestion=f"{tensor_parallel}, the chips of a stage, or 1: sliced",
            )
        )
    return problems
