"""Sizing space: the shapes of a replica that are looked at, and how many replicas of each.

A shape is a tensor-parallel degree and a number of stages. By default every degree that splits the
heads evenly inside a node, and every number of stages from the fewest that hold the model to all
that the system has room for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rack_sim.foundation.errors import InfeasibleError, InputError, Problem
from rack_sim.metrics.cost import Footprint, footprint_on
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import (
    Deployment,
    Partitioner,
    check_deployment,
    partition,
    possible_degrees,
)
from rack_sim.partition.placement import groups
from rack_sim.scenario import Scenario
from rack_sim.scenario.group import format_ranges

# assumed: more than any of our scenarios needs by far; a search that went on for ever says nothing
REPLICAS_MAX = 256


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """How a replica is cut: chips that share a stage, and stages."""

    tensor_parallel: int
    stage_count: int

    @property
    def chip_count(self) -> int:
        """Chips that hold a replica."""
        return self.tensor_parallel * self.stage_count

    def __str__(self) -> str:
        return f"{self.tensor_parallel} x {self.stage_count}"


@dataclass(frozen=True)
class Space:
    """Everything that is looked at: each shape with 1 to `replicas_max` replicas.

    `degrees` are the tensor-parallel degrees asked for, `unfit` those of them that cannot hold the
    model whatever the number of stages.
    """

    shapes: tuple[Shape, ...]
    replicas_max: int
    degrees: tuple[int, ...]
    unfit: tuple[int, ...]

    @property
    def stages_by_degree(self) -> Mapping[int, tuple[int, ...]]:
        """Numbers of stages of each degree that holds the model."""
        found: dict[int, list[int]] = {}
        for shape in self.shapes:
            found.setdefault(shape.tensor_parallel, []).append(shape.stage_count)
        return {degree: tuple(counts) for degree, counts in found.items()}

    def __str__(self) -> str:
        parts = [
            f"tensor parallel {degree} with {_ranges(counts)} stages"
            for degree, counts in self.stages_by_degree.items()
        ]
        if self.unfit:
            parts.append(f"tensor parallel {_ranges(self.unfit)} cannot hold the model")
        return f"{'; '.join(parts)}; 1 to {self.replicas_max} replicas"


def sizing_space(
    scenario: Scenario,
    tensor_parallel: Sequence[int] | None = None,
    stages: Sequence[int] | None = None,
    replicas_max: int | None = None,
) -> Space:
    """The space of a scenario, within the degrees and numbers of stages given.

    Raises InputError where one of them cannot be, with every problem; InfeasibleError where no
    shape holds the model.
    """
    free = replace(scenario.deployment, tensor_parallel=None, stage_count=None)
    node = len(free.system.topology.nodes[0])
    problems = [
        *_problems("--tensor-parallel", tensor_parallel, lambda n: _degree_problems(free, n)),
        *_problems("--stages", stages, lambda n: _stage_problems(free, n)),
        *_problems(
            "--max-replicas", None if replicas_max is None else [replicas_max], lambda _: ()
        ),
    ]
    if problems:
        raise InputError(problems)
    possible = [degree for degree in possible_degrees(free) if degree <= node]
    # Experts apart may ask for a group that spans nodes, and no other.
    degrees = sorted(set(tensor_parallel or possible or possible_degrees(free)))
    shapes: list[Shape] = []
    unfit: list[int] = []
    for degree in degrees:
        found = list(_shapes(replace(free, tensor_parallel=degree), degree, stages))
        shapes += found
        if not found:
            unfit.append(degree)
    if not shapes:
        raise InfeasibleError(_does_not_fit(free, degrees, stages))
    return Space(
        tuple(shapes),
        REPLICAS_MAX if replicas_max is None else replicas_max,
        tuple(degrees),
        tuple(unfit),
    )


def footprint_of_shape(deployment: Deployment, shape: Shape, replica_count: int) -> Footprint:
    """What so many replicas of a shape occupy."""
    topology = deployment.system.topology
    return footprint_on(topology, shape.tensor_parallel, shape.stage_count, replica_count)


def _shapes(deployment: Deployment, degree: int, stages: Sequence[int] | None) -> Iterable[Shape]:
    room = len(groups(deployment.system.topology, degree))
    if not room:
        return
    partitioner = Partitioner(deployment)
    most = min(room, len(deployment.blocks))
    # One stage may fit where two do not: it holds a table once that two would hold twice.
    one, several = partitioner.fewest_stages(degree), partitioner.fewest_stages(degree, 2)
    fitting = [1] if one == 1 else []
    fitting += range(several, most + 1) if several else []
    yield from (Shape(degree, count) for count in fitting if not stages or count in stages)


def _does_not_fit(
    free: Deployment, degrees: Sequence[int], stages: Sequence[int] | None
) -> Infeasible | str:
    """Why the largest of the degrees does not hold the model, with the most stages allowed."""
    room = len(groups(free.system.topology, degrees[-1]))
    counts = [count for count in stages or () if count <= room]
    wanted = replace(free, tensor_parallel=degrees[-1], stage_count=max(counts) if counts else None)
    answer = partition(wanted)
    if isinstance(answer, Infeasible):
        return answer
    return f"infeasible: no shape of {free.model.name} has {_ranges(stages or ())} stages"


def _problems(
    option: str, given: Sequence[int] | None, more: Callable[[int], Sequence[Problem]]
) -> list[Problem]:
    """What is wrong with the numbers of an option; `more` looks at each that is a count."""
    found: list[Problem] = []
    if given is not None and not given:
        found.append(Problem("names nothing", option))
    for number in given or ():
        if number < 1:
            found.append(Problem(f"{number} is not a count", option, suggestion="1 or more"))
        else:
            found += [replace(problem, place=option, field="") for problem in more(number)]
    return found


def _degree_problems(free: Deployment, degree: int) -> Sequence[Problem]:
    try:
        check_deployment(replace(free, tensor_parallel=degree))
    except InputError as error:
        return error.problems
    return ()


def _stage_problems(free: Deployment, count: int) -> Sequence[Problem]:
    blocks = len(free.blocks)
    if count <= blocks:
        return ()
    return [Problem(f"{count} stages for {blocks} blocks", suggestion=f"at most {blocks}")]


def _ranges(numbers: Sequence[int]) -> str:
    return format_ranges(sorted(numbers), ", ")
