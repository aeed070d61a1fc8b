"""Studies: what a study asks, checked, as domain objects: of any kind, and of a grid."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from math import prod
from typing import Any, ClassVar

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.units import split_unit
from rack_sim.scenario.scenario import Scenario


@dataclass(frozen=True, repr=False)
class StudyPoint(Brief):
    """A machine of a study."""

    name: str
    scenario: Scenario


@dataclass(frozen=True, kw_only=True, repr=False)
class Study(Brief):
    """What studies of every kind have.

    `resolved` is the study with the scenario of every point written out: loading it again gives
    the same study. `study_hash` is a digest of that. `place` is the file it came from.
    """

    kind: ClassVar[str]

    name: str
    description: str
    points: tuple[StudyPoint, ...]
    resolved: Mapping[str, Any]
    study_hash: str
    place: str


@dataclass(frozen=True)
class GridAxis:
    """A key of a grid, or a name for several `keys`, and its values.

    `choices` are the values, `labels` the same as tables show them. `digests` tell what each makes
    of the scenario, the content of the presets that it names included. `traces` are the digests of
    the traces that they replay, "" where there is none; None where the key has no say in that.
    """

    key: str
    keys: tuple[str, ...]
    title: str
    choices: tuple[Any, ...]
    labels: tuple[str, ...]
    digests: tuple[str, ...]
    traces: tuple[str, ...] | None

    @property
    def unit(self) -> str:
        """The unit that its key ends in, "" where it ends in none."""
        found = split_unit(last_words(self.key))
        return found[1].suffix if found else ""

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number."""
        return all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in self.choices
        )

    @property
    def is_whole(self) -> bool:
        """Whether every value is a whole number."""
        return self.is_numeric and all(isinstance(value, int) for value in self.choices)


@dataclass(frozen=True, repr=False)
class GridBase(Brief):
    """A named machine of a grid: what all its points start from.

    `keys` is a scenario with its presets put in, `changes` what is laid on it, as ``key=value``,
    `folder` where relative paths start. `digest` is that of the scenario so far; `trace_sha256` of
    the trace that it replays, "" where there is none.
    """

    name: str
    keys: Mapping[str, Any]
    folder: str
    changes: tuple[str, ...]
    digest: str
    trace_sha256: str


@dataclass(frozen=True, repr=False)
class GridPoint(Brief):
    """One combination of a grid: its number from 0, its base, and one value of each axis.

    `chosen` are the numbers of its values on their axes; `changes` all that is laid on the keys of
    the base. `digest` is of everything that the point's numbers depend on, but for the mode and the
    version of rack-sim.
    """

    number: int
    name: str
    base: GridBase
    chosen: tuple[int, ...]
    changes: tuple[str, ...]
    trace_sha256: str
    digest: str


@dataclass(frozen=True, kw_only=True, repr=False)
class GridStudy(Study):
    """What a machine does as some of its values change.

    `points` are the machines before the grid changes them, `bases` the same as keys. `mode` is
    ``replay`` or ``explain``; `collect` names the columns that are shown first.
    """

    kind = "grid"

    axes: tuple[GridAxis, ...]
    bases: tuple[GridBase, ...]
    mode: str
    collect: tuple[str, ...]

    @property
    def point_count(self) -> int:
        """How many combinations there are."""
        return len(self.bases) * prod(len(axis.choices) for axis in self.axes)

    def combinations(self) -> Iterator[GridPoint]:
        """Every point, in order: the last axis changes fastest, the machine slowest."""
        ways = product(range(len(self.bases)), *(range(len(axis.choices)) for axis in self.axes))
        for number, (base_number, *values) in enumerate(ways):
            base = self.bases[base_number]
            chosen = list(zip(self.axes, values, strict=True))
            parts = [f"{last_words(axis.key)}={axis.labels[value]}" for axis, value in chosen]
            changes = [
                change_text(key, axis.choices[value]) for axis, value in chosen for key in axis.keys
            ]
            trace_sha256 = base.trace_sha256
            for axis, value in chosen:
                trace_sha256 = axis.traces[value] if axis.traces else trace_sha256
            made = [base.digest, *(axis.digests[value] for axis, value in chosen), *changes]
            yield GridPoint(
                number=number,
                name=", ".join(
                    [*([base.name] if len(self.bases) > 1 or not parts else []), *parts]
                ),
                base=base,
                chosen=tuple(values),
                changes=(*base.changes, *changes),
                trace_sha256=trace_sha256,
                digest=sha256("\n".join(made).encode()).hexdigest(),
            )


def change_text(key: str, value: Any) -> str:
    """A change as `--set` takes it."""
    return f"{key}={json.dumps(value)}"


def last_words(key: str) -> str:
    """The end of a key that says what it is: ``capacity_mb`` of ``memory.0.capacity_mb``."""
    parts = key.split(".")
    start = max(number for number, part in enumerate(parts) if not part.isdigit())
    return ".".join(parts[start:])
