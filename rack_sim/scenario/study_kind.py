"""Study kind: what one kind of study may say in its file, and which tables its answer has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rack_sim.metrics.column import Column
from rack_sim.scenario.document import Keys, quantity_of
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.scenario import Scenario
from rack_sim.scenario.studies import Study
from rack_sim.scenario.study_schema import StudySchema


@dataclass(frozen=True)
class StudyKind:
    """One kind of study.

    `schema` is what its file may say, `tables` the columns of what it leaves, by file. `build`
    makes the study of its schema and of what all kinds have. `check` notes what is wrong with
    values that are right each by itself; `refuse` raises InputError where a point's scenario does
    not suit the study. A kind that is read in a way of its own has `read` instead of these three.
    `one_process_because` says why its points run one after the other; empty where each stands
    alone: those may run in several places, and a journal keeps what is done.
    """

    schema: type[StudySchema]
    tables: Mapping[str, Sequence[Column]]
    build: Callable[[Any, Mapping[str, Any]], Study] | None = None
    check: Callable[[Any, Keys, Validation], None] = lambda _schema, _tree, _reading: None
    refuse: Callable[[Any, Scenario], None] = lambda _schema, _scenario: None
    read: Callable[[Keys, Path, Sequence[str], Validation], Study] | None = None
    one_process_because: str = "its points are replayed one after the other"


def check_rising(values: Sequence[float], quantity: str, tree: Keys, reading: Validation) -> None:
    """Notes where the values of a key do not rise from one to the next."""
    if list(values) != sorted(set(values)):
        key = next(key for key in tree if quantity_of(key) == quantity)
        reading.complain(tree, key, f"{key}: must rise from value to value; given {tree[key]}")
