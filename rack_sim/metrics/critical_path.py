"""Critical path: the chain of tasks that makes a token take as long as it does.

The times of its tasks add up to the latency of a step, to the picosecond.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from rack_sim.compiler.program import PathStep, Program
from rack_sim.foundation.units import format_ms
from rack_sim.timing.terms import Terms

# A matmul whose result leaves shard by shard is cut into pieces, named "... 3/8".
_PIECE = re.compile(r" (\d+)/(\d+)$")


class PathStretch(NamedTuple):
    """One task of the path, or the pieces of one that follow each other on one unit."""

    name: str
    task_count: int
    first: PathStep
    terms: Terms

    @property
    def start_ps(self) -> int:
        """When it begins, from the entry of the step."""
        return self.first.start_ps


class PathShare(NamedTuple):
    """Every task of one name on the path: what they are to the latency together."""

    name: str
    where: str
    task_count: int
    spent_ps: int


def whole_name(name: str) -> str:
    """The name of a task without the number of its piece.

    >>> whole_name("attention.output_projection 3/8"), whole_name("gather")
    ('attention.output_projection', 'gather')
    """
    return _PIECE.sub("", name)


def where_of(step: PathStep) -> str:
    """The kind of unit that does it, or ``link``."""
    first, _ = step.resource
    return first if isinstance(first, str) else "link"


def stretches(program: Program) -> Iterator[PathStretch]:
    """The critical path in order, pieces of one task put together."""
    begun: PathStretch | None = None
    for step in program.critical_path():
        name = whole_name(step.name)
        if (
            begun is not None
            and name != step.name
            and begun.name == name
            and begun.first.resource == step.resource
            and begun.first.part is step.part
        ):
            begun = begun._replace(task_count=begun.task_count + 1, terms=begun.terms + step.terms)
            continue
        if begun is not None:
            yield begun
        begun = PathStretch(name, 1, step, step.terms)
    if begun is not None:
        yield begun


def shares(program: Program) -> list[PathShare]:
    """The path by name of task and kind of unit, what takes longest first."""
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    for step in program.critical_path():
        key = (whole_name(step.name), where_of(step))
        count, spent_ps = counted.get(key, (0, 0))
        counted[key] = (count + 1, spent_ps + step.terms.total_ps)
    found = [PathShare(*key, *values) for key, values in counted.items()]
    return sorted(found, key=lambda share: (-share.spent_ps, share.name, share.where))


def critical_path_rows(program: Program) -> Iterator[tuple[str, ...]]:
    """One row per task of the path, first to last."""
    known: dict[Terms, tuple[str, ...]] = {}  # blocks that are alike spend alike
    for number, step in enumerate(program.critical_path()):
        first, second = step.resource
        chips = ("", second) if isinstance(first, str) else (second, first)
        if step.terms not in known:
            known[step.terms] = _time_cells(step.terms)
        yield (
            str(number),
            step.name,
            where_of(step),
            str(chips[1]),
            str(chips[0]),
            str(step.part.stage),
            step.part.name,
            format_ms(step.start_ps),
            *known[step.terms],
        )


def _time_cells(terms: Terms) -> tuple[str, ...]:
    """The whole time, and what it went to."""
    spent = terms.by_name()
    spent.pop("slack")
    return tuple(map(format_ms, (terms.total_ps, *spent.values())))
