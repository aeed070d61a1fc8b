"""Jitter: what a study of operators that take longer than compiled asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from rack_sim.foundation.keys import NonNegativeInt
from rack_sim.metrics.columns import JITTER, SLIP
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.studies import Study
from rack_sim.scenario.study_kind import StudyKind, check_rising
from rack_sim.scenario.study_schema import StudyPointSchema, StudySchema

_PS_PER_S = 10**12


class JitterStudySchema(StudySchema):
    """What a machine loses when its operators do not take the time that was compiled.

    At every point the compiled program of a decode step is replayed, step after step, with extra
    times of operators drawn from exponential distributions.
    """

    kind: Literal["jitter"]
    points: Annotated[list[StudyPointSchema], Field(min_length=1, max_length=100)]
    """The machines that are compared, smallest first; the last is shown in most detail."""
    operator_jitter_ps: Annotated[
        list[Annotated[int, Field(ge=0, le=_PS_PER_S)]], Field(min_length=1, max_length=100)
    ]
    """Mean extra times of an operator to replay with; 0 is the machine as compiled."""
    step_count: Annotated[int, Field(ge=2, le=100_000)]
    """Steps that enter at every point, spread over its slots."""
    warmup_step_count: NonNegativeInt
    """Steps that are not counted: until the first slots have come round, the line is not full."""
    repeat_count: Annotated[int, Field(ge=1, le=1000)] = 1
    """Replays with draws of their own, pooled."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Seed of every draw."""


@dataclass(frozen=True, kw_only=True, repr=False)
class JitterStudy(Study):
    """What a machine loses when its operators do not take the time that was compiled."""

    kind = "jitter"

    operator_jitter_ps: tuple[int, ...]
    step_count: int
    warmup_step_count: int
    repeat_count: int
    seed: int


def _check_jitter(schema: JitterStudySchema, tree: dict[str, Any], reading: Validation) -> None:
    check_rising(schema.operator_jitter_ps, "operator_jitter", tree, reading)
    if schema.warmup_step_count > schema.step_count - 2:
        message = (
            f"warmup_step_count: {schema.warmup_step_count} of {schema.step_count} steps leave no "
            "two to be counted"
        )
        reading.complain(tree, "warmup_step_count", message)


def _build_jitter(schema: JitterStudySchema, shared: Mapping[str, Any]) -> JitterStudy:
    return JitterStudy(
        **shared,
        operator_jitter_ps=tuple(schema.operator_jitter_ps),
        step_count=schema.step_count,
        warmup_step_count=schema.warmup_step_count,
        repeat_count=schema.repeat_count,
        seed=schema.seed,
    )


KIND = StudyKind(
    schema=JitterStudySchema,
    tables={"jitter.csv": JITTER, "slip.csv": SLIP},
    build=_build_jitter,
    check=_check_jitter,
    one_process_because="all draws of a machine are one replay",
)
