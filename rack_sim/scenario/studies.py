"""Studies: what each kind of study asks, checked, as domain objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rack_sim.scenario.scenario import Scenario


@dataclass(frozen=True)
class StudyPoint:
    """A machine of a study."""

    name: str
    scenario: Scenario


@dataclass(frozen=True, kw_only=True)
class Study:
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


@dataclass(frozen=True, kw_only=True)
class JitterStudy(Study):
    """What a machine loses when its operators do not take the time that was compiled."""

    kind = "jitter"

    operator_jitter_ps: tuple[int, ...]
    step_count: int
    warmup_step_count: int
    repeat_count: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class LoadStudy(Study):
    """Where a machine saturates as requests are offered at a rising rate.

    `rates_rps` is None where the rates are to be found, until the lowest rate that is too high is
    no more than the share `knee_precision` above the highest that is not. `attainment` is the share
    of requests that must meet every objective. `request_count` or `duration_ps`, where given, take
    the place of the workload's own bounds at every rate.
    """

    kind = "load"

    rates_rps: tuple[float, ...] | None
    knee_precision: float
    attainment: float
    request_count: int | None
    duration_ps: int | None
