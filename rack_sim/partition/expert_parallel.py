"""Expert parallel: over which groups of chips whole experts can be shared out."""

from rack_sim.foundation.errors import Problem
from rack_sim.model.architecture import Architecture


def expert_problems(
    model: Architecture, expert_parallel: int, tensor_parallel: int | None
) -> list[Problem]:
    """Why experts cannot lie apart on so many chips; nothing where they are sliced (1)."""
    if expert_parallel == 1:
        return []
    field = "partition.expert_parallel"
    if not model.expert_counts:
        return [Problem(f"{model.name} has no experts", field=field, suggestion="leave it out")]
    problems = [
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
